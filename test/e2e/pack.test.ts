// Shows that the package is complete: `npm pack` makes a tarball that, installed in an empty folder elsewhere, gives
// `npx foreshock`; nothing is in it that users have no use for.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'foreshock-pack-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Without what npm tells its children about the package that this suite runs in. */
const PLAIN = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'))),
  // Nobody reads what npm would ask the registry for besides.
  npm_config_audit: 'false',
  npm_config_fund: 'false',
}

function run(command: string, args: readonly string[], cwd: string) {
  const done = spawnSync(command, args, {
    cwd,
    env: PLAIN,
    encoding: 'utf8',
    timeout: 240_000,
    maxBuffer: 1 << 26,
  })
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${done.status}\n${done.stderr}${done.stdout}`)
  return done.stdout
}

interface Packed {
  readonly filename: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

it('installs elsewhere and works there', { timeout: 300_000 }, () => {
  // What is packed is the build that the suite tests: scripts would make it anew under the feet of other tests.
  const json = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], ROOT)
  const [packed] = JSON.parse(json.slice(json.indexOf('['))) as Packed[]
  const paths = packed.files.map(file => file.path)
  for (const path of ['dist/cli.js', 'dist/serve/page/index.html', 'README.md', 'LICENSE', 'package.json']) {
    expect(paths).toContain(path)
  }
  expect(
    paths.filter(path => /(^|\/)(test|bench|examples|\.ci|\.foreshock)\/|\.test\.|\.csv|\.gz$/.test(path)),
  ).toEqual([])
  expect(paths.filter(path => path.endsWith('.ts') && !path.endsWith('.d.ts'))).toEqual([])
  expect(packed.size).toBeLessThan(3_000_000)
  // A source map either carries its sources or they are in the package.
  const maps = paths.filter(path => path.endsWith('.js.map'))
  const lost = maps.filter(path => {
    const map = JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as {
      sources: string[]
      sourcesContent?: (string | null)[]
    }
    return map.sources.some(
      (source, i) => !map.sourcesContent?.[i] && !paths.includes(join(dirname(path), source)),
    )
  })
  expect(lost).toEqual([])

  const home = mkdtempSync(join(folder, 'home-'))
  writeFileSync(join(home, 'package.json'), '{"name":"elsewhere","private":true}')
  const tarball = join(folder, packed.filename)
  run('npm', ['install', tarball, '--prefer-offline', '--omit=dev', '--no-audit', '--no-fund'], home)
  expect(run('npx', ['--no-install', 'foreshock', '--help'], home)).toContain('score')
  copyFileSync(join(ROOT, 'examples', 'latency.csv'), join(home, 'latency.csv'))
  run('npx', ['--no-install', 'foreshock', 'score', '--input', 'latency.csv', '--out', 'scores.csv'], home)
  const rows = readFileSync(join(home, 'scores.csv'), 'utf8').trimEnd().split('\n')
  expect(rows.length).toBe(1 + 3 * 288)
  // The fault in the example begins at 14:00 on its third day: one page, at its first row, and nothing before it.
  const alerts = rows.slice(1).flatMap((row, i) => {
    const [time, , , , , , , , , alert] = row.split(',')
    return alert === 'incident' || alert === 'point' ? [{ time, alert, i }] : []
  })
  expect(alerts[0]).toMatchObject({ time: '2026-11-12T14:00:00Z', alert: 'incident' })
  expect(alerts.filter(({ alert }) => alert === 'incident').length).toBe(1)
})

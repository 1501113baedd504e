// docs/models.md tells the truth: every command and program in it is run, in order, against the built service with real
// packages; orders outlive a kill; and what is refused ends with its exit code and one line.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writePackage } from '../detectors/model-packages.ts'
import { linearModel } from '../detectors/onnx-builder.ts'
import { pythonWith } from '../notebooks/python.ts'
import { foreshock } from './command.ts'
import { CLI, getJson, type RunningService, remove, startForeshock } from './service.ts'

const DOCS = readFileSync(resolve(import.meta.dirname, '../../docs/models.md'), 'utf8')
const DEFAULT_URL = 'http://127.0.0.1:4318'
const blocks = [...DOCS.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
  language,
  text,
}))
const commands = blocks
  .filter(block => block.language === 'sh')
  .flatMap(block => block.text.trim().split('\n'))

/** y = factor × the newest of three values. */
function detector(root: string, version: number): string {
  return writePackage(join(root, 'my-detector', String(version)), {
    files: { 'model.onnx': linearModel(3, 1, [0, 0, version]) },
    inputs: [
      [1, 2, 3],
      [0, -1, 0.5],
    ],
    outputs: [[3 * version], [0.5 * version]],
    card: { id: 'my-detector', version },
  })
}

const folder = mkdtempSync(join(tmpdir(), 'foreshock-models-docs-'))
let service: RunningService
beforeAll(async () => {
  for (const version of [1, 2, 3, 4]) detector(folder, version)
  writeFileSync(join(folder, 'package.json'), '{"name":"elsewhere","private":true}')
  mkdirSync(join(folder, 'node_modules', '.bin'), { recursive: true })
  symlinkSync(CLI, join(folder, 'node_modules', '.bin', 'foreshock'))
  service = await startForeshock({}, folder)
})
afterAll(async () => {
  await service.kill()
  remove(folder)
})

interface Shown {
  readonly champion: { readonly version: number } | null
  readonly previous: { readonly version: number } | null
  readonly challenger: { readonly version: number } | null
  readonly live: { readonly champion: { readonly version: number } | null } | null
  readonly history: readonly { readonly op: string; readonly by: string }[]
}
const shown = () => getJson<Shown>(`${service.url}/api/models/my-detector`)

describe('docs/models.md', () => {
  it('has blocks that are run here, and links that lead somewhere', () => {
    expect(new Set(blocks.map(block => block.language))).toEqual(new Set(['text', 'sh', 'python']))
    expect(commands.length).toBeGreaterThan(15)
    const links = [...DOCS.matchAll(/\]\(([^):#]+)\)/g)].map(([, link]) => link)
    for (const link of links) readFileSync(resolve(import.meta.dirname, '../../docs', link))
  })

  it.each(commands)('%s', { timeout: 60_000 }, line => {
    const plain = Object.entries(process.env).filter(([name]) => !/^(npm_|FORESHOCK_)/.test(name))
    const env = {
      ...Object.fromEntries(plain),
      FORESHOCK_URL: service.url,
      npm_config_cache: join(folder, 'npm'),
    }
    const text = line.replaceAll(DEFAULT_URL, service.url).replaceAll('curl -s', 'curl -s --fail-with-body')
    const ran = spawnSync('bash', ['-o', 'pipefail', '-c', text], { cwd: folder, env, timeout: 60_000 })
    const out = ran.stdout.toString()
    expect(ran.status, `${out}${ran.stderr}`).toBe(0)
    if (line.includes('infer ')) expect(JSON.parse(out).outputs[0].data[0]).toBeCloseTo(0.4, 6)
    if (line.includes('models list')) expect(out).toMatch(/^my-detector +1 +- +- +2 1/m)
    if (line.includes('models show'))
      expect(out).toMatch(/canary 2 25 % by anonymous.*a quiet week in shadow/)
  })

  it('left the model as its last orders say, and every order in the history', async () => {
    const { champion, previous, challenger, live, history } = await shown()
    expect([champion?.version, previous, challenger, live?.champion?.version]).toEqual([1, null, null, 1])
    expect(history.map(line => line.op).reverse()).toEqual([
      'promote',
      'shadow',
      'canary',
      'promote',
      'rollback',
      'shadow',
      'withdraw',
    ])
  })

  it('has a program for the Triton client that works', { timeout: 300_000 }, async context => {
    const python = await pythonWith(context, {
      what: 'tritonclient',
      requirements: resolve(import.meta.dirname, '../peers/tritonclient-requirements.txt'),
      shown: 'test/peers/tritonclient-requirements.txt',
      variable: 'FORESHOCK_TRITON_PYTHON',
    })
    await fetch(`${service.url}/v2/repository/models/my-detector/load`, { method: 'POST' })
    const [program] = blocks.filter(block => block.language === 'python')
    const text = program.text.replace('127.0.0.1:4318', service.url.replace('http://', ''))
    const ran = spawnSync(python, ['-c', text], { timeout: 60_000 })
    expect(ran.stderr.toString()).toBe('')
    expect(ran.stdout.toString().replaceAll(/\s+/g, ' ')).toBe('[[0.4] [9. ]] ')
  })
})

describe('models', { timeout: 60_000 }, () => {
  const run = (...words: string[]) => foreshock(['models', ...words, '--url', service.url], { cwd: folder })

  it('are who they were after a kill', async () => {
    expect(run('push', 'my-detector/4').code).toBe(0)
    expect(run('promote', 'my-detector', '4').code).toBe(0)
    await service.kill()
    service = await startForeshock({}, folder)
    const { champion, previous, live } = await shown()
    expect([champion?.version, previous?.version, live?.champion?.version]).toEqual([4, 1, 4])
  })

  it.each([
    ['no service', ['list', '--url', 'http://127.0.0.1:9'], 1, /does not answer/],
    ['no package', ['push', 'nowhere'], 2, /card.json is missing/],
    ['no folder', ['push'], 2, /missing required argument/],
    ['no such command', ['fly', 'my-detector'], 2, /unknown command/],
    ['no such model', ['promote', 'other', '1'], 2, /no model other/],
    ['no such version', ['shadow', 'my-detector', '77'], 2, /no version 77/],
    ['no number', ['shadow', 'my-detector', 'two'], 2, /two: is no number/],
    ['no share', ['canary', 'my-detector', '1', '--share', 'half'], 2, /half: is no number/],
    ['what has a part', ['remove', 'my-detector', '4'], 2, /is champion/],
  ] as const)('with %s ends with its exit code and one line', (_name, words, code, reason) => {
    const [op, ...rest] = words
    const all = rest.includes('--url' as never)
      ? ['models', op, ...rest]
      : ['models', op, ...rest, '--url', service.url]
    const ran = foreshock(all, { cwd: folder })
    expect([ran.code, ran.err]).toEqual([code, expect.stringMatching(reason)])
    expect(ran.err).not.toContain('    at ')
  })

  it('tell JSON', () => {
    const ran = run('show', 'my-detector', '--json')
    expect(JSON.parse(ran.out.toString())).toMatchObject({ model: 'my-detector', champion: { version: 4 } })
  })
})

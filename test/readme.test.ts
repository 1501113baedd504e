// Shows that the README tells the truth: every fenced block is run, parsed or used here, and a block that nobody
// runs fails the suite; commands that would install, or take minutes, are shown to be what another test runs. Links
// in README, ARCHITECTURE and CONTRIBUTING lead to files that exist.
import { spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../src/config.ts'
import { freePort } from '../src/lab/free-port.ts'
import { CLI, type RunningService, remove, startForeshock } from './e2e/service.ts'

const ROOT = resolve(import.meta.dirname, '..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const SCRIPTS = (
  JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
).scripts
const DEFAULT_URL = 'http://127.0.0.1:4318'

const blocks = [...README.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
  language,
  text,
}))
const commands = blocks
  .filter(block => block.language === 'sh')
  .flatMap(block => block.text.split('\n'))
  .filter(line => line.trim() !== '' && !line.startsWith('#'))
const yamls = blocks.filter(block => block.language === 'yaml').map(block => block.text)

/** Without what npm tells its children about the package that this suite runs in. */
const PLAIN = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')))

/** What is not run here as it stands, and where it is shown instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'npm ci && npm run demo': 'installs; the script is `lab`, run short by the lab tests and looked at below',
  'npm start': 'runs until it is stopped; the script is `serve`, started below',
  'npm ci && npm test': 'this very run, see .ci/run',
}

describe('every block', () => {
  it('is run, parsed or listed', () => {
    expect(blocks.length).toBeGreaterThan(5)
    const known = commands.filter(
      line => line in ELSEWHERE || line.startsWith('curl ') || line.startsWith('npx foreshock '),
    )
    expect(commands.filter(line => !known.includes(line))).toEqual([])
    expect(blocks.filter(block => !['sh', 'yaml'].includes(block.language))).toEqual([])
    expect(yamls.filter(text => !/^# (foreshock|prometheus)\.yml|^# foreshock\.yaml/.test(text))).toEqual([])
  })

  it.each(Object.keys(ELSEWHERE))('%s is a command of the package', line => {
    expect(commands).toContain(line)
    const script = /npm (?:run )?(\w+)$/.exec(line)?.[1] as string
    expect(Object.keys(SCRIPTS)).toContain(script)
    const ran = /^node (\S+) (\w+)$/.exec(SCRIPTS[script])
    if (!ran) return expect(SCRIPTS[script]).toBe('npm run build && vitest run')
    expect(existsSync(join(ROOT, ran[1]))).toBe(true)
    const help = spawnSync(process.execPath, [CLI, ran[2], '--help'])
    expect(help.status).toBe(0)
  })
})

describe('yaml', () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-readme-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('of foreshock.yaml is a configuration', () => {
    const text = yamls.find(one => one.startsWith('# foreshock.yaml')) as string
    const file = join(folder, 'foreshock.yaml')
    writeFileSync(file, text)
    const config = loadConfig({ file, environment: {} })
    expect(config.features.step).toBe(10_000)
    expect(config.features.expressions.map(one => one.metric)).toEqual(['error_ratio'])
    expect(config.sources.host.enabled).toBe(true)
    expect(config.sinks.webhooks.length + config.sinks.alertmanagers.length).toBe(2)
    const stepped = loadConfig({ file, environment: { FORESHOCK_FEATURES_STEP: '2s' } })
    expect(stepped.features.step).toBe(2000)
  })

  it('of prometheus.yml names the write route; test/e2e/prometheus.test.ts runs a Prometheus with it', () => {
    const text = yamls.find(one => one.startsWith('# prometheus.yml')) as string
    expect(parse(text)).toEqual({ remote_write: [{ url: `${DEFAULT_URL}/api/v1/write` }] })
  })

  it('starts a service as it stands', { timeout: 40_000 }, async () => {
    const text = yamls.find(one => one.startsWith('# foreshock.yaml')) as string
    const service = await startForeshock(parse(text) as Record<string, unknown>)
    try {
      expect((await fetch(`${service.url}/readyz`)).status).toBe(200)
      expect(await service.stop()).toBe(0)
    } finally {
      await service.kill()
      remove(service.folder)
    }
  })
})

describe('commands', () => {
  // A folder where npx finds the built program; results and the record stay out of the checkout.
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-readme-'))
  let service: RunningService
  beforeAll(async () => {
    cpSync(join(ROOT, 'examples'), join(folder, 'examples'), { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"name":"elsewhere","private":true}')
    mkdirSync(join(folder, 'node_modules', '.bin'), { recursive: true })
    symlinkSync(CLI, join(folder, 'node_modules', '.bin', 'foreshock'))
    service = await startForeshock({}, folder)
    // `log verify` looks where `serve` without a configuration keeps its record.
    symlinkSync(join(folder, 'data'), join(folder, '.foreshock'))
  })
  afterAll(async () => {
    await service.kill()
    remove(folder)
  })

  it('npx finds the program in a checkout', { timeout: 40_000 }, () => {
    // A cache of its own: npx stumbles over what an interrupted run left in the shared one.
    // Without scripts: `prepare` would build anew, and take the program from under the feet of other tests.
    const env = { ...PLAIN, npm_config_cache: join(folder, 'npm'), npm_config_ignore_scripts: 'true' }
    const ran = spawnSync('npx', ['foreshock', '--version'], { cwd: ROOT, env, timeout: 40_000 })
    expect(ran.stdout.toString()).toMatch(/^\d+\.\d+\.\d+/)
  })

  const lines = commands.filter(line => !(line in ELSEWHERE))
  it.each(lines)('%s', { timeout: 40_000 }, line => {
    const text = line
      .replaceAll(DEFAULT_URL, service.url)
      // A time that is not too late any more.
      .replace(/"time":"[^"]+"/, `"time":"${new Date().toISOString()}"`)
      .replace(/^curl /, 'curl --fail-with-body ')
    const ran = spawnSync('bash', ['-c', text], { cwd: folder, env: PLAIN, timeout: 40_000 })
    const out = ran.stdout.toString()
    expect(ran.status, `${out}${ran.stderr}`).toBe(0)
    if (line.includes('/api/samples')) expect(JSON.parse(out)).toMatchObject({ samples: 1, rejected: 0 })
    if (line.includes('/api/disruptions') || line.includes('/api/series'))
      expect(JSON.parse(out)).toMatchObject({ items: expect.any(Array) })
    if (line.includes('/api/events')) expect(out).toContain('retry: ')
    const written = /--out (\S+)/.exec(line)?.[1]
    if (written) expect(readFileSync(join(folder, written), 'utf8').split('\n').length).toBeGreaterThan(2)
  })
})

it('npm start serves at the address the README names, with nothing but defaults', {
  timeout: 40_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-start-'))
  const port = await freePort()
  const [, script, command] = /^node (\S+) (\w+)$/.exec(SCRIPTS.start) as RegExpExecArray
  const env = { ...process.env, FORESHOCK_SERVER_PORT: String(port) }
  const child = spawn(process.execPath, [join(ROOT, script), command], { cwd: folder, env })
  try {
    const said = await new Promise<string>((done, failed) => {
      child.stdout.once('data', chunk => done(String(chunk)))
      child.once('exit', code => failed(new Error(`exited with ${code}`)))
    })
    expect(said).toContain(`http://127.0.0.1:${port}`)
    for (const path of ['/', '/docs/', '/openapi.json', '/metrics']) {
      expect((await fetch(`http://127.0.0.1:${port}${path}`)).status, path).toBe(200)
    }
    expect(loadConfig({ environment: {} }).server).toMatchObject({ host: '127.0.0.1', port: 4318 })
  } finally {
    const gone = new Promise(done => child.once('exit', done))
    child.kill('SIGTERM')
    await gone
    rmSync(folder, { recursive: true, force: true })
  }
})

it.each(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'])('links of %s lead somewhere', name => {
  const text = readFileSync(join(ROOT, name), 'utf8')
  const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, link]) => link)
  const local = links.filter(link => !/^[a-z]+:/.test(link))
  expect(local.filter(link => !existsSync(join(ROOT, dirname(name), link)))).toEqual([])
})

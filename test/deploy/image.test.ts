// Shows that the image holds what it needs and runs as it is told to: the steps of deploy/Dockerfile are read from it
// and taken in a folder, without Docker; the result is started as nobody, with every disk read-only but /data, takes
// samples, answers the image's own health check, tries a model with the runtimes that pruning has left, and stops.
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../src/lab/free-port.ts'
import { until } from '../e2e/service.ts'
import { copyOf, type Instruction, type Stage, stagesOf } from './dockerfile.ts'
import { ROOT, text } from './files.ts'

const stages = stagesOf(text('Dockerfile'))
const last = stages[stages.length - 1]
const stage = (name: string): Stage => stages.find(one => one.name === name) as Stage
const all = (one: Stage, name: string): Instruction[] => one.instructions.filter(step => step.name === name)
const only = (name: string): string => (all(last, name).at(-1) as Instruction).text

describe('the Dockerfile', () => {
  it('copies files that exist and that .dockerignore lets through', () => {
    const kept = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter(line => line.startsWith('!'))
      .map(line => line.slice(1))
    for (const copy of stages.flatMap(one => all(one, 'COPY')).map(copyOf)) {
      for (const source of copy.sources) {
        if (copy.stage !== undefined) expect(stages.map(one => one.name)).toContain(copy.stage)
        else {
          expect(existsSync(join(ROOT, source)), source).toBe(true)
          expect(kept, source).toContain(source)
        }
      }
    }
  })

  it('ends as somebody without rights, with a health check and without a shell', () => {
    expect(only('USER')).toMatch(/^[1-9]\d+:[1-9]\d+$/)
    expect(JSON.parse(only('ENTRYPOINT'))).toEqual(['node', '/app/dist/cli.js'])
    expect(only('HEALTHCHECK')).toContain('/livez')
    expect(stages.flatMap(one => all(one, 'ADD'))).toEqual([])
    for (const one of stages) expect(one.from).toBe(`\${NODE}`)
  })
})

describe('its steps', () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-image-'))
  const app = join(folder, 'app')
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  beforeAll(() => {
    chmodSync(folder, 0o755)
    mkdirSync(app, { recursive: true })
    // The stage of the modules, in a folder of its own, as it is written.
    const modules = join(folder, 'modules')
    mkdirSync(modules)
    for (const copy of all(stage('modules'), 'COPY').map(copyOf)) {
      for (const source of copy.sources) {
        const target = copy.target === './' ? join(modules, source) : join(folder, copy.target)
        mkdirSync(dirname(target), { recursive: true })
        cpSync(join(ROOT, source), target)
      }
    }
    for (const { text: command } of all(stage('modules'), 'RUN')) {
      const line = command.replace(`--omit=\${OMIT}`, '').replaceAll('/tmp/', `${folder}/tmp/`)
      const plain = Object.fromEntries(
        Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')),
      )
      const ran = spawnSync('sh', ['-c', line], { cwd: modules, env: plain, encoding: 'utf8' })
      expect(ran.status, `${line}\n${ran.stderr}`).toBe(0)
    }
    for (const copy of all(last, 'COPY').map(copyOf)) {
      for (const source of copy.sources) {
        // The build is the one that the suite tests.
        const from =
          copy.stage === 'modules'
            ? source.replace(/^\/app/, modules)
            : source.replace(copy.stage === 'build' ? /^\/src/ : /^/, `${ROOT}/`)
        const target = resolve(app, copy.target, copy.target === './' ? (source.split('/').at(-1) ?? '') : '')
        if (copy.stage === 'modules') renameSync(from, target)
        else cpSync(resolve(from), target, { recursive: true })
      }
    }
  }, 240_000)

  it('leave modules that are less than half of what npm installs', () => {
    const size = spawnSync('du', ['-sm', join(app, 'node_modules')], { encoding: 'utf8' })
    expect(Number.parseInt(size.stdout, 10)).toBeLessThan(350)
    expect(existsSync(join(app, 'node_modules/typescript'))).toBe(false)
    expect(existsSync(join(app, 'node_modules/fastify/LICENSE'))).toBe(true)
  })

  it('leave models that can be tried', { timeout: 120_000 }, () => {
    for (const model of ['shape-scorer/1', 'next-window/1']) {
      const ran = spawnSync(
        'node',
        [join(app, 'dist/cli.js'), 'models', 'validate', join(app, 'models', model)],
        {
          encoding: 'utf8',
        },
      )
      expect(ran.status, `${model}\n${ran.stdout}${ran.stderr}`).toBe(0)
    }
  })

  const namespaces = spawnSync('unshare', ['--mount', 'true']).status === 0
  if (!namespaces) process.stderr.write('SKIPPED read-only image: unshare --mount is not allowed here\n')
  it.skipIf(!namespaces)('run as nobody on a read-only root', { timeout: 60_000 }, async () => {
    const port = await freePort()
    const data = join(folder, 'data')
    mkdirSync(data)
    const [user, group] = only('USER').split(':')
    const [node, ...entry] = JSON.parse(only('ENTRYPOINT')) as string[]
    const command = [node, ...entry, ...(JSON.parse(only('CMD')) as string[])].map(word =>
      word.replace(/^\/app/, app),
    )
    // Every mount is made read-only but a fresh disk at /data.
    const script = [
      'mount --make-rprivate /',
      `mount -t tmpfs -o mode=0777 tmpfs ${data}`,
      `for at in $(awk '{print $5}' /proc/self/mountinfo); do [ "$at" = ${data} ] || mount -o remount,bind,ro "$at" 2>/dev/null; done`,
      `if touch ${app}/written /tmp/written 2>/dev/null; then echo 'the root can be written' >&2; exit 9; fi`,
      `exec setpriv --reuid ${user} --regid ${group} --clear-groups --no-new-privs --bounding-set=-all ${command.join(' ')}`,
    ].join('\n')
    const child = spawn('unshare', ['--mount', 'sh', '-c', script], {
      env: {
        PATH: process.env.PATH,
        NODE_ENV: 'production',
        FORESHOCK_DATA_FOLDER: data,
        FORESHOCK_SERVER_PORT: String(port),
        FORESHOCK_SERVER_GRPC_PORT: 'off',
      },
      cwd: app,
    })
    let said = ''
    child.stdout.on('data', chunk => {
      said += chunk
    })
    child.stderr.on('data', chunk => {
      said += chunk
    })
    const gone = new Promise<number | null>(done => child.once('exit', done))
    try {
      const url = `http://127.0.0.1:${port}`
      await until(`ready:\n${said}`, async () => {
        if (child.exitCode !== null) throw new Error(said)
        return (await fetch(`${url}/readyz`)).ok
      })
      expect(readFileSync(`/proc/${child.pid}/status`, 'utf8')).toMatch(
        new RegExp(`^Uid:\\s+${user}\\s`, 'm'),
      )
      const line = JSON.stringify({
        time: new Date().toISOString(),
        metric: 'latency_seconds',
        labels: { service: 'checkout' },
        value: 0.4,
      })
      const taken = await fetch(`${url}/api/samples`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: line,
      })
      expect(await taken.json()).toMatchObject({ samples: 1, rejected: 0 })

      const [program, ...args] = JSON.parse(only('HEALTHCHECK').replace(/^.*? CMD /, '')) as string[]
      const healthy = (at: number) =>
        spawnSync(program, args, { env: { ...process.env, FORESHOCK_SERVER_PORT: String(at) } }).status
      expect(healthy(port)).toBe(0)
      expect(healthy(await freePort())).toBe(1)
    } finally {
      child.kill(only('STOPSIGNAL') as NodeJS.Signals)
      await gone
    }
    expect(await gone, said).toBe(0)
    expect(said).not.toMatch(/EROFS|EACCES|"level":(?:50|60)/)
  })
})

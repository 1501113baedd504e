// Shows that `serve` ends when it is to: a start that fails says why and leaves nothing that keeps the process; a signal is heard
// while it starts; a stop that cannot save says so. Exit codes fit.
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { withSmallDisk } from '../peers/small-disk.ts'
import { CLI, remove, startForeshock, temporaryFolder, until } from './service.ts'

const LIMIT = { timeout: 60_000 }

let child: ChildProcess | undefined
let folder = ''
let taken: Server | undefined
afterEach(() => {
  child?.kill('SIGKILL')
  if (folder !== '') remove(folder)
  taken?.close()
  child = undefined
  folder = ''
  taken = undefined
})

/** A port that somebody listens on already. */
async function takenPort(): Promise<number> {
  const server = createServer()
  taken = server
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return (server.address() as { port: number }).port
}

function run(config: Record<string, unknown>, flags: readonly string[] = []) {
  folder = temporaryFolder()
  const file = join(folder, 'foreshock.json')
  writeFileSync(file, JSON.stringify({ data: { folder: join(folder, 'data') }, ...config }))
  const started = spawn(process.execPath, [...flags, CLI, 'serve', '--config', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  child = started
  let told = ''
  started.stderr.on('data', chunk => {
    told += chunk
  })
  const ended = new Promise<{ code: number | null; told: string }>(done =>
    started.once('close', code => done({ code, told })),
  )
  return { started, told: () => told, ended }
}

describe('a start that fails', () => {
  it('ends the process where a port is taken, whatever was open by then', LIMIT, async () => {
    const port = await takenPort()
    const sinks = { alertmanagers: [{ url: 'http://127.0.0.1:9' }] }
    const { code, told } = await run({ server: { port, grpcPort: 'off' }, sinks }).ended
    expect({ code, told }).toMatchObject({
      code: 2,
      told: expect.stringMatching(/cannot listen on .*in use/),
    })
  })

  it('ends the process where the port of gRPC is taken, though HTTP listens', LIMIT, async () => {
    const grpcPort = await takenPort()
    const { code, told } = await run({ server: { port: 0, grpcPort } }).ended
    expect({ code, told }).toMatchObject({ code: 2, told: expect.stringContaining('server.grpcPort') })
  })

  it('names the key of a data folder that cannot be made', LIMIT, async () => {
    const { code, told } = await run({ data: { folder: '/dev/null/data' }, log: { level: 'error' } }).ended
    expect({ code, told }).toMatchObject({
      code: 2,
      told: expect.stringMatching(/^foreshock: data\.folder: /),
    })
  })
})

describe('a signal', () => {
  // Without a handler it would do nothing to the first process of a container.
  it('is heard while the service starts', LIMIT, async () => {
    const stuck = [
      `import { syncBuiltinESMExports } from 'node:module'`,
      `import files from 'node:fs/promises'`,
      `files.mkdir = () => new Promise(() => setInterval(() => {}, 1000))`,
      `syncBuiltinESMExports()`,
    ]
    const flags = ['--import', `data:text/javascript,${encodeURIComponent(stuck.join('\n'))}`]
    const { started, told, ended } = run({ server: { port: 0 } }, flags)
    await until('it starts', async () => told().includes('no API keys'))
    started.kill('SIGTERM')
    const { code } = await ended
    expect(code).toBe(128 + 15)
    expect(told()).toContain('ended while it was starting')
  })

  it('that finds a full disk ends the service with 1, and what is wrong is told', LIMIT, async context => {
    const mounted = await withSmallDisk(4 * 1_048_576, async dir => {
      const service = await startForeshock({ checkpoint: { every: '1h' }, log: { level: 'fatal' } }, dir)
      try {
        const lines = Array.from({ length: 3000 }, (_, i) =>
          JSON.stringify({ time: Date.now(), metric: 'fill', labels: { service: `s${i % 50}` }, value: i }),
        )
        await until('the disk is full', async () => {
          const headers = { 'content-type': 'application/x-ndjson' }
          const body = lines.join('\n')
          const { status } = await fetch(`${service.url}/api/samples`, { method: 'POST', headers, body })
          return status === 503
        })
        expect(await service.stop()).toBe(1)
        expect(service.logged()).toMatch(/ENOSPC.*not stopped as it should be/)
      } finally {
        await service.kill()
      }
    })
    if (!mounted) context.skip('no tmpfs can be mounted here')
  })
})

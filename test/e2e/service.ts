import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** The built program, as users run it. `npm test` builds first. */
export const CLI = resolve(import.meta.dirname, '../../dist/cli.js')

export interface RunningService {
  readonly url: string
  readonly folder: string
  readonly child: ChildProcess
  /** Everything it logged so far. */
  logged(): string
  /** SIGTERM, and wait until it is gone; returns the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>
}

/** Starts `foreshock serve` on a free port with its data in `folder` (a fresh temporary one unless given); `flags` are Node's. */
export async function startForeshock(
  config: Record<string, unknown> = {},
  folder = temporaryFolder(),
  flags: readonly string[] = [],
): Promise<RunningService> {
  const file = join(folder, 'foreshock.json')
  const server = { port: 0, ...(config.server as object | undefined) }
  const data = { ...(config.data as object | undefined), folder: join(folder, 'data') }
  writeFileSync(file, JSON.stringify({ ...config, server, data }))
  const child = spawn(process.execPath, [...flags, CLI, 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let logs = ''
  child.stderr.on('data', chunk => {
    logs = (logs + chunk).slice(-200_000)
  })
  const exited = new Promise<number | null>(done => child.once('exit', code => done(code)))
  const url = await new Promise<string>((ready, failed) => {
    let out = ''
    const timer = setTimeout(() => failed(new Error(`not ready after 20 s:\n${out}\n${logs}`)), 20_000)
    child.stdout.on('data', chunk => {
      out += chunk
      const match = /watches at (\S+)/.exec(out)
      if (!match) return
      clearTimeout(timer)
      ready(match[1])
    })
    exited.then(code => {
      clearTimeout(timer)
      failed(new Error(`exited with ${code} before it was ready:\n${logs}`))
    })
  })
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    return exited
  }
  return {
    url,
    folder,
    child,
    logged: () => logs,
    stop: () => end('SIGTERM'),
    kill: async () => {
      await end('SIGKILL')
    },
  }
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'foreshock-e2e-'))
}

export function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

/** Waits until `probe` gives something other than undefined or false; rejects with the last thing it gave. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  limitMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + limitMs
  let last: unknown
  while (Date.now() < deadline) {
    try {
      const value = await probe()
      if (value !== undefined && value !== false) return value
      last = value
    } catch (error) {
      last = error
    }
    await new Promise(done => setTimeout(done, 100))
  }
  throw new Error(`${what}: not within ${limitMs} ms (last: ${String(last)})`)
}

export async function getJson<T>(url: string, init?: RequestInit): Promise<T> {
  const answer = await fetch(url, init)
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as T
}

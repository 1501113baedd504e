import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** The built program; another build can be named, so that one in use is not deleted by the next build. */
export const CLI = resolve(process.env.FORESHOCK_BENCH_CLI ?? resolve(import.meta.dirname, '../dist/cli.js'))

/** A service that listens. */
export interface Serving {
  readonly url: string
  readonly pid: number
  /** From the start of the process to its line that it listens, wall ms. */
  readonly readyMs: number
  /** Resolves with its exit code or signal when it ends, asked or not. */
  readonly ended: Promise<number | string>
  /** Of one that has ended nothing is asked. */
  kill(signal: NodeJS.Signals): void
}

export interface Started extends Serving {
  /** Where it keeps its data. */
  readonly dataFolder: string
  stop(): Promise<void>
}

const SAID_MAX = 1e6
const LOG_LINES = 1000

/** Writes a configuration for `serve` into a folder, with a free port and this folder for data; returns the file. */
export function configFile(folder: string, config: Record<string, unknown>, dataFolder: string): string {
  const file = join(folder, 'foreshock.json')
  writeFileSync(file, JSON.stringify({ ...config, server: { port: 0 }, data: { folder: dataFolder } }))
  return file
}

/** Starts `foreshock serve` with a file; `log` takes its first thousand lines of log, which else are seen here. */
export async function serve(
  file: string,
  { node = [], log }: { readonly node?: readonly string[]; readonly log?: string[] } = {},
): Promise<Serving> {
  const started = performance.now()
  const child = spawn(process.execPath, [...node, CLI, 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', log === undefined ? 'inherit' : 'pipe'],
  })
  const ended = new Promise<number | string>(done =>
    child.once('exit', (code, signal) => done(code ?? signal ?? 'unknown')),
  )
  child.stderr?.on('data', chunk => {
    if (log && log.length < LOG_LINES) log.push(...String(chunk).split('\n').filter(Boolean))
  })
  const url = await new Promise<string>((ready, failed) => {
    let said = ''
    child.stdout?.on('data', chunk => {
      // It is only looked for until found; afterwards the log is let go by.
      if (said.length > SAID_MAX) return
      said += chunk
      const found = /watches at (\S+)/.exec(said)
      if (found) ready(found[1])
    })
    ended.then(code =>
      failed(
        new Error(`the service ended with ${code} before it listened ${log?.slice(-5).join('\n') ?? ''}`),
      ),
    )
  })
  const readyMs = performance.now() - started
  return { url, pid: child.pid ?? 0, readyMs, ended, kill: signal => void child.kill(signal) }
}

/** Starts `foreshock serve` on a free port with a data folder of its own, which `stop` removes. */
export async function startService(
  config: Record<string, unknown>,
  {
    node = [],
    folder: base = tmpdir(),
  }: { readonly node?: readonly string[]; readonly folder?: string } = {},
): Promise<Started> {
  const folder = mkdtempSync(join(base, 'foreshock-bench-'))
  const dataFolder = join(folder, 'data')
  const serving = await serve(configFile(folder, config, dataFolder), { node })
  return {
    ...serving,
    dataFolder,
    stop: async () => {
      serving.kill('SIGTERM')
      await serving.ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** CPU seconds that a service has used so far, as it says itself. */
export async function cpuSeconds(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const found = /^process_cpu_seconds_total (\S+)/m.exec(text)
  if (!found) throw new Error('the service does not say how much CPU time it has used')
  return Number(found[1])
}

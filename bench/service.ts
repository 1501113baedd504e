import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** The built program; another build can be named, so that one in use is not deleted by the next build. */
export const CLI = resolve(process.env.FORESHOCK_BENCH_CLI ?? resolve(import.meta.dirname, '../dist/cli.js'))

export interface Started {
  readonly url: string
  readonly pid: number
  /** Where it keeps its data. */
  readonly dataFolder: string
  /** From the start of the process to its line that it listens, wall ms. */
  readonly readyMs: number
  /** Resolves with its exit code or signal when it ends, asked or not. */
  readonly ended: Promise<number | string>
  stop(): Promise<void>
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
  const file = join(folder, 'foreshock.json')
  const dataFolder = join(folder, 'data')
  writeFileSync(file, JSON.stringify({ ...config, server: { port: 0 }, data: { folder: dataFolder } }))
  const started = performance.now()
  const child = spawn(process.execPath, [...node, CLI, 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | string>(done =>
    child.once('exit', (code, signal) => done(code ?? signal ?? 'unknown')),
  )
  const url = await new Promise<string>((ready, failed) => {
    let said = ''
    child.stdout.on('data', chunk => {
      // It is only looked for until found; afterwards the log is let go by.
      if (said.length > 1e6) return
      said += chunk
      const found = /watches at (\S+)/.exec(said)
      if (found) ready(found[1])
    })
    child.once('exit', code => failed(new Error(`the service ended with ${code} before it listened`)))
  })
  return {
    url,
    pid: child.pid ?? 0,
    dataFolder,
    readyMs: performance.now() - started,
    ended,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
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

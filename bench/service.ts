import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** The built program. */
export const CLI = resolve(import.meta.dirname, '../dist/cli.js')

export interface Started {
  readonly url: string
  /** From the start of the process to its line that it listens, wall ms. */
  readonly readyMs: number
  stop(): Promise<void>
}

/** Starts `foreshock serve` on a free port with a data folder of its own, which `stop` removes. */
export async function startService(config: Record<string, unknown>): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-bench-'))
  const file = join(folder, 'foreshock.json')
  writeFileSync(
    file,
    JSON.stringify({ ...config, server: { port: 0 }, data: { folder: join(folder, 'data') } }),
  )
  const started = performance.now()
  const child = spawn(process.execPath, [CLI, 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = new Promise<void>(done => child.once('exit', () => done()))
  const url = await new Promise<string>((ready, failed) => {
    let said = ''
    child.stdout.on('data', chunk => {
      said += chunk
      const found = /watches at (\S+)/.exec(said)
      if (found) ready(found[1])
    })
    child.once('exit', code => failed(new Error(`the service ended with ${code} before it listened`)))
  })
  return {
    url,
    readyMs: performance.now() - started,
    stop: async () => {
      child.kill('SIGTERM')
      await gone
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

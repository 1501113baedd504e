import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '../../src/lab/free-port.ts'
import { lookForPeer } from '../../test/peers/peers.ts'

const READY_MS = 60_000

/** A real server that takes remote write and stores it. */
export interface Peer {
  readonly url: string
  readonly pid: number
  close(): Promise<void>
}

/** Ends a process and waits until it has. */
export async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise(done => child.once('exit', done))
  child.kill('SIGTERM')
  await ended
}

/** VictoriaMetrics on a data folder of its own, or why there is none. */
export function openVictoriaMetrics(): Promise<Peer | string> {
  return opened('victoriaMetrics', '/health', (folder, port) => [
    `-storageDataPath=${folder}`,
    `-httpListenAddr=127.0.0.1:${port}`,
    '-retentionPeriod=1y',
    '-loggerLevel=ERROR',
  ])
}

/** Prometheus as a receiver of remote write, that scrapes nothing; or why there is none. */
export function openPrometheus(): Promise<Peer | string> {
  return opened('prometheus', '/-/ready', (folder, port) => {
    const config = join(folder, 'prometheus.yml')
    writeFileSync(config, 'global: {}\n')
    return [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
      '--log.level=error',
    ]
  })
}

async function opened(
  name: 'victoriaMetrics' | 'prometheus',
  ready: string,
  flags: (folder: string, port: number) => string[],
): Promise<Peer | string> {
  const peer = await lookForPeer(name)
  if ('missing' in peer) return peer.missing
  const folder = mkdtempSync(join(tmpdir(), `foreshock-bench-${name}-`))
  const port = await freePort()
  const child = spawn(peer.path, flags(folder, port), { stdio: ['ignore', 'ignore', 'inherit'] })
  const close = async () => {
    await stopped(child)
    rmSync(folder, { recursive: true, force: true })
  }
  const url = `http://127.0.0.1:${port}`
  for (const end = Date.now() + READY_MS; ; await pause(50)) {
    const isReady = await fetch(`${url}${ready}`).then(
      answer => answer.ok,
      () => false,
    )
    if (isReady && child.pid !== undefined) return { url, pid: child.pid, close }
    if (child.exitCode === null && Date.now() <= end) continue
    await close()
    return child.exitCode === null
      ? `${peer.path} did not answer for ${READY_MS / 1000} s`
      : `${peer.path} ended with ${child.exitCode}`
  }
}

// A real PostgreSQL for tests, in a folder of its own: one that can be stopped, killed, paused and started again on its
// port. It runs as an unprivileged user where tests run as root, which PostgreSQL refuses.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import type { TestContext } from 'vitest'
import { freePort } from '../../src/lab/free-port.ts'
import { lookForPeer, peerPath } from './peers.ts'

const READY_MS = 30_000
const DATABASE = 'postgres'
const ROLE = 'foreshock'
/** What a server of tests may leave out: nothing here has to survive a power cut. */
const SETTINGS = [
  'fsync=off',
  'full_page_writes=off',
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'shared_buffers=64MB',
  'max_connections=60',
]

export interface PostgresPeer {
  readonly url: string
  /** One statement over a connection of its own. */
  ask(text: string): Promise<Record<string, unknown>[]>
  /** Ends it as a server does that is shut down: connections are cut. */
  stop(): Promise<void>
  kill(): Promise<void>
  /** It hangs until `resume`: connections stay open and nothing is answered. */
  pause(): void
  resume(): void
  start(): Promise<void>
  remove(): Promise<void>
}

/** Who it runs as: as we do, unless that is root. */
function user(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find(line => line.startsWith(`${name}:`))?.split(':')
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) }
  }
  throw new Error('PostgreSQL needs a user other than root')
}

/** What a server shows of itself over TLS, PEM. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

async function single(pgCtl: string, identity?: Identity): Promise<PostgresPeer> {
  const bin = dirname(realpathSync(pgCtl))
  const as = user()
  const dir = mkdtempSync(join(tmpdir(), 'foreshock-postgres-'))
  if (as.uid !== undefined && as.gid !== undefined) chownSync(dir, as.uid, as.gid)
  const data = join(dir, 'data')
  const made = spawnSync(
    join(bin, 'initdb'),
    [
      ...['-D', data, '-U', ROLE, '--auth=trust', '--no-sync', '--no-instructions', '-E', 'UTF8'],
      '--locale=C',
    ],
    { ...as, encoding: 'utf8', cwd: dir },
  )
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}${made.error ?? ''}`)
  const settings = [...SETTINGS]
  for (const [name, text] of Object.entries(identity ?? {})) {
    const file = join(dir, `server.${name}`)
    writeFileSync(file, text, { mode: 0o600 })
    if (as.uid !== undefined && as.gid !== undefined) chownSync(file, as.uid, as.gid)
    settings.push(`ssl_${name}_file=${file}`)
  }
  if (identity) settings.push('ssl=on')
  const port = await freePort()
  const url = `postgres://${ROLE}@127.0.0.1:${port}/${DATABASE}`
  const ask = async (text: string) => {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {}) // the caller hears of it
    await client.connect()
    try {
      return (await client.query(text)).rows as Record<string, unknown>[]
    } finally {
      await client.end().catch(() => {})
    }
  }
  let child: ChildProcess | undefined
  let printed = ''
  const start = async () => {
    const args = ['-D', data, '-p', String(port), ...settings.flatMap(one => ['-c', one])]
    const started = spawn(join(bin, 'postgres'), args, {
      ...as,
      cwd: dir,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child = started
    const keep = (chunk: Buffer) => {
      printed = (printed + chunk).slice(-20_000)
    }
    started.stderr.on('data', keep)
    started.on('error', cause => keep(Buffer.from(String(cause))))
    for (const end = Date.now() + READY_MS; ; await wait(25)) {
      const isReady = await ask('SELECT 1').then(
        () => true,
        () => false,
      )
      if (isReady) return
      if (started.exitCode !== null || Date.now() > end) throw new Error(`no PostgreSQL:\n${printed}`)
    }
  }
  const end = async (signal: 'SIGINT' | 'SIGQUIT') => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const closed = new Promise(done => child?.once('close', done))
    group('SIGCONT')
    child.kill(signal)
    await closed
  }
  /** The server and the processes of its connections, which are its children. */
  const group = (signal: 'SIGSTOP' | 'SIGCONT') => {
    if (child?.pid === undefined) return
    const listed = spawnSync('ps', ['-o', 'pid=', '--ppid', String(child.pid)], { encoding: 'utf8' })
    const pids = (listed.stdout ?? '').split('\n').map(Number).filter(Boolean)
    for (const pid of [child.pid, ...pids]) {
      try {
        process.kill(pid, signal)
      } catch {} // it has just ended
    }
  }
  await start()
  return {
    url,
    ask,
    stop: () => end('SIGINT'),
    // As after a crash: the next start recovers from the write-ahead log.
    kill: () => end('SIGQUIT'),
    pause: () => group('SIGSTOP'),
    resume: () => group('SIGCONT'),
    start,
    remove: async () => {
      await end('SIGQUIT')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Starts a PostgreSQL; it is removed when the test ends. */
export async function postgres(context: TestContext, identity?: Identity): Promise<PostgresPeer> {
  const peer = await single(await peerPath('postgres', context), identity)
  context.onTestFinished(() => peer.remove())
  return peer
}

/** A PostgreSQL for a whole test file, which removes it in `afterAll`; undefined, and said so, where there is none. */
export async function postgresOfFile(file: string): Promise<PostgresPeer | undefined> {
  const peer = await lookForPeer('postgres')
  if ('path' in peer) return single(peer.path)
  process.stderr.write(`SKIPPED ${file}: ${peer.missing}\n`)
  return undefined
}

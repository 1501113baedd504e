// Real Redis servers for tests: one that can be stopped, killed, paused and started again on its port with or without its
// data; a master and a replica under three Sentinels; a Cluster of three masters.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { TestContext } from 'vitest'
import { freePort } from '../../src/lab/free-port.ts'
import { lookForPeer, peerPath } from './peers.ts'

const READY_MS = 20_000

/** A program on a port that can be ended and started again. */
class Server {
  readonly port: number
  readonly dir: string
  readonly #path: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  #printed = ''

  constructor(path: string, port: number, args: readonly string[]) {
    this.#path = path
    this.port = port
    this.#args = args
    this.dir = mkdtempSync(join(tmpdir(), 'foreshock-redis-'))
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const child = spawn(this.#path, this.#args, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    const keep = (chunk: Buffer) => {
      this.#printed = (this.#printed + chunk).slice(-20_000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', cause => keep(Buffer.from(String(cause))))
    for (const end = Date.now() + READY_MS; ; await wait(20)) {
      const answer = await this.ask('PING').catch(cause => String(cause?.message))
      if (answer === 'PONG' || String(answer).startsWith('NOAUTH')) return
      if (child.exitCode !== null || Date.now() > end) throw new Error(`no Redis:\n${this.#printed}`)
    }
  }

  /** One command over a connection of its own. */
  async ask(command: string, ...args: (string | number)[]): Promise<unknown> {
    const client = new Redis({
      port: this.port,
      host: '127.0.0.1',
      lazyConnect: true,
      enableReadyCheck: false,
      retryStrategy: () => null,
      disableClientInfo: true,
      protocol: 2, // RESP3 begins with a HELLO that a server with a password refuses
    })
    client.on('error', () => {}) // the caller hears of it
    try {
      await client.connect()
      return await client.call(command, ...args)
    } finally {
      client.disconnect()
    }
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const closed = new Promise(done => child.once('close', done))
    child.kill('SIGCONT')
    child.kill(signal)
    await closed
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL')
    rmSync(this.dir, { recursive: true, force: true })
  }
}

export interface RedisPeer {
  readonly url: string
  readonly port: number
  /** One command over a connection of its own. */
  ask(command: string, ...args: (string | number)[]): Promise<unknown>
  /** Ends it in order; what it holds is on disk. */
  stop(): Promise<void>
  kill(): Promise<void>
  /** It hangs until `resume`: connections stay open and nothing is answered. */
  pause(): void
  resume(): void
  /** Starts it again on the same port, with what it held when it ended or with nothing. */
  start(content: 'kept' | 'empty'): Promise<void>
  remove(): Promise<void>
}

async function single(path: string, flags: readonly string[]): Promise<RedisPeer> {
  const port = await freePort()
  const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'yes', ...flags]
  const server = new Server(path, port, args.map(String))
  await server.start()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    ask: (command, ...rest) => server.ask(command, ...rest),
    stop: () => server.end('SIGTERM'),
    kill: () => server.end('SIGKILL'),
    pause: () => server.signal('SIGSTOP'),
    resume: () => server.signal('SIGCONT'),
    start: async content => {
      if (content === 'empty') {
        rmSync(server.dir, { recursive: true, force: true })
        mkdirSync(server.dir)
      }
      await server.start()
    },
    remove: () => server.remove(),
  }
}

/** Starts a Redis; it is removed when the test ends. */
export async function redis(context: TestContext, flags: readonly string[] = []): Promise<RedisPeer> {
  const peer = await single(await peerPath('redis', context), flags)
  context.onTestFinished(() => peer.remove())
  return peer
}

/** A Redis for a whole test file, which removes it in `afterAll`; undefined, and said so, where there is none. */
export async function redisOfFile(file: string): Promise<RedisPeer | undefined> {
  const peer = await lookForPeer('redis')
  if ('path' in peer) return single(peer.path, [])
  process.stderr.write(`SKIPPED ${file}: ${peer.missing}\n`)
  return undefined
}

export interface SentinelPeer {
  /** `host:port` of each sentinel. */
  readonly sentinels: readonly string[]
  readonly master: string
  /** Kills whoever is master now; resolves when the sentinels have made the replica master. */
  failOver(): Promise<void>
}

const MASTER = 'foreshock'

/** Starts a master, a replica and three Sentinels that promote the replica within seconds. */
export async function redisSentinel(context: TestContext): Promise<SentinelPeer> {
  const path = await peerPath('redis', context)
  const started: Server[] = []
  context.onTestFinished(async () => void (await Promise.all(started.map(server => server.remove()))))
  const start = async (
    args: (port: number) => readonly (string | number)[],
    file?: (port: number) => string,
  ) => {
    const port = await freePort()
    const server = new Server(path, port, args(port).map(String))
    if (file) writeFileSync(join(server.dir, 'sentinel.conf'), file(port))
    started.push(server)
    await server.start()
    return server
  }
  const data = (port: number) => [
    ...['--port', port, '--bind', '127.0.0.1', '--save', '', '--repl-diskless-sync-delay', 0],
    ...['--repl-ping-replica-period', 1],
  ]
  const master = await start(data)
  const replica = await start(port => [...data(port), '--replicaof', `127.0.0.1 ${master.port}`])
  const sentinels = await Promise.all(
    [0, 1, 2].map(() =>
      start(
        () => ['sentinel.conf', '--sentinel'],
        port =>
          [
            `port ${port}`,
            'bind 127.0.0.1',
            `sentinel monitor ${MASTER} 127.0.0.1 ${master.port} 2`,
            `sentinel down-after-milliseconds ${MASTER} 500`,
            `sentinel failover-timeout ${MASTER} 3000`,
            '',
          ].join('\n'),
      ),
    ),
  )
  await until('the sentinels know each other and the replica', async () => {
    const known = await Promise.all(sentinels.map(one => one.ask('SENTINEL', 'MASTER', MASTER)))
    const held = known.map(answer => fieldsOf(answer))
    return held.every(fields => fields['num-slaves'] === '1' && fields['num-other-sentinels'] === '2')
  })
  await until('the replica follows', async () =>
    String(await replica.ask('INFO', 'replication')).includes('master_link_status:up'),
  )
  return {
    sentinels: sentinels.map(({ port }) => `127.0.0.1:${port}`),
    master: MASTER,
    failOver: async () => {
      await master.end('SIGKILL')
      await until('the replica is master', async () =>
        String(await replica.ask('INFO', 'replication')).includes('role:master'),
      )
    },
  }
}

function fieldsOf(answer: unknown): Record<string, string> {
  const flat = answer as string[]
  const fields: Record<string, string> = {}
  for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i]] = flat[i + 1]
  return fields
}

export interface ClusterPeer {
  /** `host:port` of each master. */
  readonly nodes: readonly string[]
  /** Moves the slot of a key with all it holds to another master, as resharding does. */
  moveSlotOf(key: string): Promise<void>
}

const SLOTS = 16_384

/** Starts a Redis Cluster of three masters. */
export async function redisCluster(context: TestContext): Promise<ClusterPeer> {
  const path = await peerPath('redis', context)
  const masters: Server[] = []
  context.onTestFinished(async () => void (await Promise.all(masters.map(server => server.remove()))))
  for (let i = 0; i < 3; i++) {
    const port = await freePort()
    const args = [
      ...['--port', port, '--bind', '127.0.0.1', '--save', '', '--cluster-enabled', 'yes'],
      ...['--cluster-port', await freePort(), '--cluster-node-timeout', 2000],
    ]
    const server = new Server(path, port, args.map(String))
    masters.push(server)
    await server.start()
    await server.ask('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
    const from = Math.floor((SLOTS * i) / 3)
    await server.ask('CLUSTER', 'ADDSLOTSRANGE', from, Math.floor((SLOTS * (i + 1)) / 3) - 1)
  }
  const busOf = async (server: Server) => String(await server.ask('CLUSTER', 'MYID'))
  for (const other of masters.slice(1)) {
    // CLUSTER MEET wants the bus port beside the port where it is not 10000 above.
    const bus = /@(\d+)/.exec(String(await other.ask('CLUSTER', 'NODES')))?.[1] as string
    await masters[0].ask('CLUSTER', 'MEET', '127.0.0.1', other.port, bus)
  }
  await until('the cluster is whole', async () => {
    const states = await Promise.all(masters.map(server => server.ask('CLUSTER', 'INFO')))
    return states.every(text => /cluster_state:ok[\s\S]*cluster_known_nodes:3/.test(String(text)))
  })
  return {
    nodes: masters.map(({ port }) => `127.0.0.1:${port}`),
    moveSlotOf: async key => {
      const slot = Number(await masters[0].ask('CLUSTER', 'KEYSLOT', key))
      const at = masters.findIndex((_, i) => slot < Math.floor((SLOTS * (i + 1)) / 3))
      const [from, to] = [masters[at], masters[(at + 1) % 3]]
      const [fromId, toId] = [await busOf(from), await busOf(to)]
      await to.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
      await from.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
      for (;;) {
        const keys = (await from.ask('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]
        if (keys.length === 0) break
        await from.ask('MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...keys)
      }
      for (const server of [to, from, masters[(at + 2) % 3]])
        await server.ask('CLUSTER', 'SETSLOT', slot, 'NODE', toId)
    },
  }
}

async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + READY_MS; ; await wait(50)) {
    if (await is().catch(() => false)) return
    if (Date.now() > end) throw new Error(`never: ${what}`)
  }
}

import { createHash } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { ForeshockError } from '../core/errors.ts'

export interface RedisSettings {
  /** One server: `redis://[user:password@]host:6379/0`, `rediss://` for TLS. Or `sentinels` with `master`, or `nodes`. */
  readonly url?: string
  /** `host:port` of Sentinels, and the name of the master that they watch. */
  readonly sentinels?: readonly string[]
  readonly master?: string
  /** `host:port` of nodes of a Redis Cluster. */
  readonly nodes?: readonly string[]
  /** Stands before every key and channel. */
  readonly prefix?: string
  readonly username?: string
  readonly password?: string
  /** TLS to servers that are not named by a `rediss://` url. */
  readonly tls?: ConnectionOptions
  /** Told when the connection is lost, found again, or Redis is set up so that it may throw checkpoints away. */
  readonly onWarning?: (text: string) => void
  /** A server that answers nothing for so long is given up, ms. */
  readonly silentMs?: number
}

/** A program that Redis runs as one step. */
export interface RedisScript {
  readonly lua: string
  readonly sha: string
}

export function redisScript(lua: string): RedisScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

export type RedisClient = Redis | Cluster
type Options = Omit<RedisOptions, 'replyMapping'> & { replyMapping: 'legacy' }

const SILENT_MS = 5000
/** The first connection is waited for so long, ms, by those who ask before it stands. */
const FIRST_MS = 3000
/** Whoever asks whether it answers at all wants to hear soon why not, such as that the password is wrong, ms. */
const CHECK_MS = 1000
/** A connection that was lost is waited for so long, ms: what is only a blip costs nobody a failed save. */
const LOST_MS = 250
/** The longest wait between two tries to connect, ms. */
const RETRY_MS_MAX = 2000

/**
 * The one way to Redis: one server, the master that Sentinels name, or a Cluster. While it is away, commands fail at once
 * with FS_IO and are never kept to be sent later, so that nothing old is done late; it is tried again for ever in the
 * background.
 */
export class RedisConnection {
  readonly prefix: string
  readonly #settings: RedisSettings
  readonly #client: RedisClient
  #subscriber: RedisClient | undefined
  #wasReady = false
  readonly #waiting = new Set<() => void>()
  #isClosed = false
  /** Said, and not yet taken back. */
  #isAway = false
  #lastError = 'it has not answered yet'

  constructor(settings: RedisSettings) {
    this.prefix = settings.prefix ?? 'foreshock:'
    this.#settings = settings
    this.#client = open(settings)
    this.#watch(this.#client)
  }

  /** Whether a command would be sent now. */
  get isReady(): boolean {
    return this.#client.status === 'ready'
  }

  /** Does something with the client; what goes wrong rejects with FS_IO, which says what it was for. */
  async run<T>(
    purpose: string,
    work: (client: RedisClient) => Promise<T>,
    firstMs = Math.min(FIRST_MS, this.#settings.silentMs ?? SILENT_MS),
  ): Promise<T> {
    try {
      if (!this.isReady) await this.#ready(firstMs)
      return await work(this.#client)
    } catch (cause) {
      throw cause instanceof ForeshockError ? cause : this.#error(purpose, cause)
    }
  }

  /** Runs a program on keys that lie in one slot. */
  script(
    purpose: string,
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
  ): Promise<unknown> {
    return this.run(purpose, async client => {
      try {
        return await client.evalsha(script.sha, keys.length, ...keys, ...args)
      } catch (cause) {
        if (!textOf(cause).startsWith('NOSCRIPT')) throw cause // it knows the program
        return client.eval(script.lua, keys.length, ...keys, ...args)
      }
    })
  }

  /** What a question gives when it is answered within so many ms; undefined when not, or while Redis is away. */
  async soon<T>(ask: () => Promise<T>, limitMs: number): Promise<T | undefined> {
    if (!this.isReady) return undefined
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>(resolve => {
      timer = setTimeout(resolve, limitMs, undefined)
    })
    try {
      return await Promise.race([ask().catch(() => undefined), late])
    } finally {
      clearTimeout(timer)
    }
  }

  /** A connection that listens, opened when it is first asked for. */
  subscriber(): RedisClient {
    if (!this.#subscriber) {
      this.#subscriber = open(this.#settings, { listens: true })
      this.#subscriber.on('error', () => {}) // the main connection tells of it
    }
    return this.#subscriber
  }

  /** Rejects with FS_IO when Redis cannot be reached. */
  async check(): Promise<void> {
    await this.run('check', client => client.ping(), CHECK_MS)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#client.disconnect()
    this.#subscriber?.disconnect()
  }

  #watch(client: RedisClient): void {
    const warn = this.#settings.onWarning ?? (() => {})
    client.on('error', cause => {
      this.#lastError = textOf(cause)
    })
    client.on('ready', () => {
      if (this.#isAway) warn('Redis is back')
      this.#isAway = false
      this.#lastError = 'it closed the connection'
      for (const found of this.#waiting) found()
      this.#waiting.clear()
      this.#wasReady = true
      void warnOfEviction(client, warn)
    })
    client.on('close', () => {
      if (!this.#wasReady || this.#isClosed || this.#isAway) return
      this.#isAway = true
      warn(`Redis is away, and tried again until it is back: ${this.#lastError}`)
    })
  }

  async #ready(firstMs: number): Promise<void> {
    if (this.#isClosed) throw new Error('the connection was closed')
    const limitMs = this.#wasReady ? LOST_MS : firstMs
    await new Promise<void>((resolve, reject) => {
      const found = () => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(found)
        reject(new Error(`not connected: ${this.#lastError}`))
      }, limitMs)
      this.#waiting.add(found)
    })
  }

  #error(purpose: string, cause: unknown): ForeshockError {
    const text = textOf(cause)
    // The client's own error holds the command with all its bytes, so it is not passed on.
    const said = text.startsWith('OOM')
      ? 'it is full: raise maxmemory, or give it to checkpoints alone'
      : text.startsWith('MaxRetries') || text.startsWith('Connection is closed') || text.startsWith('Stream')
        ? `the connection was lost (${this.#lastError})`
        : text
    return new ForeshockError('FS_IO', `Redis, ${purpose}: ${said}`)
  }
}

function textOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  // Several addresses of a host that all failed have their texts one level down.
  const inner = (cause as { errors?: unknown }).errors
  if (cause.message === '' && Array.isArray(inner)) return inner.map(textOf).join('; ')
  return cause.name === 'MaxRetriesPerRequestError' ? 'MaxRetries' : cause.message
}

/** Longer each time, and not the same for all who lost it at once. */
function retryMs(times: number): number {
  return Math.min(RETRY_MS_MAX, 50 * 2 ** Math.min(times, 10)) * (0.5 + Math.random() / 2)
}

function open(settings: RedisSettings, { listens = false } = {}): RedisClient {
  const common: Options = {
    replyMapping: 'legacy',
    username: settings.username,
    password: settings.password,
    ...(settings.tls ? { tls: settings.tls } : {}),
    maxRetriesPerRequest: listens ? null : 0,
    autoResendUnfulfilledCommands: listens,
    // Subscriptions have nothing to answer and would be taken for a server that hangs.
    ...(listens ? {} : { socketTimeout: settings.silentMs ?? SILENT_MS }),
    connectTimeout: settings.silentMs ?? SILENT_MS,
    keepAlive: 5000,
    disableClientInfo: true,
    // After a failover the former master answers so to writes: the new one is looked for.
    reconnectOnError: error => error.message.startsWith('READONLY'),
  }
  if (settings.nodes) {
    return new Cluster(settings.nodes.map(addressOf), {
      redisOptions: common,
      enableOfflineQueue: listens,
      clusterRetryStrategy: retryMs,
      slotsRefreshInterval: 2000,
      // Moves and failovers are followed for about three seconds.
      maxRedirections: 30,
    })
  }
  const options: Options = { ...common, enableOfflineQueue: listens, retryStrategy: retryMs }
  if (settings.sentinels) {
    return new Redis({
      ...options,
      sentinels: settings.sentinels.map(addressOf),
      name: settings.master,
      sentinelRetryStrategy: retryMs,
      sentinelCommandTimeout: settings.silentMs ?? SILENT_MS,
      sentinelReconnectStrategy: retryMs,
      failoverDetector: true,
      enableTLSForSentinelMode: Boolean(settings.tls),
    })
  }
  const url = settings.url ?? 'redis://127.0.0.1:6379'
  // What the url says of user and password counts, unless they are given apart.
  if (options.username === undefined) delete options.username
  if (options.password === undefined) delete options.password
  return new Redis(url, options)
}

function addressOf(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(':')
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) }
}

/** Says so once a connection when Redis may throw away what nothing but a checkpoint holds. */
async function warnOfEviction(client: RedisClient, warn: (text: string) => void): Promise<void> {
  try {
    const policy = /maxmemory_policy:(\S+)/.exec(await client.info('memory'))?.[1]
    if (policy?.startsWith('allkeys'))
      warn(`Redis may evict checkpoints (maxmemory-policy ${policy}): set it to noeviction`)
  } catch {
    // it may not be asked: then nothing can be said
  }
}

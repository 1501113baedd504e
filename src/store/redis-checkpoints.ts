import { ForeshockError } from '../core/errors.ts'
import type { Checkpoint, CheckpointCut, CheckpointStore, CheckpointStores } from '../core/ports.ts'
import { CLAIM, COMMIT, DISCARD } from './redis-checkpoint-scripts.ts'
import { packed, unpacked } from './redis-chunks.ts'
import type { RedisConnection } from './redis-connection.ts'

export interface RedisCheckpointsOptions {
  /** Shared and closed by whoever made it. */
  readonly connection: RedisConnection
  /**
   * What stands before the topics that positions are in: checkpoints of a fleet with other topics are refused. Nothing is
   * compared without it.
   */
  readonly fleet?: string
  /** Told of a checkpoint that cannot be read and is passed over. */
  readonly onWarning?: (text: string) => void
}

/** Before the name of the other fleet, in the answer to a claim. */
const FOREIGN = 'FOREIGN '
/** Layout of the manifest and its chunks. */
const VERSION = 1
/** A save that died leaves its chunks for so long, ms; one that takes longer fails. */
const CHUNKS_LAST_MS = 900_000
/** Chunks on their way at once: enough to fill a network while the next is packed, and a few megabytes at most. */
const UNDER_WAY = 3

interface Manifest {
  readonly version: number
  readonly id: string
  readonly position: number
  readonly savedMs: number
  /** Packed bytes of all chunks. */
  readonly bytes: number
  /** Digest of each. */
  readonly chunks: readonly string[]
}

/**
 * Checkpoints in Redis: chunks that vanish by themselves until one step makes them the newest checkpoint, which happens
 * only for the newest claim. The one before is kept in case the newest is damaged.
 *
 * When Redis has lost what it held, or a failover has lost a claim, whoever saves next with the newest claim there is
 * re-establishes it: its epoch is above all older ones, whether Redis remembers them or not.
 */
export class RedisCheckpointStores implements CheckpointStores {
  readonly #connection: RedisConnection
  readonly #fleet: string
  readonly #onWarning: (text: string) => void

  constructor(options: RedisCheckpointsOptions) {
    this.#connection = options.connection
    this.#fleet = options.fleet ?? ''
    this.#onWarning = options.onWarning ?? (() => {})
  }

  /** Rejects with FS_CONFIG_INVALID when the name is another fleet's. */
  async claim(name: string): Promise<CheckpointStore> {
    const base = `${this.#connection.prefix}checkpoint:{${encodeURIComponent(name)}}:`
    const epoch = String(
      await this.#connection.script(`claim ${name}`, CLAIM, [`${base}head`], [this.#fleet]),
    )
    if (epoch.startsWith(FOREIGN))
      throw new ForeshockError(
        'FS_CONFIG_INVALID',
        `the checkpoints of ${name} below ${this.#connection.prefix} in Redis are of the fleet with the topics ${epoch.slice(FOREIGN.length)}…, and this one's are ${this.#fleet}…: set another cluster.redis.prefix (and cluster.postgres.schema)`,
      )
    return new ClaimedCheckpoints(this.#connection, name, base, Number(epoch), this.#onWarning)
  }

  /** Nothing is held; the connection is its maker's. */
  async close(): Promise<void> {}
}

class ClaimedCheckpoints implements CheckpointStore {
  readonly #connection: RedisConnection
  readonly #name: string
  readonly #base: string
  readonly #epoch: number
  readonly #onWarning: (text: string) => void
  #saves = 0
  #saving: Promise<void> = Promise.resolve()
  /** Saves that failed and may have left chunks. */
  #failed: { readonly id: string; readonly keys: readonly string[] }[] = []

  constructor(
    connection: RedisConnection,
    name: string,
    base: string,
    epoch: number,
    onWarning: (text: string) => void,
  ) {
    this.#connection = connection
    this.#name = name
    this.#base = base
    this.#epoch = epoch
    this.#onWarning = onWarning
  }

  /** Saves one after the other. Rejects with FS_IO or FS_FENCED and leaves the former checkpoints as they were. */
  save(checkpoint: CheckpointCut): Promise<void> {
    const saved = this.#saving.then(() => this.#save(checkpoint)).finally(() => checkpoint.cut?.close())
    this.#saving = saved.catch(() => {}) // its own caller hears of it
    return saved
  }

  /** Rejects with FS_IO when Redis is away: that is no answer to whether there is a checkpoint. */
  async load(): Promise<Checkpoint | undefined> {
    const held = await this.#connection.run(`load ${this.#name}`, client =>
      client.hmget(this.#head, 'newest', 'former'),
    )
    for (const text of held) {
      if (!text) continue
      try {
        return await this.#read(manifestOf(text))
      } catch (cause) {
        if (cause instanceof ForeshockError) throw cause
        await this.#refuseFenced() // the new owner's saves let go of what this one was reading
        this.#onWarning(`a checkpoint of ${this.#name} cannot be read and is passed over: ${String(cause)}`)
      }
    }
    return undefined
  }

  get #head(): string {
    return `${this.#base}head`
  }

  #keys(id: string, count: number): string[] {
    return Array.from({ length: count }, (_, i) => `${this.#base}${id}:${i}`)
  }

  #read(manifest: Manifest): Promise<Checkpoint> {
    const keys = this.#keys(manifest.id, manifest.chunks.length)
    return unpacked(manifest.chunks, async index => {
      const bytes = await this.#connection.run(`load ${this.#name}`, client => client.getBuffer(keys[index]))
      return bytes ?? undefined
    })
  }

  async #save(checkpoint: CheckpointCut): Promise<void> {
    await this.#refuseFenced() // before much is sent for nothing
    await this.#discardFailed()
    const id = `${this.#epoch}-${++this.#saves}`
    const chunks: string[] = []
    try {
      const bytes = await this.#send(checkpoint, id, chunks)
      await checkpoint.ready?.()
      const { position, savedMs } = checkpoint
      const manifest: Manifest = { version: VERSION, id, position, savedMs, bytes, chunks }
      const answer = await this.#connection.script(
        `save ${this.#name}`,
        COMMIT,
        [this.#head, ...this.#keys(id, chunks.length)],
        [this.#epoch, JSON.stringify(manifest), this.#base],
      )
      if (answer === 'FENCED') throw this.#fenced()
      if (answer !== 'SAVED')
        throw new ForeshockError('FS_IO', `Redis, save ${this.#name}: it lost part of it meanwhile`)
    } catch (cause) {
      this.#failed.push({ id, keys: this.#keys(id, chunks.length) })
      await this.#discardFailed().catch(() => {}) // by the next save, or else they vanish in time
      throw cause
    }
  }

  /** Sends all chunks, whose digests it adds; gives their bytes. */
  async #send(checkpoint: CheckpointCut, id: string, digests: string[]): Promise<number> {
    const underWay = new Set<Promise<void>>()
    let bytes = 0
    let failure: unknown
    for await (const chunk of packed(checkpoint)) {
      const key = `${this.#base}${id}:${digests.length}`
      digests.push(chunk.digest)
      bytes += chunk.bytes.length
      const sent: Promise<void> = this.#connection
        .run(`save ${this.#name}`, client => client.set(key, chunk.bytes, 'PX', CHUNKS_LAST_MS))
        .then(
          () => void underWay.delete(sent),
          cause => {
            failure ??= cause
          },
        )
      underWay.add(sent)
      if (underWay.size >= UNDER_WAY) await Promise.race(underWay)
      if (failure) break
    }
    await Promise.all(underWay)
    if (failure) throw failure
    return bytes
  }

  async #discardFailed(): Promise<void> {
    for (let save = this.#failed[0]; save; save = this.#failed[0]) {
      await this.#connection.script(`clear ${this.#name}`, DISCARD, [this.#head, ...save.keys], [save.id])
      this.#failed.shift()
    }
  }

  async #refuseFenced(): Promise<void> {
    const epoch = await this.#connection.run(`claim ${this.#name}`, client =>
      client.hget(this.#head, 'epoch'),
    )
    if (Number(epoch ?? 0) > this.#epoch) throw this.#fenced()
  }

  #fenced(): ForeshockError {
    return new ForeshockError('FS_FENCED', `checkpoints of ${this.#name} were claimed by another process`)
  }
}

/** Throws an Error when the text is no manifest of this version. */
function manifestOf(text: string): Manifest {
  const { version, id, chunks, ...rest } = JSON.parse(text) as Manifest
  if (version !== VERSION) throw new Error(`its layout ${version} is not known here`)
  if (typeof id !== 'string' || !Array.isArray(chunks)) throw new Error('its manifest is damaged')
  return { version, id, chunks, ...rest }
}

import { ForeshockError } from '../core/errors.ts'
import type { ModelHost, ModelSession } from './model-runtime.ts'

/** Sessions that wait to be taken at most: who prepares and never orders must not fill the memory. */
const WAITING_MAX = 4

/** Where the package of a version lies, which was checked when it came there; perhaps it has to be fetched first. */
export type FolderOf = (model: string, version: number, digest: string) => string | Promise<string>

/**
 * Opens model packages ahead of the order that needs them: opening takes long, and the windows must not wait for it.
 * What was made ready is handed out once.
 */
export class ModelShelf {
  readonly #host: ModelHost
  readonly #folderOf: FolderOf
  readonly #waiting = new Map<string, Promise<ModelSession>>()
  /** How many sessions of a version were handed out and are not closed yet. */
  readonly #out = new Map<string, number>()

  constructor(host: ModelHost, folderOf: FolderOf) {
    this.#host = host
    this.#folderOf = folderOf
  }

  /** Opens a version and keeps it ready, unless it runs already. Throws as the host does, and FS_MODEL_INVALID when its digest is another. */
  async prepare(model: string, version: number, digest: string): Promise<void> {
    const key = keyOf(model, version, digest)
    if (this.#out.has(key)) return
    const opening = this.#waiting.get(key) ?? this.#open(model, version, digest)
    this.#waiting.delete(key)
    this.#waiting.set(key, opening)
    try {
      await opening
    } catch (error) {
      if (this.#waiting.get(key) === opening) this.#waiting.delete(key)
      throw error
    }
    for (const [other, waiting] of this.#waiting) {
      if (this.#waiting.size <= WAITING_MAX) break
      this.#waiting.delete(other)
      await closed(waiting)
    }
  }

  /** A session of a version: the one made ready, or a new one. It is the caller's to close. */
  async take(model: string, version: number, digest: string): Promise<ModelSession> {
    const key = keyOf(model, version, digest)
    const ready = this.#waiting.get(key)
    this.#waiting.delete(key)
    const session = await (ready ?? this.#open(model, version, digest))
    this.#out.set(key, (this.#out.get(key) ?? 0) + 1)
    return new Handed(session, () => {
      const left = (this.#out.get(key) ?? 1) - 1
      if (left === 0) this.#out.delete(key)
      else this.#out.set(key, left)
    })
  }

  async #open(model: string, version: number, digest: string): Promise<ModelSession> {
    const session = await this.#host.open(await this.#folderOf(model, version, digest), 'accepted')
    const { card } = session
    if (card.id === model && card.version === version && card.digest === digest) return session
    await session.close()
    throw new ForeshockError(
      'FS_MODEL_INVALID',
      `${model}@${version} should be ${digest}, its package holds ${card.id}@${card.version}, ${card.digest}`,
    )
  }

  /** Ends what waits. */
  async close(): Promise<void> {
    const all = [...this.#waiting.values()]
    this.#waiting.clear()
    await Promise.all(all.map(closed))
  }
}

/** A session whose end is told. */
class Handed implements ModelSession {
  readonly card: ModelSession['card']
  readonly runtime: ModelSession['runtime']
  readonly #session: ModelSession
  #onClose: (() => void) | undefined

  constructor(session: ModelSession, onClose: () => void) {
    this.card = session.card
    this.runtime = session.runtime
    this.#session = session
    this.#onClose = onClose
  }

  run(input: Float32Array, rows: number, timeoutMs?: number): Promise<Float32Array> {
    return this.#session.run(input, rows, timeoutMs)
  }

  close(): Promise<void> {
    this.#onClose?.()
    this.#onClose = undefined
    return this.#session.close()
  }
}

const keyOf = (model: string, version: number, digest: string) => `${model}@${version} ${digest}`

async function closed(waiting: Promise<ModelSession>): Promise<void> {
  const session = await waiting.catch(() => undefined)
  await session?.close()
}

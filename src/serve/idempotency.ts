import { createHash } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { ForeshockError } from '../core/errors.ts'
import { invalid } from './http.ts'

/** Keys kept; the oldest goes first. */
const KEYS_MAX = 10_000
/** How long a key is remembered, ms: a day, as most clients' retries end before. */
const KEPT_MS = 86_400_000
/** Longest key taken, characters. */
const KEY_CHARS_MAX = 255

interface Kept<T> {
  readonly bodyHash: string
  readonly answer: Promise<T>
  readonly sinceMs: number
}

/**
 * Answers repeated POSTs with the first answer (IETF draft-ietf-httpapi-idempotency-key-header). A request that
 * arrives while the first still runs waits for the same answer; failures are not kept, so they can be tried
 * again.
 */
export class IdempotencyCache<T> {
  readonly #kept = new Map<string, Kept<T>>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `who` keeps the keys of different senders apart. Throws FS_IDEMPOTENCY_CONFLICT on another body. */
  async once(
    who: string,
    key: string | undefined,
    body: Uint8Array,
    work: () => Promise<T>,
  ): Promise<{ readonly answer: T; readonly replayed: boolean }> {
    if (key === undefined) return { answer: await work(), replayed: false }
    if (key === '' || key.length > KEY_CHARS_MAX)
      throw invalid(`header idempotency-key must have 1 to ${KEY_CHARS_MAX} characters`)
    const name = JSON.stringify([who, key])
    const bodyHash = createHash('sha256').update(body).digest('base64')
    const nowMs = this.#clock()
    const before = this.#kept.get(name)
    if (before !== undefined && nowMs - before.sinceMs < KEPT_MS) {
      if (before.bodyHash !== bodyHash)
        throw new ForeshockError(
          'FS_IDEMPOTENCY_CONFLICT',
          'header idempotency-key was used before with another body',
        )
      return { answer: await before.answer, replayed: true }
    }
    const answer = work()
    this.#kept.delete(name)
    this.#kept.set(name, { bodyHash, answer, sinceMs: nowMs })
    if (this.#kept.size > KEYS_MAX) this.#kept.delete(this.#kept.keys().next().value as string)
    try {
      return { answer: await answer, replayed: false }
    } catch (error) {
      this.#kept.delete(name)
      throw error
    }
  }
}

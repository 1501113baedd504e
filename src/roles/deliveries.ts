import type { DisruptionEvent } from '../core/disruption.ts'
import { type Attempt, type RetryPolicy, retryWaitMs } from '../publish/webhook-post.ts'

/** What waits to be delivered, and where it stands in its partition. */
export interface Awaited {
  readonly offset: number
  readonly event: DisruptionEvent
  /** When it was told, Unix ms: it is given up on so long after it. */
  readonly toldMs: number
}

export interface DeliveriesParts {
  /** Never rejects. */
  attempt(event: DisruptionEvent): Promise<Attempt>
  /** Takes what is given up on; tried again until it resolves. */
  bury(awaited: Awaited, reason: string): Promise<void>
  /** Everything before this offset needs no more care. */
  settled(nextOffset: number): void
  /** Takes no more for now, or again. */
  full(isFull: boolean): void
  count(outcome: 'delivered' | 'failed' | 'dead'): void
  readonly retry: RetryPolicy
  now(): number
  /** 0..1, for the variation of waits. */
  random(): number
}

interface Held extends Awaited {
  attempts: number
  nextMs: number
  isUnderway: boolean
}

/** Events of a partition that may wait in memory; the rest waits in the partition. */
const HELD_MAX = 1000
/** Requests under way at once. */
const CONCURRENT_MAX = 4
/** Longest sleep of a timer, ms. */
const SLEEP_MS_MAX = 60_000

/**
 * Delivers the events of one partition. Revisions of one disruption go in order, disruptions do not wait for each other;
 * the log is the queue: only what was delivered, or given up on and buried, is passed for good, so whoever takes the
 * partition over goes on where this one stopped.
 */
export class Deliveries {
  readonly #parts: DeliveriesParts
  /** By offset, ascending. */
  readonly #held = new Map<number, Held>()
  #next = 0
  #pausedUntilMs = 0
  /** Why the receiver gets nothing more; '' while it does. */
  #goneWhy = ''
  #timer: NodeJS.Timeout | undefined
  #isFull = false
  #closed = false
  readonly #underway = new Set<Promise<void>>()

  constructor(parts: DeliveriesParts) {
    this.#parts = parts
  }

  get pending(): number {
    return this.#held.size
  }

  add(awaited: Awaited): void {
    this.#next = awaited.offset + 1
    this.#held.set(awaited.offset, { ...awaited, attempts: 0, nextMs: 0, isUnderway: false })
    this.#pump()
    if (this.#held.size >= HELD_MAX && !this.#isFull) {
      this.#isFull = true
      this.#parts.full(true)
    }
  }

  /** Passes over messages up to an offset that are no events to deliver. */
  pass(nextOffset: number): void {
    this.#next = Math.max(this.#next, nextOffset)
    this.#settle()
  }

  /** Starts nothing more and waits for what is under way. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await Promise.all(this.#underway)
  }

  #pump(): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    const now = this.#parts.now()
    let wakeMs = Number.POSITIVE_INFINITY
    const disruptions = new Set<string>()
    for (const held of this.#held.values()) {
      const { id } = held.event.disruption
      if (disruptions.has(id)) continue
      disruptions.add(id)
      if (held.isUnderway) continue
      const dueMs = Math.max(held.nextMs, this.#pausedUntilMs)
      if (dueMs > now) wakeMs = Math.min(wakeMs, dueMs)
      else if (this.#underway.size < CONCURRENT_MAX) this.#start(held)
      else break // one that ends looks again
    }
    if (wakeMs < Number.POSITIVE_INFINITY)
      this.#timer = setTimeout(() => this.#pump(), Math.min(wakeMs - now, SLEEP_MS_MAX))
  }

  #start(held: Held): void {
    held.isUnderway = true
    const attempt = this.#deliver(held).finally(() => {
      held.isUnderway = false
      this.#underway.delete(attempt)
      this.#settle()
      this.#pump()
    })
    this.#underway.add(attempt)
  }

  /** Never rejects. */
  async #deliver(held: Held): Promise<void> {
    const { retry, now, random } = this.#parts
    if (this.#goneWhy !== '') return this.#bury(held, this.#goneWhy)
    const done = await this.#parts.attempt(held.event)
    if (done.outcome === 'delivered') {
      this.#held.delete(held.offset)
      this.#parts.count('delivered')
    } else if (done.outcome === 'gone') {
      this.#goneWhy = 'the receiver answered 410 Gone'
      await this.#bury(held, this.#goneWhy)
    } else if (!this.#closed) {
      this.#parts.count('failed')
      const throttledMs = Math.min(done.throttledMs, retry.giveUpMs)
      const waitMs = Math.max(retryWaitMs(retry, held.attempts, random()), throttledMs)
      held.attempts++
      held.nextMs = now() + waitMs
      if (throttledMs > 0) this.#pausedUntilMs = now() + throttledMs
      if (held.nextMs - held.toldMs > retry.giveUpMs) await this.#bury(held, done.error)
    }
  }

  async #bury(held: Held, reason: string): Promise<void> {
    try {
      await this.#parts.bury(held, reason)
      this.#held.delete(held.offset)
      this.#parts.count('dead')
    } catch {
      // The log is away: it is tried again, and told again what could not be delivered.
      held.nextMs = this.#parts.now() + this.#parts.retry.firstMs
    }
  }

  #settle(): void {
    const [oldest] = this.#held.keys()
    this.#parts.settled(oldest ?? this.#next)
    if (!this.#closed && this.#isFull && this.#held.size < HELD_MAX / 2) {
      this.#isFull = false
      this.#parts.full(false)
    }
  }
}

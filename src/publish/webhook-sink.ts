import type { Clock } from '../core/clock.ts'
import { systemClock } from '../core/clock.ts'
import type { DisruptionEvent } from '../core/disruption.ts'
import type { DisruptionSink } from '../core/ports.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { type DeadLetter, type Delivery, DeliveryQueue } from './delivery-queue.ts'
import {
  type RetryPolicy,
  retryWaitMs,
  WEBHOOK_RETRY,
  WebhookPost,
  type WebhookTarget,
} from './webhook-post.ts'

export interface WebhookOptions extends WebhookTarget {
  readonly name?: string
  /** The file that keeps what is not yet delivered. */
  readonly queueFile: string
  readonly retry?: RetryPolicy
  readonly clock?: Clock
  /** 0..1, for the variation of waits. */
  readonly random?: () => number
  readonly telemetry?: Telemetry
}

/** Requests under way at once. */
const CONCURRENT_MAX = 4

/**
 * Delivers events as Standard Webhooks. An event is in the queue file before `publish` resolves; revisions of one
 * disruption are delivered in order, disruptions do not wait for each other. After a day, or when the receiver
 * answers 410 Gone, what is left becomes dead letters that can be seen and revived.
 */
export class WebhookSink implements DisruptionSink {
  readonly name: string
  readonly #post: WebhookPost
  readonly #queue: DeliveryQueue
  readonly #retry: RetryPolicy
  readonly #clock: Clock
  readonly #random: () => number
  readonly #telemetry: Telemetry | undefined
  readonly #underway = new Map<string, Promise<void>>()
  #pausedUntilMs = 0
  #timer: NodeJS.Timeout | undefined
  #closed = false

  private constructor(options: WebhookOptions, post: WebhookPost, queue: DeliveryQueue) {
    this.name = options.name ?? `webhook:${post.hostname}`
    this.#post = post
    this.#queue = queue
    this.#retry = options.retry ?? WEBHOOK_RETRY
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? Math.random
    this.#telemetry = options.telemetry
  }

  /** Goes on with what an earlier run left. Throws FS_CONFIG_INVALID for a bad target or secret, FS_IO. */
  static async open(options: WebhookOptions): Promise<WebhookSink> {
    const post = new WebhookPost(options)
    const queue = await DeliveryQueue.open(options.queueFile)
    const sink = new WebhookSink(options, post, queue)
    // Under way when the receiver was found gone, and cut by a stop.
    if (queue.disabled) for (const id of [...queue.pending.keys()]) sink.#bury(id, queue.disabled)
    sink.#pump()
    return sink
  }

  get pending(): number {
    return this.#queue.pending.size
  }

  /** Why the receiver is no longer served; '' while it is. */
  get disabled(): string {
    return this.#queue.disabled
  }

  async publish(event: DisruptionEvent): Promise<void> {
    if (!(await this.#queue.add(event, this.#clock()))) return
    if (this.#queue.disabled) this.#bury(event.id, this.#queue.disabled)
    this.#pump()
  }

  /** Oldest first. */
  deadLetters(): readonly DeadLetter[] {
    return [...this.#queue.dead.values()]
  }

  /** What waits and why, oldest first. */
  deliveries(): readonly Delivery[] {
    return [...this.#queue.pending.values()]
  }

  /** Tries a dead letter again. False when there is none of that event id. */
  revive(id: string): boolean {
    const revived = this.#queue.revive(id, this.#clock())
    if (revived) this.#pump()
    return revived
  }

  /** Serves the receiver again after a 410. */
  enable(): void {
    this.#queue.disable('')
    this.#pump()
  }

  /** Attempts under way are cut; they go on after the next start. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    this.#post.close()
    await Promise.all(this.#underway.values())
    await this.#queue.close()
  }

  #pump(): void {
    if (this.#closed || this.#queue.disabled) return
    clearTimeout(this.#timer)
    const now = this.#clock()
    let wakeMs = Number.POSITIVE_INFINITY
    const held = new Set<string>()
    for (const [id, delivery] of this.#queue.pending) {
      const { id: disruption } = delivery.event.disruption
      if (held.has(disruption)) continue
      held.add(disruption)
      if (this.#underway.has(id)) continue
      const dueMs = Math.max(delivery.nextMs, this.#pausedUntilMs)
      if (dueMs > now) wakeMs = Math.min(wakeMs, dueMs)
      else if (this.#underway.size < CONCURRENT_MAX) this.#start(id, delivery)
      else break // one that ends looks again
    }
    if (wakeMs < Number.POSITIVE_INFINITY) {
      this.#timer = setTimeout(() => this.#pump(), Math.min(wakeMs - now, 60_000))
    }
  }

  #start(id: string, delivery: Delivery): void {
    const attempt = this.#attempt(id, delivery).finally(() => {
      this.#underway.delete(id)
      this.#pump()
    })
    this.#underway.set(id, attempt)
  }

  /** Never rejects. */
  async #attempt(id: string, delivery: Delivery): Promise<void> {
    const done = await this.#post.attempt(delivery.event, this.#clock())
    if (done.outcome === 'gone') this.#gone(id)
    else if (done.outcome === 'delivered') {
      this.#queue.delivered(id)
      this.#count('delivered')
    } else if (!this.#closed) {
      // Else it was cut by `close`: not the receiver's failure.
      this.#failed(id, delivery, done.error, Math.min(done.throttledMs, this.#retry.giveUpMs))
    }
  }

  #failed(id: string, delivery: Delivery, error: string, throttledMs: number): void {
    this.#count('failed')
    if (this.#queue.disabled) {
      this.#bury(id, this.#queue.disabled)
      return
    }
    const now = this.#clock()
    const waitMs = Math.max(retryWaitMs(this.#retry, delivery.attempts, this.#random()), throttledMs)
    if (throttledMs > 0) this.#pausedUntilMs = now + throttledMs
    this.#queue.failed(id, now + waitMs, error)
    if (now + waitMs - delivery.atMs > this.#retry.giveUpMs) this.#bury(id, error)
  }

  /** What is under way besides the one that was answered so may still be taken. */
  #gone(answered: string): void {
    const reason = 'the receiver answered 410 Gone'
    this.#queue.disable(reason)
    for (const id of [...this.#queue.pending.keys()])
      if (id === answered || !this.#underway.has(id)) this.#bury(id, reason)
  }

  #bury(id: string, reason: string): void {
    this.#queue.bury(id, this.#clock(), reason)
    this.#count('dead')
  }

  #count(outcome: 'delivered' | 'failed' | 'dead'): void {
    this.#telemetry?.count('foreshock_publish_total', 1, { sink: this.name, outcome })
  }
}

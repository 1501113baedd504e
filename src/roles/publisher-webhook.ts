import type { Clock } from '../core/clock.ts'
import {
  type PartitionOwner,
  type StoredMessage,
  type StreamGroup,
  type StreamProducer,
  TOPICS,
} from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { type RetryPolicy, WEBHOOK_RETRY, type WebhookPost } from '../publish/webhook-post.ts'
import { type Awaited, Deliveries } from './deliveries.ts'
import { OffsetKeeper } from './offset-keeper.ts'
import { toldEvent } from './told-events.ts'

export interface WebhookPublisherOptions {
  readonly name: string
  readonly group: StreamGroup
  readonly post: Pick<WebhookPost, 'attempt'>
  /** Of dead letters. */
  readonly producer: StreamProducer
  readonly telemetry: Telemetry
  readonly clock: Clock
  readonly onError: (error: unknown) => void
  readonly retry?: RetryPolicy
  /** 0..1, for the variation of waits. */
  readonly random?: () => number
}

/** A webhook that is served for the first time is told of what happened so long before, ms, not of the whole past. */
const FIRST_LOOK_BACK_MS = 600_000

/**
 * Delivers disruption events to one webhook, as a member of its own group on the topic of disruptions: the topic is the
 * retry queue that survives everything, for the group's offset passes an event only once it was delivered or buried.
 */
export class WebhookPublisher implements PartitionOwner {
  readonly name: string
  readonly #options: WebhookPublisherOptions
  readonly #lanes = new Map<number, { deliveries: Deliveries; offsets: OffsetKeeper; sinceMs: number }>()

  constructor(options: WebhookPublisherOptions) {
    this.#options = options
    this.name = options.name
  }

  /** Events taken and not yet delivered. */
  get pending(): number {
    let sum = 0
    for (const { deliveries } of this.#lanes.values()) sum += deliveries.pending
    return sum
  }

  async assigned(partition: number): Promise<number | 'first'> {
    const { group, clock, onError, post, retry = WEBHOOK_RETRY, random = Math.random } = this.#options
    const committed = await group.committed(partition)
    const sinceMs = committed === undefined ? clock() - FIRST_LOOK_BACK_MS : Number.NEGATIVE_INFINITY
    const offsets = new OffsetKeeper(offset => group.commit(partition, offset), onError)
    const deliveries = new Deliveries({
      attempt: event => post.attempt(event, clock()),
      bury: (awaited, reason) => this.#bury(partition, awaited, reason),
      settled: offset => offsets.reached(offset),
      full: isFull => (isFull ? group.pause(partition) : group.resume(partition)),
      count: outcome =>
        this.#options.telemetry.count('foreshock_publish_total', 1, { sink: this.#options.name, outcome }),
      retry,
      now: clock,
      random,
    })
    this.#lanes.set(partition, { deliveries, offsets, sinceMs })
    return committed ?? 'first'
  }

  async take(partition: number, messages: readonly StoredMessage[]): Promise<void> {
    const lane = this.#lanes.get(partition)
    if (lane === undefined) return
    for (const message of messages) {
      const event = toldEvent(message)
      if (typeof event === 'string') this.#options.onError(new Error(`offset ${message.offset}: ${event}`))
      else if (message.timestampMs >= lane.sinceMs)
        lane.deliveries.add({ offset: message.offset, event, toldMs: message.timestampMs })
    }
    const last = messages[messages.length - 1]
    if (last) lane.deliveries.pass(last.offset + 1)
  }

  async revoked(partition: number, orderly: boolean): Promise<void> {
    const lane = this.#lanes.get(partition)
    this.#lanes.delete(partition)
    if (lane === undefined) return
    await lane.deliveries.close()
    await lane.offsets.close(orderly)
  }

  #bury(partition: number, { offset, event, toldMs }: Awaited, reason: string): Promise<void> {
    const { name, producer } = this.#options
    return producer.send(TOPICS.deadLetters, [
      {
        key: event.disruption.id,
        value: Buffer.from(JSON.stringify(event.disruption)),
        headers: {
          'content-type': 'application/json',
          ce_id: event.id,
          'foreshock-reason': `${name}: ${reason}`.slice(0, 500),
          'foreshock-topic': TOPICS.disruptions,
          'foreshock-partition': String(partition),
          'foreshock-offset': String(offset),
        },
        timestampMs: toldMs,
      },
    ])
  }
}

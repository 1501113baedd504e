import type { DisruptionEvent } from '../core/disruption.ts'
import type { Logger } from '../core/logger.ts'
import { SeenIds } from '../core/seen-ids.ts'
import { type StoredMessage, type Streams, TOPICS } from '../core/stream.ts'
import { EventStream } from '../publish/event-stream.ts'
import type { EventFeed, EventListener, EventSubscription } from '../serve/deps.ts'
import { ToldEvents, toldEvent } from './told-events.ts'

/** Messages of each partition that are known from the start on. */
const KNOWN_AT_START = 500
/** Gateways differ in the order of what came about at one time in several partitions, by no more than this, ms. */
const OVERLAP_MS = 300_000
const IDS_KEPT = 20_000

/** The events of the fleet for who listens on this gateway. Whoever comes back may have listened on another. */
export class GatewayEvents implements EventFeed {
  readonly #stream: EventStream
  readonly #seen = new SeenIds(IDS_KEPT)
  readonly #logger: Logger
  #follower: { close(): Promise<void> } | undefined

  private constructor(streams: Streams, logger: Logger) {
    this.#stream = new EventStream(new ToldEvents(streams), { overlapMs: OVERLAP_MS })
    this.#logger = logger
  }

  static async open(streams: Streams, logger: Logger): Promise<GatewayEvents> {
    const events = new GatewayEvents(streams, logger)
    const from = await new ToldEvents(streams, KNOWN_AT_START).tails()
    events.#follower = await streams.follow(TOPICS.disruptions, message => events.#take(message), from)
    return events
  }

  subscribe(lastEventId: string | undefined, to: EventListener): EventSubscription | undefined {
    return this.#stream.subscribe(lastEventId, to)
  }

  async close(): Promise<void> {
    await this.#follower?.close()
    await this.#stream.close()
  }

  async #take(message: StoredMessage): Promise<void> {
    const event: DisruptionEvent | string = toldEvent(message)
    if (typeof event === 'string') {
      this.#logger.warn({ partition: message.partition, offset: message.offset, reason: event }, 'no event')
      return
    }
    if (this.#seen.has(event.id)) return
    this.#seen.add(event.id)
    await this.#stream.publish(event, message.timestampMs)
  }
}

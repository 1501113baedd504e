import { isOnceOver } from '../core/calendar.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { MaintenanceOrder } from '../core/maintenance.ts'
import { encodeModelWord, type ModelWord, modelWordOf } from '../core/model-word.ts'
import {
  CONTENT,
  HEADERS,
  type StoredMessage,
  type StreamMessage,
  type Streams,
  TOPICS,
} from '../core/stream.ts'
import { maintenanceOf } from './stage-orders.ts'

/** Who writes words on models holds this transactor: opening it shuts out whoever held it, so that orders follow one another. */
export const CONTROL_TRANSACTOR = 'control'

/** Words on maintenance windows that are remembered; a partition follows a tenth as many. */
const MAINTENANCE_MAX = 10_000

/** A maintenance order as it is remembered. */
export interface MaintenanceWord {
  readonly order: MaintenanceOrder
  readonly tenant: string
}

/** The word on a model for the topic `control`, in the place of any former. */
export function modelWordMessage(word: ModelWord, nowMs: number): StreamMessage {
  return {
    key: `model/${word.model}`,
    value: encodeModelWord(word),
    headers: { [HEADERS.content]: CONTENT.model },
    timestampMs: nowMs,
  }
}

/** The word on a maintenance window for the topic `control`. */
export function maintenanceWordMessage(order: MaintenanceOrder, nowMs: number): StreamMessage {
  const { id, tenant } = order.op === 'add' ? order.window : order
  return {
    key: maintenanceKey(tenant, id),
    value: new TextEncoder().encode(JSON.stringify(order)),
    headers: { [HEADERS.content]: CONTENT.maintenance, [HEADERS.tenant]: tenant },
    timestampMs: nowMs,
  }
}

/** What was once and is over need not be known any more. */
export function isOver(order: MaintenanceOrder, nowMs: number): boolean {
  return order.op === 'add' && isOnceOver(order.window.times, nowMs)
}

const maintenanceKey = (tenant: string, id: string) => `maintenance/${tenant}/${id}`

/**
 * The latest words of the fleet on models and maintenance windows, as the topic `control` holds them: read from its
 * beginning at the start, then followed.
 */
export class ControlBook {
  readonly #streams: Streams
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #models = new Map<string, ModelWord>()
  readonly #maintenance = new Map<string, MaintenanceWord>()
  readonly #listeners = new Set<() => void>()
  /** Offset after the last message taken, by partition. */
  readonly #next: number[] = []
  #follower: { close(): Promise<void> } | undefined

  private constructor(streams: Streams, logger: Logger, clock: Clock) {
    this.#streams = streams
    this.#logger = logger
    this.#clock = clock
  }

  /** Resolves when everything that was said before is read. */
  static async open(streams: Streams, logger: Logger, clock: Clock = systemClock): Promise<ControlBook> {
    const book = new ControlBook(streams, logger, clock)
    const partitions = await streams.partitions(TOPICS.control)
    for (let p = 0; p < partitions; p++) book.#next.push((await streams.range(TOPICS.control, p)).first)
    await book.catchUp()
    book.#follower = await streams.follow(TOPICS.control, message => book.#take(message), [...book.#next])
    return book
  }

  /** By name. */
  get models(): ReadonlyMap<string, ModelWord> {
    return this.#models
  }

  /** The latest order of each window, as many as are remembered. */
  get maintenance(): ReadonlyMap<string, MaintenanceWord> {
    return this.#maintenance
  }

  /** Calls `heard` after every new word, until the book is closed. */
  listen(heard: () => void): void {
    this.#listeners.add(heard)
  }

  /** Reads what was said up to now. Rejects with FS_IO while the log is away. */
  async catchUp(): Promise<void> {
    for (let p = 0; p < this.#next.length; p++)
      for await (const message of this.#streams.read(TOPICS.control, p, this.#next[p])) this.#take(message)
  }

  /**
   * A word that was said here this moment, with all before it read. Kafka shows a transaction to readers a little after it told
   * the writer that it stands.
   */
  said(word: ModelWord): void {
    this.#models.set(word.model, word)
    for (const heard of this.#listeners) heard()
  }

  async close(): Promise<void> {
    this.#listeners.clear()
    await this.#follower?.close()
  }

  #take(message: StoredMessage): void {
    const { partition, offset } = message
    if (offset < this.#next[partition]) return
    this.#next[partition] = offset + 1
    const wrong = this.#fold(message)
    if (wrong !== undefined)
      this.#logger.warn({ partition, offset, reason: wrong }, 'a word of the topic control cannot be read')
    for (const heard of this.#listeners) heard()
  }

  #fold(message: StoredMessage): string | undefined {
    const { headers, value } = message
    switch (headers[HEADERS.content]) {
      case CONTENT.model: {
        const word = modelWordOf(value)
        if (typeof word === 'string') return word
        this.#models.set(word.model, word)
        return undefined
      }
      case CONTENT.maintenance: {
        const order = maintenanceOf(message)
        if (typeof order === 'string') return order
        const { id, tenant } = order.op === 'add' ? order.window : order
        const subject = maintenanceKey(tenant, id)
        this.#maintenance.delete(subject) // the order is that in which they were said
        this.#maintenance.set(subject, { order, tenant })
        if (this.#maintenance.size > MAINTENANCE_MAX) this.#forgetMaintenance()
        return undefined
      }
      default:
        return 'nothing that this topic is for'
    }
  }

  /** Makes room by what is over or was ended; where nothing is, by what was said longest ago. */
  #forgetMaintenance(): void {
    const nowMs = this.#clock()
    let oldest: string | undefined
    for (const [subject, { order }] of this.#maintenance) {
      oldest ??= subject
      if (order.op === 'add' && !isOver(order, nowMs)) continue
      oldest = subject
      break
    }
    if (oldest !== undefined) this.#maintenance.delete(oldest)
  }
}

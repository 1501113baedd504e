import { deadLetter } from '../bus/dead-letters.ts'
import { partitionOf } from '../bus/partition-of.ts'
import { type Change, parseChanges } from '../core/change.ts'
import type { Clock } from '../core/clock.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { CheckpointStore, CheckpointStores } from '../core/ports.ts'
import {
  HEADERS,
  type PartitionOwner,
  type StoredMessage,
  type StreamGroup,
  type StreamMessage,
  type StreamProducer,
  type Streams,
  TOPICS,
} from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { wrongTenant } from '../core/tenant.ts'
import { changesOf } from '../serve/change-body.ts'
import { originText } from './origins.ts'
import { changeMessage } from './stage-orders.ts'

export interface RelayOptions {
  readonly streams: Streams
  readonly checkpoints: CheckpointStores
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
  /** Time that only passes, ms: what is due after so long is judged by it, as the wall clock may be set. The clock, unless given. */
  readonly elapsed?: Clock
  readonly member: string
}

/** The group that shares the partitions of the topic `changes`. */
export const RELAY_GROUP = 'relay'
/** A position is saved this often at most, ms: what comes between two is passed on again after a crash, and dropped. */
const SAVE_MS = 5000

interface Held {
  readonly store: CheckpointStore
  position: number
  savedPosition: number
  savedMs: number
}

/**
 * Passes changes, of gateways and of foreign producers alike, on to the disruption stage of their tenant, as messages of
 * its own partition: only there does an order stand between a change and the windows around it. Repeats are dropped there
 * by their origin.
 */
export class Relay implements PartitionOwner {
  readonly #options: RelayOptions
  readonly #group: StreamGroup
  readonly #held = new Map<number, Held>()
  #producer: StreamProducer | undefined
  #anomaliesPartitions = 0

  constructor(options: RelayOptions) {
    this.#options = options
    const { streams, member } = options
    this.#group = streams.group({
      topic: TOPICS.changes,
      group: RELAY_GROUP,
      member,
      takesFaults: true,
    })
  }

  async start(): Promise<void> {
    const { streams, telemetry } = this.#options
    // One that begins with its first letter has not gone up by it.
    telemetry.count('foreshock_dead_letters_total', 0, { topic: TOPICS.changes })
    this.#producer = await streams.producer()
    this.#anomaliesPartitions = await streams.partitions(TOPICS.anomalies)
    await this.#group.run(this)
  }

  async close(): Promise<void> {
    await this.#group.close()
    await this.#producer?.close()
  }

  /** By partition, the offset after the last message passed on. */
  get positions(): ReadonlyMap<number, number> {
    return new Map([...this.#held].map(([partition, { position }]) => [partition, position]))
  }

  async assigned(partition: number): Promise<number> {
    const { checkpoints, streams } = this.#options
    const store = await checkpoints.claim(`relay-${partition}`)
    const saved = (await store.load())?.position ?? 0
    const { first } = await streams.range(TOPICS.changes, partition)
    const position = Math.max(saved, first)
    this.#held.set(partition, { store, position, savedPosition: position, savedMs: this.#elapsed() })
    return position
  }

  async take(partition: number, messages: readonly StoredMessage[]): Promise<void> {
    const held = this.#held.get(partition)
    if (!held || !this.#producer)
      throw new ForeshockError('FS_ASSERTION', `partition ${partition} is not held`)
    const passed: StreamMessage[] = []
    const dead: StreamMessage[] = []
    for (const message of messages) {
      const read = message.fault ?? relayed(message, this.#anomaliesPartitions)
      if (typeof read === 'string') dead.push(deadLetter(message, read))
      else if (read) passed.push(read)
    }
    if (dead.length > 0) {
      this.#options.telemetry.count('foreshock_dead_letters_total', dead.length, { topic: TOPICS.changes })
      await this.#producer.send(TOPICS.deadLetters, dead)
    }
    if (passed.length > 0) await this.#producer.send(TOPICS.anomalies, passed)
    held.position = (messages.at(-1)?.offset ?? held.position - 1) + 1
    if (this.#elapsed() - held.savedMs >= SAVE_MS) await this.#save(partition, held)
  }

  async revoked(partition: number, orderly: boolean): Promise<void> {
    const held = this.#held.get(partition)
    if (held && orderly) await this.#save(partition, held)
    this.#held.delete(partition)
  }

  #elapsed(): number {
    const { elapsed, clock } = this.#options
    return (elapsed ?? clock)()
  }

  /** Saves how far it is; what cannot be saved now is passed on again after a restart. */
  async #save(partition: number, held: Held): Promise<void> {
    const { position, store } = held
    if (position === held.savedPosition) return
    const savedMs = this.#options.clock()
    held.savedMs = this.#elapsed()
    try {
      await store.save({ position, savedMs, parts: [] })
      held.savedPosition = position
      await this.#group.commit(partition, position)
    } catch (error) {
      this.#options.logger.warn({ err: error, partition }, 'how far changes were passed on cannot be saved')
    }
  }
}

/** The message for the stage; the reason when there is no change in it, undefined for an empty one. */
export function relayed(
  message: StoredMessage,
  anomaliesPartitions: number,
): StreamMessage | string | undefined {
  const { headers, partition, offset, timestampMs } = message
  const tenant = headers[HEADERS.tenant] ?? 'default'
  const wrong = wrongTenant(tenant)
  if (wrong !== undefined) return wrong
  const changes = readChanges(message, tenant)
  if (typeof changes === 'string') return changes
  if (changes.length === 0) return undefined
  const origin = originText({ topic: TOPICS.changes, partition, offset, n: 0 })
  return changeMessage(changes, tenant, partitionOf(tenant, anomaliesPartitions), timestampMs, origin)
}

/**
 * As POST /api/changes takes them: CloudEvents in Kafka's binary or structured mode, or plain JSON. Plain ones with an id are
 * a gateway's, a line each: their senders were told the id. A time that is not said is that of the message.
 */
function readChanges(message: StoredMessage, tenant: string): readonly Change[] | string {
  const { headers, value, timestampMs } = message
  const said = headers['content-type']?.split(';')[0].trim().toLowerCase()
  const type = said ?? (WHOLE_EVENT.test(textOf(value)) ? 'application/cloudevents+json' : 'application/json')
  if (headers.ce_specversion === undefined && type === 'application/json' && WITH_ID.test(textOf(value))) {
    const { changes, reasons } = parseChanges(value, tenant)
    return reasons.length > 0 ? reasons.join('; ') : changes
  }
  try {
    return changesOf(type, httpHeaders(headers), value, tenant, timestampMs)
  } catch (error) {
    return (error as Error).message
  }
}

/** Of a message without a content type. */
const WHOLE_EVENT = /^\s*\{[^{}]*"specversion"\s*:/
const WITH_ID = /^\s*\{[^{}]*"id"\s*:\s*"/
/** Looked at to tell what a message holds. */
const LOOKED_AT_BYTES = 4096

const textOf = (value: Uint8Array) => Buffer.from(value.subarray(0, LOOKED_AT_BYTES)).toString('utf8')

/** Kafka's binding names attributes `ce_…` and writes them as they are, that of HTTP `ce-…` and percent-encoded. */
function httpHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers))
    if (name.startsWith('ce_')) out[`ce-${name.slice(3)}`] = encodeURIComponent(value)
  return out
}

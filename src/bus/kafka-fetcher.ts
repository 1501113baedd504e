import type { FetchedPartition, FetchedRecord } from 'kafkajs/src/cluster/index.js'
import Batch from 'kafkajs/src/consumer/batch.js'
import type { StoredMessage } from '../core/stream.ts'
import type { KafkaCluster } from './kafka-connection.ts'
import { errorType, kafkaError } from './kafka-errors.ts'

/** A partition, and where to read it from. */
export interface Wanted {
  readonly partition: number
  readonly from: number | 'first'
}

/** What was read: messages, the offset to go on from, and the one after the last message there is. */
export interface Fetched extends Wanted {
  readonly messages: readonly StoredMessage[]
  readonly next: number
  readonly end: number
}

export interface FetchLimits {
  /** A broker with nothing new answers after this long, ms. */
  readonly waitMs: number
  readonly partitionBytes: number
  readonly totalBytes: number
}
export const FETCH_LIMITS: FetchLimits = {
  waitMs: 250,
  partitionBytes: 1024 * 1024,
  totalBytes: 8 * 1024 * 1024,
}

/** Where messages are read. */
export interface Source {
  readonly cluster: KafkaCluster
  /** As Kafka knows it. */
  readonly topic: string
  /** Without the prefix, as messages say it. */
  readonly name: string
}

/** Offsets that Kafka no longer has, or does not have yet: where to go on. */
export type Skipped = (partition: number, from: number, to: number) => void

/** Asks one broker once. Partitions of which nothing is new are left out of the answer. */
export async function fetchOnce(
  source: Source,
  nodeId: number,
  wanted: readonly Wanted[],
  limits: FetchLimits,
  skipped: Skipped,
): Promise<Fetched[]> {
  const { cluster, topic, name } = source
  const starts = new Map<number, number>()
  for (const { partition, from } of wanted)
    starts.set(partition, from === 'first' ? await cluster.offset(topic, partition, 'first') : from)
  const broker = await cluster.broker(nodeId)
  const partitions = [...starts].map(([partition, from]) => ({
    partition,
    fetchOffset: String(from),
    maxBytes: limits.partitionBytes,
  }))
  let answer: Awaited<ReturnType<typeof broker.fetch>>
  try {
    answer = await broker.fetch({
      isolationLevel: 1,
      maxWaitTime: limits.waitMs,
      minBytes: 1,
      maxBytes: limits.totalBytes,
      topics: [{ topic, partitions }],
    })
  } catch (error) {
    if (errorType(error) !== 'OFFSET_OUT_OF_RANGE') throw error
    return outOfRange(source, wanted, starts, skipped)
  }
  return answer.responses.flatMap(response =>
    response.partitions.flatMap(one => {
      const asked = wanted.find(({ partition }) => partition === one.partition)
      const start = starts.get(one.partition)
      if (asked === undefined || start === undefined || one.messages.length === 0) return []
      return [{ ...asked, ...read(name, start, one) }]
    }),
  )
}

function read(name: string, start: number, fetched: FetchedPartition): Omit<Fetched, keyof Wanted> {
  const batch = new Batch(name, String(start), fetched)
  const messages = batch.messages.map(record => messageOf(name, fetched.partition, record))
  const next = Number(batch.lastOffset()) + 1
  // A leader that has just started may know less of its end than it gives out.
  return { messages, next, end: Math.max(next, Number(fetched.highWatermark)) }
}

/** Retention took what was asked for, or the topic was made anew: goes on with the first there is. */
async function outOfRange(
  { cluster, topic }: Source,
  wanted: readonly Wanted[],
  starts: ReadonlyMap<number, number>,
  skipped: Skipped,
): Promise<Fetched[]> {
  const moved: Fetched[] = []
  for (const asked of wanted) {
    const start = starts.get(asked.partition) ?? 0
    const first = await cluster.offset(topic, asked.partition, 'first')
    const end = await cluster.offset(topic, asked.partition, 'end')
    if (start >= first && start <= end) continue
    skipped(asked.partition, start, first)
    moved.push({ ...asked, messages: [], next: first, end })
  }
  return moved
}

const strict = new TextDecoder('utf-8', { fatal: true })

function messageOf(topic: string, partition: number, record: FetchedRecord): StoredMessage {
  const headers: Record<string, string> = {}
  for (const name in record.headers) {
    const value = record.headers[name]
    const first = Array.isArray(value) ? value[0] : value
    headers[name] = first === null || first === undefined ? '' : String(first)
  }
  return {
    topic,
    partition,
    offset: Number(record.offset),
    key: textOrNull(record.key),
    value: record.value ?? new Uint8Array(0),
    headers,
    timestampMs: Number(record.timestamp),
  }
}

function textOrNull(bytes: Buffer | null): string | null {
  if (bytes === null) return null
  try {
    return strict.decode(bytes)
  } catch {
    return null
  }
}

export interface FetcherOptions extends Source {
  /** What is wanted now. */
  readonly wanted: () => readonly Wanted[]
  readonly take: (fetched: Fetched) => void
  readonly skipped: Skipped
  readonly failed: (error: unknown) => void
  readonly limits?: FetchLimits
}

/** Keeps asking every leader for what is wanted, one request a broker at a time, for ever and through every failure. */
export class KafkaFetcher {
  readonly #options: FetcherOptions
  readonly #asking = new Map<number, Promise<void>>()
  #failures = 0
  #recovering: Promise<void> | undefined
  #stopped = false

  constructor(options: FetcherOptions) {
    this.#options = options
  }

  /** Something more is wanted. */
  wake(): void {
    if (this.#stopped || this.#recovering !== undefined) return
    const wanted = this.#options.wanted()
    if (wanted.length === 0) return
    const byLeader = new Map<number, Wanted[]>()
    try {
      const leaders = this.#options.cluster.leaders(this.#options.topic)
      for (const one of wanted) {
        const leader = leaders.get(one.partition) ?? -1
        byLeader.set(leader, [...(byLeader.get(leader) ?? []), one])
      }
    } catch (error) {
      this.#recover(error)
      return
    }
    for (const [leader, list] of byLeader) {
      if (this.#asking.has(leader)) continue
      this.#asking.set(leader, this.#ask(leader, list))
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#asking.values(), this.#recovering])
  }

  async #ask(leader: number, wanted: readonly Wanted[]): Promise<void> {
    const { take, skipped, limits = FETCH_LIMITS } = this.#options
    try {
      const answer = await fetchOnce(this.#options, leader, wanted, limits, skipped)
      this.#failures = 0
      if (!this.#stopped) for (const one of answer) take(one)
    } catch (error) {
      this.#recover(error)
    } finally {
      this.#asking.delete(leader)
    }
    // Not from within: a stack of answers that were there at once would grow.
    setImmediate(() => this.wake())
  }

  #recover(error: unknown): void {
    if (this.#stopped || this.#recovering !== undefined) return
    this.#options.failed(kafkaError(error, `reading ${this.#options.name}`))
    this.#recovering = this.#options.cluster.recover(error, this.#failures++).then(() => {
      this.#recovering = undefined
      this.wake()
    })
  }
}

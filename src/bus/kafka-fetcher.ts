import { ForeshockError } from '../core/errors.ts'
import type { StoredMessage } from '../core/stream.ts'
import type { KafkaCluster } from './kafka-connection.ts'
import { errorType, kafkaError } from './kafka-errors.ts'
import { type FetchAnswer, fetchBytes } from './kafka-fetch.ts'
import { readRecordSet } from './kafka-records.ts'
import { Lease, type Slabs } from './slabs.ts'

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
  /** The messages' values lie in slabs that are used again from now on; left out where they are the taker's. */
  readonly giveBack?: (() => void) | undefined
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
  /** Batches that cannot be read come as messages with a `fault`. */
  readonly takesFaults?: boolean
  /** What values are put into, for who gives them back. */
  readonly slabs?: Slabs | undefined
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
    from,
    bytesMax: limits.partitionBytes,
  }))
  let answer: FetchAnswer
  try {
    answer = await fetchBytes(broker, {
      topic,
      partitions,
      waitMs: limits.waitMs,
      bytesMax: limits.totalBytes,
    })
  } catch (error) {
    if (errorType(error) !== 'OFFSET_OUT_OF_RANGE') throw error
    return outOfRange(source, wanted, starts, skipped)
  }
  try {
    return answer.partitions.flatMap(one => {
      const asked = wanted.find(({ partition }) => partition === one.partition)
      const start = starts.get(one.partition)
      if (asked === undefined || start === undefined) return []
      const lease = source.slabs && new Lease(source.slabs)
      const room = lease && ((bytes: number) => lease.room(bytes))
      const { messages, next } = readRecordSet({
        ...one,
        topic: name,
        from: start,
        isLent: answer.isLent,
        room,
      })
      if (next === start) return []
      refuseFaults(source, messages)
      // A leader that has just started may know less of its end than it gives out.
      const end = Math.max(next, one.end)
      return [{ ...asked, messages, next, end, giveBack: lease && (() => lease.giveBack()) }]
    })
  } finally {
    answer.giveBack()
  }
}

/** Where a batch that cannot be read must not be passed over, reading stands still and says so. */
function refuseFaults({ takesFaults, name }: Source, messages: readonly StoredMessage[]): void {
  if (takesFaults) return
  const faulty = messages.find(({ fault }) => fault !== undefined)
  if (faulty) throw new ForeshockError('FS_INPUT_INVALID', `${name}/${faulty.partition}: ${faulty.fault}`)
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

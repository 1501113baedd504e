import type {
  GroupOptions,
  StoredMessage,
  StreamGroup,
  StreamProducer,
  Streams,
  StreamTransactor,
} from '../core/stream.ts'
import { type Compression, codecsReady } from './kafka-codecs.ts'
import { KafkaCluster, type KafkaConnection } from './kafka-connection.ts'
import { errorType, isHopeless, kafkaError } from './kafka-errors.ts'
import { FETCH_LIMITS, type Fetched, fetchOnce, KafkaFetcher, type Wanted } from './kafka-fetcher.ts'
import { KafkaMember } from './kafka-member.ts'
import { KafkaProducer, KafkaTransactor } from './kafka-producer.ts'
import { KafkaWriter } from './kafka-writer.ts'
import { Slabs } from './slabs.ts'

/** What happens inside, for logs and metrics. */
export type StreamEvent =
  /** A member was given these partitions, and no others. */
  | { readonly type: 'assigned'; readonly group: string; readonly partitions: readonly number[] }
  /** Something failed and is tried again. */
  | { readonly type: 'failed'; readonly error: unknown }
  /** Messages from one offset to before another are no longer there, and were not read. */
  | {
      readonly type: 'skipped'
      readonly topic: string
      readonly partition: number
      readonly from: number
      readonly to: number
    }

export interface KafkaStreamsOptions extends KafkaConnection {
  /** Stands before every topic, group and transactor. */
  readonly prefix: string
  readonly compression: Compression
  readonly sessionTimeoutMs: number
  /** Largest message, bytes before compression. */
  readonly maxMessageBytes?: number
  /** A send that cannot be had within this time rejects, ms. */
  readonly patienceMs?: number
  readonly observe?: (event: StreamEvent) => void
}

/** `max.message.bytes` of the topics that `foreshock topics create` makes. */
export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024
/** Long enough for a broker to restart and for its partitions to find leaders. */
const PATIENCE_MS = 60_000
/** Reads give up after this many failures in a row, half a minute. */
const READ_FAILURES_MAX = 15

/** What a partition without a leader that knows of it answers. */
const LEADERLESS: ReadonlySet<string> = new Set(['LEADER_NOT_AVAILABLE', 'NOT_LEADER_FOR_PARTITION'])

/** `Streams` on Apache Kafka. */
export class KafkaStreams implements Streams {
  readonly #options: KafkaStreamsOptions
  readonly #open = new Set<{ close(): Promise<void> }>()
  /** Of all that write. */
  readonly #slabs = new Slabs()
  #shared: KafkaCluster | undefined

  constructor(options: KafkaStreamsOptions) {
    this.#options = options
  }

  async partitions(topic: string): Promise<number> {
    const cluster = await this.#cluster(topic)
    return cluster.partitions(this.#name(topic))
  }

  async range(topic: string, partition: number): Promise<{ first: number; end: number }> {
    const cluster = await this.#cluster(topic)
    for (let failures = 0; ; ) {
      try {
        const [first, end] = [
          await cluster.offset(this.#name(topic), partition, 'first'),
          await cluster.offset(this.#name(topic), partition, 'end'),
        ]
        return { first, end }
      } catch (error) {
        // A partition that was made a moment ago, or moves, is led by nobody who knows it yet.
        const passes = LEADERLESS.has(errorType(error)) && failures < READ_FAILURES_MAX
        if (!passes) throw kafkaError(error, `reading offsets of ${topic}`)
        await cluster.recover(error, failures++)
      }
    }
  }

  async producer(): Promise<StreamProducer> {
    const { cluster, writer } = await this.#writer()
    return this.#keep(new KafkaProducer(cluster, writer))
  }

  async transactor(name: string): Promise<StreamTransactor> {
    const { cluster, writer } = await this.#writer(this.#name(name))
    return this.#keep(new KafkaTransactor(cluster, writer))
  }

  group(options: GroupOptions): StreamGroup {
    const group = this.#name(options.group)
    return this.#keep(
      new KafkaMember(new KafkaCluster(this.#options), {
        ...options,
        group,
        topic: this.#name(options.topic),
        name: options.topic,
        sessionTimeoutMs: this.#options.sessionTimeoutMs,
        failed: error => this.#observe({ type: 'failed', error }),
        assigned: partitions => this.#observe({ type: 'assigned', group: options.group, partitions }),
        skipped: (partition, from, to) =>
          this.#observe({ type: 'skipped', topic: options.topic, partition, from, to }),
      }),
    )
  }

  read(topic: string, partition: number, from: number): AsyncIterable<StoredMessage> {
    const range = this.range(topic, partition)
    // Whoever reads is told; who never does must not bring down the process.
    range.catch(() => {})
    const messages = () => this.#read(topic, partition, from, range)
    return { [Symbol.asyncIterator]: messages }
  }

  async *#read(
    topic: string,
    partition: number,
    from: number,
    range: Promise<{ first: number; end: number }>,
  ): AsyncGenerator<StoredMessage, void, undefined> {
    const { first, end } = await range
    const source = { cluster: new KafkaCluster(this.#options), topic: this.#name(topic), name: topic }
    const { cluster } = source
    try {
      let next = Math.max(from, first)
      for (let failures = 0; next < end; ) {
        let fetched: Fetched[]
        try {
          await codecsReady()
          await cluster.open(source.topic)
          const leader = cluster.leaders(source.topic).get(partition) ?? -1
          const wanted: Wanted = { partition, from: next }
          fetched = await fetchOnce(source, leader, [wanted], FETCH_LIMITS, (p, at, to) =>
            this.#observe({ type: 'skipped', topic, partition: p, from: at, to }),
          )
          failures = 0
        } catch (error) {
          if (isHopeless(error) || failures >= READ_FAILURES_MAX) throw kafkaError(error, `reading ${topic}`)
          await cluster.recover(error, failures++)
          continue
        }
        for (const one of fetched) {
          for (const message of one.messages) if (message.offset < end) yield message
          next = one.next
        }
      }
    } finally {
      await cluster.close()
    }
  }

  async follow(
    topic: string,
    take: (message: StoredMessage) => Promise<void> | void,
    from?: readonly number[],
  ): Promise<{ close(): Promise<void> }> {
    await codecsReady()
    const name = this.#name(topic)
    const cluster = new KafkaCluster(this.#options)
    const next: number[] = []
    try {
      await cluster.open(name)
      for (let p = 0; p < cluster.partitions(name); p++)
        next.push(from?.[p] ?? (await cluster.offset(name, p, 'end')))
    } catch (error) {
      await cluster.close()
      throw kafkaError(error, `following ${topic}`)
    }
    const busy = new Map<number, Promise<void>>()
    const failed = (error: unknown) => this.#observe({ type: 'failed', error })
    let open = true
    const fetcher = new KafkaFetcher({
      cluster,
      topic: name,
      name: topic,
      wanted: () => next.flatMap((at, partition) => (busy.has(partition) ? [] : [{ partition, from: at }])),
      take: fetched => {
        next[fetched.partition] = fetched.next
        // Only markers of transactions, or nothing that was asked for.
        if (fetched.messages.length === 0) return
        busy.set(fetched.partition, hand(fetched))
      },
      skipped: (partition, at, to) => this.#observe({ type: 'skipped', topic, partition, from: at, to }),
      failed,
    })
    const hand = async ({ partition, messages }: Fetched): Promise<void> => {
      for (const message of messages) {
        if (!open) break
        try {
          await take(message)
        } catch (error) {
          failed(error)
        }
      }
      busy.delete(partition)
      fetcher.wake()
    }
    fetcher.wake()
    return this.#keep({
      close: async () => {
        open = false
        await fetcher.stop()
        await Promise.all(busy.values())
        await cluster.close()
      },
    })
  }

  async check(): Promise<void> {
    await this.#cluster()
  }

  async close(): Promise<void> {
    const open = [...this.#open]
    this.#open.clear()
    await Promise.all(open.map(one => one.close()))
    await this.#shared?.close()
    this.#shared = undefined
  }

  /** Connections for short questions. */
  async #cluster(topic?: string): Promise<KafkaCluster> {
    this.#shared ??= new KafkaCluster(this.#options)
    const shared = this.#shared
    try {
      await shared.open(topic === undefined ? undefined : this.#name(topic))
      return shared
    } catch (error) {
      if (!isHopeless(error)) {
        // Others that waited for it fail as well, and whoever asked since has another one.
        if (this.#shared === shared) this.#shared = undefined
        await shared.close()
      }
      throw error
    }
  }

  async #writer(name?: string): Promise<{ cluster: KafkaCluster; writer: KafkaWriter }> {
    await codecsReady()
    const cluster = new KafkaCluster(this.#options)
    const {
      prefix,
      compression,
      maxMessageBytes = MESSAGE_BYTES_MAX,
      patienceMs = PATIENCE_MS,
    } = this.#options
    const slabs = this.#slabs
    const writer = new KafkaWriter(cluster, { prefix, compression, maxMessageBytes, patienceMs, slabs }, name)
    try {
      await cluster.open()
      await writer.open()
      return { cluster, writer }
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  #keep<T extends { close(): Promise<void> }>(one: T): T {
    const { close } = one
    one.close = () => {
      this.#open.delete(one)
      return close.call(one)
    }
    this.#open.add(one)
    return one
  }

  #name(name: string): string {
    return this.#options.prefix + name
  }

  #observe(event: StreamEvent): void {
    this.#options.observe?.(event)
  }
}

import { setTimeout as wait } from 'node:timers/promises'
import { ForeshockError } from '../core/errors.ts'
import type { StreamMessage } from '../core/stream.ts'
import { COMPRESSION, type Compression } from './kafka-codecs.ts'
import type { KafkaCluster } from './kafka-connection.ts'
import { errorType, isHopeless, kafkaError } from './kafka-errors.ts'
import { type ProducedBatch, produce } from './kafka-produce.ts'
import { partitionFor, validated } from './messages.ts'
import type { Slabs } from './slabs.ts'

/** A message and where it goes. */
export interface Send {
  readonly topic: string
  readonly message: StreamMessage
}

export interface WriterOptions {
  /** Stands before every topic. */
  readonly prefix: string
  readonly compression: Compression
  /** A send that cannot be had within this time rejects, ms. */
  readonly patienceMs: number
  /** Largest message, bytes before compression: `max.message.bytes` of the topics. */
  readonly maxMessageBytes: number
  /** What requests are put together in. */
  readonly slabs: Slabs
}

/** What Kafka knows a producer by. Sequence numbers count from 0 in each partition. */
interface Identity {
  readonly producerId: string
  readonly producerEpoch: number
  readonly sequences: Map<string, number>
}

/** Messages of one partition that are one batch of Kafka's. */
interface Batch {
  readonly topic: string
  readonly partition: number
  readonly messages: StreamMessage[]
  /** About, before compression. */
  bytes: number
}

/** A batch is closed at about this size, bytes before compression. */
const BATCH_BYTES = 512 * 1024
/** Kafka's own time limit of replication, ms. */
const ACK_MS = 15_000
const RECORD_OVERHEAD_BYTES = 70
/** Outcome of a transaction that Kafka is still writing down. */
const IN_PROGRESS = new Set(['CONCURRENT_TRANSACTIONS', 'GROUP_LOAD_IN_PROGRESS'])
/** A transaction open for longer is aborted by Kafka, ms. */
const TRANSACTION_MS = 60_000

/**
 * Writes batches so that each stands once, in order, whatever connections do: one request a partition at a time, the same
 * numbers when it is repeated (KIP-98). After a failure whose outcome is not known, a new identity is asked for.
 */
export class KafkaWriter {
  readonly #cluster: KafkaCluster
  readonly #options: WriterOptions
  readonly #name: string | undefined
  #identity: Identity | undefined

  /** With a name, the writer of transactions of that name. */
  constructor(cluster: KafkaCluster, options: WriterOptions, name?: string) {
    this.#cluster = cluster
    this.#options = options
    this.#name = name
  }

  /** Takes the identity; with a name, older writers of the name are shut out and what they left open is aborted. */
  async open(): Promise<void> {
    const name = this.#name
    this.#identity = await this.#patiently('opening a producer', async () => {
      const broker =
        name === undefined
          ? await this.#cluster.anyBroker()
          : await this.#cluster.transactionCoordinator(name)
      const identity = await broker.initProducerId({
        ...(name === undefined ? {} : { transactionalId: name }),
        transactionTimeout: TRANSACTION_MS,
      })
      return { ...identity, sequences: new Map() }
    })
  }

  /** Batches that messages make, in order. Rejects before anything is written when one of them cannot be. */
  async place(sends: readonly Send[]): Promise<Batch[]> {
    const open = new Map<string, Batch>()
    const batches: Batch[] = []
    const { prefix } = this.#options
    for (const name of new Set(sends.map(send => send.topic))) await this.#open(prefix + name)
    for (const { topic: name, message } of sends) {
      const topic = prefix + name
      const partition = partitionFor(topic, validated(message), this.#cluster.partitions(topic))
      const bytes = bytesOf(message)
      if (bytes > this.#options.maxMessageBytes) {
        throw new ForeshockError(
          'FS_INPUT_TOO_LARGE',
          `a message of ${bytes} bytes to ${topic}: ${this.#options.maxMessageBytes} are the most`,
        )
      }
      const place = `${topic}/${partition}`
      let batch = open.get(place)
      if (batch === undefined || batch.bytes + bytes > BATCH_BYTES) {
        batch = { topic, partition, messages: [], bytes: 0 }
        open.set(place, batch)
        batches.push(batch)
      }
      batch.messages.push(message)
      batch.bytes += bytes
    }
    return batches
  }

  /** Resolves when all in-sync replicas hold all of them. */
  async write(batches: readonly Batch[]): Promise<void> {
    if (this.#identity === undefined) await this.open()
    let waiting = [...batches]
    while (waiting.length > 0) {
      // One batch a partition at a time, so that order does not hang on what is repeated.
      const round = new Map<string, Batch>()
      const later: Batch[] = []
      for (const batch of waiting) {
        const place = `${batch.topic}/${batch.partition}`
        if (round.has(place)) later.push(batch)
        else round.set(place, batch)
      }
      await this.#writeRound([...round.values()])
      waiting = later
    }
  }

  /** Writes all of them or none. */
  async transact(batches: readonly Batch[]): Promise<void> {
    const name = this.#name
    if (name === undefined) throw new ForeshockError('FS_ASSERTION', 'this writer makes no transactions')
    if (this.#identity === undefined) throw fenced(name)
    if (batches.length === 0) return
    try {
      await this.#join(name, batches)
      await this.write(batches)
    } catch (error) {
      // What was sent may still arrive and be taken for the next: this identity writes nothing more.
      if (!isFenced(error)) await this.#end(name, false).catch(() => {})
      this.forget()
      throw error
    }
    await this.#end(name, true)
  }

  /** After a failure: what comes next cannot be confused with what may still be on its way. */
  forget(): void {
    this.#identity = undefined
  }

  async #open(topic: string): Promise<void> {
    await this.#patiently(`looking for topic ${topic}`, () => this.#cluster.open(topic))
  }

  async #join(name: string, batches: readonly Batch[]): Promise<void> {
    const byTopic = new Map<string, Set<number>>()
    for (const { topic, partition } of batches) {
      byTopic.set(topic, (byTopic.get(topic) ?? new Set()).add(partition))
    }
    const topics = [...byTopic].map(([topic, partitions]) => ({ topic, partitions: [...partitions] }))
    await this.#patiently('opening a transaction', async () => {
      const coordinator = await this.#cluster.transactionCoordinator(name)
      const { producerId, producerEpoch } = this.#current()
      await coordinator.addPartitionsToTxn({ transactionalId: name, producerId, producerEpoch, topics })
    })
  }

  /** The outcome is repeated until it is known: nobody could say otherwise whether the messages stand. */
  async #end(name: string, commit: boolean): Promise<void> {
    const { producerId, producerEpoch } = this.#current()
    for (let failures = 0; ; failures++) {
      try {
        const coordinator = await this.#cluster.transactionCoordinator(name)
        await coordinator.endTxn({
          transactionalId: name,
          producerId,
          producerEpoch,
          transactionResult: commit,
        })
        return
      } catch (error) {
        if (isHopeless(error) || this.#cluster.closed || (!commit && failures > 3)) {
          this.forget()
          throw kafkaError(error, commit ? 'committing a transaction' : 'aborting a transaction')
        }
        if (IN_PROGRESS.has(errorType(error))) await wait(shortMs(failures))
        else await this.#cluster.recover(error, failures)
      }
    }
  }

  #current(): Identity {
    if (this.#identity === undefined) throw fenced(this.#name ?? '')
    return this.#identity
  }

  async #writeRound(batches: readonly Batch[]): Promise<void> {
    let waiting = [...batches]
    await this.#patiently('writing', async () => {
      const byLeader = new Map<number, Batch[]>()
      for (const batch of waiting) {
        const leader = this.#cluster.leaders(batch.topic).get(batch.partition) ?? -1
        byLeader.set(leader, [...(byLeader.get(leader) ?? []), batch])
      }
      const groups = [...byLeader.entries()]
      const results = await Promise.allSettled(groups.map(([leader, group]) => this.#produce(leader, group)))
      const failed = results.findIndex(({ status }) => status === 'rejected')
      waiting = groups.flatMap(([, group], i) => (results[i].status === 'fulfilled' ? [] : group))
      if (failed >= 0) throw (results[failed] as PromiseRejectedResult).reason
    })
  }

  async #produce(leader: number, batches: readonly Batch[]): Promise<void> {
    const { producerId, producerEpoch, sequences } = this.#current()
    const topics = new Map<string, ProducedBatch[]>()
    const codec = COMPRESSION[this.#options.compression]
    const isTransactional = this.#name !== undefined
    let bytes = 0
    for (const batch of batches) {
      const { topic, partition, messages } = batch
      const list = topics.get(topic) ?? []
      topics.set(topic, list)
      list.push({
        partition,
        messages,
        codec,
        isTransactional,
        producerId: BigInt(producerId),
        producerEpoch,
        firstSequence: sequences.get(`${topic}/${partition}`) ?? 0,
      })
      bytes += batch.bytes
    }
    const plan = { transactionalId: this.#name, waitMs: ACK_MS, topics, bytes }
    await produce(await this.#cluster.broker(leader), plan, this.#options.slabs)
    for (const { topic, partition, messages } of batches) {
      const place = `${topic}/${partition}`
      // Kafka counts them in 31 bits and begins at 0 again.
      sequences.set(place, ((sequences.get(place) ?? 0) + messages.length) % 0x8000_0000)
    }
  }

  async #patiently<T>(doing: string, attempt: () => Promise<T>): Promise<T> {
    const end = performance.now() + this.#options.patienceMs
    for (let failures = 0; ; failures++) {
      try {
        return await attempt()
      } catch (error) {
        if (isHopeless(error) || this.#cluster.closed || performance.now() > end)
          throw kafkaError(error, doing)
        if (IN_PROGRESS.has(errorType(error))) await wait(shortMs(failures))
        else await this.#cluster.recover(error, failures)
      }
    }
  }
}

/** Kafka ends a transaction within milliseconds. */
const shortMs = (failures: number): number => Math.min(5 * 2 ** Math.min(failures, 6), 250)

const isFenced = (error: unknown): boolean => error instanceof ForeshockError && error.code === 'FS_FENCED'

const fenced = (name: string): ForeshockError =>
  new ForeshockError('FS_FENCED', `transactor ${name} was opened by another process, or has failed`)

function bytesOf({ key, value, headers }: StreamMessage): number {
  let bytes = RECORD_OVERHEAD_BYTES + value.length + (key === null ? 0 : Buffer.byteLength(key))
  for (const name in headers) bytes += 2 * (name.length + headers[name].length) + 4
  return bytes
}

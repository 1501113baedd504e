import { ForeshockError } from '../core/errors.ts'
import type {
  GroupOptions,
  PartitionOwner,
  StoredMessage,
  StreamGroup,
  StreamMessage,
  StreamProducer,
  Streams,
  StreamTransactor,
} from '../core/stream.ts'
import { type Candidate, wantedOwners } from './assignment.ts'
import { missingTopic, partitionFor, validated } from './messages.ts'
import { PartitionWorker } from './partition-worker.ts'

/** Most messages handed over at once. */
const BATCH_MAX = 500

export interface MemoryLogOptions {
  /** Partitions by topic. */
  readonly topics: Readonly<Record<string, number>>
}

/**
 * A log in memory that the `MemoryStreams` of one process share as several processes share Kafka. Groups, fencing and
 * order are as there; nothing survives the process.
 */
export class MemoryLog {
  readonly #topics = new Map<string, StoredMessage[][]>()
  readonly #epochs = new Map<string, number>()
  readonly #groups = new Map<string, MemoryGroup>()
  readonly #listeners = new Set<() => void>()
  #reachable = true

  constructor({ topics }: MemoryLogOptions) {
    for (const [topic, partitions] of Object.entries(topics))
      this.#topics.set(
        topic,
        Array.from({ length: partitions }, () => []),
      )
  }

  /** Whether the engine answers; while it does not, calls reject with FS_IO and nothing is delivered. */
  get reachable(): boolean {
    return this.#reachable
  }

  set reachable(value: boolean) {
    this.#reachable = value
    this.notify()
  }

  has(topic: string): boolean {
    return this.#topics.has(topic)
  }

  topic(name: string): StoredMessage[][] {
    if (!this.#reachable) throw new ForeshockError('FS_IO', 'the log in memory is switched off')
    const found = this.#topics.get(name)
    if (found === undefined) throw missingTopic(name)
    return found
  }

  append(sends: readonly { readonly topic: string; readonly message: StreamMessage }[]): void {
    const placed = sends.map(({ topic, message }) => {
      const partitions = this.topic(topic)
      return { topic, log: partitions, partition: partitionFor(topic, message, partitions.length), message }
    })
    for (const { topic, log, partition, message } of placed) {
      const { key, headers, timestampMs } = validated(message)
      const value = Uint8Array.from(message.value)
      const offset = log[partition].length
      log[partition].push({
        topic,
        partition,
        offset,
        key,
        value,
        headers: { ...headers },
        timestampMs: Math.floor(timestampMs),
      })
    }
    this.notify()
  }

  /** Opens a name of a transactor: the epoch that may write from here on. */
  open(name: string): number {
    const epoch = (this.#epochs.get(name) ?? 0) + 1
    this.#epochs.set(name, epoch)
    return epoch
  }

  epoch(name: string): number | undefined {
    return this.#epochs.get(name)
  }

  group(topic: string, name: string): MemoryGroup {
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = new MemoryGroup(this, topic)
      this.#groups.set(name, group)
    }
    if (group.topic !== topic)
      throw new ForeshockError('FS_ASSERTION', `group ${name} reads ${group.topic}, not ${topic}`)
    return group
  }

  /** How far a group has said it is, by partition. */
  committed(group: string): ReadonlyMap<number, number> {
    return this.#groups.get(group)?.offsets ?? new Map()
  }

  /** A member is taken for dead, as one that is silent for too long: others get its partitions at once. */
  expire(group: string, member: string): Promise<void> {
    return this.#groups.get(group)?.expire(member) ?? Promise.resolve()
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  notify(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}

/** The members that share a topic's partitions. Changes of membership are settled one after the other. */
class MemoryGroup {
  readonly topic: string
  readonly offsets = new Map<number, number>()
  readonly #log: MemoryLog
  readonly #members: MemoryMember[] = []
  #settling: Promise<void> = Promise.resolve()
  #joined = 0

  constructor(log: MemoryLog, topic: string) {
    this.#log = log
    this.topic = topic
  }

  join(member: MemoryMember): Promise<void> {
    const partitions = this.#log.topic(this.topic).length
    return this.#settle(async () => {
      member.id = `${member.name}-${++this.#joined}`
      this.#members.push(member)
      await this.#rebalance(partitions)
    })
  }

  leave(member: MemoryMember): Promise<void> {
    return this.#settle(async () => {
      await member.release([], true)
      const at = this.#members.indexOf(member)
      if (at >= 0) this.#members.splice(at, 1)
      if (this.#members.length > 0) await this.#rebalance(this.#log.topic(this.topic).length)
    })
  }

  expire(name: string): Promise<void> {
    return this.#settle(async () => {
      const at = this.#members.findIndex(member => member.name === name)
      if (at < 0) return
      const [member] = this.#members.splice(at, 1)
      void member.release([], false)
      if (this.#members.length > 0) await this.#rebalance(this.#log.topic(this.topic).length)
    })
  }

  async #rebalance(partitions: number): Promise<void> {
    const candidates = this.#members.map((one): Candidate => ({ id: one.id, name: one.name, owned: [] }))
    const wanted = wantedOwners(candidates, partitions)
    for (const member of this.#members) await member.release(wanted.get(member.id) ?? [], true)
    for (const member of this.#members) member.acquire(wanted.get(member.id) ?? [])
  }

  #settle(change: () => Promise<void>): Promise<void> {
    const done = this.#settling.then(change)
    this.#settling = done.catch(() => {})
    return done
  }
}

class MemoryMember implements StreamGroup {
  readonly name: string
  id = ''
  readonly #log: MemoryLog
  readonly #group: MemoryGroup
  readonly #lends: boolean
  readonly #failed: (error: unknown) => void
  readonly #workers = new Map<number, PartitionWorker>()
  readonly #paused = new Set<number>()
  /** Being let go in order: held until that is done. */
  readonly #leaving = new Set<number>()
  #owner: PartitionOwner | undefined
  #unlisten: () => void = () => {}

  constructor(log: MemoryLog, options: GroupOptions, failed: (error: unknown) => void) {
    const { topic, group, member, lends = false } = options
    this.#log = log
    this.#lends = lends
    this.#failed = failed
    this.name = member
    this.#group = log.group(topic, group)
  }

  get partitions(): readonly number[] {
    return [...this.#workers.keys()].sort((a, b) => a - b)
  }

  async run(owner: PartitionOwner): Promise<void> {
    if (this.#owner !== undefined) throw new ForeshockError('FS_ASSERTION', 'a member runs once')
    this.#owner = owner
    this.#unlisten = this.#log.listen(() => this.#pump())
    await this.#group.join(this)
  }

  async commit(partition: number, nextOffset: number): Promise<void> {
    this.#log.topic(this.#group.topic)
    if (!this.#workers.has(partition) && !this.#leaving.has(partition)) {
      throw new ForeshockError('FS_FENCED', `partition ${partition} is no longer held by ${this.name}`)
    }
    this.#group.offsets.set(partition, nextOffset)
  }

  async committed(partition: number): Promise<number | undefined> {
    this.#log.topic(this.#group.topic)
    return this.#group.offsets.get(partition)
  }

  pause(partition: number): void {
    this.#paused.add(partition)
    this.#workers.get(partition)?.pause()
  }

  resume(partition: number): void {
    this.#paused.delete(partition)
    this.#workers.get(partition)?.resume()
  }

  async close(): Promise<void> {
    if (this.#owner === undefined) return
    await this.#group.leave(this)
    this.#unlisten()
  }

  /** Lets go of all but those given; resolves when the owner knows. */
  async release(kept: readonly number[], orderly: boolean): Promise<void> {
    const going = [...this.#workers.values()].filter(one => !kept.includes(one.partition))
    for (const { partition } of going) {
      this.#workers.delete(partition)
      this.#paused.delete(partition)
      if (orderly) this.#leaving.add(partition)
    }
    await Promise.all(going.map(one => one.stop(orderly)))
    for (const { partition } of going) this.#leaving.delete(partition)
  }

  acquire(partitions: readonly number[]): void {
    for (const partition of partitions) {
      if (this.#workers.has(partition) || this.#owner === undefined) continue
      const worker = new PartitionWorker({
        partition,
        owner: this.#owner,
        wanted: () => this.#pump(),
        failed: this.#failed,
      })
      this.#workers.set(partition, worker)
    }
  }

  #pump(): void {
    if (!this.#log.reachable) return
    const topic = this.#log.topic(this.#group.topic)
    for (const worker of this.#workers.values()) {
      const log = topic[worker.partition]
      for (let from = worker.position; from !== undefined; from = worker.position) {
        const at = from === 'first' ? 0 : from
        if (at >= log.length) break
        const messages = log.slice(at, at + BATCH_MAX)
        const next = at + messages.length
        if (this.#lends) offerLent(worker, from, messages, next, log.length)
        else worker.offer(from, messages, next, log.length)
      }
    }
  }
}

/** Values that are lent are written over afterwards here too, so that whoever keeps one finds out in memory already. */
function offerLent(
  worker: PartitionWorker,
  from: number | 'first',
  messages: readonly StoredMessage[],
  next: number,
  end: number,
): void {
  const lent = messages.map(message => ({ ...message, value: new Uint8Array(message.value) }))
  worker.offer(from, lent, next, end, () => {
    for (const { value } of lent) value.fill(0xdb)
  })
}

/** `Streams` over a log in memory: one of them is what one process of a fleet has. */
export class MemoryStreams implements Streams {
  readonly #log: MemoryLog
  readonly #failed: (error: unknown) => void
  readonly #open = new Set<{ close(): Promise<void> }>()

  constructor(log: MemoryLog, { failed = () => {} }: { failed?: (error: unknown) => void } = {}) {
    this.#log = log
    this.#failed = failed
  }

  async partitions(topic: string): Promise<number> {
    return this.#log.topic(topic).length
  }

  async range(topic: string, partition: number): Promise<{ first: number; end: number }> {
    return { first: 0, end: this.#log.topic(topic)[partition].length }
  }

  async producer(): Promise<StreamProducer> {
    let open = true
    return {
      send: async (topic, messages) => {
        if (!open) throw new ForeshockError('FS_IO', 'this producer is closed')
        this.#log.append(messages.map(message => ({ topic, message })))
      },
      close: async () => {
        open = false
      },
    }
  }

  async transactor(name: string): Promise<StreamTransactor> {
    const epoch = this.#log.open(name)
    return {
      send: async sends => {
        if (this.#log.epoch(name) !== epoch)
          throw new ForeshockError('FS_FENCED', `transactor ${name} was opened by another process`)
        this.#log.append(sends)
      },
      close: async () => {},
    }
  }

  group(options: GroupOptions): StreamGroup {
    const member = new MemoryMember(this.#log, options, this.#failed)
    this.#open.add(member)
    return member
  }

  read(topic: string, partition: number, from: number): AsyncIterable<StoredMessage> {
    const log = this.#log
    const known = log.reachable && log.has(topic)
    const end = known ? log.topic(topic)[partition].length : 0
    return {
      async *[Symbol.asyncIterator]() {
        const messages = log.topic(topic)[partition]
        for (let offset = Math.max(0, from); offset < end; offset++) yield messages[offset]
      },
    }
  }

  async follow(
    topic: string,
    take: (message: StoredMessage) => Promise<void> | void,
    from?: readonly number[],
  ): Promise<{ close(): Promise<void> }> {
    const partitions = this.#log.topic(topic)
    const next = partitions.map((log, p) => from?.[p] ?? log.length)
    let open = true
    let running = Promise.resolve()
    const drain = async (): Promise<void> => {
      for (let p = 0; p < partitions.length; p++) {
        while (open && this.#log.reachable && next[p] < partitions[p].length) {
          const message = partitions[p][next[p]++]
          await (async () => take(message))().catch(this.#failed)
        }
      }
    }
    const pump = () => {
      running = running.then(drain)
    }
    const unlisten = this.#log.listen(pump)
    const follower = {
      close: async () => {
        open = false
        unlisten()
        this.#open.delete(follower)
        await running
      },
    }
    this.#open.add(follower)
    pump()
    return follower
  }

  async check(): Promise<void> {
    if (!this.#log.reachable) throw new ForeshockError('FS_IO', 'the log in memory is switched off')
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map(one => one.close()))
    this.#open.clear()
  }
}

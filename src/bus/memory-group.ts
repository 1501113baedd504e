import type { GroupOptions, PartitionOwner, StoredMessage, StreamGroup } from '../core/stream.ts'
import { type Candidate, wantedOwners } from './assignment.ts'
import { HeldPartitions } from './held-partitions.ts'
import type { MemoryLog } from './memory-log.ts'
import type { PartitionWorker } from './partition-worker.ts'

/** Most messages handed over at once. */
const BATCH_MAX = 500

/** The members that share a topic's partitions. Changes of membership are settled one after the other. */
export class MemoryGroup {
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

/** A member of a group of the log in memory. */
export class MemoryMember implements StreamGroup {
  readonly name: string
  id = ''
  readonly #log: MemoryLog
  readonly #group: MemoryGroup
  readonly #lends: boolean
  readonly #held: HeldPartitions
  #unlisten: () => void = () => {}

  constructor(log: MemoryLog, options: GroupOptions, failed: (error: unknown) => void) {
    const { topic, group, member, lends = false } = options
    this.#log = log
    this.#lends = lends
    this.name = member
    this.#group = log.group(topic, group)
    this.#held = new HeldPartitions({ member, failed, wanted: () => this.#pump() })
  }

  get partitions(): readonly number[] {
    return this.#held.partitions
  }

  async run(owner: PartitionOwner): Promise<void> {
    this.#held.run(owner)
    this.#unlisten = this.#log.listen(() => this.#pump())
    await this.#group.join(this)
  }

  async commit(partition: number, nextOffset: number): Promise<void> {
    this.#log.topic(this.#group.topic)
    this.#held.fence(partition)
    this.#group.offsets.set(partition, nextOffset)
  }

  async committed(partition: number): Promise<number | undefined> {
    this.#log.topic(this.#group.topic)
    return this.#group.offsets.get(partition)
  }

  pause(partition: number): void {
    this.#held.pause(partition)
  }

  resume(partition: number): void {
    this.#held.resume(partition)
  }

  async close(): Promise<void> {
    if (!this.#held.isRunning) return
    await this.#group.leave(this)
    this.#unlisten()
  }

  /** Lets go of all but those given; resolves when the owner knows. */
  async release(kept: readonly number[], orderly: boolean): Promise<void> {
    const going = this.#held.partitions.filter(partition => !kept.includes(partition))
    await Promise.all(going.map(partition => this.#held.letGo(partition, orderly)))
  }

  acquire(partitions: readonly number[]): void {
    this.#held.takeUp(partitions)
  }

  #pump(): void {
    if (!this.#log.reachable) return
    const topic = this.#log.topic(this.#group.topic)
    for (const worker of this.#held.workers()) {
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

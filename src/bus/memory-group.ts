import { ForeshockError } from '../core/errors.ts'
import type { GroupOptions, PartitionOwner, StoredMessage, StreamGroup } from '../core/stream.ts'
import { type Candidate, wantedOwners } from './assignment.ts'
import type { MemoryLog } from './memory-log.ts'
import { PartitionWorker } from './partition-worker.ts'

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

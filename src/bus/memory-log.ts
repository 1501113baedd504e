import { ForeshockError } from '../core/errors.ts'
import type { StoredMessage, StreamMessage } from '../core/stream.ts'
import { MemoryGroup } from './memory-group.ts'
import { missingTopic, partitionFor, validated } from './messages.ts'

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

import { ForeshockError } from '../core/errors.ts'
import type { PartitionOwner } from '../core/stream.ts'
import { PartitionWorker, type WorkerOptions } from './partition-worker.ts'

export interface HeldOptions extends Omit<WorkerOptions, 'partition' | 'owner'> {
  /** Name of the member. */
  readonly member: string
}

/** The partitions that a member of a group holds, each in a worker's hands, and those it is letting go. */
export class HeldPartitions {
  readonly #options: HeldOptions
  readonly #workers = new Map<number, PartitionWorker>()
  /** Partitions being let go, with who does; `orderly` ones count as held until that is done. */
  readonly #leaving = new Map<number, { readonly worker: PartitionWorker; orderly: boolean }>()
  readonly #paused = new Set<number>()
  #owner: PartitionOwner | undefined

  constructor(options: HeldOptions) {
    this.#options = options
  }

  /** From now on partitions are taken up for the owner. */
  run(owner: PartitionOwner): void {
    if (this.#owner !== undefined) throw new ForeshockError('FS_ASSERTION', 'a member runs once')
    this.#owner = owner
  }

  get isRunning(): boolean {
    return this.#owner !== undefined
  }

  get isLettingGo(): boolean {
    return this.#leaving.size > 0
  }

  get partitions(): readonly number[] {
    return [...this.#workers.keys()].sort((a, b) => a - b)
  }

  /** Those that nobody else may be given yet. */
  get owned(): readonly number[] {
    const held = [...this.#leaving].filter(([, { orderly }]) => orderly).map(([partition]) => partition)
    return [...this.#workers.keys(), ...held]
  }

  workers(): IterableIterator<PartitionWorker> {
    return this.#workers.values()
  }

  worker(partition: number): PartitionWorker | undefined {
    return this.#workers.get(partition)
  }

  /** Throws FS_FENCED where the partition is no longer held. */
  fence(partition: number): void {
    if (this.#workers.has(partition) || this.#leaving.get(partition)?.orderly) return
    const { member } = this.#options
    throw new ForeshockError('FS_FENCED', `partition ${partition} is no longer held by ${member}`)
  }

  pause(partition: number): void {
    this.#paused.add(partition)
    this.#workers.get(partition)?.pause()
  }

  resume(partition: number): void {
    this.#paused.delete(partition)
    this.#workers.get(partition)?.resume()
  }

  /** Begins with those that are not held already, or still being let go. */
  takeUp(partitions: Iterable<number>): void {
    const owner = this.#owner
    if (owner === undefined) return
    for (const partition of partitions) {
      if (this.#workers.has(partition) || this.#leaving.has(partition)) continue
      const worker = new PartitionWorker({ ...this.#options, partition, owner })
      this.#workers.set(partition, worker)
      if (this.#paused.has(partition)) worker.pause()
    }
  }

  /** Resolves when the owner knows. `orderly`: nobody else holds it yet; of one that is being let go that may cease to be so. */
  async letGo(partition: number, orderly: boolean): Promise<void> {
    const leaving = this.#leaving.get(partition)
    if (leaving !== undefined) {
      leaving.orderly &&= orderly
      await leaving.worker.stop(orderly)
      return
    }
    const worker = this.#workers.get(partition)
    if (worker === undefined) return
    this.#workers.delete(partition)
    this.#paused.delete(partition)
    this.#leaving.set(partition, { worker, orderly })
    await worker.stop(orderly)
    this.#leaving.delete(partition)
  }
}

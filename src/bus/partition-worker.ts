import { setTimeout as wait } from 'node:timers/promises'
import type { PartitionOwner, StoredMessage } from '../core/stream.ts'

/** Batches that wait behind the one that is taken: one is being fetched while the other is worked on. */
const QUEUED_MAX = 2
/** An owner that fails is given its partition anew after this long, doubled each time, ms. */
const RETRY_FIRST_MS = 200
const RETRY_MAX_MS = 15_000

interface Batch {
  readonly messages: readonly StoredMessage[]
  readonly end: number
  readonly giveBack: (() => void) | undefined
}

export interface WorkerOptions {
  readonly partition: number
  readonly owner: PartitionOwner
  /** There is room again: fetch. */
  readonly wanted: () => void
  readonly failed: (error: unknown) => void
  /** Asked before each `take`: false when it is not certain that this member still holds the partition. */
  readonly sure?: () => Promise<boolean>
}

/**
 * One partition in one owner's hands: restores, hands over batches one at a time, and begins anew where the owner says
 * when it fails. Whoever fetches asks `position` and brings `offer`.
 */
export class PartitionWorker {
  readonly partition: number
  readonly #options: WorkerOptions
  readonly #queue: Batch[] = []
  readonly #stop = new AbortController()
  readonly #done: Promise<void>
  #position: number | 'first' | undefined
  #paused = false
  #orderly = true
  /** The owner was asked to restore, and has to be told when the partition goes. */
  #given = false
  #wake: () => void = () => {}

  constructor(options: WorkerOptions) {
    this.#options = options
    this.partition = options.partition
    this.#done = this.#run()
  }

  /** Where to fetch from; undefined while nothing is wanted. */
  get position(): number | 'first' | undefined {
    if (this.#stop.signal.aborted || this.#paused || this.#queue.length >= QUEUED_MAX) return undefined
    return this.#position
  }

  /** Brings what was fetched from `from`. Does nothing when that is no longer where this one stands. */
  offer(
    from: number | 'first',
    messages: readonly StoredMessage[],
    next: number,
    end: number,
    giveBack?: () => void,
  ): void {
    const isAwaited = !this.#stop.signal.aborted && this.#position === from
    if (isAwaited) this.#position = next
    if (isAwaited && messages.length > 0) {
      this.#queue.push({ messages, end, giveBack })
      this.#wake()
    } else giveBack?.()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#wake()
    this.#options.wanted()
  }

  /** Ends after what is being taken, or where its owner would rather stop; resolves when the owner knows. `orderly`: nobody else holds it yet. */
  stop(orderly: boolean): Promise<void> {
    this.#orderly &&= orderly
    if (!this.#stop.signal.aborted) this.#options.owner.leaving?.(this.partition)
    this.#stop.abort()
    this.#wake()
    return this.#done
  }

  async #run(): Promise<void> {
    const { partition, owner, failed } = this.#options
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      try {
        this.#given = true
        this.#queue.length = 0
        this.#position = await owner.assigned(partition)
        this.#options.wanted()
        await this.#serve(() => {
          failures = 0
        })
      } catch (error) {
        this.#position = undefined
        failed(error)
        // What the owner has now may lie between two messages' states: nothing of it is to be saved.
        await this.#letGo(false)
        if (this.#stop.signal.aborted) break
        const delay = Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures++, 20), RETRY_MAX_MS)
        await wait(delay, undefined, { signal: this.#stop.signal }).catch(() => {})
      }
    }
    this.#queue.length = 0
    await this.#letGo(this.#orderly)
  }

  async #serve(progressed: () => void): Promise<void> {
    const { partition, owner, wanted, sure } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      const batch = this.#paused ? undefined : this.#queue[0]
      if (batch === undefined) {
        await new Promise<void>(wake => {
          this.#wake = wake
        })
        continue
      }
      if (sure !== undefined && !(await sure())) continue
      if (signal.aborted || this.#paused) continue
      this.#queue.shift()
      wanted()
      await owner.take(partition, batch.messages, batch.end)
      batch.giveBack?.()
      progressed()
    }
  }

  async #letGo(orderly: boolean): Promise<void> {
    if (!this.#given) return
    this.#given = false
    try {
      await this.#options.owner.revoked(this.partition, orderly)
    } catch (error) {
      this.#options.failed(error)
    }
  }
}

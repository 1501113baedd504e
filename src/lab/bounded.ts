/**
 * A bounded resource: so many slots, a queue of bounded length, a bounded wait. Whoever finds it exhausted is
 * refused, which is how a shortage in one service becomes errors and latency in its callers.
 */
export class Refused extends Error {
  readonly status = 503
}

interface Waiter {
  readonly admit: () => void
  readonly timer: NodeJS.Timeout
}

export interface BoundedUse {
  /** Slots held, averaged over the time since the last reading. */
  readonly inUseMean: number
  /** Longest queue since the last reading. */
  readonly queueMax: number
}

export class Bounded {
  readonly #slots: number
  readonly #queueMax: number
  readonly #waitMsMax: number
  readonly #queue: Waiter[] = []
  #inUse = 0
  #leaked = 0
  #heldMs = 0
  #longest = 0
  #readAtMs = performance.now()
  #changedAtMs = this.#readAtMs

  constructor(slots: number, queueMax: number, waitMsMax: number) {
    this.#slots = slots
    this.#queueMax = queueMax
    this.#waitMsMax = waitMsMax
  }

  /** Resolves when a slot is held; rejects with `Refused` when the queue is full or the wait too long. */
  async acquire(): Promise<void> {
    if (this.#inUse < this.#slots) {
      this.#change(1)
      return
    }
    if (this.#queue.length >= this.#queueMax) throw new Refused('the queue is full')
    await new Promise<void>((admit, refuse) => {
      const timer = setTimeout(() => {
        const at = this.#queue.findIndex(waiter => waiter.timer === timer)
        if (at >= 0) this.#queue.splice(at, 1)
        refuse(new Refused('no slot became free in time'))
      }, this.#waitMsMax)
      this.#queue.push({ admit, timer })
      this.#longest = Math.max(this.#longest, this.#queue.length)
    })
  }

  release(): void {
    const next = this.#queue.shift()
    if (next) {
      clearTimeout(next.timer)
      next.admit()
    } else this.#change(-1)
  }

  /** Forgets to release: the slot stays taken until `reclaim`. */
  leak(): void {
    this.#leaked++
  }

  reclaim(): void {
    for (; this.#leaked > 0; this.#leaked--) this.release()
  }

  /** Reads and starts the next interval. */
  use(): BoundedUse {
    this.#change(0)
    const elapsedMs = Math.max(1, this.#changedAtMs - this.#readAtMs)
    const use = { inUseMean: this.#heldMs / elapsedMs, queueMax: this.#longest }
    this.#heldMs = 0
    this.#longest = this.#queue.length
    this.#readAtMs = this.#changedAtMs
    return use
  }

  #change(by: number): void {
    const nowMs = performance.now()
    this.#heldMs += this.#inUse * (nowMs - this.#changedAtMs)
    this.#changedAtMs = nowMs
    this.#inUse += by
  }
}

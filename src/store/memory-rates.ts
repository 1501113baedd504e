import { type Clock, steadyClock } from '../core/clock.ts'
import type { RateCounter } from '../core/ports.ts'

/** Keys held; beyond them the one that began longest ago starts anew. */
const KEYS_MAX = 50_000

/** Rates counted by one process: of a fleet in one process, and of a gateway that is cut off from the others. */
export class MemoryRates implements RateCounter {
  readonly #clock: Clock
  readonly #windows = new Map<string, { count: number; readonly endMs: number }>()

  /** `clock`: time that only passes, ms: a wall clock that is set back would count for as much longer. */
  constructor(options: { readonly clock?: Clock } = {}) {
    this.#clock = options.clock ?? steadyClock
  }

  async count(key: string, windowMs: number): Promise<{ count: number; leftMs: number }> {
    const nowMs = this.#clock()
    let window = this.#windows.get(key)
    if (!window || window.endMs <= nowMs) {
      window = { count: 0, endMs: nowMs + windowMs }
      this.#windows.delete(key)
      this.#windows.set(key, window)
      if (this.#windows.size > KEYS_MAX) this.#windows.delete(this.#windows.keys().next().value as string)
    }
    window.count++
    return { count: window.count, leftMs: window.endMs - nowMs }
  }

  async close(): Promise<void> {}
}

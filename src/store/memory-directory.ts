import { type Clock, systemClock } from '../core/clock.ts'
import type { Directory } from '../core/ports.ts'

/** The directory of fleets in one process. */
export class MemoryDirectory implements Directory {
  readonly #clock: Clock
  readonly #urls = new Map<string, { readonly url: string; readonly untilMs: number }>()

  constructor(options: { readonly clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock
  }

  async announce(part: string, url: string, ttlMs: number): Promise<void> {
    this.#urls.set(part, { url, untilMs: this.#clock() + ttlMs })
  }

  async find(part: string): Promise<string | undefined> {
    const found = this.#urls.get(part)
    return found && found.untilMs > this.#clock() ? found.url : undefined
  }

  async close(): Promise<void> {}
}

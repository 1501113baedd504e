import { type Clock, systemClock } from '../core/clock.ts'
import type { Disruption } from '../core/disruption.ts'
import type { Board, BoardShard } from '../core/ports.ts'
import { compareOnBoard, GONE_MS, STALE_MS } from './board-order.ts'

/** The board of fleets in one process. */
export class MemoryBoard implements Board {
  readonly #clock: Clock
  readonly #shards = new Map<string, { readonly atMs: number; readonly disruptions: readonly Disruption[] }>()

  constructor(options: { readonly clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock
  }

  async publish(shard: string, disruptions: readonly Disruption[]): Promise<void> {
    this.#shards.set(shard, { atMs: this.#clock(), disruptions: structuredClone(disruptions) })
  }

  async list(tenant?: string): Promise<readonly Disruption[]> {
    this.#forget()
    return [...this.#shards.values()]
      .flatMap(({ disruptions }) => disruptions)
      .filter(disruption => tenant === undefined || disruption.tenant === tenant)
      .sort(compareOnBoard)
  }

  async shards(): Promise<readonly BoardShard[]> {
    this.#forget()
    const nowMs = this.#clock()
    return [...this.#shards]
      .map(([shard, { atMs }]) => ({ shard, ageMs: nowMs - atMs, isStale: nowMs - atMs > STALE_MS }))
      .sort((a, b) => (a.shard < b.shard ? -1 : 1))
  }

  async close(): Promise<void> {}

  #forget(): void {
    for (const [shard, { atMs }] of this.#shards)
      if (this.#clock() - atMs > GONE_MS) this.#shards.delete(shard)
  }
}

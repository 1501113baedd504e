import { type SeriesTable, seriesHead } from '../core/series.ts'
import { Pace } from './pace.ts'

export interface EntityCount {
  readonly entity: string
  readonly tenant: string
  series: number
}

/** A count is used again for this long, ms, and for so many times as long as it took: with many series it takes seconds. */
const KEPT_MS = 2000
const KEPT_TIMES = 20

/** Entities of all tenants with the series each has: counted by a walk over all series, which lets others in between. */
export class EntityCounts {
  /** Asked at each count: what is held here may have moved. */
  readonly #series: () => SeriesTable
  readonly #clock: () => number
  #counted: Promise<readonly EntityCount[]> | undefined
  #untilMs = Number.NEGATIVE_INFINITY
  #fromMs = 0

  constructor(series: () => SeriesTable, clock: () => number) {
    this.#series = series
    this.#clock = clock
  }

  /** By name, then tenant. Whoever asks while it is being counted gets the same answer. */
  all(): Promise<readonly EntityCount[]> {
    const now = this.#clock()
    if (this.#counted === undefined || now > this.#untilMs || now < this.#fromMs) {
      this.#fromMs = now
      this.#untilMs = Number.POSITIVE_INFINITY
      this.#counted = this.#count().catch(error => {
        this.#counted = undefined
        throw error
      })
    }
    return this.#counted
  }

  async #count(): Promise<EntityCount[]> {
    const counts = new Map<string, Map<string, EntityCount>>()
    const head = seriesHead()
    const pace = new Pace()
    const series = this.#series()
    for (let row = 0; row < series.capacity; row++) {
      if (pace.isDue()) await pace.rest()
      if (!series.head(row, head)) continue
      const { tenant, entity } = head
      let own = counts.get(tenant)
      if (!own) {
        own = new Map()
        counts.set(tenant, own)
      }
      const count = own.get(entity)
      if (count === undefined) own.set(entity, { entity, tenant, series: 1 })
      else count.series++
    }
    const out = [...counts.values()].flatMap(own => [...own.values()])
    out.sort((a, b) =>
      a.entity !== b.entity ? (a.entity < b.entity ? -1 : 1) : a.tenant < b.tenant ? -1 : 1,
    )
    const now = this.#clock()
    this.#untilMs = now + Math.max(KEPT_MS, KEPT_TIMES * (now - this.#fromMs))
    return out
  }
}

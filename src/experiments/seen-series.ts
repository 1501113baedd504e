import type { PairedScores } from '../core/model.ts'
import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import { fillFrom, textOf } from './column-text.ts'
import type { UnitMaxima } from './unit-maxima.ts'

/** Series of which is remembered what labels need; beyond that they are counted only. */
const SERIES_MAX = 20_000
const NONE = -1

export interface SavedSeries {
  readonly series: readonly (readonly [key: string, entity: string, tenant: string])[]
  readonly columns: Readonly<Record<'unit' | 'champion' | 'challenger' | 'first' | 'last', string>>
}

/** How many series newly alerted in their unit. */
export interface NewAlerts {
  champion: number
  challenger: number
}

/**
 * The series of an experiment, in places of their own that no eviction changes: since when both versions saw each, and
 * the largest surprises of the unit of time under way.
 */
export class SeenSeries {
  refused = 0
  readonly keys: string[] = []
  readonly entities: string[] = []
  readonly tenants: string[] = []
  /** First and last window both had an opinion on, or either after it; Unix ms. */
  readonly firstMs = new Float64Array(SERIES_MAX)
  readonly lastMs = new Float64Array(SERIES_MAX)
  readonly #unit = new Float64Array(SERIES_MAX)
  readonly #champion = new Float32Array(SERIES_MAX)
  readonly #challenger = new Float32Array(SERIES_MAX)
  readonly #places = new Map<string, number>()
  /** By tenant and entity. */
  readonly #entities = new Map<string, number[]>()
  readonly #refused = new Set<string>()
  readonly #table: SeriesTable
  readonly #unitMs: number
  /** Of rows of the table: whom each was last seen to hold, and its place. */
  #metas: (SeriesMeta | undefined)[] = []
  #placeOf = new Int32Array(0)

  constructor(table: SeriesTable, unitMs: number) {
    this.#table = table
    this.#unitMs = unitMs
  }

  get size(): number {
    return this.keys.length
  }

  /** Place of a row of the table; −1 when there is no room for it. */
  place(row: number): number {
    const meta = this.#table.meta(row)
    if (this.#metas[row] === meta) return this.#placeOf[row]
    if (row >= this.#placeOf.length) {
      const wider = new Int32Array(Math.max(row + 1, this.#table.capacity))
      wider.set(this.#placeOf)
      this.#placeOf = wider
    }
    this.#metas[row] = meta
    this.#placeOf[row] = this.#enter(meta)
    return this.#placeOf[row]
  }

  /** Places of a series, by its key, or of all series of an entity. */
  placesOf(of: 'series' | 'entity', name: string, tenant: string): readonly number[] {
    if (of === 'entity') return this.#entities.get(entityKey(tenant, name)) ?? []
    const place = this.#places.get(name)
    return place === undefined || this.tenants[place] !== tenant ? [] : [place]
  }

  #enter({ key, entity, tenant }: SeriesMeta): number {
    const known = this.#places.get(key)
    if (known !== undefined) return known
    if (this.size >= SERIES_MAX) {
      // Names are kept so that a series is counted once, as many as there are places.
      if (this.#refused.size < SERIES_MAX && !this.#refused.has(key)) {
        this.#refused.add(key)
        this.refused++
      }
      return NONE
    }
    return this.#take(key, entity, tenant)
  }

  #take(key: string, entity: string, tenant: string): number {
    const place = this.size
    this.#places.set(key, place)
    this.keys.push(key)
    this.entities.push(entity)
    this.tenants.push(tenant)
    const others = this.#entities.get(entityKey(tenant, entity))
    if (others) others.push(place)
    else this.#entities.set(entityKey(tenant, entity), [place])
    this.firstMs[place] = NaN
    this.#unit[place] = NaN
    return place
  }

  /** Takes one batch; units that ended go to `maxima`. `alerts` is told of series that alerted newly in their unit. */
  add(pair: PairedScores, openSurprise: number, maxima: UnitMaxima, alerts: NewAlerts): void {
    const unit = Math.floor((pair.windowEndMs - 1) / this.#unitMs)
    alerts.champion = 0
    alerts.challenger = 0
    for (let k = 0; k < pair.length; k++) {
      const place = this.place(pair.series[k])
      if (place < 0) continue
      const a = pair.championSurprise[k]
      const b = pair.challengerSurprise[k]
      const isSilent = Number.isNaN(a)
      const isFirst = Number.isNaN(this.firstMs[place])
      // Once both have had an opinion, to have none where the other has one is to miss what there is.
      if (isSilent !== Number.isNaN(b) ? isFirst : isSilent) continue
      if (isFirst) this.firstMs[place] = pair.windowEndMs
      this.lastMs[place] = pair.windowEndMs
      if (this.#unit[place] !== unit) {
        if (!Number.isNaN(this.#unit[place])) maxima.add(this.#champion[place], this.#challenger[place])
        this.#unit[place] = unit
        this.#champion[place] = 0
        this.#challenger[place] = 0
      }
      if (a > this.#champion[place]) {
        if (a >= openSurprise && this.#champion[place] < openSurprise) alerts.champion++
        this.#champion[place] = a
      }
      if (b > this.#challenger[place]) {
        if (b >= openSurprise && this.#challenger[place] < openSurprise) alerts.challenger++
        this.#challenger[place] = b
      }
    }
  }

  save(): SavedSeries {
    const n = this.size
    return {
      series: this.keys.map((key, i) => [key, this.entities[i], this.tenants[i]] as const),
      columns: {
        unit: textOf(this.#unit.subarray(0, n)),
        champion: textOf(this.#champion.subarray(0, n)),
        challenger: textOf(this.#challenger.subarray(0, n)),
        first: textOf(this.firstMs.subarray(0, n)),
        last: textOf(this.lastMs.subarray(0, n)),
      },
    }
  }

  restore(from: SavedSeries): void {
    for (const [key, entity, tenant] of from.series.slice(0, SERIES_MAX)) this.#take(key, entity, tenant)
    const { columns } = from
    fillFrom(columns.unit, this.#unit)
    fillFrom(columns.champion, this.#champion)
    fillFrom(columns.challenger, this.#challenger)
    fillFrom(columns.first, this.firstMs)
    fillFrom(columns.last, this.lastMs)
  }
}

function entityKey(tenant: string, entity: string): string {
  return `${tenant}\n${entity}`
}

import { type SeriesMeta, type SeriesRows, SeriesTable } from '../core/series.ts'
import { isGolden } from './ridge-cover.ts'

/** How a series stands with a model, by row of the series table. */
const UNKNOWN = 0
const COVERED = 1
const WAITING = 2
const UNWANTED = 3

/** The series of one entity that a model looks at. */
export interface Group {
  readonly key: string
  /** Rows among the covered, in the order of their keys. */
  readonly rows: number[]
  /** Counts its changes: what follows from its rows is worked out again. */
  changes: number
  /** End of the window learned last. */
  learnedEndMs: number
}

/**
 * Which series a model looks at: those that it wants, as many as there is room for. Golden signals first: one of them
 * takes the place of another series that came last. What there is no room for waits and is counted.
 */
export class ModelRoster {
  /** The covered series in rows of their own, so that what is kept of them is dense. */
  readonly covered: SeriesTable
  readonly groups = new Map<string, Group>()
  readonly #series: SeriesRows
  readonly #onLeave: (coveredRow: number) => void
  /** Covered rows whose series is no golden signal, in the order of their coming. */
  readonly #yielding = new Set<number>()
  /** By row of the series table: how it stands, and its row among the covered. */
  #stands = new Uint8Array(0)
  #coveredOf = new Uint32Array(0)
  /** By covered row. */
  #groupOf: (Group | undefined)[] = []
  #rowOf = new Uint32Array(0)
  #wants: (meta: SeriesMeta) => boolean
  #waiting = 0

  /** `onLeave`: a series is no longer covered, its row will be used again. */
  constructor(
    series: SeriesRows,
    size: number,
    wants: (meta: SeriesMeta) => boolean,
    onLeave: (coveredRow: number) => void,
  ) {
    this.#series = series
    this.covered = new SeriesTable(size)
    this.#wants = wants
    this.#onLeave = onLeave
  }

  /** Series that it wants and has no room for. */
  get refused(): number {
    return this.#waiting
  }

  /** Row among the covered of a row of the series table, −1 when it is not covered. */
  coveredRow(row: number): number {
    return row < this.#stands.length && this.#stands[row] === COVERED ? this.#coveredOf[row] : -1
  }

  /** The other way round. */
  seriesRow(coveredRow: number): number {
    return this.#rowOf[coveredRow]
  }

  groupOf(coveredRow: number): Group {
    return this.#groupOf[coveredRow] as Group
  }

  /** Takes a series in that has a value, if it is wanted and there is room; its row among the covered, or −1. */
  consider(row: number): number {
    const stands = row < this.#stands.length ? this.#stands[row] : UNKNOWN
    if (stands === COVERED) return this.#coveredOf[row]
    if (stands === UNWANTED) return -1
    const isRoom = this.covered.size < this.covered.limit
    if (stands === WAITING && !isRoom) return -1
    this.#reserve(row)
    const meta = this.#series.meta(row)
    if (!this.#wants(meta)) {
      if (stands === WAITING) this.#waiting--
      this.#stands[row] = UNWANTED
      return -1
    }
    if (stands === WAITING) this.#waiting--
    if (!isRoom && !(isGolden(meta) && this.#yield())) {
      this.#stands[row] = WAITING
      this.#waiting++
      return -1
    }
    return this.#enter(row, meta)
  }

  #enter(row: number, meta: SeriesMeta): number {
    const own = this.covered.intern(meta)
    if (own >= this.#rowOf.length) {
      const rowOf = new Uint32Array(Math.max(64, 2 * own))
      rowOf.set(this.#rowOf)
      this.#rowOf = rowOf
    }
    this.#stands[row] = COVERED
    this.#coveredOf[row] = own
    this.#rowOf[own] = row
    if (!isGolden(meta)) this.#yielding.add(own)
    const key = `${meta.tenant}/${meta.entity}`
    let group = this.groups.get(key)
    if (group === undefined) {
      group = { key, rows: [], changes: 0, learnedEndMs: NaN }
      this.groups.set(key, group)
    }
    this.#groupOf[own] = group
    const place = group.rows.findIndex(other => this.covered.meta(other).key > meta.key)
    group.rows.splice(place < 0 ? group.rows.length : place, 0, own)
    group.changes++
    return own
  }

  /** Makes room at the expense of the last that is no golden signal. */
  #yield(): boolean {
    let last = -1
    for (const own of this.#yielding) last = own
    if (last < 0) return false
    const row = this.#rowOf[last]
    this.#leave(last)
    this.#stands[row] = WAITING
    this.#waiting++
    return true
  }

  #leave(own: number): void {
    const group = this.groupOf(own)
    group.rows.splice(group.rows.indexOf(own), 1)
    group.changes++
    if (group.rows.length === 0) this.groups.delete(group.key)
    this.#groupOf[own] = undefined
    this.#yielding.delete(own)
    this.covered.evict(own)
    this.#onLeave(own)
  }

  forget(row: number): void {
    if (row >= this.#stands.length) return
    if (this.#stands[row] === COVERED) this.#leave(this.#coveredOf[row])
    if (this.#stands[row] === WAITING) this.#waiting--
    this.#stands[row] = UNKNOWN
  }

  /** Other series are wanted from now on: those that are not any more leave, others are asked again. */
  want(wants: (meta: SeriesMeta) => boolean): void {
    this.#wants = wants
    for (let row = 0; row < this.#stands.length; row++) {
      const stands = this.#stands[row]
      if (stands === UNWANTED) this.#stands[row] = UNKNOWN
      else if (stands !== UNKNOWN && !wants(this.#series.meta(row))) this.forget(row)
    }
  }

  /** Covered rows in the order in which `revive` has them come back as they came. */
  order(): number[] {
    const golden = [...this.groups.values()].flatMap(({ rows }) =>
      rows.filter(own => !this.#yielding.has(own)),
    )
    return [...golden, ...this.#yielding]
  }

  /** Puts a series back that was covered when it was saved; −1 when there is no room. */
  revive(row: number): number {
    if (this.covered.size >= this.covered.limit) return -1
    this.#reserve(row)
    return this.#enter(row, this.#series.meta(row))
  }

  #reserve(row: number): void {
    if (row < this.#stands.length) return
    const length = Math.max(row + 1, 2 * this.#stands.length, 1024)
    const stands = new Uint8Array(length)
    stands.set(this.#stands)
    this.#stands = stands
    const coveredOf = new Uint32Array(length)
    coveredOf.set(this.#coveredOf)
    this.#coveredOf = coveredOf
  }

  bytes(): number {
    return 5 * this.#stands.length + 4 * this.#rowOf.length + 250 * this.covered.size
  }
}

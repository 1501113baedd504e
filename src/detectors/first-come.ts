import type { FeatureBatch } from '../core/batch.ts'
import { rowsIn, rowsOf } from '../core/columns.ts'
import type { SeriesRows } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { GOLDEN_KINDS } from './promotion.ts'
import type { SubTable } from './sub-table.ts'

/** Share of the rich places that is kept for suspects. */
const SUSPECT_SHARE = 0.1
/** Share of the other places that series of no golden kind may take. */
const COMMON_SHARE = 0.7

/** Gives rich places to the series that come first, golden kinds before others: each is asked once, with its first window. */
export class FirstCome {
  readonly #series: SeriesRows
  readonly #rows: SubTable
  /** By row of `series`, 1: was asked. */
  #asked = new Uint8Array(0)
  readonly #most: number
  readonly #mostCommon: number

  /** `rows`: who is rich. */
  constructor(series: SeriesRows, rows: SubTable) {
    this.#series = series
    this.#rows = rows
    this.#most = Math.floor(rows.limit * (1 - SUSPECT_SHARE))
    this.#mostCommon = Math.floor(this.#most * COMMON_SHARE)
  }

  /** Rows of a batch that are new take a place while there is room. */
  admitAll({ length, series }: FeatureBatch): void {
    if (length === 0) return
    const needed = series[length - 1] + 1
    if (this.#asked.length < needed) {
      const longer = new Uint8Array(Math.max(needed, this.#asked.length + (this.#asked.length >> 3), 1024))
      longer.set(this.#asked)
      this.#asked = longer
    }
    const [first, last] = [series[0], series[length - 1]]
    // Side by side, as most are: whether any is new is found at once.
    if (last - first === length - 1) {
      const asked = this.#asked.subarray(first, last + 1)
      for (let at = asked.indexOf(0); at >= 0; at = asked.indexOf(0, at + 1)) this.#admit(first + at)
    } else for (let i = 0; i < length; i++) if (this.#asked[series[i]] === 0) this.#admit(series[i])
  }

  #admit(series: number): void {
    this.#asked[series] = 1
    if (this.#rows.size >= this.#most) return
    if (this.#rows.size >= this.#mostCommon && !GOLDEN_KINDS.has(this.#series.meta(series).kind)) return
    this.#rows.take(series)
  }

  forget(series: number): void {
    if (series < this.#asked.length) this.#asked[series] = 0
  }

  /** Rows of series of which no window was scored so far: few but at the very beginning. */
  waiting(): Uint32Array {
    const { capacity } = this.#series
    const asked = this.#asked
    const rows: number[] = []
    for (let row = asked.indexOf(0); row >= 0 && row < capacity; row = asked.indexOf(0, row + 1))
      if (this.#series.has(row)) rows.push(row)
    for (let row = asked.length; row < capacity; row++) if (this.#series.has(row)) rows.push(row)
    return Uint32Array.from(rows)
  }

  /** `waiting`: the part of a checkpoint whose rows are those that `waiting` gave; all others were asked. Without it all are asked now. */
  restore(waiting: Snapshot | undefined): void {
    const { capacity } = this.#series
    this.#asked = new Uint8Array(capacity)
    for (let row = 0; row < capacity; row++) {
      if (!this.#series.has(row)) continue
      if (waiting) this.#asked[row] = 1
      else this.#admit(row)
    }
    if (waiting === undefined) return
    const rowOf = rowsIn(waiting, this.#series)
    for (let i = 0; i < rowsOf(waiting); i++) if (rowOf(i) >= 0) this.#asked[rowOf(i)] = 0
  }

  bytes(): number {
    return this.#asked.byteLength
  }
}

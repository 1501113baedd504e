import { COLUMN_ARRAYS, type RowTable, rowsIn, rowsOf } from '../core/columns.ts'
import { type Cut, CutColumn } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import { release } from '../core/release.ts'
import { RowStretches } from '../core/row-stretches.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import {
  TINY_ROW_BYTES,
  TINY_ROWS,
  TINY_SCRATCH_BYTES,
  TINY_SCRATCH_ROWS,
  TINY_SHIFT,
} from '../kernels/tiny.ts'
import type { PlainSegment } from './plain-segment.ts'
import type { SlotRow } from './slot-convert.ts'
import { type SlotRates, slotColumns, TINY_PROFILE } from './slot-profile.ts'

const MASK = TINY_ROWS - 1
/** Rows that a cut copies at once when they change before they are written: 3.7 MB, a millisecond or two. */
const CUT_SHIFT = 13
const FIELDS = Object.entries(slotColumns(TINY_PROFILE)).map(([name, spec]) => {
  const [type, width] = typeof spec === 'string' ? ([spec, 1] as const) : spec
  return { name, Column: COLUMN_ARRAYS[type], width }
})
type Columns = Readonly<Record<string, ColumnData>>

/** Where the rows of a snapshot lie: those from `first` on of its keys have a place in its columns. */
export interface SavedRows {
  readonly first: number
  readonly rows: number
}

/** Rows of a snapshot that lie one behind the other here too, in one segment. */
interface Run {
  readonly at: number
  readonly row: number
  readonly count: number
}

/**
 * The state of all plain series under the rows of the series table, in segments that are made when a row of theirs is
 * first used: most rows below may be those of rich series.
 */
export class PlainRows {
  readonly segments: (PlainSegment | undefined)[] = []
  readonly #rates: SlotRates
  readonly #make: (rates: SlotRates) => PlainSegment
  /** Rows ever used lie from `first` to before `end`. */
  #first = Number.POSITIVE_INFINITY
  #end = 0
  /** What a cut that is being written still needs. */
  #cut: RowStretches | undefined

  constructor(rates: SlotRates, make: (rates: SlotRates) => PlainSegment) {
    this.#rates = rates
    this.#make = make
  }

  /** The segment of rows from..to, which are in one, made when it is not there; they are about to be written to. */
  use(from: number, to: number): PlainSegment {
    this.#touch(from, to)
    if (from < this.#first) this.#first = from
    if (to >= this.#end) this.#end = to + 1
    const at = from >> TINY_SHIFT
    const known = this.segments[at]
    if (known) return known
    const made = this.#make(this.#rates)
    this.segments[at] = made
    return made
  }

  /** The state of a series where it lies; undefined when nothing was learned of it. */
  at(row: number): SlotRow | undefined {
    const columns = this.segments[row >> TINY_SHIFT]?.columns
    const at = row & MASK
    if (columns === undefined || columns.n[at] === 0) return undefined
    return { chunk: columns, at, profile: TINY_PROFILE, rates: this.#rates }
  }

  /** Where the state of a series is to lie. */
  place(row: number): SlotRow {
    const { columns } = this.use(row, row)
    return { chunk: columns, at: row & MASK, profile: TINY_PROFILE, rates: this.#rates }
  }

  #touch(from: number, to: number): void {
    if (this.#cut === undefined) return
    if (!this.#cut.isOpen) this.#cut = undefined
    else for (let at = from >> CUT_SHIFT; at <= to >> CUT_SHIFT; at++) this.#cut.touchStretch(at)
  }

  /** Whether anything was learned of the row that is forgotten. */
  forget(row: number): boolean {
    this.#touch(row, row)
    const columns = this.segments[row >> TINY_SHIFT]?.columns as Record<string, ColumnData> | undefined
    if (columns === undefined) return false
    const at = row & MASK
    const isKnown = columns.n[at] > 0
    for (const { name, width } of FIELDS) columns[name].fill(0, at * width, (at + 1) * width)
    return isKnown
  }

  /** A plain copy of the rows in use, a field at a time. */
  snapshot(capacity: number): { readonly saved: SavedRows; readonly columns: Columns } {
    const end = Math.min(this.#end, capacity)
    const rows = Math.max(0, end - this.#first)
    const first = rows === 0 ? 0 : this.#first
    const columns: Record<string, ColumnData> = {}
    for (const { name, Column, width } of FIELDS) {
      const copy = new Column(rows * width)
      for (let row = first; row < first + rows; row = (row | MASK) + 1) {
        const columns = this.segments[row >> TINY_SHIFT]?.columns as Record<string, ColumnData> | undefined
        const to = Math.min((row | MASK) + 1, end)
        if (columns === undefined) continue
        const part = columns[name].subarray((row & MASK) * width, (row & MASK) * width + (to - row) * width)
        copy.set(part as never, (row - first) * width)
      }
      columns[name] = copy
    }
    return { saved: { first, rows }, columns }
  }

  /** As `snapshot`, of all rows below `capacity` and without a copy. */
  cut(
    cut: Cut,
    capacity: number,
  ): { readonly saved: SavedRows; readonly columns: Record<string, CutColumn> } {
    // Whatever an earlier cut still needs is copied before this one takes its place.
    this.#touch(0, this.#end)
    const rows = Math.min(this.#end, capacity)
    const columns = Object.fromEntries(
      FIELDS.map(({ name, Column, width }) => [name, new CutColumn(Column, rows * width)]),
    )
    this.#cut = new RowStretches(cut, rows, CUT_SHIFT, (from, to) => {
      const state = this.segments[from >> TINY_SHIFT]?.columns as Record<string, ColumnData> | undefined
      if (state === undefined) return []
      return FIELDS.map(({ name, width }) => {
        const at = (from & MASK) * width
        const values = state[name].subarray(at, at + (to - from) * width)
        return { column: columns[name], at: from * width, values }
      })
    })
    return { saved: { first: 0, rows }, columns }
  }

  /**
   * Puts rows back under the rows that their keys have now, a run of neighbours at a time: after a restart most lie as they
   * lay. Returns how many. Throws FS_SNAPSHOT_INVALID on another layout.
   */
  restore(from: Snapshot, { first, rows }: SavedRows, table: RowTable): number {
    for (const { name, Column, width } of FIELDS) {
      const column = from.columns[name]
      if (!(column instanceof Column) || column.length !== rows * width || first + rows > rowsOf(from))
        throw new ForeshockError(
          'FS_SNAPSHOT_INVALID',
          `${from.id}: column ${name} is missing or of another shape`,
        )
    }
    const n = from.columns.n
    const rowOf = rowsIn(from, table)
    const runs: Run[] = []
    let found = 0
    for (let at = 0; at < rows; ) {
      const row = n[at] === 0 ? -1 : rowOf(first + at)
      let count = 1
      if (row >= 0) {
        while (
          at + count < rows &&
          ((row + count) & MASK) !== 0 &&
          n[at + count] > 0 &&
          rowOf(first + at + count) === row + count
        )
          count++
        runs.push({ at, row, count })
        found += count
      }
      at += count
    }
    for (const { name, width } of FIELDS) {
      this.#put(name, width, from.columns[name], runs)
      // Of ten million series it is gigabytes that nobody needs twice.
      if (from.isGiven !== true) continue
      release(from.columns[name])
      delete (from.columns as Record<string, ColumnData>)[name]
    }
    return found
  }

  #put(name: string, width: number, column: ColumnData, runs: readonly Run[]): void {
    for (const { at, row, count } of runs) {
      const columns = this.use(row, row + count - 1).columns as unknown as Record<string, ColumnData>
      const part = column.subarray(at * width, (at + count) * width)
      columns[name].set(part as never, (row & MASK) * width)
    }
  }

  /** Bytes of the rows in use and what the kernel keeps beside them. */
  bytes(): number {
    let sum = Math.max(0, this.#end - this.#first) * TINY_ROW_BYTES
    for (const segment of this.segments) if (segment) sum += TINY_SCRATCH_BYTES * TINY_SCRATCH_ROWS
    return this.#end === 0 ? 0 : sum
  }
}

import { type RowTable, savedRows } from '../core/columns.ts'
import type { SeriesRows } from '../core/series.ts'

/**
 * Which of the table's series have a row of a smaller store, and which row. Rows are dense: when one is given back the
 * last takes its place, so a store holds no more than its series need and shrinks when they leave.
 */
export class RowPool implements RowTable {
  readonly #table: SeriesRows & RowTable
  /** Row of the store plus one by series, 0 without. */
  #rowOf = new Uint32Array(0)
  #seriesOf = new Uint32Array(0)
  #count = 0

  constructor(table: SeriesRows) {
    this.#table = table
  }

  get capacity(): number {
    return this.#count
  }

  /** Row of a series, or −1. */
  of(series: number): number {
    return series < this.#rowOf.length ? this.#rowOf[series] - 1 : -1
  }

  /** The series in a row below `capacity`. */
  seriesAt(row: number): number {
    return this.#seriesOf[row]
  }

  /** The row of a series, made when it has none. */
  take(series: number): number {
    const known = this.of(series)
    if (known >= 0) return known
    this.#rowOf = grown(this.#rowOf, series + 1)
    this.#seriesOf = grown(this.#seriesOf, this.#count + 1)
    this.#seriesOf[this.#count] = series
    this.#rowOf[series] = ++this.#count
    return this.#count - 1
  }

  /**
   * Gives the row of a series back: returns it, −1 when it had none. The series of the last row (now `capacity`) has
   * this row from here on; the caller moves its state unless the two are the same.
   */
  give(series: number): number {
    const row = this.of(series)
    if (row < 0) return -1
    const last = this.#seriesOf[--this.#count]
    this.#seriesOf[row] = last
    this.#rowOf[last] = row + 1
    this.#rowOf[series] = 0
    return row
  }

  keys(): readonly string[] {
    return Array.from({ length: this.#count }, (_, row) => this.#table.meta(this.#seriesOf[row]).key)
  }

  row(key: string): number {
    const series = this.#table.row(key)
    return series < 0 ? -1 : this.of(series)
  }

  seriesRows(): Uint32Array {
    return savedRows(this.#seriesOf.slice(0, this.#count), this.#table)
  }

  rowOfSeries(series: number): number {
    const own = this.#table.rowOfSeries?.(series) ?? series
    return own < 0 ? -1 : this.of(own)
  }

  /** Bytes that taking a series in would add here. */
  nextBytes(series: number): number {
    if (this.of(series) >= 0) return 0
    const [rowOf, seriesOf] = [this.#rowOf, this.#seriesOf]
    const longer = grownLength(rowOf, series + 1) + grownLength(seriesOf, this.#count + 1)
    return (longer - rowOf.length - seriesOf.length) * rowOf.BYTES_PER_ELEMENT
  }

  bytes(): number {
    return this.#rowOf.byteLength + this.#seriesOf.byteLength
  }
}

export function grown<T extends Uint32Array | Uint16Array | Uint8Array>(column: T, length: number): T {
  if (column.length >= length) return column
  const Column = column.constructor as new (length: number) => T
  const longer = new Column(grownLength(column, length))
  longer.set(column as never)
  return longer
}

/** How long `grown` makes it. */
function grownLength(column: { readonly length: number }, length: number): number {
  return column.length >= length ? column.length : Math.max(length, 2 * column.length, 1024)
}

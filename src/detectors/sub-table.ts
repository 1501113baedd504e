import { NOWHERE, type RowTable, rowsOf, savedRows } from '../core/columns.ts'
import type { CutSnapshot } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesHead, SeriesMeta, SeriesRows } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { PAGE_SHIFT, pageEnd } from './quiet-pages.ts'
import { grown } from './row-pool.ts'

const ID = 'sub-table'
const VERSION = 1

/**
 * Some series of a table under dense rows of their own, so that what is kept of them takes no room for the others. A row
 * stays with its series until it is given back, and is taken again by the next.
 */
export class SubTable implements SeriesRows, RowTable {
  readonly id = ID
  readonly limit: number
  readonly #table: SeriesRows & RowTable
  /** Own row plus one by row of the table, 0 without. */
  #rowOf = new Uint32Array(0)
  /** Row of the table plus one by own row, 0 where free. */
  #seriesOf = new Uint32Array(0)
  /** How many rows of each page of the table have an own row: most have none, and are passed over. */
  #pages = new Uint16Array(0)
  #free: number[] = []
  #length = 0
  /** What `seriesRows` gives, until a row changes. */
  #rows: Uint32Array | undefined

  /** `limit`: the most series held. */
  constructor(table: SeriesRows, limit: number) {
    this.#table = table
    this.limit = limit
  }

  get size(): number {
    return this.#length - this.#free.length
  }

  get capacity(): number {
    return this.#length
  }

  /** Own row of the table's row `series`, or −1. */
  of(series: number): number {
    return series < this.#rowOf.length ? this.#rowOf[series] - 1 : -1
  }

  /** The first place from `from` on of a row of the table that has an own row; `length` where none has. Rows ascend. */
  next(series: Uint32Array, from: number, length: number): number {
    const [rowOf, pages] = [this.#rowOf, this.#pages]
    const known = rowOf.length
    for (let i = from; i < length && series[i] < known; ) {
      if (rowOf[series[i]] !== 0) return i
      i = pages[series[i] >> PAGE_SHIFT] === 0 ? pageEnd(series, i, length) : i + 1
    }
    return length
  }

  /** The table's row behind an own row in use. */
  seriesAt(row: number): number {
    return this.#seriesOf[row] - 1
  }

  /** The own row of `series`, made when it has none; −1 when there is no room. */
  take(series: number): number {
    const known = this.of(series)
    if (known >= 0) return known
    if (this.size >= this.limit) return -1
    const row = this.#free.pop() ?? this.#length++
    this.#put(row, series)
    return row
  }

  #put(row: number, series: number): void {
    this.#rowOf = grown(this.#rowOf, series + 1)
    this.#seriesOf = grown(this.#seriesOf, row + 1)
    this.#pages = grown(this.#pages, (series >> PAGE_SHIFT) + 1)
    this.#rowOf[series] = row + 1
    this.#pages[series >> PAGE_SHIFT]++
    this.#seriesOf[row] = series + 1
    this.#rows = undefined
  }

  /** Frees the own row of `series`. Whoever keeps state under it is told to forget it first. */
  give(series: number): void {
    const row = this.of(series)
    if (row < 0) return
    this.#rowOf[series] = 0
    this.#pages[series >> PAGE_SHIFT]--
    this.#seriesOf[row] = 0
    this.#free.push(row)
    this.#rows = undefined
  }

  has(row: number): boolean {
    return row < this.#length && this.#seriesOf[row] > 0
  }

  meta(row: number): SeriesMeta {
    if (!this.has(row)) throw new ForeshockError('FS_ASSERTION', `own row ${row} holds no series`)
    return this.#table.meta(this.seriesAt(row))
  }

  head(row: number, out: SeriesHead): boolean {
    return this.has(row) && this.#table.head(this.seriesAt(row), out)
  }

  key(row: number): string {
    return this.has(row) ? this.#table.key(this.seriesAt(row)) : ''
  }

  row(key: string): number {
    const series = this.#table.row(key)
    return series < 0 ? -1 : this.of(series)
  }

  keys(): readonly string[] {
    return Array.from({ length: this.#length }, (_, row) => this.key(row))
  }

  /** Shared by all who ask until a row changes: nobody writes to it. */
  seriesRows(): Uint32Array {
    if (this.#rows !== undefined) return this.#rows
    const rows = this.#seriesOf.slice(0, this.#length)
    // A free row is 0, which becomes NOWHERE.
    for (let row = 0; row < rows.length; row++) rows[row]--
    // The table may have rows of its own as well.
    this.#rows = savedRows(rows, this.#table)
    return this.#rows
  }

  rowOfSeries(series: number): number {
    const own = this.#table.rowOfSeries?.(series) ?? series
    return own < 0 ? -1 : this.of(own)
  }

  *metas(): IterableIterator<[row: number, meta: SeriesMeta]> {
    for (let row = 0; row < this.#length; row++) if (this.has(row)) yield [row, this.meta(row)]
  }

  bytes(): number {
    return this.#rowOf.byteLength + this.#pages.byteLength + this.#seriesOf.byteLength + 8 * this.#free.length
  }

  snapshot(): Snapshot {
    return { id: ID, version: VERSION, keys: this.keys(), columns: {}, meta: { free: [...this.#free] } }
  }

  /** As `snapshot`, with rows of the series table for keys. */
  cut(): CutSnapshot {
    const meta = { free: [...this.#free] }
    return { id: ID, version: VERSION, keys: [], rows: this.seriesRows(), columns: {}, meta }
  }

  /** Into an empty one, before anything that lies under its rows. Throws FS_SNAPSHOT_INVALID on another layout. */
  restore(from: Snapshot): void {
    if (from.id !== ID || from.version !== VERSION)
      throw new ForeshockError(
        'FS_SNAPSHOT_INVALID',
        `expected ${ID} v${VERSION}, got ${from.id} v${from.version}`,
      )
    if (this.#length > 0) throw new ForeshockError('FS_ASSERTION', `${ID} is restored only when empty`)
    const { rows, keys } = from
    const saved = Array.from({ length: rowsOf(from) }, (_, row) =>
      rows instanceof Uint32Array ? this.#known(rows[row]) : this.#keyed(keys[row]),
    )
    const fits = saved.length <= this.limit
    // Where there are fewer places, or series of others among them, those that are known move up.
    const held = fits ? saved : saved.filter(series => series >= 0).slice(0, this.limit)
    this.#length = held.length
    const lost: number[] = []
    for (const [row, series] of held.entries()) {
      if (series >= 0) this.#put(row, series)
      else lost.push(row)
    }
    const { free } = from.meta as { free: readonly number[] }
    // Rows keep their order of reuse; those whose series is gone come last.
    const kept = new Set(fits ? free.filter(row => !this.has(row)) : [])
    this.#free = [...lost.filter(row => !kept.has(row)), ...kept]
  }

  #known(series: number): number {
    if (series === NOWHERE) return -1
    const own = this.#table.rowOfSeries?.(series) ?? series
    return own >= 0 && this.#table.has(own) ? own : -1
  }

  #keyed(key: string): number {
    return key === '' ? -1 : this.#table.row(key)
  }
}

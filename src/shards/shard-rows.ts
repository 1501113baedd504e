import type { RowTable } from '../core/columns.ts'
import { ForeshockError } from '../core/errors.ts'
import { type SeriesHead, type SeriesMeta, type SeriesRows, SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'

/**
 * The series that a worker scores, under the rows that the main thread gave them. With one worker these are the rows of the
 * series table itself, and what is learned lies where it would without a worker; with more, each has dense rows of its own.
 */
export class ShardRows implements SeriesRows, RowTable {
  readonly #table: SeriesTable
  readonly #isWhole: boolean
  /** Row of the series table plus one by own row, 0 where free; empty where they are the same. */
  #seriesOf = new Uint32Array(0)
  /** Own row plus one by row of the series table, while saved parts are put back. */
  #rowOf: Uint32Array | undefined
  readonly seriesRows?: () => Uint32Array
  readonly rowOfSeries?: (series: number) => number

  /** `limit`: series at most; `isWhole`: own rows are those of the series table. */
  constructor(limit: number, isWhole: boolean) {
    this.#table = new SeriesTable(limit)
    this.#isWhole = isWhole
    if (isWhole) return
    this.seriesRows = () => {
      const rows = this.#seriesOf.slice(0, this.capacity)
      // A free row is 0, which becomes the row of nobody.
      for (let row = 0; row < rows.length; row++) rows[row]--
      return rows
    }
    this.rowOfSeries = series => (this.#rowOf?.[series] ?? 0) - 1
  }

  get size(): number {
    return this.#table.size
  }

  get capacity(): number {
    return this.#table.capacity
  }

  /** `series`: the row in the series table. */
  put(row: number, series: number, meta: SeriesMeta): void {
    this.#table.put(row, meta)
    if (this.#isWhole) return
    if (row >= this.#seriesOf.length) {
      const longer = new Uint32Array(Math.max(1024, 2 * row))
      longer.set(this.#seriesOf)
      this.#seriesOf = longer
    }
    this.#seriesOf[row] = series + 1
  }

  forget(row: number): void {
    this.#table.evict(row)
    if (!this.#isWhole) this.#seriesOf[row] = 0
  }

  /** Takes over a saved series table: all of it, in its rows. */
  restore(table: Snapshot): void {
    if (!this.#isWhole) throw new ForeshockError('FS_ASSERTION', 'a part of the series is told, not restored')
    this.#table.restore(table)
  }

  /** Runs `work` while parts that name their rows by those of the series table can be put back. */
  whileNamed<T>(work: () => T): T {
    let last = 0
    for (let row = 0; row < this.capacity; row++) last = Math.max(last, this.#seriesOf[row])
    this.#rowOf = new Uint32Array(last)
    for (let row = 0; row < this.capacity; row++)
      if (this.#seriesOf[row] > 0) this.#rowOf[this.#seriesOf[row] - 1] = row + 1
    try {
      return work()
    } finally {
      this.#rowOf = undefined
    }
  }

  meta(row: number): SeriesMeta {
    return this.#table.meta(row)
  }

  has(row: number): boolean {
    return this.#table.has(row)
  }

  row(key: string): number {
    return this.#table.row(key)
  }

  head(row: number, out: SeriesHead): boolean {
    return this.#table.head(row, out)
  }

  key(row: number): string {
    return this.#table.key(row)
  }

  keys(): readonly string[] {
    return this.#table.keys()
  }

  metas(): IterableIterator<[row: number, meta: SeriesMeta]> {
    return this.#table.metas()
  }

  bytes(): number {
    return this.#table.bytes() + this.#seriesOf.byteLength
  }
}

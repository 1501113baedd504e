import { type Cut, CutColumn, type CutSnapshot } from './cut.ts'
import { ForeshockError } from './errors.ts'
import { RowStretches, ranksBy } from './row-stretches.ts'
import type { ColumnData, Snapshot } from './snapshot.ts'

/** Rows in a chunk of state; a power of two. */
export const CHUNK_ROWS = 65_536
export const CHUNK_SHIFT = 16
export const CHUNK_MASK = CHUNK_ROWS - 1

/** The typed array of each column type. */
export const COLUMN_ARRAYS = {
  f64: Float64Array,
  f32: Float32Array,
  u32: Uint32Array,
  i32: Int32Array,
  u16: Uint16Array,
  i16: Int16Array,
  u8: Uint8Array,
  i8: Int8Array,
} as const

type TypeName = keyof typeof COLUMN_ARRAYS
/** A column's type, or `[type, width]` for several values a row. */
export type ColumnSpec = Readonly<Record<string, TypeName | readonly [TypeName, number]>>
type Arrays = { [K in TypeName]: InstanceType<(typeof COLUMN_ARRAYS)[K]> }
type NameOf<S> = S extends readonly [infer T, number] ? T : S
export type Chunk<S extends ColumnSpec> = {
  readonly [K in keyof S]: NameOf<S[K]> extends TypeName ? Arrays[NameOf<S[K]>] : never
}

/** Who lies in which row, such as the series table; a detector's own table may hold fewer rows in another order. */
export interface RowTable {
  /** One past the highest row in use. */
  readonly capacity: number
  /** Key per row, '' where free. */
  keys(): readonly string[]
  /** The row of a key, or −1. */
  row(key: string): number
  /** Whether a row is in use, where that is known. */
  has?(row: number): boolean
  /** Row in the series table of each row below `capacity`. Left out where they are the same, as `rowOfSeries`. */
  seriesRows?(): Uint32Array
  /** The row of a row of the series table, or −1. */
  rowOfSeries?(series: number): number
}

/** The row of nobody. */
export const NOWHERE = 0xffff_ffff

/** Rows of a table as those of the series table, for who saves them; nobody's stay nobody's. */
export function savedRows(rows: Uint32Array, table: RowTable): Uint32Array {
  const own = table.seriesRows?.()
  return own === undefined ? rows : rows.map(row => own[row] ?? NOWHERE)
}

function specOf(spec: TypeName | readonly [TypeName, number]): readonly [TypeName, number] {
  return typeof spec === 'string' ? [spec, 1] : spec
}

/**
 * State of many series: one typed array a field, in chunks of 64 k rows (or 2^`shift`), so that it grows without copying
 * and is snapshotted by plain copy. A row's place in chunk `row >> shift` is `row & mask`, times the field's width.
 */
export class ColumnStore<S extends ColumnSpec> {
  readonly spec: S
  readonly chunks: Chunk<S>[] = []
  readonly shift: number
  readonly mask: number
  readonly #names: string[]
  /** Rows that the chunks have room for: a store of few rows takes no whole chunk. */
  readonly #chunkRows: number
  /** What a cut that is being written still needs of the chunks. */
  #cut: RowStretches | undefined

  /** `rowsMax`: rows that there will ever be, where that is less than a chunk. */
  constructor(spec: S, shift = CHUNK_SHIFT, rowsMax = 1 << shift) {
    this.spec = spec
    this.shift = shift
    this.mask = (1 << shift) - 1
    this.#chunkRows = Math.min(1 << shift, rowsMax)
    this.#names = Object.keys(spec)
  }

  /** Rows there is room for. */
  get rows(): number {
    return this.chunks.length << this.shift
  }

  /** Grows to hold `rows` rows; new rows are all zero. */
  ensure(rows: number): void {
    while (this.rows < rows) {
      const chunk: Record<string, ColumnData> = {}
      for (const name of this.#names) {
        const [type, width] = specOf(this.spec[name])
        chunk[name] = new COLUMN_ARRAYS[type](this.#chunkRows * width)
      }
      this.chunks.push(chunk as Chunk<S>)
    }
  }

  /** Lets go of the chunks that no row below `rows` lies in. */
  shrink(rows: number): void {
    while (this.rows - (this.mask + 1) >= rows && this.chunks.length > 0) {
      this.#touchChunk(this.chunks.length - 1)
      this.chunks.pop()
    }
  }

  /** A chunk that is about to be written to: see `Cut`. All writing goes through this or comes after `touch`. */
  writable(index: number): Chunk<S> {
    if (this.#cut !== undefined) this.#touchChunk(index)
    return this.chunks[index]
  }

  /** A row is about to be written to. */
  touch(row: number): void {
    if (this.#cut !== undefined) this.#touchChunk(row >> this.shift)
  }

  /** Rows of a batch are. */
  touchRows(rows: Uint32Array, length: number): void {
    if (this.#isCut()) this.#cut?.touchRows(rows, length)
  }

  /** All rows are. */
  touchAll(): void {
    if (this.#isCut()) this.#cut?.touchAll()
  }

  #touchChunk(index: number): void {
    if (this.#isCut()) this.#cut?.touchStretch(index)
  }

  #isCut(): boolean {
    if (this.#cut?.isOpen !== true) this.#cut = undefined
    return this.#cut !== undefined
  }

  /** Copies every field of a row over another one. */
  copy(from: number, to: number): void {
    this.touch(to)
    const source = this.chunks[from >> this.shift] as Record<string, ColumnData>
    const target = this.chunks[to >> this.shift] as Record<string, ColumnData>
    for (const name of this.#names) {
      const width = specOf(this.spec[name])[1]
      const at = (from & this.mask) * width
      target[name].set(source[name].subarray(at, at + width) as never, (to & this.mask) * width)
    }
  }

  /** Bytes of one row. */
  get rowBytes(): number {
    let sum = 0
    for (const name of this.#names) {
      const [type, width] = specOf(this.spec[name])
      sum += COLUMN_ARRAYS[type].BYTES_PER_ELEMENT * width
    }
    return sum
  }

  /** Sets every field of a row to zero. */
  clear(row: number): void {
    const chunk = this.chunks[row >> this.shift] as Record<string, ColumnData> | undefined
    if (!chunk) return
    this.touch(row)
    for (const name of this.#names) {
      const width = specOf(this.spec[name])[1]
      const at = (row & this.mask) * width
      chunk[name].fill(0, at, at + width)
    }
  }

  bytes(): number {
    return this.rowBytes * this.#chunkRows * this.chunks.length
  }

  /** A plain copy of the first `table.capacity` rows. */
  snapshot(id: string, version: number, table: RowTable, meta: unknown = null): Snapshot {
    const keys = table.keys()
    const columns: Record<string, ColumnData> = {}
    for (const name of this.#names) {
      const [type, width] = specOf(this.spec[name])
      const copy = new COLUMN_ARRAYS[type](keys.length * width)
      for (let start = 0, c = 0; start < keys.length && c < this.chunks.length; start += this.mask + 1, c++) {
        const rows = Math.min(this.mask + 1, keys.length - start)
        const from = (this.chunks[c] as Record<string, ColumnData>)[name]
        copy.set(from.subarray(0, rows * width) as never, start * width)
      }
      columns[name] = copy
    }
    return { id, version, keys, columns, meta }
  }

  /**
   * As `snapshot`, but copies nothing: see `Cut`. The series table is to be in the same checkpoint. `leadRows`: so many rows
   * before its turn a batch changes what it says of itself, and is written before.
   */
  cut(
    cut: Cut,
    id: string,
    version: number,
    table: RowTable,
    meta: unknown = null,
    leadRows = 0,
  ): CutSnapshot {
    // Whatever an earlier cut still needs is copied before this one takes its place.
    this.touchAll()
    const { capacity } = table
    const columns: Record<string, CutColumn> = {}
    for (const name of this.#names) {
      const [type, width] = specOf(this.spec[name])
      columns[name] = new CutColumn(COLUMN_ARRAYS[type], capacity * width)
    }
    const rows = Math.min(capacity, this.rows)
    const seriesRows = table.seriesRows?.()
    const piecesOf = (from: number, to: number) => {
      const chunk = this.chunks[from >> this.shift] as Record<string, ColumnData>
      return this.#names.map(name => {
        const width = specOf(this.spec[name])[1]
        const values = chunk[name].subarray(0, (to - from) * width)
        return { column: columns[name], at: from * width, values }
      })
    }
    const rankOf = ranksBy(cut, rows, this.shift, seriesRows)
    const lead = leadRows / Math.max(1, cut.rows)
    this.#cut = new RowStretches(cut, rows, this.shift, piecesOf, from => rankOf(from) - lead)
    return { id, version, keys: [], rows: seriesRows ?? capacity, columns, meta }
  }

  /** A plain copy of the rows given, one after the other. */
  pick(rows: readonly number[]): Record<string, ColumnData> {
    const columns: Record<string, ColumnData> = {}
    for (const name of this.#names) {
      const [type, width] = specOf(this.spec[name])
      const copy = new COLUMN_ARRAYS[type](rows.length * width)
      for (const [i, row] of rows.entries()) {
        const chunk = this.chunks[row >> this.shift] as Record<string, ColumnData> | undefined
        const at = (row & this.mask) * width
        if (chunk) copy.set(chunk[name].subarray(at, at + width) as never, i * width)
      }
      columns[name] = copy
    }
    return columns
  }

  /** Puts rows back under the rows that their keys have now. Throws FS_SNAPSHOT_INVALID on another layout. */
  restore(from: Snapshot, id: string, version: number, table: RowTable): void {
    if (from.id !== id || from.version !== version) {
      throw new ForeshockError(
        'FS_SNAPSHOT_INVALID',
        `expected ${id} v${version}, got ${from.id} v${from.version}`,
      )
    }
    const length = rowsOf(from)
    for (const name of this.#names) {
      const [type, width] = specOf(this.spec[name])
      const column = from.columns[name]
      if (!(column instanceof COLUMN_ARRAYS[type]) || column.length !== length * width) {
        throw new ForeshockError(
          'FS_SNAPSHOT_INVALID',
          `${id}: column ${name} is missing or of another shape`,
        )
      }
    }
    const rowOf = rowsIn(from, table)
    // Rows that lie together as they did are put back together.
    for (let i = 0; i < length; ) {
      const row = rowOf(i)
      let end = i + 1
      if (row >= 0) {
        const room = Math.min(length, i + this.mask + 1 - (row & this.mask))
        while (end < room && rowOf(end) === row + end - i) end++
        const isWhole = end - i === this.#chunkRows && (row & this.mask) === 0
        if (from.isGiven === true && isWhole) this.#adopt(from.columns, i, end, row)
        else this.#put(from.columns, i, end, row)
      }
      i = end
    }
  }

  /** Rows [from, to) of columns, which are nobody else's, become the chunk of the rows from `row` on. */
  #adopt(columns: Snapshot['columns'], from: number, to: number, row: number): void {
    this.ensure(row)
    this.touch(row)
    const chunk: Record<string, ColumnData> = {}
    for (const name of this.#names) {
      const width = specOf(this.spec[name])[1]
      chunk[name] = columns[name].subarray(from * width, to * width)
    }
    this.chunks[row >> this.shift] = chunk as Chunk<S>
  }

  /** Rows [from, to) of columns, to where `row` and those after it lie: all in one chunk. */
  #put(columns: Snapshot['columns'], from: number, to: number, row: number): void {
    this.ensure(row + to - from)
    this.touch(row)
    const chunk = this.chunks[row >> this.shift] as Record<string, ColumnData>
    for (const name of this.#names) {
      const width = specOf(this.spec[name])[1]
      const some = columns[name].subarray(from * width, to * width)
      chunk[name].set(some as never, (row & this.mask) * width)
    }
  }
}

/** Rows of a snapshot's columns. */
export function rowsOf(from: Pick<Snapshot, 'rows' | 'keys'>): number {
  // Keys may be made only when they are asked for.
  const { rows } = from
  return rows === undefined ? from.keys.length : typeof rows === 'number' ? rows : rows.length
}

/** Where each row of a snapshot lies in a table now, −1 where it is there no more. */
export function rowsIn(from: Pick<Snapshot, 'rows' | 'keys'>, table: RowTable): (at: number) => number {
  const { rows } = from
  if (rows === undefined) {
    const { keys } = from
    return at => (keys[at] === '' ? -1 : table.row(keys[at]))
  }
  const place = table.rowOfSeries?.bind(table) ?? ((series: number) => placeIn(table, series))
  return typeof rows === 'number' ? place : at => place(rows[at])
}

function placeIn(table: RowTable, row: number): number {
  return row < table.capacity && (table.has?.(row) ?? true) ? row : -1
}

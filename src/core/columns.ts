import { ForeshockError } from './errors.ts'
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
    while (this.rows - (this.mask + 1) >= rows && this.chunks.length > 0) this.chunks.pop()
  }

  /** Copies every field of a row over another one. */
  copy(from: number, to: number): void {
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
    for (const name of this.#names) {
      const [type, width] = specOf(this.spec[name])
      const column = from.columns[name]
      if (!(column instanceof COLUMN_ARRAYS[type]) || column.length !== from.keys.length * width) {
        throw new ForeshockError(
          'FS_SNAPSHOT_INVALID',
          `${id}: column ${name} is missing or of another shape`,
        )
      }
    }
    for (let i = 0; i < from.keys.length; i++) {
      const row = from.keys[i] === '' ? -1 : table.row(from.keys[i])
      if (row < 0) continue
      this.ensure(row + 1)
      const chunk = this.chunks[row >> this.shift] as Record<string, ColumnData>
      for (const name of this.#names) {
        const width = specOf(this.spec[name])[1]
        const at = (row & this.mask) * width
        const column = from.columns[name]
        for (let j = 0; j < width; j++) chunk[name][at + j] = column[i * width + j]
      }
    }
  }
}

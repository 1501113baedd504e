import { type Chunk, COLUMN_ARRAYS, type ColumnSpec } from '../core/columns.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesRows } from '../core/series.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'

/** Where arrays of some fields come from and go back to, such as a kernel's own memory; all zero when they come. */
export interface RowHome {
  take(): Record<string, ColumnData>
  give(fields: Readonly<Record<string, ColumnData>>): void
}

/**
 * State of a few series among many, kilobytes each: the fields of one series are typed arrays of their own, made when
 * it is first seen. For what is too large for a `ColumnStore`, which has room for every row.
 */
export class LazyRows<S extends ColumnSpec> {
  readonly #spec: S
  readonly #rows: (Chunk<S> | undefined)[] = []
  readonly #rowBytes: number
  readonly #home: RowHome | undefined
  #held = 0

  constructor(spec: S, home?: RowHome) {
    this.#spec = spec
    this.#home = home
    this.#rowBytes = fieldsOf(spec).reduce((sum, [, make, width]) => sum + make.BYTES_PER_ELEMENT * width, 0)
  }

  at(row: number): Chunk<S> | undefined {
    return this.#rows[row]
  }

  /** The state of a row, all zero when it is new. */
  ensure(row: number): Chunk<S> {
    const known = this.#rows[row]
    if (known) return known
    const own = this.#home?.take()
    const made = Object.fromEntries(
      fieldsOf(this.#spec).map(([name, make, width]) => [name, own?.[name] ?? new make(width)]),
    ) as Chunk<S>
    this.#rows[row] = made
    this.#held++
    return made
  }

  forget(row: number): void {
    const fields = this.#rows[row]
    if (fields === undefined) return
    this.#home?.give(fields as Record<string, ColumnData>)
    this.#rows[row] = undefined
    this.#held--
  }

  /** Bytes a series takes. */
  get rowBytes(): number {
    return this.#rowBytes
  }

  bytes(): number {
    return this.#held * this.#rowBytes
  }

  /** A plain copy; its keys are those of the series that have state. */
  snapshot(id: string, version: number, table: SeriesRows): Snapshot {
    const rows = [...this.#rows.keys()].filter(row => this.#rows[row] !== undefined && table.has(row))
    const columns: Record<string, ColumnData> = {}
    for (const [name, make, width] of fieldsOf(this.#spec)) {
      const column = new make(rows.length * width)
      for (const [i, row] of rows.entries())
        column.set((this.#rows[row] as Record<string, ColumnData>)[name] as never, i * width)
      columns[name] = column
    }
    return { id, version, keys: rows.map(row => table.meta(row).key), columns, meta: null }
  }

  /** Puts state back under the rows that its keys have now. Throws FS_SNAPSHOT_INVALID on another layout. */
  restore(from: Snapshot, id: string, version: number, table: SeriesRows): void {
    if (from.id !== id || from.version !== version)
      throw new ForeshockError(
        'FS_SNAPSHOT_INVALID',
        `expected ${id} v${version}, got ${from.id} v${from.version}`,
      )
    const fields = fieldsOf(this.#spec)
    for (const [name, make, width] of fields) {
      const column = from.columns[name]
      if (!(column instanceof make) || column.length !== from.keys.length * width)
        throw new ForeshockError(
          'FS_SNAPSHOT_INVALID',
          `${id}: column ${name} is missing or of another shape`,
        )
    }
    for (const [i, key] of from.keys.entries()) {
      const row = key === '' ? -1 : table.row(key)
      if (row < 0) continue
      const state = this.ensure(row) as Record<string, ColumnData>
      for (const [name, , width] of fields)
        state[name].set(from.columns[name].subarray(i * width, (i + 1) * width) as never)
    }
  }
}

function fieldsOf(spec: ColumnSpec) {
  return Object.entries(spec).map(([name, kind]) => {
    const [type, width] = typeof kind === 'string' ? ([kind, 1] as const) : kind
    return [name, COLUMN_ARRAYS[type], width] as const
  })
}

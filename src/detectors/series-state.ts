import { type ColumnSpec, ColumnStore, type RowTable } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Snapshot } from '../core/snapshot.ts'

/** Learned state in columns, a row a series, kept and put back under the id of who learns it. */
export abstract class SeriesState<S extends ColumnSpec> {
  readonly id: string
  protected readonly store: ColumnStore<S>
  readonly #version: number
  readonly #table: RowTable

  constructor(id: string, version: number, spec: S, table: RowTable) {
    this.id = id
    this.store = new ColumnStore(spec)
    this.#version = version
    this.#table = table
  }

  /** Drops all state of a series whose row may be reused. */
  forget(series: number): void {
    this.store.clear(series)
  }

  snapshot(): Snapshot {
    return this.store.snapshot(this.id, this.#version, this.#table)
  }

  cut(cut: Cut): CutSnapshot {
    return this.store.cut(cut, this.id, this.#version, this.#table)
  }

  /** Throws FS_SNAPSHOT_INVALID when the snapshot is not of this state. */
  restore(from: Snapshot): void {
    this.store.restore(from, this.id, this.#version, this.#table)
  }

  bytes(): number {
    return this.store.bytes()
  }
}

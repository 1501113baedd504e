import type { HistoryColumns, SeriesHistory, WindowsAt } from '../core/history.ts'
import type { SubTable } from './sub-table.ts'

/** The history of some series, asked for by their rows in a sub-table. */
export class SubHistory implements SeriesHistory {
  readonly #history: SeriesHistory
  readonly #rows: SubTable

  constructor(history: SeriesHistory, rows: SubTable) {
    this.#history = history
    this.#rows = rows
  }

  get depth(): number {
    return this.#history.depth
  }

  get stepMs(): number {
    return this.#history.stepMs
  }

  get newestEndMs(): number {
    return this.#history.newestEndMs
  }

  read(row: number, out: HistoryColumns): number {
    return this.#history.read(this.#rows.seriesAt(row), out)
  }

  observed(row: number, fromMs: number, toMs: number, out: Float64Array): number {
    return this.#history.observed(this.#rows.seriesAt(row), fromMs, toMs, out)
  }

  knownWithin(fromMs: number, toMs: number): (row: number) => number {
    const knownFor = this.#history.knownWithin(fromMs, toMs)
    return row => knownFor(this.#rows.seriesAt(row))
  }

  windowsAt(endsMs: Float64Array): WindowsAt {
    const windows = this.#history.windowsAt(endsMs)
    return { read: (row, out) => windows.read(this.#rows.seriesAt(row), out) }
  }
}

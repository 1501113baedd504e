import type { SeriesRows } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { priorTail, SURPRISE_MAX } from './calibration.ts'

/**
 * What a series does in each half hour of each day of the week: mean and spread. It is kept only for series that a
 * calendar entry wants compared with another day, 4 kB each; no profile knows one day of the week from another.
 */
const SLOTS = 48
const CELLS = 7 * SLOTS
/** Mean, mean absolute deviation, windows seen. */
const WIDTH = 3 * CELLS
const SLOT_MS = 1_800_000
/** Share of a cell that one visit renews: half of what is known is two weeks old. */
const VISIT_SHARE = 0.3
/** Windows of a cell before it is compared with. */
const KNOWN_WINDOWS = 3
/** Mean absolute deviation → standard deviation under normality. */
const MAD_TO_SD = Math.sqrt(Math.PI / 2)
/** Least scale relative to the level: a constant series must not make the smallest change strange. */
const RESOLUTION = 1e-3
/** Series remembered; later ones are compared as on any day, and counted. */
const SERIES_MAX = 10_000
/** Larger magnitudes are held here: float32 holds no more. */
const VALUE_MAX = 1e37

const ID = 'week-memory'
const VERSION = 1

/** What `read` found. */
export interface LikeDay {
  surprise: number
  expected: number
  /** Standard deviation, in the series' unit. */
  scale: number
}

export class WeekMemory {
  readonly id = ID
  readonly #table: SeriesRows
  readonly #rate: number
  readonly #cells = new Map<number, Float32Array>()
  dropped = 0

  constructor(table: SeriesRows, stepMs: number) {
    this.#table = table
    this.#rate = VISIT_SHARE / Math.max(1, SLOT_MS / stepMs)
  }

  /** How strange a value is for that day of the week (0 is Sunday) and time of day; false when that is not known. */
  read(row: number, weekday: number, inDayMs: number, value: number, out: LikeDay): boolean {
    const cells = this.#cells.get(row)
    const cell = cellOf(weekday, inDayMs)
    if (!cells || !(cells[2 * CELLS + cell] >= KNOWN_WINDOWS) || Number.isNaN(value)) return false
    const mean = cells[cell]
    out.expected = mean
    out.scale = MAD_TO_SD * cells[CELLS + cell] + RESOLUTION * Math.abs(mean) + Number.MIN_VALUE
    const tail = priorTail(Math.abs(clamp(value) - mean) / out.scale)
    out.surprise = tail > 0 ? Math.min(SURPRISE_MAX, -Math.log10(tail)) : SURPRISE_MAX
    return true
  }

  learn(row: number, weekday: number, inDayMs: number, value: number): void {
    if (Number.isNaN(value)) return
    let cells = this.#cells.get(row)
    if (!cells) {
      if (this.#cells.size >= SERIES_MAX) {
        this.dropped++
        return
      }
      cells = new Float32Array(WIDTH)
      this.#cells.set(row, cells)
    }
    const cell = cellOf(weekday, inDayMs)
    const n = cells[2 * CELLS + cell]
    const rate = Math.max(1 / (n + 1), this.#rate)
    const miss = clamp(value) - cells[cell]
    cells[cell] += rate * miss
    if (n > 0) cells[CELLS + cell] += Math.max(1 / n, this.#rate) * (Math.abs(miss) - cells[CELLS + cell])
    cells[2 * CELLS + cell] = Math.min(1e6, n + 1)
  }

  forget(row: number): void {
    this.#cells.delete(row)
  }

  snapshot(): Snapshot {
    const keys: string[] = []
    const cells = new Float32Array(this.#cells.size * WIDTH)
    for (const [row, own] of this.#cells) {
      cells.set(own, keys.length * WIDTH)
      keys.push(this.#table.meta(row).key)
    }
    return { id: ID, version: VERSION, keys, columns: { cells }, meta: null }
  }

  /** A memory of another layout is begun anew: it says nothing until it is known. */
  restore(from: Snapshot): void {
    const { cells } = from.columns
    if (from.version !== VERSION || !(cells instanceof Float32Array)) return
    for (const [i, key] of from.keys.entries()) {
      const row = this.#table.row(key)
      if (row >= 0) this.#cells.set(row, cells.slice(i * WIDTH, (i + 1) * WIDTH))
    }
  }

  bytes(): number {
    return this.#cells.size * WIDTH * 4
  }
}

function cellOf(weekday: number, inDayMs: number): number {
  return weekday * SLOTS + Math.min(SLOTS - 1, Math.floor(inDayMs / SLOT_MS))
}

function clamp(value: number): number {
  return value > VALUE_MAX ? VALUE_MAX : value < -VALUE_MAX ? -VALUE_MAX : value
}

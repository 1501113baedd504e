import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import type { SeriesRows } from '../core/series.ts'

/** From this surprise on a plain series is a suspect. */
const SUSPECT_SURPRISE = 3
/** Suspects of one window that are looked at, the most surprising. */
const CANDIDATES_MAX = 200
/** Who was made rich stays so for this long after it was strange last. */
const QUIET_MS = 86_400_000

/** Who changes tier after a window. */
export interface Moves {
  readonly windowEndMs: number
  readonly up: readonly number[]
  readonly down: readonly number[]
}

interface Saved {
  readonly due: {
    readonly windowEndMs: number
    readonly up: readonly string[]
    readonly down: readonly string[]
  } | null
  readonly promoted: readonly (readonly [key: string, suspectMs: number])[]
  readonly promotions: number
  readonly demotions: number
}

/** Who among the plain series is strange enough to be looked at closely, and who has been quiet for long enough since. */
export class SuspectQueue {
  readonly #series: SeriesRows
  /** Surprise of the suspects of the window that is being scored. */
  readonly #candidates = new Map<number, number>()
  /** Series made rich, by when they were strange last; longest ago first. */
  readonly #promoted = new Map<number, number>()
  #waiting = 0
  #due: Moves | undefined
  promotions = 0
  demotions = 0

  constructor(series: SeriesRows) {
    this.#series = series
  }

  /** Plain rows of a batch that was scored. */
  look({ length, series }: FeatureBatch, { surprise }: OpinionBatch): void {
    for (let i = 0; i < length; i++) {
      if (surprise[i] >= SUSPECT_SURPRISE) this.#candidates.set(series[i], surprise[i])
    }
  }

  /** A window is complete: who is to be rich, most surprising first, and who plain. `room`: places free before. */
  review(windowEndMs: number, room: number, isOpen: (series: number) => boolean): void {
    const wanted = [...this.#candidates].sort(
      (a, b) => b[1] - a[1] || compare(this.#series.key(a[0]), this.#series.key(b[0])),
    )
    this.#candidates.clear()
    wanted.length = Math.min(wanted.length, CANDIDATES_MAX)
    const down: number[] = []
    for (const [series, suspectMs] of this.#promoted) {
      if (room + down.length >= wanted.length || windowEndMs - suspectMs < QUIET_MS) break
      this.#promoted.delete(series)
      // Still strange: to the end of the queue.
      if (isOpen(series)) this.#promoted.set(series, windowEndMs)
      else down.push(series)
    }
    const up = wanted.slice(0, room + down.length).map(([series]) => series)
    for (const series of up) this.#promoted.set(series, windowEndMs)
    this.#waiting = wanted.length - up.length
    this.promotions += up.length
    this.demotions += down.length
    if (up.length + down.length > 0) this.#due = { windowEndMs, up, down }
  }

  /** The moves that are due, once. */
  due(): Moves | undefined {
    const due = this.#due
    this.#due = undefined
    return due
  }

  counts(): Readonly<Record<string, number>> {
    return { promoted: this.#promoted.size, waiting: this.#waiting }
  }

  forget(series: number): void {
    this.#candidates.delete(series)
    this.#promoted.delete(series)
    const due = this.#due
    if (!due) return
    const others = (rows: readonly number[]) => rows.filter(row => row !== series)
    this.#due = { ...due, up: others(due.up), down: others(due.down) }
  }

  saved(): Saved {
    const promoted = Array.from(this.#promoted, ([row, ms]) => [this.#series.key(row), ms] as const)
    const keys = (rows: readonly number[]) => rows.map(row => this.#series.key(row))
    const due = this.#due ? { ...this.#due, up: keys(this.#due.up), down: keys(this.#due.down) } : null
    return { promoted, due, promotions: this.promotions, demotions: this.demotions }
  }

  restore(from: unknown): void {
    const saved = from as Saved
    for (const [key, ms] of saved.promoted) {
      const row = this.#series.row(key)
      if (row >= 0) this.#promoted.set(row, ms)
    }
    const rows = (keys: readonly string[]) => keys.map(key => this.#series.row(key)).filter(row => row >= 0)
    if (saved.due) this.#due = { ...saved.due, up: rows(saved.due.up), down: rows(saved.due.down) }
    this.promotions = saved.promotions
    this.demotions = saved.demotions
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

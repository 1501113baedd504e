import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import type { SeriesRows } from '../core/series.ts'
import { STEP_ROWS } from '../core/steps.ts'

/** From this surprise on a plain series is a suspect. */
const SUSPECT_SURPRISE = 3
/** Suspects of one window that are looked at: the first, in the order of rows. When more are strange, the fault is no single series'. */
const CANDIDATES_MAX = 4096
/** Of those, the most surprising are made rich. */
const MOVES_MAX = 200
/** Who was made rich stays so for this long after it was strange last, and for as long as it is an apprentice. */
const QUIET_MS = 86_400_000
/**
 * Windows that a series which is made rich goes on being heard from the plain tier: until then the calibrations of its own know less
 * than those that all of its kind share.
 */
const APPRENTICE_WINDOWS = 300

/** Who changes tier after a window. */
export interface Moves {
  readonly up: readonly number[]
  readonly down: readonly number[]
  /** Made rich long enough ago to be heard. */
  readonly graduates: readonly number[]
}

interface Saved {
  readonly due: { readonly [K in keyof Moves]: readonly string[] } | null
  readonly apprentices: readonly (readonly [key: string, untilMs: number])[]
  readonly promoted: readonly (readonly [key: string, suspectMs: number])[]
  readonly promotions: number
  readonly demotions: number
}

/** Who among the plain series is strange enough to be looked at closely, and who has been quiet for long enough since. */
export class SuspectQueue {
  readonly #series: SeriesRows
  readonly #apprenticeMs: number
  readonly #quietMs: number
  /** Series that were made rich, by when they are heard from there. */
  readonly #apprentices = new Map<number, number>()
  /** Surprise of the suspects of the window that is being scored. */
  readonly #candidates = new Map<number, number>()
  /** Series made rich, by when they were strange last; longest ago first. */
  readonly #promoted = new Map<number, number>()
  #waiting = 0
  #due: Moves | undefined
  promotions = 0
  demotions = 0

  /** `stepMs`: the window step. */
  constructor(series: SeriesRows, stepMs: number) {
    this.#series = series
    this.#apprenticeMs = APPRENTICE_WINDOWS * stepMs
    // An apprentice has nothing of its own yet that it could go on with as a plain one.
    this.#quietMs = Math.max(QUIET_MS, this.#apprenticeMs)
  }

  isApprentice(series: number): boolean {
    return this.#apprentices.size > 0 && this.#apprentices.has(series)
  }

  /** Plain rows of a batch that was scored. */
  *looking({ length, series, observed }: FeatureBatch, { surprise }: OpinionBatch): Generator<void> {
    for (let from = 0; from < length; from += STEP_ROWS) {
      const to = Math.min(length, from + STEP_ROWS)
      for (let i = from; i < to; i++) {
        if (!(surprise[i] >= SUSPECT_SURPRISE) || this.#candidates.size >= CANDIDATES_MAX) continue
        // At what is silent there is nothing to look at, however closely.
        if (!Number.isNaN(observed[i])) this.#candidates.set(series[i], surprise[i])
      }
      yield
    }
  }

  /** A window is complete: who is to be rich, most surprising first, and who plain. `room`: places free before. */
  review(windowEndMs: number, room: number, isOpen: (series: number) => boolean): void {
    // Windows without a row are reviewed, but not scored: first comes what is due.
    if (this.#due !== undefined) return
    const wanted = Array.from(this.#candidates, ([series, surprise]) => ({ series, surprise })).filter(
      ({ series }) => !this.#promoted.has(series),
    )
    this.#candidates.clear()
    const graduates: number[] = []
    for (const [series, untilMs] of this.#apprentices) {
      if (untilMs > windowEndMs) break
      graduates.push(series)
    }
    const wantedMost = Math.min(wanted.length, MOVES_MAX)
    const down: number[] = []
    for (const [series, suspectMs] of this.#promoted) {
      if (room + down.length >= wantedMost || windowEndMs - suspectMs < this.#quietMs) break
      this.#promoted.delete(series)
      // Still strange: to the end of the queue.
      if (isOpen(series)) this.#promoted.set(series, windowEndMs)
      else down.push(series)
    }
    const places = Math.min(wantedMost, room + down.length)
    const up = places > 0 ? this.#strangest(wanted, places) : []
    for (const series of up) {
      this.#promoted.set(series, windowEndMs)
      this.#apprentices.set(series, windowEndMs + this.#apprenticeMs)
    }
    this.#waiting = wantedMost - up.length
    this.promotions += up.length
    this.demotions += down.length
    if (up.length + down.length + graduates.length > 0) this.#due = { up, down, graduates }
  }

  /** The most surprising first; keys, which are long to make, only of those that nothing else tells apart. */
  #strangest(wanted: { series: number; surprise: number; key?: string }[], places: number): number[] {
    const keyOf = (one: { readonly series: number; key?: string }) => {
      one.key ??= this.#series.key(one.series)
      return one.key
    }
    wanted.sort((a, b) => b.surprise - a.surprise || compare(keyOf(a), keyOf(b)))
    return wanted.slice(0, places).map(({ series }) => series)
  }

  /** The moves that are due, once: until then graduates are apprentices, of whom the plain tier knows too. */
  due(): Moves | undefined {
    const due = this.#due
    this.#due = undefined
    for (const series of due?.graduates ?? []) this.#apprentices.delete(series)
    return due
  }

  counts(): Readonly<Record<string, number>> {
    return { promoted: this.#promoted.size, apprentices: this.#apprentices.size, waiting: this.#waiting }
  }

  forget(series: number): void {
    this.#candidates.delete(series)
    this.#promoted.delete(series)
    this.#apprentices.delete(series)
    const due = this.#due
    if (!due) return
    const others = (rows: readonly number[]) => rows.filter(row => row !== series)
    this.#due = { up: others(due.up), down: others(due.down), graduates: others(due.graduates) }
  }

  saved(): Saved {
    const promoted = Array.from(this.#promoted, ([row, ms]) => [this.#series.key(row), ms] as const)
    const keys = (rows: readonly number[]) => rows.map(row => this.#series.key(row))
    const { up, down, graduates } = this.#due ?? { up: [], down: [], graduates: [] }
    const due = this.#due ? { up: keys(up), down: keys(down), graduates: keys(graduates) } : null
    const apprentices = Array.from(this.#apprentices, ([row, ms]) => [this.#series.key(row), ms] as const)
    return { promoted, apprentices, due, promotions: this.promotions, demotions: this.demotions }
  }

  /** `isRich`: who has a place; `room`: places free. Who finds none, where there are fewer now, is plain again. */
  restore(from: unknown, isRich: (series: number) => boolean, room: number): void {
    const saved = from as Saved
    const rows = (keys: readonly string[]) => keys.map(key => this.#series.row(key)).filter(row => row >= 0)
    const coming = new Set<number>()
    if (saved.due) {
      const down = rows(saved.due.down).filter(isRich)
      const up = rows(saved.due.up).slice(0, room + down.length)
      for (const row of up) coming.add(row)
      this.#due = { up, down, graduates: rows(saved.due.graduates).filter(isRich) }
    }
    for (const [times, since] of [
      [saved.promoted, this.#promoted],
      [saved.apprentices, this.#apprentices],
    ] as const)
      for (const [key, ms] of times) {
        const row = this.#series.row(key)
        if (row >= 0 && (isRich(row) || coming.has(row))) since.set(row, ms)
      }
    this.promotions = saved.promotions
    this.demotions = saved.demotions
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The recent past of series, for charts and for finding causes. Bounded by a byte budget. */
export interface SeriesHistory {
  /** Windows kept per series. */
  readonly depth: number
  /** Window step, ms. */
  readonly stepMs: number
  /** End of the newest window, Unix ms; NaN before the first. */
  readonly newestEndMs: number
  /**
   * Copies the last `out.observed.length` windows of a series, oldest first, NaN where nothing is known.
   * Returns the windows copied, 0 for a series without history.
   */
  read(series: number, out: HistoryColumns): number
  /** Rows of the series that have any, in no order; left out where nobody counts them. */
  held?(): Uint32Array
  /** Observed only, the windows that end in (fromMs, toMs], into `out` from index 0; returns how many. */
  observed(series: number, fromMs: number, toMs: number, out: Float64Array): number
  /** Prepares to ask many series how many windows of (fromMs, toMs] there are from the first on of which a finite value is known; 0: none is. */
  knownWithin(fromMs: number, toMs: number): (series: number) => number
  /** Prepares to read the same windows of many series: those that end at `endsMs`, ascending, Unix ms. Good until the next is recorded. */
  windowsAt(endsMs: Float64Array): WindowsAt
}

/** The same windows of one series after the other. */
export interface WindowsAt {
  /** Observed only, into `out` from index 0, NaN where nothing is known; false, and nothing written, for a series without history. */
  read(series: number, out: Float64Array): boolean
}

export interface HistoryColumns {
  readonly observed: Float64Array
  readonly expected: Float64Array
  readonly lower: Float64Array
  readonly upper: Float64Array
  readonly surprise: Float32Array
}

export function historyColumns(windows: number): HistoryColumns {
  return {
    observed: new Float64Array(windows),
    expected: new Float64Array(windows),
    lower: new Float64Array(windows),
    upper: new Float64Array(windows),
    surprise: new Float32Array(windows),
  }
}

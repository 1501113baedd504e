/**
 * The columns that flow through the hot path. Objects begin only at the Anomaly, where data become rare.
 * Batches are allocated once at a stated capacity and lent: a callee never keeps one past its return.
 */

/** Samples as a source delivers them, after conversion (counters are rates, histograms quantiles). */
export interface SampleBatch {
  length: number
  readonly capacity: number
  /** Dense row of the SeriesTable, this process only. */
  readonly series: Uint32Array
  /** Event time, Unix ms. */
  readonly timeMs: Float64Array
  /** The series' unit; NaN is an explicit gap (stale marker). */
  readonly value: Float64Array
}

/**
 * Rows of a batch of a window. What is said and learned of a series does not depend on it, nor does CPU as far as it could be
 * told (2,048 to 65,536). Garbage does, a few kB a batch: 1.4 B a sample of 50,000 series with 8,192 rows, .9 with these. Memory
 * does too: beside a worker 55 MiB more than with 8,192. What still depends on it: a budget that rich and plain series share is spent
 * by them a batch at a time, and priced by the plain ones that were seen up to a batch's end.
 */
export const BATCH_ROWS = 65_536
/**
 * Rows of a window that are made ready at once where rows are judged by each other (`multivariate`, learned models, budgets), ahead of
 * its batches, so that who looks at entities sees them whole wherever a batch ends: 100 MB of them, and 71 MB that a checkpoint may have to copy. Of an entity
 * with rows before and after so many the part that comes first is judged, and there is no opinion of the rest.
 */
export const WINDOW_ROWS = 4_194_304

/** At most one row per series per batch, in ascending series order; all rows of a batch end at one time. */
export interface FeatureBatch {
  length: number
  readonly capacity: number
  /** Features per row. */
  readonly width: number
  readonly series: Uint32Array
  /** End of the window, exclusive, Unix ms. */
  readonly windowEndMs: Float64Array
  /** Window aggregate in the series' unit; NaN when nothing was seen. */
  readonly observed: Float64Array
  /** Samples seen / samples expected, 0..1. */
  readonly coverage: Float32Array
  /** [capacity × width] row-major, unitless: a model tensor without a copy. */
  readonly features: Float32Array
}

/** What a detector says of each row of a FeatureBatch. NaN means no opinion. */
export interface ScoreBatch {
  length: number
  readonly capacity: number
  /** The detector's own raw score, higher = stranger; ranks windows. */
  readonly score: Float32Array
  /** Evidence that this very window is anomalous; equals `score` for detectors with one output. */
  readonly point: Float32Array
  /** Evidence that something has begun here; equals `score` for detectors with one output. */
  readonly incident: Float32Array
  /** What was expected, in the series' unit. */
  readonly expected: Float64Array
  /** Lower edge of the expected band, in the series' unit. */
  readonly lower: Float64Array
  /** Upper edge of the expected band, in the series' unit. */
  readonly upper: Float64Array
}

/** What all detectors together say of each row: comparable across series. NaN means no opinion. */
export interface OpinionBatch {
  length: number
  readonly capacity: number
  /** Fused tail probability as −log10 p, ≥ 0: ranks windows. */
  readonly surprise: Float32Array
  /** −log10 p that this very window is ordinary. */
  readonly point: Float32Array
  /** −log10 p that nothing has begun here. */
  readonly incident: Float32Array
  /** Public score 0..100, derived from surprise. */
  readonly score: Float32Array
  readonly expected: Float64Array
  readonly lower: Float64Array
  readonly upper: Float64Array
  /**
   * Strength for grouping, 0..8: how far the window lies in the metric's bad direction, in units of the series'
   * own tail (z / (1 + q97 of own z)). Absence counts as 8.
   */
  readonly evidence: Float32Array
  /** +1 above expectation, −1 below, 0 absent or undecided. */
  readonly direction: Int8Array
  /** Index of the detector that contributed most, into the ensemble's list. */
  readonly strongest: Uint8Array
}

export function sampleBatch(capacity: number): SampleBatch {
  return {
    length: 0,
    capacity,
    series: new Uint32Array(capacity),
    timeMs: new Float64Array(capacity),
    value: new Float64Array(capacity),
  }
}

export function featureBatch(capacity: number, width: number): FeatureBatch {
  return {
    length: 0,
    capacity,
    width,
    series: new Uint32Array(capacity),
    windowEndMs: new Float64Array(capacity),
    observed: new Float64Array(capacity),
    coverage: new Float32Array(capacity),
    features: new Float32Array(capacity * width),
  }
}

export function scoreBatch(capacity: number): ScoreBatch {
  return {
    length: 0,
    capacity,
    score: new Float32Array(capacity),
    point: new Float32Array(capacity),
    incident: new Float32Array(capacity),
    expected: new Float64Array(capacity),
    lower: new Float64Array(capacity),
    upper: new Float64Array(capacity),
  }
}

export function opinionBatch(capacity: number): OpinionBatch {
  return {
    length: 0,
    capacity,
    surprise: new Float32Array(capacity),
    point: new Float32Array(capacity),
    incident: new Float32Array(capacity),
    score: new Float32Array(capacity),
    expected: new Float64Array(capacity),
    lower: new Float64Array(capacity),
    upper: new Float64Array(capacity),
    evidence: new Float32Array(capacity),
    direction: new Int8Array(capacity),
    strongest: new Uint8Array(capacity),
  }
}

/** Rows from..to of a batch, as views. */
export function rowsOf(batch: FeatureBatch, from: number, to: number): FeatureBatch {
  const { width } = batch
  return {
    length: to - from,
    capacity: to - from,
    width,
    series: batch.series.subarray(from, to),
    windowEndMs: batch.windowEndMs.subarray(from, to),
    observed: batch.observed.subarray(from, to),
    coverage: batch.coverage.subarray(from, to),
    features: batch.features.subarray(from * width, to * width),
  }
}

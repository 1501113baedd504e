/** What is said of one row of an entity's metrics. */
export interface EntityOpinion {
  /** Higher = stranger; NaN = no opinion yet. */
  score: number
  /** Evidence per metric, in the order of the row; 0 for a missing one. Lent until the next call. */
  readonly share: Float64Array
  /** 1 where the value was missing and taken from the other metrics. Lent until the next call. */
  readonly imputed: Uint8Array
  /** What the other metrics lead one to expect of each, in its unit; NaN where not known. Lent until the next call. */
  readonly expected: Float64Array
  /** Usual distance from that, in its unit; NaN where not known. Lent until the next call. */
  readonly spread: Float64Array
}

/**
 * Scores the metrics of one entity together, row by row in time order. A row is scored with what was learned from
 * rows before it and then learned, down-weighted by `weight` 0..1.
 */
export interface EntityDetector {
  readonly id: string
  /** Metrics a row. */
  readonly metrics: number
  /** Rows before it has an opinion. */
  readonly warmUpRows: number
  /** `values`: one per metric, NaN where missing. `timeMs`: Unix, for the time of day; NaN or absent: unknown. */
  next(values: Float64Array, weight?: number, timeMs?: number): EntityOpinion
  /** Bytes of state held. */
  bytes(): number
}

import type { SeriesMeta } from './series.ts'

/**
 * Windows on their way out, to be trained on: what the detectors saw of a series and what was said of it. Columns of
 * one length, filled anew and again; whoever is handed them keeps none of them past its return.
 */
export interface WindowRows {
  length: number
  readonly capacity: number
  readonly meta: SeriesMeta[]
  /** End of the window, exclusive, Unix ms. */
  readonly timeMs: Float64Array
  /** The series' unit; NaN when nothing was seen. */
  readonly observed: Float64Array
  readonly expected: Float64Array
  readonly lower: Float64Array
  readonly upper: Float64Array
  /** Samples seen / samples expected; NaN where it is not kept. */
  readonly coverage: Float32Array
  readonly surprise: Float32Array
  /** NaN where it is not kept. */
  readonly point: Float32Array
  /** NaN where it is not kept. */
  readonly incident: Float32Array
  /** 0..100. */
  readonly score: Float32Array
  /** 1 where the window lies inside an anomaly of its series, from the first strange window to the last. */
  readonly anomalous: Uint8Array
  /** Id of the disruption that the anomaly is evidence of; '' without one. */
  readonly disruption: string[]
}

/** Takes rows and makes bytes of a file of them. */
export interface WindowFile {
  write(rows: WindowRows): void
  /** Writes what a reader needs at the end. Nothing may be written after it. */
  finish(): void
}

export type WindowFormat = 'parquet' | 'ndjson'

/** `sink` is lent each stretch of bytes as it is made. */
export type OpenWindowFile = (format: WindowFormat, sink: (bytes: Uint8Array) => void) => WindowFile

export function windowRows(capacity: number): WindowRows {
  return {
    length: 0,
    capacity,
    meta: [],
    timeMs: new Float64Array(capacity),
    observed: new Float64Array(capacity),
    expected: new Float64Array(capacity),
    lower: new Float64Array(capacity),
    upper: new Float64Array(capacity),
    coverage: new Float32Array(capacity),
    surprise: new Float32Array(capacity),
    point: new Float32Array(capacity),
    incident: new Float32Array(capacity),
    score: new Float32Array(capacity),
    anomalous: new Uint8Array(capacity),
    disruption: [],
  }
}

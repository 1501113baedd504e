import type { FeatureBatch, ScoreBatch } from './batch.ts'
import type { Cut, CutSnapshot } from './cut.ts'
import type { LocalTime } from './local-time.ts'
import type { BadDirection, SeriesRows } from './series.ts'
import type { Snapshot } from './snapshot.ts'

/** What a detector is told at construction; options of its own come beside it. */
export interface DetectorContext {
  readonly series: SeriesRows
  /** Window step, ms. */
  readonly stepMs: number
  /** Which way is bad for a series, where rules say other than its metadata. */
  readonly direction?: (row: number) => BadDirection | undefined
  /** Wall clocks that daily shapes follow; UTC when absent. */
  readonly localTime?: LocalTime
}

/** One voice of a detector: the column it speaks in and the opinions it is heard for. */
export interface DetectorVoice {
  readonly column: 'score' | 'point' | 'incident'
  readonly feeds: readonly ('surprise' | 'point' | 'incident')[]
  /** The column already holds −log10 of a tail probability: no calibration is learned. */
  readonly calibrated?: boolean
  /** The name its calibration is kept under, where the column's own would be taken for another voice. */
  readonly name?: string
}

/**
 * Scores windows of many series. Score first, then learn: `score` changes no learned state (scratch that
 * `learn` of the very same batch may reuse is allowed), so a window never explains itself.
 */
export interface Detector {
  /** Name and version, such as `seasonal@1` or `onnx:service-ae@3`. */
  readonly id: string
  /** Features read per row; 0 when only `observed` is read. */
  readonly width: number
  /** Windows of a series before it has an opinion. */
  readonly warmUpWindows: number
  /** Left out: `score`, `point` and `incident` speak for surprise, point and incident, each calibrated. */
  readonly voices?: readonly DetectorVoice[]
  /** Why it works with less than it should, such as a model that cannot be loaded; left out while all is well. */
  readonly problem?: string | undefined
  /** Rows are judged by each other: it is given whole batches, never parts of them. */
  readonly whole?: true
  /** It knows no time of day: where the daily shape of a series is known, it is given values without it. */
  readonly timeless?: true
  score(batch: FeatureBatch, out: ScoreBatch): Promise<void>
  /** `weight` 0..1 per row keeps disruptions out of the baseline. */
  learn(batch: FeatureBatch, weight: Float32Array): void
  /** Drops all state of a series whose row may be reused. */
  forget(series: number): void
  snapshot(): Snapshot
  /** The same without copying what is large: see `Cut`. */
  cut?(cut: Cut): CutSnapshot
  /** Throws FS_SNAPSHOT_INVALID when the snapshot is not one of this detector's. */
  restore(from: Snapshot): void
  /** Bytes of learned state held. */
  bytes(): number
  /** In words, what lies behind its opinion of the series in the batch scored last; nothing where it has no more to say. */
  why?(series: number): readonly string[]
  /** The name under which it spoke for a series in the batch scored last, where that is not its own: model and version. */
  spokeAs?(series: number): string
  /** It has nothing to say of any series at present, and need not be asked. */
  readonly silent?: boolean
  /** What it covers and what it had to leave out, by name. */
  counts?(): Readonly<Record<string, number>>
  close(): Promise<void>
}

import { BATCH_ROWS, WINDOW_ROWS } from '../core/batch.ts'
import type { SliExpression } from './expression.ts'

export interface WindowOptions {
  /** Length of a window and distance between windows, ms. */
  readonly stepMs?: number | undefined
  /** How much later than the newest sample a sample may be and still count, ms; one step by default. */
  readonly latenessMs?: number | undefined
  /** How long without samples before arrival time pushes the watermark, ms. */
  readonly idleMs?: number | undefined
  /** A series silent for longer is expired, ms. */
  readonly retentionMs?: number | undefined
  /** Samples further ahead of their arrival are refused, ms. */
  readonly futureLimitMs?: number | undefined
  /** Windows without any sample that are emitted before time jumps on. */
  readonly gapWindowsMax?: number | undefined
  /** Most samples held in open windows; further ones are refused. */
  readonly openSamplesMax?: number | undefined
  /** Most windows that samples wait in; those of further ones are refused. */
  readonly openWindowsMax?: number | undefined
  /** Rows per lent FeatureBatch. */
  readonly batchRows?: number | undefined
  /** Rows made ready at once of windows whose rows are judged by each other, and whether one that begins is such. */
  readonly windowRows?: number | undefined
  readonly isWhole?: (() => boolean) | undefined
  /** Fill the feature vectors (FEATURES); false leaves width 0, which tier 0 needs no more than. */
  readonly features?: boolean | undefined
  /** Period of the seasonal baseline, ms. */
  readonly seasonMs?: number | undefined
  /** Derived metrics. */
  readonly expressions?: readonly SliExpression[] | undefined
}

/** What holds when an option is left out, and why. */
export const WINDOW_DEFAULTS = {
  /** Fine enough for a page in under a minute, coarse enough for 15 s scrapes to fill most windows. */
  stepMs: 10_000,
  /** Three steps: longer than a remote-write batch waits, shorter than a person would. */
  idleMs: 30_000,
  /** A day: a nightly job is still known the next night. */
  retentionMs: 86_400_000,
  /** Clock skew between honest hosts stays under a minute. */
  futureLimitMs: 60_000,
  /** Enough for every absence detector to see that all is silent. */
  gapWindowsMax: 20,
  /** 32 M samples × 14 B = 470 MB, 22 B where times are no whole ms: three open windows of 1 M series that send once a second. */
  openSamplesMax: 33_554_432,
  /** A month of ten seconds in one body, in 0.5 GB: a window with a single sample takes 2 kB. */
  openWindowsMax: 262_144,
  batchRows: BATCH_ROWS,
  windowRows: WINDOW_ROWS,
  seasonMs: 86_400_000,
} as const

/** A series is overdue when this many of its usual pauses have passed without a sample. */
export const OVERDUE_PAUSES = 2.5

export type WindowSettings = Required<{ [K in keyof WindowOptions]: NonNullable<WindowOptions[K]> }>

export function windowSettings(options: WindowOptions): WindowSettings {
  const stepMs = options.stepMs ?? WINDOW_DEFAULTS.stepMs
  return {
    stepMs,
    latenessMs: options.latenessMs ?? stepMs,
    idleMs: options.idleMs ?? Math.max(WINDOW_DEFAULTS.idleMs, 3 * stepMs),
    retentionMs: options.retentionMs ?? WINDOW_DEFAULTS.retentionMs,
    futureLimitMs: options.futureLimitMs ?? WINDOW_DEFAULTS.futureLimitMs,
    gapWindowsMax: options.gapWindowsMax ?? WINDOW_DEFAULTS.gapWindowsMax,
    openSamplesMax: options.openSamplesMax ?? WINDOW_DEFAULTS.openSamplesMax,
    openWindowsMax: options.openWindowsMax ?? WINDOW_DEFAULTS.openWindowsMax,
    batchRows: options.batchRows ?? WINDOW_DEFAULTS.batchRows,
    windowRows: options.windowRows ?? WINDOW_DEFAULTS.windowRows,
    isWhole: options.isWhole ?? (() => false),
    features: options.features ?? false,
    seasonMs: options.seasonMs ?? WINDOW_DEFAULTS.seasonMs,
    expressions: options.expressions ?? [],
  }
}

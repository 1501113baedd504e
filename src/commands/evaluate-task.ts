import type { Counts } from '../evaluate/delay.ts'
import type { EventCounts } from '../evaluate/events.ts'
import type { NabSweep } from '../evaluate/nab.ts'
import { mulberry32 } from '../math/mulberry32.ts'
import type { Part } from './ablation.ts'
import type { BudgetCount } from './alert-budget.ts'
import type { Suite } from './evaluate-data.ts'

/** What is measured: the shipped detector, or one of the two controls every table carries. */
export type Contestant = 'foreshock' | 'random' | 'difference'
export const CONTESTANTS: readonly Contestant[] = ['foreshock', 'random', 'difference']

export interface EvaluateTask {
  readonly suite: Suite
  readonly data: string
  readonly name: string
  readonly detector?: string | undefined
  /** Parts taken away from the detector. */
  readonly without?: readonly Part[] | undefined
  /** Instead of scoring, the views of the history are written into this folder. */
  readonly views?: string | undefined
}

/** Thresholds at which counts are kept: steps of 4 % over the useful range of any evidence. */
export const THRESHOLDS: readonly number[] = Array.from({ length: 160 }, (_, k) => 0.05 * 1.04 ** k)

export interface SeriesResult {
  readonly contestant: Contestant
  readonly vus100: number
  readonly vus20: number
  /** The same on the labelled history, past its first day: what choices may be made by. */
  readonly train?: { readonly vus100: number; readonly vus20: number }
  readonly days: number
  readonly nab?: NabSweep
  /** Counts at each of THRESHOLDS, of the history and of the test. */
  readonly trainDelay?: readonly Counts[]
  readonly testDelay?: readonly Counts[]
  readonly trainEvents?: readonly EventCounts[]
  readonly testEvents: readonly EventCounts[]
  /** Share of rows that lie in an alert at each threshold (multivariate): one that never ends hits every event. */
  readonly alertShare?: readonly number[]
  /** Rows at or above each threshold against labels (multivariate). */
  readonly points?: readonly Counts[]
  /** Events of the first day, when only level and spread are known. */
  readonly firstDay?: readonly EventCounts[]
  /** Alerts that each of BUDGETS came to, by the calibrated tail of the point evidence. */
  readonly budgets?: readonly BudgetCount[]
  readonly culprits?: { readonly hit100: number; readonly hit150: number; readonly ndcg5: number }
}

export interface TaskResult {
  readonly name: string
  readonly results: readonly SeriesResult[]
}

/** Rows that a model is asked of at once. */
export const AHEAD_ROWS = 4096

/** The control that knows nothing: the same for a name each time. */
export function randomScores(n: number, name: string): Float64Array {
  let seed = 0
  for (const char of name) seed = (Math.imul(seed, 31) + char.charCodeAt(0)) >>> 0
  const random = mulberry32(seed)
  return Float64Array.from({ length: n }, () => 20 * random())
}

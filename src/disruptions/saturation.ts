import type { MetricKind } from '../core/metric-kind.ts'
import { SCORE } from './change-score.ts'

/**
 * A resource that ran into its ceiling is evidence, however often it came near before: beyond the ceiling the series
 * cannot show how much more was asked for, so its shift says too little. Utilisations only, in percent or as shares.
 */

/** Share of what there is from which a resource is used up. */
const FULL = 0.9
/** Where it usually is at most: what always runs at the ceiling says nothing new. */
const ROOM = 0.8
/** Shift, in usual tails, that running full counts for at least: a suspicion, weaker than any anomaly. */
const FULL_SCORE = 3
const BOUNDED: ReadonlySet<MetricKind> = new Set(['cpu', 'memory', 'io', 'saturation'])
/** What rounding and averaging may put above the ceiling. */
const SLACK = 1.05

/** Makes the score whose numbers stand from `at` on stronger where the change ended at the ceiling. `before` and `after` tell percent from shares. */
export function atCeiling(
  score: Float64Array,
  at: number,
  kind: MetricKind,
  unit: string,
  before: Float64Array,
  n: number,
  after: Float64Array,
  m: number,
): void {
  if (score[at + SCORE.isSpike] !== 1 || !BOUNDED.has(kind) || (unit !== 'percent' && unit !== 'ratio'))
    return
  const largest = Math.max(largestOf(before, n), largestOf(after, m))
  // What is called percent and never exceeds one is a share.
  const ceiling = unit === 'ratio' || largest <= SLACK ? 1 : 100
  if (largest > SLACK * ceiling) return
  if (!(score[at + SCORE.observed] >= FULL * ceiling) || !(score[at + SCORE.expected] <= ROOM * ceiling))
    return
  for (const place of [at + SCORE.tail, at + SCORE.sigma]) score[place] = Math.max(score[place], FULL_SCORE)
}

function largestOf(values: Float64Array, n: number): number {
  let largest = 0
  for (let i = 0; i < n; i++) if (values[i] > largest) largest = values[i]
  return largest
}

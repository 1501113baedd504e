import { SeriesTable } from '../core/series.ts'
import { BudgetThreshold } from '../detectors/budget-threshold.ts'
import { Calibration } from '../detectors/calibration.ts'

/** Alerts a week that a series is promised; each is measured by itself. */
export const BUDGETS = [1, 7] as const
/** Nothing is counted before tails have been seen, windows. */
const SETTLING = 500
const WEEK_MS = 604_800_000

/** What a budget of alerts a week came to. */
export interface BudgetCount {
  readonly alerts: number
  readonly weeks: number
}

/**
 * Evidence of one series → how often it alerts when told to alert `budget` times a week: through the same calibration
 * as live, which learns the tail of the series' own evidence without labels, as it goes, and a threshold on it that keeps
 * the promise in alerts, not windows: see BudgetThreshold.
 */
export function budgetCounts(evidence: Float64Array, stepMs: number): BudgetCount[] {
  const table = new SeriesTable(1)
  table.intern({
    key: 'e',
    tenant: 'default',
    metric: 'e',
    labels: {},
    entity: 'e',
    unit: '',
    kind: 'other',
    bad: 'both',
  })
  const calibration = new Calibration('calibration:budget', table)
  const row = new Uint32Array(1)
  const raw = new Float32Array(1)
  const said = new Float32Array(1)
  const bins = new Uint8Array(1)
  const weight = Float32Array.of(1)
  const windowsAWeek = WEEK_MS / stepMs
  const thresholds = BUDGETS.map(budget => new BudgetThreshold(budget, stepMs))
  const alerts = BUDGETS.map(() => 0)
  let seen = 0
  for (const value of evidence) {
    if (Number.isNaN(value)) continue
    raw[0] = value
    calibration.surprise(row, 1, raw, said, bins)
    calibration.learn(row, 1, bins, said, weight)
    if (seen++ < SETTLING) continue
    for (const [b, threshold] of thresholds.entries()) if (threshold.next(said[0])) alerts[b]++
  }
  const weeks = Math.max(0, seen - SETTLING) / windowsAWeek
  return alerts.map(count => ({ alerts: count, weeks }))
}

import type { ExperimentReport, Guardrails } from '../core/experiment.ts'
import type { PairStatistics } from './pair-statistics.ts'

/** Alerts that a challenger may have beyond its ratio: a few prove nothing. */
const ALERTS_FREE = 10
/** Windows that may take longer than the limit beyond 1 % of all. */
const SLOW_WINDOWS_FREE = 4
const SLOW_SHARE = 0.01
/** Rows that may fail beyond the share. */
const FAILED_ROWS_FREE = 20

type Guardrail = ExperimentReport['guardrails'][number]

/**
 * How each guardrail stands. A broken one ends the experiment: the challenger does harm, whatever it is worth.
 * `alertBudget`: alerts that the plan's budget would have allowed so far; a challenger that stays within it may find
 * many times what a blind champion does.
 */
export function judgeGuardrails(
  limits: Guardrails,
  statistics: PairStatistics,
  alertBudget: number,
  memoryGrowthMegabytes: number,
): Guardrail[] {
  const { whole, challenger } = statistics
  const offered = whole.offered
  return [
    {
      name: 'alertRatio',
      value: whole.championAlerts > 0 ? whole.challengerAlerts / whole.championAlerts : null,
      limit: limits.alertRatio,
      isBroken:
        whole.challengerAlerts >
        ALERTS_FREE + Math.max(limits.alertRatio * whole.championAlerts, alertBudget),
    },
    {
      name: 'p99Ms',
      value: finite(challenger.quantile(0.99)),
      limit: limits.p99Ms,
      isBroken: challenger.longerThan(limits.p99Ms) > SLOW_WINDOWS_FREE + SLOW_SHARE * challenger.total,
    },
    {
      name: 'failedShare',
      value: offered > 0 ? whole.challengerFailed / offered : null,
      limit: limits.failedShare,
      isBroken: isFailing(limits, whole.challengerFailed, offered),
    },
    {
      name: 'memoryMegabytes',
      value: memoryGrowthMegabytes,
      limit: limits.memoryMegabytes,
      isBroken: memoryGrowthMegabytes > limits.memoryMegabytes,
    },
  ]
}

/** Whether so many failed rows of those offered are too many. */
export function isFailing(limits: Guardrails, failed: number, offered: number): boolean {
  return failed > FAILED_ROWS_FREE + limits.failedShare * offered
}

/** Why a broken guardrail ends it, in words. */
export function brokenWhy({ name, value, limit }: Guardrail, statistics: PairStatistics): string {
  const { whole, challenger } = statistics
  if (name === 'alertRatio')
    return `the challenger alerts too much: ${whole.challengerAlerts} alerts, the champion has ${whole.championAlerts}, and at most ${limit} times as many, or the budget, are allowed`
  if (name === 'p99Ms')
    return `the challenger is too slow: ${challenger.longerThan(limit)} of ${challenger.total} windows took longer than ${limit} ms`
  if (name === 'failedShare')
    return `the challenger fails: ${whole.challengerFailed} of ${whole.offered} rows without an answer, ${limit} of them are allowed`
  return `the service grew by ${(value ?? 0).toFixed(0)} MB since the experiment started, ${limit} MB are allowed`
}

export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

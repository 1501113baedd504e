import type { Anomaly, DetectorShare, Direction } from '../core/anomaly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { contentId } from '../core/identity.ts'
import { maturity } from '../core/maturity.ts'
import { KIND_TRAITS, unitFloor } from '../core/metric-kind.ts'
import type { SeriesMeta } from '../core/series.ts'
import { formatRange, formatValue, metricWords } from '../core/units.ts'
import { kindSeverity, publicScore } from './severity.ts'

/** Anomalies as objects: what a hot window says in words, and how an open one grows and ends. */

/** Whether the move is large enough for anybody to care: beyond the kind's relative and absolute floor. */
export function matters(meta: SeriesMeta, observed: number, expected: number): boolean {
  const change = Math.abs(observed - expected)
  const floor = Math.max(
    KIND_TRAITS[meta.kind].relativeFloor * Math.abs(expected),
    unitFloor(meta.kind, meta.unit, meta.metric),
  )
  return change >= floor && change > 0
}

export function directionOf(observed: number, expected: number): Direction {
  return Number.isNaN(observed) ? 'absent' : observed >= expected ? 'spike' : 'drop'
}

export function isBad(meta: SeriesMeta, direction: Direction): boolean {
  return direction === 'absent' || meta.bad === 'both' || (meta.bad === 'up') === (direction === 'spike')
}

/** `checkout latency p99 1.9 s, expected 460 ms (300–700 ms)`, then how unlikely and who says so. */
function words(
  meta: SeriesMeta,
  stuck: boolean,
  values: Pick<Anomaly, 'observed' | 'expected' | 'lower' | 'upper' | 'surprise' | 'detectors'>,
): string[] {
  const name = `${meta.entity} ${metricWords(meta.metric)}`.trim()
  const { observed, expected, lower, upper, surprise, detectors } = values
  const odds = `one window in ${formatValue(Math.round(10 ** Math.min(surprise, 9)), '')} looks like this`
  const who = detectors.map(({ id, share }) => `${id} ${Math.round(share * 100)} %`).join(', ')
  const band =
    Number.isFinite(lower) && Number.isFinite(upper) ? ` (${formatRange(lower, upper, meta.unit)})` : ''
  const first = Number.isNaN(observed)
    ? `${name} went silent, last seen at ${formatValue(expected, meta.unit)}`
    : stuck
      ? `${name} is stuck at ${formatValue(observed, meta.unit)}, it used to vary`
      : `${name} ${formatValue(observed, meta.unit)}, expected ${formatValue(expected, meta.unit)}${band}`
  return [first, `${odds}: ${who}`]
}

export interface Moment {
  readonly batch: FeatureBatch
  readonly opinions: OpinionBatch
  /** Row in the batch. */
  readonly at: number
  /** The larger of point and incident surprise. */
  readonly surprise: number
  readonly stuck: boolean
  /** Windows learned of the series, where anybody counts them. */
  readonly learned: number | undefined
  readonly detectors: readonly DetectorShare[]
  /** What the detector that spoke loudest says beside, in words. */
  readonly more: readonly string[]
}

function measured(meta: SeriesMeta, moment: Moment) {
  const { batch, opinions, at, surprise, detectors, stuck, learned } = moment
  const observed = batch.observed[at]
  const [expected, lower, upper] = [opinions.expected[at], opinions.lower[at], opinions.upper[at]]
  const direction = directionOf(observed, expected)
  const severity = kindSeverity(surprise, meta.kind, direction === 'spike', isBad(meta, direction) && !stuck)
  return {
    observed,
    expected,
    lower,
    upper,
    direction,
    surprise,
    tailProbability: 10 ** -surprise,
    score: publicScore(surprise),
    severity,
    ...(learned === undefined ? {} : { confidence: maturity(learned) }),
    detectors,
    why: [...words(meta, stuck, { observed, expected, lower, upper, surprise, detectors }), ...moment.more],
  }
}

/** `onsetMs`: start of the first strange window. */
export function openAnomaly(meta: SeriesMeta, onsetMs: number, moment: Moment): Anomaly {
  const { batch, at } = moment
  const end = batch.windowEndMs[at]
  return {
    id: contentId('an', meta.key, onsetMs),
    series: batch.series[at],
    key: meta.key,
    metric: meta.metric,
    labels: meta.labels,
    entity: meta.entity,
    tenant: meta.tenant,
    status: 'open',
    startMs: onsetMs,
    endMs: end,
    detectedMs: end,
    imputed: Number.isNaN(batch.observed[at]),
    ...measured(meta, moment),
  }
}

/** The same anomaly at a stronger window. */
export function strengthen(anomaly: Anomaly, meta: SeriesMeta, moment: Moment): Anomaly {
  return { ...anomaly, endMs: moment.batch.windowEndMs[moment.at], ...measured(meta, moment) }
}

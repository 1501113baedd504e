import type { Evidence } from '../core/disruption.ts'
import { contentId } from '../core/identity.ts'
import { formatValue } from '../core/units.ts'
import type { Cause } from './cause.ts'
import type { Finding } from './findings.ts'
import { findingText } from './words.ts'

/** What the scorers of change measured, as evidence: every disruption has numbers, also where no anomaly is open. */

/** A shift as large as the series' usual tail (its 97 % point) has this probability; beyond it, exponentially less. */
const TAIL_PROBABILITY = 0.03
/** Surprise beyond this says nothing more. */
const SURPRISE_MAX = 16
/** Findings per entity; the rest repeat them. */
const MOST_PER_ENTITY = 2
/** Logarithmic strength from which a finding is told: a shift of its own usual tail. */
const TOLD_AT = 0.7
const DETECTOR = 'change-score@1'

const iso = (ms: number): string => new Date(ms).toISOString()
const short = (value: number): number => Number(value.toPrecision(6))

/** Evidence of the entities named, strongest first within each, in the order of the causes. */
export function measuredEvidence(
  causes: readonly Cause[],
  named: ReadonlySet<string>,
  onsetMs: number,
  nowMs: number,
): Evidence[] {
  const out: Evidence[] = []
  for (const { entity, findings, strengths } of causes) {
    if (!named.has(entity)) continue
    for (const [i, finding] of findings.slice(0, MOST_PER_ENTITY).entries()) {
      if (i > 0 && strengths[i] < TOLD_AT) break
      out.push(evidenceOfFinding(finding, onsetMs, nowMs))
    }
  }
  return out
}

function evidenceOfFinding(finding: Finding, storyOnsetMs: number, nowMs: number): Evidence {
  const { change, absent } = finding
  const startMs = Number.isFinite(finding.onsetMs) ? finding.onsetMs : storyOnsetMs
  const surprise = Math.min(SURPRISE_MAX, -Math.log10(TAIL_PROBABILITY) * change.tail)
  const usual = change.tail > 0 ? Math.abs(change.observed - change.expected) / change.tail : Number.NaN
  const band = !absent && Number.isFinite(usual) && Number.isFinite(change.expected)
  const least = change.expected >= 0 && change.observed >= 0 ? 0 : Number.NEGATIVE_INFINITY
  const why = [findingText(finding)]
  if (band) why.push(`usually within ${formatValue(usual, finding.unit)} of it`)
  return {
    id: contentId('e', finding.key, startMs),
    series: { metric: finding.metric, labels: { ...finding.labels } },
    entity: finding.entity,
    unit: finding.unit,
    window: { start: iso(startMs), end: iso(Math.max(startMs, nowMs)) },
    observed: absent || !Number.isFinite(change.observed) ? null : short(change.observed),
    expected: absent || !Number.isFinite(change.expected) ? null : short(change.expected),
    lower: band ? short(Math.max(least, change.expected - usual)) : null,
    upper: band ? short(change.expected + usual) : null,
    direction: absent ? 'absent' : change.direction,
    tailProbability: short(10 ** -surprise),
    surprise: short(surprise),
    imputed: false,
    detectors: [{ id: DETECTOR, share: 1 }],
    why,
  }
}

/** Evidence that an entity fell silent: none of the series it had reports. */
export function silenceEvidence(entity: string, series: number, startedMs: number, nowMs: number): Evidence {
  return {
    id: contentId('e', 'reporting', entity, startedMs),
    series: { metric: 'series reporting', labels: { service: entity } },
    entity,
    unit: '',
    window: { start: iso(startedMs), end: iso(nowMs) },
    observed: 0,
    expected: series,
    lower: series,
    upper: series,
    direction: 'absent',
    tailProbability: short(10 ** -SURPRISE_MAX),
    surprise: SURPRISE_MAX,
    imputed: false,
    detectors: [{ id: 'absence', share: 1 }],
    why: [`none of ${series} series of ${entity} report`],
  }
}

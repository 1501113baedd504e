import type { Anomaly } from '../core/anomaly.ts'
import type { Suspect } from '../core/disruption.ts'
import { formatValue } from '../core/units.ts'
import { NEVER_HEARD } from './canary.ts'
import type { Cause } from './cause.ts'
import { F, FAMILIES, FELT, familyOfMetric } from './families.ts'
import type { Finding } from './findings.ts'
import type { Story } from './story.ts'

/** Sentences people read. Made from numbers only, so the same state always says the same. */

/** `14:05:10`, UTC. */
export function clockText(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19)
}

/** `14:05` when the seconds are zero. */
function sinceText(ms: number): string {
  const text = clockText(ms)
  return text.endsWith(':00') ? text.slice(0, 5) : text
}

/** Metrics of which the words are remembered; when there are more, all are forgotten. */
const WORDED_MAX = 1024
const worded = new Map<string, string>()

/** Labels of statistics as people say them: `latency_seconds:p99` is `p99 latency`. */
function metricText(metric: string): string {
  const known = worded.get(metric)
  if (known !== undefined) return known
  const text = wordsOf(metric)
  if (worded.size >= WORDED_MAX) worded.clear()
  worded.set(metric, text)
  return text
}

function wordsOf(metric: string): string {
  const [name, statistic] = metric.split(':')
  const base = name
    .replace(/^(http|rpc|db)[_.](server|client)[_.]/i, '$2_')
    .replace(/[_.](total|seconds|milliseconds|bytes|ratio|percent|pct|s|ms)$/i, '')
    .replace(/\((s|ms|%|m|Mi|Ops)\)$/, '')
    .replace(/([a-z\d])([A-Z])/g, (_, end: string, start: string) => `${end} ${start.toLowerCase()}`)
    .replace(/[_.]+/g, ' ')
    .replace(/^[A-Z](?=[a-z])/, start => start.toLowerCase())
    .replace(/^(.*\S) (p\d\d)$/, '$2 $1')
    .trim()
  if (statistic === undefined || statistic === 'rate' || statistic === 'avg') return base || metric
  return `${statistic} ${base}`
}

/** `4.1× expected`, or the two values where a ratio says nothing. */
function againstText(observed: number, expected: number, unit: string): string {
  if (!Number.isFinite(observed)) return 'absent'
  if (!Number.isFinite(expected)) return formatValue(observed, unit)
  const ratio = observed / expected
  if (expected > 0 && ratio >= 1.1 && ratio < 1000) return `${ratioText(ratio)}× expected`
  return `${formatValue(observed, unit)}, expected ${formatValue(expected, unit)}`
}

function ratioText(ratio: number): string {
  return ratio >= 10 ? String(Math.round(ratio)) : ratio.toFixed(1)
}

/** `p99 latency 1.9 s, expected 460 ms (4.1×)`. */
export function levelText(metric: string, observed: number, expected: number, unit: string): string {
  if (!Number.isFinite(observed)) return `${metricText(metric)} is absent`
  const head = `${metricText(metric)} ${formatValue(observed, unit)}`
  if (!Number.isFinite(expected)) return head
  const ratio = observed / expected
  const times = expected > 0 && ratio >= 1.1 && ratio < 1000 ? ` (${ratioText(ratio)}×)` : ''
  return `${head}, expected ${formatValue(expected, unit)}${times}`
}

/** At most `most` names, then a count. */
export function listText(names: readonly string[], most = 5): string {
  if (names.length <= most) return names.join(', ')
  return `${names.slice(0, most).join(', ')} and ${names.length - most} more`
}

export function agoText(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return `${Math.round(seconds / 3600)} h`
}

export function causeWhy(cause: Cause, onsetMs: number, hasGraph: boolean): string[] {
  const out: string[] = []
  for (const [i, finding] of cause.findings.entries()) {
    if (i > 0 && (i > 2 || cause.strengths[i] < 1)) break
    out.push(findingText(finding))
  }
  if (Number.isFinite(cause.onsetMs)) out.push(`strange since ${clockText(cause.onsetMs)}`)
  if (cause.explainedBy !== '') out.push(`it calls ${cause.explainedBy}, which is strange as well`)
  else if (hasGraph && cause.base >= 1.5) out.push('nothing it calls is strange')
  if (cause.change) {
    const { kind, ref, timeMs } = cause.change
    out.push(`${kind} ${ref} ${agoText(onsetMs - timeMs)} before the start`)
  }
  return out
}

export function findingText(finding: Finding): string {
  if (finding.absent) return `${finding.entity} stopped reporting`
  const { observed, expected } = finding.change
  if (finding.family === F.canary) {
    if (finding.metric === NEVER_HEARD) return `${finding.entity}: the new version never reported`
    return `new version: ${levelText(finding.metric, observed, expected, finding.unit)} of the old one`
  }
  if (finding.caller === '') return levelText(finding.metric, observed, expected, finding.unit)
  // Recordings name such a series after the two ends of the call.
  const metric = finding.metric.includes(`${finding.caller}_`) ? FAMILIES[finding.family] : finding.metric
  const level = levelText(metric, observed, expected, finding.unit)
  if (finding.callee !== '') return `${level} in its calls to ${finding.callee}, which others find well`
  return `${level} in calls from ${finding.caller}`
}

export function silenceTitle(story: Story, entity: string): string {
  const since = sinceText(story.startedMs)
  if (story.kind === 'pipeline') {
    const count = Object.keys(story.members).length
    return `no data from any of ${count} entities since ${since}: the collector or the way to it, not one service`
  }
  const member = story.members[entity]
  if (member.silence === 'whole') return `${entity} stopped reporting since ${since}`
  return `${entity}: ${listText(member.instances, 2)} stopped reporting since ${since}, its other instances go on`
}

/** The strongest anomaly of an entity itself; of a call it makes only where there is none. */
export function ownEvidence(entity: string, evidence: readonly Anomaly[]): Anomaly | undefined {
  const own = evidence.filter(anomaly => anomaly.entity === entity && anomaly.direction !== 'absent')
  // What users feel says more than what it costs.
  const felt = own.filter(anomaly => FELT[familyOfMetric(anomaly.metric)])
  const told = felt.length > 0 ? felt : own
  return told.find(anomaly => anomaly.labels.client === undefined) ?? told[0]
}

/** The head of an event: what is felt, how much, since when, where it was first seen. */
export function faultTitle(
  story: Story,
  entity: string,
  evidence: readonly Anomaly[],
  suspects: readonly Suspect[],
  unitOf: (metric: string, key?: string) => string,
): string {
  const since = `since ${sinceText(story.startedMs)}`
  const first = suspects[0]?.entity
  const tail = first === undefined || first === entity ? '' : `, first seen at ${first}`
  const member = story.members[entity]
  if (member && member.silence !== 'none') return silenceTitle(story, entity) + tail
  const own = ownEvidence(entity, evidence)
  if (own) {
    const level = againstText(own.observed, own.expected, unitOf(own.metric, own.key))
    return `${entity} ${metricText(own.metric)} ${level} ${since}${tail}`
  }
  const suspect = suspects.find(one => one.entity === entity)
  if (!suspect) return `${entity} is disrupted ${since}${tail}`
  const level = againstText(
    suspect.observed ?? Number.NaN,
    suspect.expected ?? Number.NaN,
    unitOf(suspect.metric),
  )
  return `${entity} ${metricText(suspect.metric)} ${level} ${since}${tail}`
}

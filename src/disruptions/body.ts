import type { Anomaly, Severity } from '../core/anomaly.ts'
import type { Disruption, Evidence, Suspect } from '../core/disruption.ts'
import type { Cause } from './cause.ts'
import { type CallGraph, compare } from './graph.ts'
import { confidenceOf, rankParts, scoreOf } from './impact.ts'
import type { DisruptionOptions } from './options.ts'
import type { Story } from './story.ts'
import {
  agoText,
  causeWhy,
  clockText,
  faultTitle,
  levelText,
  listText,
  ownEvidence,
  silenceTitle,
} from './words.ts'

/** From stories to the event body of the outside contract. */

export interface BodyContext {
  readonly graph: CallGraph
  readonly options: DisruptionOptions
  readonly entitiesKnown: number
  readonly trafficShare: number | null
  /** Unit of a series by key, or of any series of that metric; '' when unknown. */
  readonly unitOf: (metric: string, key?: string) => string
  readonly rank: number
  readonly severity: Severity
  readonly nowMs: number
}

const iso = (ms: number): string => new Date(ms).toISOString()
const numberOrNull = (value: number | null): number | null => (Number.isFinite(value) ? value : null)
/** Keeps bodies short and equal on every machine: six digits are as many as a measurement has. */
const short = (value: number): number => Number(value.toPrecision(6))

export function suspectOf(cause: Cause, rank: number, onsetMs: number, hasGraph: boolean): Suspect {
  const best = cause.findings[0]
  const observed = numberOrNull(best.change.observed)
  const expected = numberOrNull(best.change.expected)
  return {
    rank,
    entity: cause.entity,
    metric: best.metric,
    score: short(Math.max(0, cause.score)),
    onset: iso(Number.isFinite(cause.onsetMs) ? cause.onsetMs : onsetMs),
    direction: best.absent ? 'absent' : best.change.direction,
    observed: observed === null ? null : short(observed),
    expected: expected === null ? null : short(expected),
    why: causeWhy(cause, onsetMs, hasGraph),
  }
}

/** The entity that users feel: of the members the one nearest the front door, then the strongest, then by name. */
function feltEntity(story: Story, graph: CallGraph): string {
  const names = Object.keys(story.members).filter(name => name !== '')
  const inside = new Set(names)
  const outermost = names.filter(name => !graph.callers(name).some(caller => inside.has(caller)))
  const pool = outermost.length > 0 ? outermost : names
  pool.sort((a, b) => story.members[b].peak - story.members[a].peak || compare(a, b))
  return pool[0] ?? story.suspects[0]?.entity ?? story.component
}

/** Strongest first; at most `most`, never all of one entity while another has any. */
function strongestEvidence(story: Story, most: number): Anomaly[] {
  const all = Object.values(story.evidence).sort((a, b) => b.surprise - a.surprise || compare(a.key, b.key))
  const first = new Set<string>()
  const heads: Anomaly[] = []
  const rest: Anomaly[] = []
  for (const anomaly of all) {
    if (first.has(anomaly.entity)) rest.push(anomaly)
    else {
      first.add(anomaly.entity)
      heads.push(anomaly)
    }
  }
  const kept = new Set([...heads, ...rest].slice(0, most))
  return all.filter(anomaly => kept.has(anomaly))
}

export function bodyOf(story: Story, context: BodyContext): Disruption {
  const { options, graph, severity, nowMs } = context
  const anomalies = strongestEvidence(story, options.maxEvidence)
  const felt = story.kind === 'pipeline' ? 'telemetry' : feltEntity(story, graph)
  const names = Object.keys(story.members).sort(compare)
  const confidence = confidenceOf(story, options.openAt)
  const parts = rankParts(story, severity, confidence, context.entitiesKnown, context.trafficShare)
  const title =
    story.kind === 'pipeline'
      ? silenceTitle(story, felt)
      : faultTitle(story, felt, anomalies, story.suspects, context.unitOf)
  const path = `${options.linksBase}/api/disruptions/${story.id}`
  return {
    id: story.id,
    revision: story.revision,
    supersedes: story.revision > 1 ? story.revision - 1 : null,
    tenant: story.tenant,
    status: story.status,
    rank: context.rank,
    severity,
    score: short(scoreOf(story, options.openAt)),
    confidence: short(confidence),
    impact: {
      entities: names.length,
      trafficShare: context.trafficShare === null ? null : short(context.trafficShare),
    },
    rankParts: {
      impact: short(parts.impact),
      confidence: short(parts.confidence),
      persistence: short(parts.persistence),
      novelty: short(parts.novelty),
    },
    startedAt: iso(story.startedMs),
    detectedAt: iso(story.openedMs),
    updatedAt: iso(nowMs),
    resolvedAt: story.resolvedMs === null ? null : iso(story.resolvedMs),
    entity: felt,
    entities: names.slice(0, options.maxListed),
    title,
    why: whyOf(story, felt, anomalies, names, context),
    suspects: story.suspects,
    evidence: allEvidence(story, anomalies, context),
    ...(story.related.length > 0 ? { related: story.related.map(one => ({ ...one })) } : {}),
    changes: story.changes.map(({ id, timeMs, entity, kind, ref }) => ({
      id,
      time: iso(timeMs),
      entity,
      kind,
      ref,
    })),
    silenced: false,
    ...(story.holds.length > 0 ? { maintenance: story.holds } : {}),
    replay: { log: options.log, config: options.configDigest, models: modelsOf(anomalies, options) },
    links: { self: path, verdict: `${path}/verdicts` },
  }
}

/** Every model that has a part in it, with what tells its version: what speaks now, and what the evidence names. */
function modelsOf(anomalies: readonly Anomaly[], { models, modelsOf: learned }: DisruptionOptions) {
  const named = new Set(anomalies.flatMap(({ detectors }) => detectors.map(({ id }) => id)))
  return { ...models, ...learned?.(named) }
}

/** Anomalies first; of entities that have none, what was measured. */
function allEvidence(story: Story, anomalies: readonly Anomaly[], context: BodyContext): Evidence[] {
  const out = anomalies.map(anomaly => evidenceOf(anomaly, context.unitOf))
  const told = new Set(anomalies.map(anomaly => anomaly.entity))
  for (const measured of story.measured) {
    if (out.length >= context.options.maxEvidence) break
    if (!told.has(measured.entity)) out.push({ ...measured })
  }
  return out
}

function whyOf(
  story: Story,
  felt: string,
  anomalies: readonly Anomaly[],
  names: readonly string[],
  context: BodyContext,
): string[] {
  const out: string[] = []
  if (story.kind === 'pipeline') {
    out.push(`all ${names.length} entities fell silent in the same window: ${listText(names)}`)
    out.push('when everything is silent at once, the collector or the network to it is the common part')
    return out
  }
  if (story.status === 'retracted') {
    const into = story.related.findLast(one => one.relation === 'merged-into')
    if (into) out.push(`this turned out to be part of ${into.id}, which goes on with what was known of it`)
  }
  const own = ownEvidence(felt, anomalies)
  if (own) {
    const unit = context.unitOf(own.metric, own.key)
    out.push(`${felt} ${levelText(own.metric, own.observed, own.expected, unit)}`)
  }
  for (const name of names) {
    const member = story.members[name]
    if (member.silence === 'whole') out.push(`${name} is silent: none of its series report`)
    if (member.silence === 'instances')
      out.push(`silent instances of ${name}: ${listText(member.instances, 3)}`)
  }
  const cause = story.suspects[0]
  if (cause) out.push(`probable cause ${cause.entity}: ${cause.why.slice(0, 3).join('; ')}`)
  out.push(
    `${names.length} of ${context.entitiesKnown} entities affected: ${listText(names)}; strength ` +
      `${story.peak.toFixed(1)} of ${context.options.openAt} needed`,
  )
  for (const { id, relation } of story.related) {
    if (relation === 'merged-from') out.push(`${id} turned out to be part of this`)
    if (relation === 'split-off') out.push(`${id} was told apart from this: no call path joins them`)
    if (relation === 'split-from') out.push(`told apart from ${id}: no call path joins them`)
  }
  if (story.normal.length > 0) out.push(`${listText(story.normal)} stayed normal`)
  for (const { kind, ref, entity, timeMs } of story.changes.slice(0, 2)) {
    out.push(`${kind} ${ref} of ${entity} ${agoText(story.startedMs - timeMs)} before the start`)
  }
  if (cause && story.recurrences > 0) {
    const times = story.recurrences === 1 ? 'one' : String(story.recurrences)
    out.push(`not new: ${times} of the disruptions before it had the cause ${cause.entity}`)
  }
  if (story.status === 'resolved' && story.resolvedMs !== null) {
    out.push(
      `quiet since ${clockText(story.resolvedMs)}, lasted ${agoText(story.resolvedMs - story.startedMs)}`,
    )
  }
  return out
}

function evidenceOf(anomaly: Anomaly, unitOf: BodyContext['unitOf']): Evidence {
  return {
    id: anomaly.id,
    series: { metric: anomaly.metric, labels: { ...anomaly.labels } },
    entity: anomaly.entity,
    unit: unitOf(anomaly.metric, anomaly.key),
    window: { start: iso(anomaly.startMs), end: iso(anomaly.endMs) },
    observed: numberOrNull(anomaly.observed),
    expected: numberOrNull(anomaly.expected),
    lower: numberOrNull(anomaly.lower),
    upper: numberOrNull(anomaly.upper),
    direction: anomaly.direction,
    tailProbability: anomaly.tailProbability,
    surprise: anomaly.surprise,
    imputed: anomaly.imputed,
    detectors: anomaly.detectors.map(share => ({ ...share })),
    why: [...anomaly.why],
  }
}

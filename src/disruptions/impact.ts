import type { Severity } from '../core/anomaly.ts'
import type { Disruption } from '../core/disruption.ts'
import { maturity } from '../core/maturity.ts'
import type { Story } from './story.ts'

const SEVERITIES: readonly Severity[] = ['warning', 'minor', 'major', 'critical']

/** Multiples of the opening threshold at which a disruption is minor, major, critical. */
const MAJOR_AT = 1.5
const CRITICAL_AT = 2.3
/** Windows of lasting after which persistence is full. */
const PERSISTENT_WINDOWS = 30
/** Each earlier disruption with the same cause makes the next one this much less new. */
const NOVELTY_DECAY = 0.85

export function severityOf(story: Story, openAt: number): Severity {
  if (story.kind === 'pipeline') return 'major'
  const members = Object.values(story.members)
  const whole = members.some(member => member.silence === 'whole')
  let level = story.peak >= CRITICAL_AT * openAt ? 3 : story.peak >= MAJOR_AT * openAt ? 2 : 1
  // One copy of several that is silent costs capacity, which is felt only when something else says so.
  if (members.every(member => member.silence === 'instances')) level = Math.min(level, 1)
  if (whole && level < 2) level = 2
  for (const { severity, direction } of Object.values(story.evidence)) {
    if (severity === 'critical' && direction !== 'absent' && level < 2) level = 2
  }
  // Resources alone wake nobody: a busy machine that serves as usual is at most minor.
  if (!story.felt && members.every(member => member.silence === 'none')) level = Math.min(level, 1)
  // A disruption is as severe as it ever was: what ends it is its resolution.
  level = Math.max(level, SEVERITIES.indexOf(story.publishedSeverity))
  return SEVERITIES[level]
}

/**
 * How sure: strength over the threshold, times how many kinds of evidence agree, times how much was learned before: of
 * the best known series that is evidence, or of the best known member while none is.
 */
export function confidenceOf(story: Story, openAt: number): number {
  const agreeing = Math.sqrt(Math.max(1, story.families))
  return (1 - Math.exp(-0.8 * (story.peak / openAt) * agreeing)) * learnedShare(story)
}

function learnedShare(story: Story): number {
  let best = 0
  for (const { confidence } of Object.values(story.evidence))
    if (confidence !== undefined && confidence > best) best = confidence
  if (best > 0) return best
  return story.learned === undefined ? 1 : maturity(story.learned)
}

/** 0..100, saturating: twice the threshold is about 63 + 23. */
export function scoreOf(story: Story, openAt: number): number {
  return 100 * (1 - Math.exp(-story.peak / openAt))
}

export function rankParts(
  story: Story,
  severity: Severity,
  confidence: number,
  entitiesKnown: number,
  trafficShare: number | null,
): Disruption['rankParts'] {
  const count = Object.keys(story.members).length
  const breadth = Math.sqrt(count / Math.max(1, entitiesKnown))
  const reach = trafficShare ?? breadth
  const weight = (SEVERITIES.indexOf(severity) + 1) / SEVERITIES.length
  return {
    impact: 0.25 * breadth + 0.35 * reach + 0.4 * weight,
    confidence,
    persistence: 0.5 + 0.5 * Math.min(1, story.windows / PERSISTENT_WINDOWS),
    novelty: NOVELTY_DECAY ** Math.min(10, story.recurrences),
  }
}

export function rankValue(parts: Disruption['rankParts']): number {
  return parts.impact * parts.confidence * parts.persistence * parts.novelty
}

import type { Anomaly, Severity } from '../core/anomaly.ts'
import type { Change } from '../core/change.ts'
import type { Disruption, Evidence, Suspect } from '../core/disruption.ts'

export interface Member {
  onsetMs: number
  /** Start of the run of strange windows that made it part of this story; a later run may be another story's. */
  runMs: number
  /** Strongest smoothed evidence so far. */
  peak: number
  lastMs: number
  /** Which share of the entity is silent: none, some instances, or all of it. */
  silence: 'none' | 'instances' | 'whole'
  /** Silent instances by name, sorted. */
  instances: string[]
}

/**
 * A disruption in the making: what the stage remembers of it between windows. JSON-safe, so that saving it is
 * plain; times are Unix ms.
 */
export interface Story {
  id: string
  readonly tenant: string
  /** `pipeline`: everything fell silent at once, which is the collector's fault and not one service's. */
  readonly kind: 'fault' | 'pipeline'
  component: string
  startedMs: number
  /** Start of the present episode: later than `startedMs` where an ended disruption came back. */
  episodeMs: number
  /** Episodes before the present one, oldest first: between them all was well. */
  earlier: Episode[]
  openedMs: number
  readonly members: Record<string, Member>
  /** Onset of the member that joined last: later ones must begin near it, or lie on the cause's call path. */
  lastOnsetMs: number
  windows: number
  quiet: number
  /** Strongest smoothed evidence of any member so far. */
  peak: number
  families: number
  /** Most windows that any member was known for when it became strange; absent in stories of earlier versions. */
  learned?: number
  /** Whether users ever felt it: latency, errors, availability, silence; not resources alone. */
  felt: boolean
  status: 'open' | 'resolved' | 'retracted'
  resolvedMs: number | null
  revision: number
  publishedMs: number
  publishedSeverity: Severity
  publishedShape: string
  suspects: Suspect[]
  /** Family of metrics in which the first suspect is strangest; −1 without one. */
  causeFamily: number
  /** Strongest anomalies of its members, by id. */
  readonly evidence: Record<string, Anomaly>
  /** What the scorers of change measured of members and suspects at the last ranking. */
  measured: Evidence[]
  normal: string[]
  changes: Change[]
  /** Earlier disruptions with the same cause. */
  recurrences: number
  rankedAt: number
  /** Members at that ranking: more of them since then ask for another. */
  rankedMembers: number
  published: Disruption | null
  /** Stories that became this one, that this one became, or that parted from it; oldest first. */
  related: Relation[]
  /** Whether anybody was told: maintenance windows keep a story to the record. */
  told: boolean
  /** Maintenance windows that covered it when it was last recorded. */
  holds: string[]
}

/** Windows that end in (fromMs, toMs], Unix ms. */
export interface Episode {
  readonly fromMs: number
  readonly toMs: number
}

export type Relation = NonNullable<Disruption['related']>[number]

/** Relations remembered per story. */
const MOST_RELATED = 20

/** Notes a relation once; the oldest give way. */
export function relate(story: Story, id: string, relation: Relation['relation']): void {
  if (story.related.some(one => one.id === id && one.relation === relation)) return
  story.related.push({ id, relation })
  if (story.related.length > MOST_RELATED) story.related.shift()
}

/** Earlier episodes remembered per story. */
const MOST_EARLIER = 20

/** The latest of what is said to have gone before; of more, the oldest are one with the pauses between them. */
export function episodes(all: readonly Episode[]): Episode[] {
  const sorted = [...all].sort((a, b) => a.fromMs - b.fromMs || a.toMs - b.toMs)
  const over = sorted.length - MOST_EARLIER
  if (over <= 0) return sorted
  const oldest = sorted.slice(0, over + 1)
  const toMs = Math.max(...oldest.map(one => one.toMs))
  return [{ fromMs: oldest[0].fromMs, toMs }, ...sorted.slice(over + 1)]
}

/** A record without inherited names: entities may be called anything, even `__proto__`. */
export function dictionary<T>(from?: Readonly<Record<string, T>>): Record<string, T> {
  const out: Record<string, T> = Object.create(null)
  if (from) for (const key of Object.keys(from)) out[key] = from[key]
  return out
}

export function newStory(
  kind: Story['kind'],
  tenant: string,
  component: string,
  startedMs: number,
  nowMs: number,
): Story {
  return {
    id: '',
    tenant,
    kind,
    component,
    startedMs,
    episodeMs: startedMs,
    earlier: [],
    openedMs: nowMs,
    members: dictionary(),
    lastOnsetMs: startedMs,
    windows: 0,
    quiet: 0,
    peak: 0,
    families: 1,
    felt: false,
    status: 'open',
    resolvedMs: null,
    revision: 0,
    publishedMs: 0,
    publishedSeverity: 'warning',
    publishedShape: '',
    suspects: [],
    causeFamily: -1,
    evidence: dictionary(),
    measured: [],
    normal: [],
    changes: [],
    recurrences: 0,
    rankedAt: -1,
    rankedMembers: 0,
    published: null,
    related: [],
    told: false,
    holds: [],
  }
}

/** Adds or refreshes a member; the disruption begins with its earliest one. */
export function join(story: Story, entity: string, onsetMs: number, level: number, nowMs: number): Member {
  let member = story.members[entity]
  if (!member) {
    member = { onsetMs, runMs: onsetMs, peak: level, lastMs: nowMs, silence: 'none', instances: [] }
    story.members[entity] = member
    if (onsetMs > story.lastOnsetMs) story.lastOnsetMs = onsetMs
  }
  member.lastMs = nowMs
  if (level > member.peak) member.peak = level
  return member
}

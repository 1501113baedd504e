import { contentId } from '../core/identity.ts'
import type { StoryBook } from './book.ts'
import type { Fleet } from './fleet.ts'
import { compare } from './graph.ts'
import type { DisruptionOptions } from './options.ts'
import { clusters, joined } from './paths.ts'
import { episodes, newStory, relate, type Story } from './story.ts'
import { dropEvidence, keepEvidence } from './story-evidence.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** Members beyond which a story is not taken apart: what touches so many is one thing. */
const MOST_PARTED = 200

export interface StoryParts {
  readonly options: DisruptionOptions
  readonly book: StoryBook
  readonly fleet: Fleet
  readonly graphs: TenantGraphs
}

/** Two stories that turned out one; the younger ends here. */
export interface Merge {
  readonly elder: Story
  readonly younger: Story
}

/**
 * Finds open stories that turned out one: both blame the same entity, or a call path that was not known (or not
 * strange) when they began joins their members and they began together. The one opened first is the elder; ties
 * by id.
 */
export function merges({ book, graphs, fleet }: StoryParts): Merge[] {
  const open = book.open
    .filter(story => story.kind === 'fault' && story.id !== '')
    .sort((a, b) => a.openedMs - b.openedMs || a.startedMs - b.startedMs || compare(a.id, b.id))
  const out: Merge[] = []
  const gone = new Set<Story>()
  for (const [i, elder] of open.entries()) {
    if (gone.has(elder)) continue
    for (const younger of open.slice(i + 1)) {
      if (gone.has(younger) || younger.tenant !== elder.tenant) continue
      if (cameApart(elder, younger)) continue
      if (!sameCause(elder, younger) && !onePath(elder, younger, book, graphs, fleet)) continue
      gone.add(younger)
      out.push({ elder, younger })
    }
  }
  return out
}

function cameApart(a: Story, b: Story): boolean {
  return [...a.related.map(one => [one, b.id] as const), ...b.related.map(one => [one, a.id] as const)].some(
    ([{ id, relation }, other]) => id === other && (relation === 'split-from' || relation === 'split-off'),
  )
}

function sameCause(a: Story, b: Story): boolean {
  const cause = a.suspects[0]?.entity
  return cause !== undefined && cause === b.suspects[0]?.entity
}

function onePath(elder: Story, younger: Story, book: StoryBook, graphs: TenantGraphs, fleet: Fleet): boolean {
  if (!book.together(younger.startedMs, elder) && !book.together(elder.startedMs, younger)) return false
  const graph = graphs.of(elder.tenant)
  const measured = (name: string): boolean => fleet.id(elder.tenant, name) >= 0
  const [left, right] = [elder, younger].map(story =>
    Object.keys(story.members)
      .filter(name => graph.has(name) && book.isActive(story, name))
      .slice(0, MOST_PARTED),
  )
  return left.some(a => right.some(b => joined(a, b, graph, measured)))
}

/** Makes the elder hold what the younger knew. Ids stay; the start is the earlier of both. */
export function absorb(elder: Story, younger: Story): number {
  let dropped = 0
  for (const [name, member] of Object.entries(younger.members)) {
    const own = elder.members[name]
    if (!own) {
      elder.members[name] = { ...member }
      continue
    }
    own.onsetMs = Math.min(own.onsetMs, member.onsetMs)
    own.runMs = Math.max(own.runMs, member.runMs)
    own.peak = Math.max(own.peak, member.peak)
    own.lastMs = Math.max(own.lastMs, member.lastMs)
    if (own.silence !== 'whole' && member.silence !== 'none') own.silence = member.silence
    own.instances = [...new Set([...own.instances, ...member.instances])].sort(compare)
  }
  for (const anomaly of Object.values(younger.evidence)) dropped += keepEvidence(elder, anomaly)
  elder.episodeMs = Math.min(elder.episodeMs, younger.episodeMs)
  elder.earlier = episodes([...elder.earlier, ...younger.earlier])
  elder.startedMs = Math.min(elder.startedMs, younger.startedMs)
  elder.lastOnsetMs = Math.max(elder.lastOnsetMs, younger.lastOnsetMs)
  elder.peak = Math.max(elder.peak, younger.peak)
  elder.families = Math.max(elder.families, younger.families)
  if (younger.learned !== undefined) elder.learned = Math.max(elder.learned ?? 0, younger.learned)
  elder.felt ||= younger.felt
  elder.quiet = Math.min(elder.quiet, younger.quiet)
  for (const { id, relation } of younger.related) if (id !== elder.id) relate(elder, id, relation)
  return dropped
}

/**
 * Takes a story apart whose members no call path joins: the group with the cause keeps the story, every other
 * group strong enough to have opened one becomes a story of its own. Members too weak for that stay.
 */
export function parted(story: Story, { options, book, graphs, fleet }: StoryParts, nowMs: number): Story[] {
  const names = Object.keys(story.members).sort(compare)
  if (story.kind !== 'fault' || names.length < 2 || names.length > MOST_PARTED) return []
  // What was found to be one is not taken apart again.
  if (story.related.some(one => one.relation === 'merged-from')) return []
  const graph = graphs.of(story.tenant)
  const measured = (name: string): boolean => fleet.id(story.tenant, name) >= 0
  const groups = clusters(names.length, (i, j) => {
    const [a, b] = [names[i], names[j]]
    if (graph.has(a) && graph.has(b)) return joined(a, b, graph, measured)
    // What is in no graph came by its onset: nothing says that it does not belong.
    return true
  })
  if (groups.length < 2) return []
  const cause = story.suspects[0]?.entity ?? ''
  const strength = (group: readonly number[]): number =>
    Math.max(...group.map(i => story.members[names[i]].peak))
  const kept = groups.find(group => group.some(i => names[i] === cause)) ?? groups[0]
  const out: Story[] = []
  for (const group of groups) {
    if (group === kept || strength(group) < options.openAt) continue
    if (!book.hasRoom(story.tenant, out)) break
    out.push(
      part(
        story,
        group.map(i => names[i]),
        book,
        nowMs,
      ),
    )
  }
  return out
}

function part(story: Story, names: readonly string[], book: StoryBook, nowMs: number): Story {
  const first = [...names].sort(
    (a, b) => story.members[a].onsetMs - story.members[b].onsetMs || compare(a, b),
  )[0]
  const component = book.componentOfName(story.tenant, first)
  const { onsetMs } = story.members[first]
  const out = newStory('fault', story.tenant, component, onsetMs, story.openedMs)
  out.id = contentId('d', story.tenant, first, onsetMs, 'split', story.id, nowMs)
  for (const name of names) {
    const member = story.members[name]
    out.members[name] = member
    out.peak = Math.max(out.peak, member.peak)
    out.lastOnsetMs = Math.max(out.lastOnsetMs, member.onsetMs)
    delete story.members[name]
  }
  for (const anomaly of Object.values(story.evidence)) {
    if (out.members[anomaly.entity] === undefined) continue
    keepEvidence(out, anomaly)
    dropEvidence(story, anomaly.id)
  }
  out.episodeMs = onsetMs
  out.felt = story.felt
  if (story.learned !== undefined) out.learned = story.learned
  out.windows = story.windows
  relate(out, story.id, 'split-from')
  relate(story, out.id, 'split-off')
  return out
}

/** The younger ends, and each remembers the other. */
export function retract(elder: Story, younger: Story, nowMs: number): void {
  younger.status = 'retracted'
  younger.resolvedMs = nowMs
  relate(younger, elder.id, 'merged-into')
  if (younger.revision > 0) relate(elder, younger.id, 'merged-from')
}

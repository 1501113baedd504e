import { contentId } from '../core/identity.ts'
import type { StoryBook } from './book.ts'
import { F } from './families.ts'
import type { Fleet } from './fleet.ts'
import { compare } from './graph.ts'
import { familiesSpeaking, type WindowLevels } from './levels.ts'
import type { DisruptionOptions } from './options.ts'
import { episodes, type Story } from './story.ts'
import { SERVED_BELOW as FELT_AT } from './strength.ts'

/** One more window of a story: how strong it is now, and whether it has been quiet. */
export function age(
  story: Story,
  book: StoryBook,
  fleet: Fleet,
  levels: WindowLevels,
  options: DisruptionOptions,
): void {
  let most = 0
  let families = 0
  let felt = false
  for (const name of Object.keys(story.members)) {
    const entity = fleet.id(story.tenant, name)
    if (entity < 0 || !book.isActive(story, name)) continue
    const known = (story.members[name].onsetMs - fleet.entities[entity].firstSeenMs) / options.stepMs
    story.learned = Math.max(story.learned ?? 0, known)
    most = Math.max(most, levels.level[entity])
    if (levels.felt[entity] >= FELT_AT) felt = true
    families += familiesSpeaking(fleet, entity)
  }
  story.windows++
  if (felt) story.felt = true
  if (most > story.peak) story.peak = most
  if (families > story.families) story.families = families
  // Resources that stay at a new level when users no longer feel anything hold nothing open that they could
  // not open themselves.
  const stayAt = (felt ? options.stayShare : 1) * options.openAt
  story.quiet = most < stayAt ? story.quiet + 1 : 0
}

/** Gives a new story its start and its name, both from its earliest member. */
export function christen(story: Story): void {
  const first = Object.keys(story.members).sort(
    (a, b) => story.members[a].onsetMs - story.members[b].onsetMs || compare(a, b),
  )[0]
  story.startedMs = Math.min(story.startedMs, story.members[first].onsetMs)
  story.episodeMs = story.startedMs
  story.id = contentId('d', story.tenant, first, story.startedMs)
}

/**
 * When a new, ranked story is one that ended a little while ago, it goes on under that one's name: the same cause,
 * strange in the same way. A service that was slow and is now short of memory has another trouble.
 */
export function revive(story: Story, resolved: Story[], options: DisruptionOptions): void {
  const cause = story.suspects[0]?.entity
  const sinceMs = story.openedMs - options.refractoryWindows * options.stepMs
  const alike = (one: Story): boolean =>
    one.status === 'resolved' && one.tenant === story.tenant && one.suspects[0]?.entity === cause
  const old = resolved.findIndex(
    one => one.kind === 'fault' && alike(one) && sameTrouble(one, story) && (one.resolvedMs ?? 0) > sinceMs,
  )
  if (old < 0) {
    story.recurrences = resolved.filter(alike).length
    return
  }
  const [revived] = resolved.splice(old, 1)
  story.id = revived.id
  story.revision = revived.revision
  story.startedMs = revived.startedMs
  const before = { fromMs: revived.episodeMs, toMs: revived.resolvedMs ?? revived.episodeMs }
  story.earlier = episodes([...revived.earlier, before])
  story.openedMs = revived.openedMs
  story.recurrences = revived.recurrences
  story.related = revived.related
  story.told = revived.told
}

/** Stories of earlier versions do not say in which way, and are believed. */
function sameTrouble(a: Story, b: Story): boolean {
  return a.causeFamily < 0 || b.causeFamily < 0 || wayOf(a.causeFamily) === wayOf(b.causeFamily)
}

/** Errors are what is not available; what callers measure and the service itself does not is the way to it. */
function wayOf(family: number): number {
  if (family === F.err) return F.ok
  return family === F.edgeTarget || family === F.client ? F.edgeSource : family
}

import { type Change, tenantOfChange } from '../core/change.ts'
import type { SeriesHistory } from '../core/history.ts'
import type { ExplainedSuspect } from '../core/stages.ts'
import { suspectOf } from './body.ts'
import type { StoryBook } from './book.ts'
import { type Alert, type Cause, type CauseRules, rankCauses } from './cause.ts'
import { FRONT_DOOR, familyOfMetric } from './families.ts'
import type { Fleet } from './fleet.ts'
import { compare } from './graph.ts'
import { measuredEvidence } from './measured.ts'
import type { DisruptionOptions } from './options.ts'
import type { Interval } from './past.ts'
import type { Ranker } from './ranker.ts'
import type { Story } from './story.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** Strength (logarithmic) from which an entity that is no member may be suspected: a shift of 1.7 usual tails. */
const SUSPECT_AT = 1
/** Entities named as counter-evidence. */
const MOST_NORMAL = 5
/** Smoothed evidence below which an entity counts as normal. */
const NORMAL_BELOW = 1

interface Parts {
  readonly options: DisruptionOptions
  readonly history: SeriesHistory
  readonly graphs: TenantGraphs
  readonly fleet: Fleet
  readonly book: StoryBook
  readonly ranker: Ranker
  readonly resolved: readonly Story[]
  readonly changes: readonly Change[]
}

/** Finds who started it: for a story, or for any moment somebody asks about. Changes nothing but the story. */
export class Investigator {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Suspects for the moment at which something began. What happened is measured on the windows after `atMs`, up
   * to `postWindows` of them, and normal on the `lookbackMs` before it (0: `baselineWindows`). Where an alert
   * was raised, its entity and metric say which kind of trouble is looked for. Of one tenant when it is named; else of each,
   * in one list.
   */
  explain(
    atMs: number,
    lookbackMs: number,
    alert?: { readonly entity: string; readonly metric: string },
    tenant?: string,
    rules?: CauseRules,
  ): readonly ExplainedSuspect[] {
    const { stepMs, postWindows, baselineWindows } = this.#parts.options
    const newestMs = this.#parts.history.newestEndMs
    if (Number.isNaN(newestMs)) return []
    this.#parts.ranker.renew()
    // Asked about now, when nothing has followed yet: the last three windows are what happened.
    const onsetMs = newestMs - atMs >= 2 * stepMs ? atMs : newestMs - 3 * stepMs
    const ask = (one: string) =>
      this.#causes({
        tenant: one,
        scope: undefined,
        onsetMs,
        untilMs: Math.min(newestMs, onsetMs + postWindows * stepMs),
        baselineMs: lookbackMs > 0 ? lookbackMs : baselineWindows * stepMs,
        disrupted: this.#intervals(one, undefined),
        alert: alert && { entity: alert.entity, family: familyOfMetric(alert.metric) },
        rules,
      }).map(cause => ({ cause, isMapped: this.#parts.graphs.of(one).has(cause.entity) }))
    const tenants = tenant === undefined ? [...this.#parts.fleet.tenants()].sort(compare) : [tenant]
    return tenants
      .flatMap(ask)
      .filter(({ cause }) => cause.base > 0)
      .sort((a, b) => b.cause.score - a.cause.score || compare(a.cause.entity, b.cause.entity))
      .map(({ cause, isMapped }, i) => {
        const suspect = suspectOf(cause, i + 1, onsetMs, isMapped)
        const { rank, entity, metric, score, onset, direction, why } = suspect
        const { observed, expected } = cause.findings[0].change
        const level = { direction, observed, expected }
        return { rank, entity, metric, score, ...level, why, onsetMs: Date.parse(onset) }
      })
  }

  /** Names the suspects of a story, what changed before it, and what stayed normal. */
  rank(story: Story, nowMs: number): void {
    const { stepMs, postWindows, baselineWindows, maxSuspects } = this.#parts.options
    const graph = this.#parts.graphs.of(story.tenant)
    const told = this.#parts.book.told(story)
    const names = this.#parts.book.scope(story).filter(name => !told.has(name))
    const causes = this.#causes({
      tenant: story.tenant,
      scope: new Set(names),
      onsetMs: story.episodeMs,
      untilMs: Math.min(nowMs, story.episodeMs + Math.max(postWindows, story.windows + 1) * stepMs),
      baselineMs: baselineWindows * stepMs,
      disrupted: this.#intervals(story.tenant, story),
      silentOf: story,
    })
    // Who is no member and hardly moved is noise, however the others compare.
    story.suspects = causes
      .filter(({ entity, base }) => base >= SUSPECT_AT || (base > 0 && story.members[entity] !== undefined))
      .slice(0, maxSuspects)
      .map((cause, i) => suspectOf(cause, i + 1, story.episodeMs, graph.has(cause.entity)))
    story.causeFamily = causes.find(one => one.entity === story.suspects[0]?.entity)?.findings[0].family ?? -1
    story.measured = measuredEvidence(
      causes,
      new Set([...Object.keys(story.members), ...story.suspects.map(one => one.entity)]),
      story.episodeMs,
      nowMs,
    ).slice(0, this.#parts.options.maxEvidence)
    const named = new Set([...Object.keys(story.members), ...story.suspects.slice(0, 3).map(s => s.entity)])
    story.changes = this.#changesOf(story.tenant)
      .filter(change => named.has(change.entity) && change.timeMs <= nowMs)
      .filter(change => change.timeMs > story.episodeMs - 5 * this.#parts.options.changeDecayMs)
      .slice(-MOST_NORMAL)
    story.normal = names
      .filter(name => story.members[name] === undefined && this.#isNormal(story.tenant, name))
      .slice(0, MOST_NORMAL)
    story.rankedAt = story.windows
    story.rankedMembers = Object.keys(story.members).length
  }

  #isNormal(tenant: string, name: string): boolean {
    const entity = this.#parts.fleet.id(tenant, name)
    if (entity < 0 || name === FRONT_DOOR) return false
    return Math.max(...this.#parts.fleet.entities[entity].recent) < NORMAL_BELOW
  }

  #causes(question: {
    tenant: string
    scope: ReadonlySet<string> | undefined
    onsetMs: number
    untilMs: number
    baselineMs: number
    disrupted: readonly Interval[]
    silentOf?: Story
    alert?: Alert | undefined
    rules?: CauseRules | undefined
  }): Cause[] {
    const members = question.silentOf ? Object.entries(question.silentOf.members) : []
    const silent = new Set(members.filter(([, m]) => m.silence !== 'none').map(([name]) => name))
    const changes = this.#changesOf(question.tenant)
    return rankCauses(this.#parts.ranker.findings({ ...question, changes, silent }), {
      graph: this.#parts.graphs.of(question.tenant),
      changes,
      onsetMs: question.onsetMs,
      changeDecayMs: this.#parts.options.changeDecayMs,
      alert: question.alert,
      rules: question.rules,
    })
  }

  #changesOf(tenant: string): readonly Change[] {
    return this.#parts.changes.filter(change => tenantOfChange(change) === tenant)
  }

  /** Stretches of other disruptions, which are no baseline. */
  #intervals(tenant: string, except: Story | undefined): Interval[] {
    return [...this.#parts.resolved, ...this.#parts.book.open]
      .filter(story => story !== except && story.tenant === tenant)
      .flatMap(({ earlier, episodeMs, resolvedMs }) => [
        ...earlier,
        { fromMs: episodeMs, toMs: resolvedMs ?? Number.POSITIVE_INFINITY },
      ])
  }
}

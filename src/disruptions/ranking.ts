import type { Disruption, DisruptionEvent, DisruptionEventType } from '../core/disruption.ts'
import type { SeriesTable } from '../core/series.ts'
import { bodyOf } from './body.ts'
import type { Fleet } from './fleet.ts'
import { compare } from './graph.ts'
import { confidenceOf, rankParts, rankValue, severityOf } from './impact.ts'
import type { DisruptionOptions } from './options.ts'
import type { Story } from './story.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** Orders open stories by how much they matter, and makes the bodies that are published. */
export class Ranking {
  readonly #options: DisruptionOptions
  readonly #series: SeriesTable
  readonly #fleet: Fleet
  readonly #graphs: TenantGraphs

  constructor(options: DisruptionOptions, series: SeriesTable, fleet: Fleet, graphs: TenantGraphs) {
    this.#options = options
    this.#series = series
    this.#fleet = fleet
    this.#graphs = graphs
  }

  /** Highest rank first, ties by id; of all tenants. */
  order(open: readonly Story[]): Story[] {
    const { openAt } = this.#options
    const valued = open.map(story => {
      const count = this.#fleet.ownedBy(story.tenant).length
      const share = this.#trafficShare(story)
      const parts = rankParts(story, severityOf(story, openAt), confidenceOf(story, openAt), count, share)
      return { story, value: rankValue(parts) }
    })
    valued.sort((a, b) => b.value - a.value || compare(a.story.id, b.story.id))
    return valued.map(({ story }) => story)
  }

  /** Place of each story among those of its tenant, from 1 on; `ordered` as `order` gives them. */
  ranks(ordered: readonly Story[]): Map<Story, number> {
    const counts = new Map<string, number>()
    const out = new Map<Story, number>()
    for (const story of ordered) {
      const rank = (counts.get(story.tenant) ?? 0) + 1
      counts.set(story.tenant, rank)
      out.set(story, rank)
    }
    return out
  }

  /** What of a story is worth an update when it changes. */
  shapeOf(story: Story): string {
    const severity = severityOf(story, this.#options.openAt)
    const suspects = story.suspects.slice(0, 3).map(suspect => suspect.entity)
    return JSON.stringify([severity, suspects, Object.keys(story.members).sort(compare)])
  }

  /**
   * The next revision of a story, and what is remembered of having told it; under maintenance, `holds`, it is recorded
   * and told to nobody.
   */
  publish(
    story: Story,
    type: DisruptionEventType,
    rank: number,
    nowMs: number,
    holds: string[],
  ): DisruptionEvent {
    story.revision++
    const isEnd = type === 'resolved' || type === 'retracted'
    const { told } = story
    // The end of what was told is told, and the end of what was not is not.
    const isHeld = isEnd ? !told : holds.length > 0
    if (!isHeld) story.told = true
    if (holds.length > 0 || !isEnd) story.holds = holds
    story.publishedMs = nowMs
    story.publishedShape = this.shapeOf(story)
    story.publishedSeverity = severityOf(story, this.#options.openAt)
    const disruption = this.#body(story, rank, nowMs)
    story.published = disruption
    return {
      id: `${story.id}.${story.revision}`,
      // Whoever hears of it for the first time hears of an opening.
      type: !isHeld && !told && type === 'updated' ? 'opened' : type,
      timeMs: nowMs,
      disruption,
      ...(isHeld ? { held: true as const } : {}),
    }
  }

  #body(story: Story, rank: number, nowMs: number): Disruption {
    return bodyOf(story, {
      graph: this.#graphs.of(story.tenant),
      options: this.#options,
      entitiesKnown: this.#fleet.ownedBy(story.tenant).length,
      trafficShare: this.#trafficShare(story),
      unitOf: (metric, key) => this.#unitOf(story.tenant, metric, key),
      rank,
      severity: severityOf(story, this.#options.openAt),
      nowMs,
    })
  }

  #unitOf(tenant: string, metric: string, key?: string): string {
    const row = key === undefined ? -1 : this.#series.row(key)
    if (row >= 0) return this.#series.meta(row).unit
    for (const [, meta] of this.#series.metas())
      if (meta.metric === metric && meta.tenant === tenant) return meta.unit
    return ''
  }

  /** Share of the tenant's busiest entity's traffic that the busiest member has. */
  #trafficShare(story: Story): number | null {
    let all = 0
    let own = 0
    for (const entity of this.#fleet.ownedBy(story.tenant)) {
      const { name, traffic } = this.#fleet.entities[entity]
      if (Number.isNaN(traffic)) continue
      all = Math.max(all, traffic)
      if (story.members[name] !== undefined) own = Math.max(own, traffic)
    }
    return all > 0 ? Math.min(1, own / all) : null
  }
}

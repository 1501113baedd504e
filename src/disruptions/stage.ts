import type { Anomaly } from '../core/anomaly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import type { Change } from '../core/change.ts'
import type { Disruption, DisruptionEvent, DisruptionEventType } from '../core/disruption.ts'
import type { SeriesHistory } from '../core/history.ts'
import { contentId } from '../core/identity.ts'
import type { MaintenanceOrder, MaintenanceState } from '../core/maintenance.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange, DisruptionStage, ExplainedSuspect } from '../core/stages.ts'
import type { CallEdge } from '../core/topology.ts'
import { bodyOf } from './body.ts'
import { StoryBook } from './book.ts'
import type { CauseRules } from './cause.ts'
import { Fleet } from './fleet.ts'
import { CallGraph, compare } from './graph.ts'
import { confidenceOf, rankParts, rankValue, severityOf } from './impact.ts'
import { Investigator } from './investigator.ts'
import { criticalOf, familiesSpeaking, type WindowLevels, windowLevels } from './levels.ts'
import { Maintenance } from './maintenance.ts'
import { silenceEvidence } from './measured.ts'
import type { DisruptionOptions } from './options.ts'
import { Ranker } from './ranker.ts'
import { restoreStage, type StageState, snapshotStage } from './state.ts'
import { join, keepEvidence, newStory, type Story } from './story.ts'
import { SERVED_BELOW as FELT_AT } from './strength.ts'

/** An anomaly that is open, with where it belongs. */
export interface OpenAnomaly {
  readonly anomaly: Anomaly
  readonly entity: number
  readonly family: number
}

/** Counts of what was set aside or did not fit, for the operator. */
export interface DisruptionCounts {
  /** Entity-windows explained by an announced interruption. */
  suppressed: number
  /** Entity-windows explained by traffic that was served well. */
  driven: number
  anomaliesDropped: number
  evidenceDropped: number
  changesDropped: number
}

/** Windows after opening at which suspects are ranked, besides `rankAfterWindows`. */
const RANK_AT: readonly number[] = [5, 10]
/** Windows in which everything must be silent before the pipeline is blamed. */
const MUTE_WINDOWS = 2

/** Opinions and anomalies → disruptions, as a pure function of what came in order. */
export class Disruptions implements DisruptionStage {
  readonly counts: DisruptionCounts = {
    suppressed: 0,
    driven: 0,
    anomaliesDropped: 0,
    evidenceDropped: 0,
    changesDropped: 0,
  }
  readonly #options: DisruptionOptions
  readonly #series: SeriesTable
  readonly #graph: CallGraph
  readonly #fleet: Fleet
  readonly #book: StoryBook
  readonly #ranker: Ranker
  readonly #investigator: Investigator
  readonly #resolved: Story[] = []
  readonly #changes: Change[] = []
  readonly #anomalies = new Map<string, OpenAnomaly>()
  readonly #closing: OpenAnomaly[] = []
  readonly #muteWindows = new Map<string, number>()
  readonly #maintenance: Maintenance
  #quiet = new Uint8Array(0)
  #nowMs = 0

  constructor(
    options: DisruptionOptions,
    context: {
      readonly series: SeriesTable
      readonly history: SeriesHistory
      readonly maintenance?: Maintenance
    },
  ) {
    this.#options = options
    this.#maintenance = context.maintenance ?? new Maintenance()
    this.#series = context.series
    this.#graph = new CallGraph(options.maxEdges)
    this.#fleet = new Fleet(context.series, this.#graph, options.maxEntities, options.stepMs)
    this.#book = new StoryBook(this.#fleet, this.#graph, options)
    this.#ranker = new Ranker(context.series, context.history, this.#fleet, options)
    this.#investigator = new Investigator({
      options,
      history: context.history,
      graph: this.#graph,
      fleet: this.#fleet,
      book: this.#book,
      ranker: this.#ranker,
      resolved: this.#resolved,
      changes: this.#changes,
    })
  }

  observe(batch: FeatureBatch, opinions: OpinionBatch, changes: readonly AnomalyChange[]): void {
    this.#fleet.observe(batch, opinions)
    for (const { event, anomaly } of changes) {
      const entity = this.#fleet.entityOf(anomaly.series)
      const family = entity < 0 ? 0 : this.#fleet.rows.family[anomaly.series]
      const open = { anomaly, entity, family }
      if (event === 'closed') {
        this.#anomalies.delete(anomaly.id)
        this.#closing.push(open)
      } else if (this.#anomalies.size < this.#options.maxAnomalies || this.#anomalies.has(anomaly.id)) {
        this.#anomalies.set(anomaly.id, open)
      } else this.counts.anomaliesDropped++
    }
  }

  weigh(batch: FeatureBatch, out: Float32Array): void {
    const { entity } = this.#fleet.rows
    const disrupted = this.#quiet
    const weight = this.#options.disruptedWeight
    for (let i = 0; i < batch.length; i++) {
      const e = entity[batch.series[i]]
      out[i] = e > 0 && e <= disrupted.length && disrupted[e - 1] === 1 ? weight : 1
    }
  }

  change(change: Change): void {
    if (this.#changes.some(known => known.id === change.id)) return
    this.#changes.push(change)
    if (this.#changes.length <= this.#options.maxChanges) return
    this.#changes.shift()
    this.counts.changesDropped++
  }

  maintain(order: MaintenanceOrder, nowMs: number): string | undefined {
    return this.#maintenance.follow(order, nowMs)
  }

  maintenance(timeMs: number): readonly MaintenanceState[] {
    return this.#maintenance.list(timeMs)
  }

  #holdsOf(story: Story): string[] {
    return this.#maintenance.holds(story.tenant, Object.keys(story.members), this.#nowMs)
  }

  addEdges(edges: readonly CallEdge[], timeMs: number): void {
    for (const { source, target } of edges) this.#graph.add(source, target, timeMs)
  }

  advance(windowEndMs: number): DisruptionEvent[] {
    this.#nowMs = windowEndMs
    const levels = windowLevels(
      this.#fleet,
      this.#graph,
      this.#changes,
      criticalOf(this.#anomalies.values()),
      windowEndMs,
      this.#options,
    )
    this.counts.suppressed += levels.suppressed
    this.counts.driven += levels.driven
    const events: DisruptionEvent[] = []
    const pending: [Story, DisruptionEventType][] = []
    this.#hearPipeline(levels, windowEndMs, pending)
    const born = this.#book.group(levels, windowEndMs)
    this.#collect()
    for (const story of this.#book.open) if (story.kind === 'fault') this.#age(story, levels)
    for (const story of born) pending.push([this.#open(story), story.revision === 0 ? 'opened' : 'updated'])
    for (const story of this.#book.open) {
      if (story.kind === 'fault' && !born.includes(story)) this.#follow(story, pending)
    }
    this.#settle(windowEndMs, pending)
    this.#release(pending)
    const order = pending.length > 0 ? this.#byRank() : []
    for (const [story, type] of pending) this.#publish(story, type, order, events)
    this.#mark(levels)
    this.#fleet.endWindow()
    this.#closing.length = 0
    return events
  }

  board(): readonly Disruption[] {
    const open = this.#byRank()
    const lately = [...this.#resolved]
      .filter(story => story.status === 'resolved')
      .sort((a, b) => (b.resolvedMs ?? 0) - (a.resolvedMs ?? 0) || compare(a.id, b.id))
    return [...open, ...lately].flatMap((story, i) => {
      if (!story.published) return []
      const { maintenance: _, ...published } = story.published
      const holds = story.status === 'open' ? this.#holdsOf(story) : story.holds
      return [{ ...published, rank: i + 1, ...(holds.length > 0 ? { maintenance: holds } : {}) }]
    })
  }

  /** As `Investigator.explain`. */
  explain(
    atMs: number,
    lookbackMs: number,
    alert?: { readonly entity: string; readonly metric: string },
    rules?: CauseRules,
  ): readonly ExplainedSuspect[] {
    return this.#investigator.explain(atMs, lookbackMs, alert, rules)
  }

  edges(): readonly (CallEdge & { readonly lastSeenMs: number })[] {
    return this.#graph.edges()
  }

  forget(series: number): void {
    this.#fleet.forget(series)
  }

  bytes(): number {
    const stories = this.#book.open.length + this.#resolved.length
    return this.#fleet.bytes() + 200 * this.#graph.size + 20_000 * stories + 1_000 * this.#anomalies.size
  }

  /** What did not fit, by what it was. */
  dropped(): Readonly<Record<string, number>> {
    return {
      edges: this.#graph.dropped,
      entities: this.#fleet.dropped,
      disruptions: this.#book.dropped,
      ranked: this.#ranker.dropped,
      anomalies: this.counts.anomaliesDropped,
      evidence: this.counts.evidenceDropped,
      changes: this.counts.changesDropped,
    }
  }

  explainedAway(): Readonly<Record<string, number>> {
    return { announced: this.counts.suppressed, traffic: this.counts.driven }
  }

  snapshot(): Snapshot[] {
    return [snapshotStage(this.#state(), this.#series)]
  }

  restore(parts: readonly Snapshot[]): void {
    const nowMs = restoreStage(parts, this.#state(), this.#series)
    if (nowMs === undefined) return
    this.#nowMs = nowMs
    this.#mark(undefined)
  }

  #state(): StageState {
    return {
      nowMs: this.#nowMs,
      fleet: this.#fleet,
      graph: this.#graph,
      open: this.#book.open,
      resolved: this.#resolved,
      changes: this.#changes,
      anomalies: this.#anomalies,
      muteWindows: this.#muteWindows,
      counts: this.counts,
      maintenance: this.#maintenance,
    }
  }

  /** One story for everything falling silent at once, told by tenant. */
  #hearPipeline(levels: WindowLevels, nowMs: number, pending: [Story, DisruptionEventType][]): void {
    const tenants = new Set([...levels.mute.keys(), ...this.#muteWindows.keys()])
    for (const tenant of [...tenants].sort(compare)) {
      const story = this.#book.open.find(one => one.kind === 'pipeline' && one.tenant === tenant)
      const mute = levels.mute.get(tenant)
      if (mute === undefined) {
        if (!story) this.#muteWindows.delete(tenant)
        else if (++story.quiet >= this.#options.quietWindows) {
          this.#muteWindows.delete(tenant)
          this.#close(story, nowMs, pending)
        }
        continue
      }
      const windows = (this.#muteWindows.get(tenant) ?? 0) + 1
      this.#muteWindows.set(tenant, windows)
      if (story) {
        story.windows++
        story.quiet = 0
      } else if (mute && windows >= MUTE_WINDOWS) {
        pending.push([this.#openPipeline(tenant, nowMs - windows * this.#options.stepMs, nowMs), 'opened'])
      }
    }
  }

  #openPipeline(tenant: string, startedMs: number, nowMs: number): Story {
    const story = newStory('pipeline', tenant, 'telemetry', startedMs, nowMs)
    for (let e = 0; e < this.#fleet.entities.length; e++) {
      const { tenant: own, name } = this.#fleet.entities[e]
      if (own === tenant && this.#fleet.columns.recent[e] > 0) {
        join(story, name, startedMs, this.#options.openAt, nowMs).silence = 'whole'
        if (story.measured.length < this.#options.maxEvidence) {
          story.measured.push(silenceEvidence(name, this.#fleet.columns.recent[e], startedMs, nowMs))
        }
      }
    }
    story.peak = 2 * this.#options.openAt
    story.id = contentId('d', tenant, 'telemetry', startedMs)
    this.#book.open.push(story)
    return story
  }

  /** Gives open anomalies of members to their stories as evidence. */
  #collect(): void {
    for (const open of [...this.#anomalies.values(), ...this.#closing]) {
      if (open.entity < 0) continue
      const { tenant, name } = this.#fleet.entities[open.entity]
      const story = this.#book.open.find(one => one.tenant === tenant && one.members[name] !== undefined)
      if (!story || open.anomaly.endMs <= story.startedMs) continue
      this.counts.evidenceDropped += keepEvidence(story, open.anomaly)
    }
  }

  /** One more window of a story: how strong it is now, and whether it has been quiet. */
  #age(story: Story, levels: WindowLevels): void {
    let most = 0
    let families = 0
    let felt = false
    for (const name of Object.keys(story.members)) {
      const entity = this.#fleet.id(story.tenant, name)
      if (entity < 0) continue
      most = Math.max(most, levels.level[entity])
      if (levels.felt[entity] >= FELT_AT) felt = true
      families += familiesSpeaking(this.#fleet, entity)
    }
    story.windows++
    if (felt) story.felt = true
    if (most > story.peak) story.peak = most
    if (families > story.families) story.families = families
    // Resources that stay at a new level when users no longer feel anything hold nothing open that they could
    // not open themselves.
    const stayAt = (felt ? this.#options.stayShare : 1) * this.#options.openAt
    story.quiet = most < stayAt ? story.quiet + 1 : 0
  }

  /** Ranks a new story; when it is an old one that came back, revives that instead. */
  #open(story: Story): Story {
    const first = Object.keys(story.members).sort(
      (a, b) => story.members[a].onsetMs - story.members[b].onsetMs || compare(a, b),
    )[0]
    story.startedMs = Math.min(story.startedMs, story.members[first].onsetMs)
    story.id = contentId('d', story.tenant, first, story.startedMs)
    this.#investigator.rank(story, this.#nowMs)
    const cause = story.suspects[0]?.entity
    const sinceMs = story.openedMs - this.#options.refractoryWindows * this.#options.stepMs
    const old = this.#resolved.findIndex(
      one =>
        one.kind === 'fault' &&
        one.status === 'resolved' &&
        one.tenant === story.tenant &&
        one.suspects[0]?.entity === cause &&
        (one.resolvedMs ?? 0) > sinceMs,
    )
    if (old < 0) {
      story.recurrences = this.#resolved.filter(
        one => one.tenant === story.tenant && one.suspects[0]?.entity === cause,
      ).length
      return story
    }
    const [revived] = this.#resolved.splice(old, 1)
    story.id = revived.id
    story.revision = revived.revision
    story.startedMs = revived.startedMs
    story.openedMs = revived.openedMs
    story.recurrences = revived.recurrences
    story.told = revived.told
    return story
  }

  /** Ranks again when due, and publishes what changed in a way that matters. */
  #follow(story: Story, pending: [Story, DisruptionEventType][]): void {
    const { rankAfterWindows, updateGapWindows, heartbeatWindows, stepMs } = this.#options
    const due = story.windows === rankAfterWindows + 1
    // Who joins late, and two windows have told of, may be the cause of what follows.
    const joined = Object.keys(story.members).length > story.rankedMembers
    const settled = story.windows - story.rankedAt >= rankAfterWindows
    if (due || RANK_AT.includes(story.windows) || (joined && settled))
      this.#investigator.rank(story, this.#nowMs)
    const since = (this.#nowMs - story.publishedMs) / stepMs
    const changed = this.#shapeOf(story) !== story.publishedShape
    const worth = changed && (due || since >= updateGapWindows)
    if (worth || since >= heartbeatWindows) pending.push([story, 'updated'])
  }

  #shapeOf(story: Story): string {
    const severity = severityOf(story, this.#options.openAt)
    const suspects = story.suspects.slice(0, 3).map(suspect => suspect.entity)
    return JSON.stringify([severity, suspects, Object.keys(story.members).sort(compare)])
  }

  /** Resolves what has been quiet long enough. */
  #settle(nowMs: number, pending: [Story, DisruptionEventType][]): void {
    const { quietWindows, longestWindows } = this.#options
    for (const story of [...this.#book.open]) {
      if (story.kind !== 'fault') continue
      const spent = longestWindows > 0 && story.windows >= longestWindows
      if (story.quiet < quietWindows && !spent) continue
      const at = pending.findIndex(([one]) => one === story)
      if (at >= 0 && pending[at][1] === 'updated') pending.splice(at, 1)
      this.#close(story, nowMs, pending)
    }
  }

  /** Tells what a maintenance window that is over kept back and that goes on. */
  #release(pending: [Story, DisruptionEventType][]): void {
    for (const story of this.#book.open) {
      const isKept = !story.told && story.revision > 0 && !pending.some(([one]) => one === story)
      if (isKept && this.#holdsOf(story).length === 0) pending.push([story, 'updated'])
    }
  }

  #close(story: Story, nowMs: number, pending: [Story, DisruptionEventType][]): void {
    this.#book.open.splice(this.#book.open.indexOf(story), 1)
    story.status = 'resolved'
    story.resolvedMs = nowMs - story.quiet * this.#options.stepMs
    this.#resolved.push(story)
    if (this.#resolved.length > this.#options.maxResolved) this.#resolved.shift()
    pending.push([story, 'resolved'])
  }

  #publish(
    story: Story,
    type: DisruptionEventType,
    order: readonly Story[],
    events: DisruptionEvent[],
  ): void {
    const at = order.indexOf(story)
    story.revision++
    const holds = this.#holdsOf(story)
    // The end of what was told is told, and the end of what was not is not.
    const isHeld = type === 'resolved' ? !story.told : holds.length > 0
    const told = story.told
    if (!isHeld) story.told = true
    if (holds.length > 0 || type !== 'resolved') story.holds = holds
    story.publishedMs = this.#nowMs
    story.publishedShape = this.#shapeOf(story)
    story.publishedSeverity = severityOf(story, this.#options.openAt)
    const disruption = this.#body(story, at < 0 ? order.length + 1 : at + 1)
    story.published = disruption
    events.push({
      id: `${story.id}.${story.revision}`,
      // Whoever hears of it for the first time hears of an opening.
      type: !isHeld && !told && type === 'updated' ? 'opened' : type,
      timeMs: this.#nowMs,
      disruption,
      ...(isHeld ? { held: true as const } : {}),
    })
  }

  #body(story: Story, rank: number): Disruption {
    return bodyOf(story, {
      graph: this.#graph,
      options: this.#options,
      entitiesKnown: this.#entitiesKnown().get(story.tenant) ?? 0,
      trafficShare: this.#trafficShare(story),
      unitOf: (metric, key) => this.#unitOf(metric, key),
      rank,
      severity: severityOf(story, this.#options.openAt),
      nowMs: this.#nowMs,
    })
  }

  #entitiesKnown(): Map<string, number> {
    const out = new Map<string, number>()
    for (const { tenant } of this.#fleet.entities) out.set(tenant, (out.get(tenant) ?? 0) + 1)
    return out
  }

  #unitOf(metric: string, key?: string): string {
    const row = key === undefined ? -1 : this.#series.row(key)
    if (row >= 0) return this.#series.meta(row).unit
    for (const [, meta] of this.#series.metas()) if (meta.metric === metric) return meta.unit
    return ''
  }

  /** Share of the tenant's busiest entity's traffic that the busiest member has. */
  #trafficShare(story: Story): number | null {
    let all = 0
    let own = 0
    for (const { tenant, name, traffic } of this.#fleet.entities) {
      if (tenant !== story.tenant || traffic === null) continue
      all = Math.max(all, traffic)
      if (story.members[name] !== undefined) own = Math.max(own, traffic)
    }
    return all > 0 ? Math.min(1, own / all) : null
  }

  #byRank(): Story[] {
    const known = this.#entitiesKnown()
    const { openAt } = this.#options
    const valued = this.#book.open.map(story => {
      const count = known.get(story.tenant) ?? 0
      const share = this.#trafficShare(story)
      const parts = rankParts(story, severityOf(story, openAt), confidenceOf(story, openAt), count, share)
      return { story, value: rankValue(parts) }
    })
    valued.sort((a, b) => b.value - a.value || compare(a.story.id, b.story.id))
    return valued.map(({ story }) => story)
  }

  /** Notes which entities must teach the baselines little. */
  #mark(levels: WindowLevels | undefined): void {
    const count = this.#fleet.entities.length
    if (this.#quiet.length < count) this.#quiet = new Uint8Array(count * 2)
    this.#quiet.fill(0)
    for (const entity of levels?.planned ?? []) this.#quiet[entity] = 1
    for (const story of this.#book.open) {
      for (const name of Object.keys(story.members)) {
        const entity = this.#fleet.id(story.tenant, name)
        if (entity >= 0) this.#quiet[entity] = 1
      }
    }
  }
}

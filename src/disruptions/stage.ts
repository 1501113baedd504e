import type { Anomaly } from '../core/anomaly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { type Change, tenantOfChange } from '../core/change.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Disruption, DisruptionEvent, DisruptionEventType } from '../core/disruption.ts'
import type { SeriesHistory } from '../core/history.ts'
import type { MaintenanceOrder, MaintenanceState } from '../core/maintenance.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange, DisruptionStage, ExplainedSuspect, TenantEntity } from '../core/stages.ts'
import type { CallEdge } from '../core/topology.ts'
import { StoryBook } from './book.ts'
import type { CauseRules } from './cause.ts'
import { weighRows } from './evidence.ts'
import { Fleet } from './fleet.ts'
import { compare } from './graph.ts'
import { Investigator } from './investigator.ts'
import { criticalOf, type WindowLevels, windowLevels } from './levels.ts'
import { age, christen, revive } from './life.ts'
import { Maintenance } from './maintenance.ts'
import type { DisruptionOptions } from './options.ts'
import { Ranker } from './ranker.ts'
import { Ranking } from './ranking.ts'
import { absorb, merges, parted, retract, type StoryParts } from './reunion.ts'
import { keepShare } from './shares.ts'
import { hearPipeline } from './silence.ts'
import { cutStage, restoreStage, type StageState, snapshotStage } from './state.ts'
import type { Story } from './story.ts'
import { keepEvidence } from './story-evidence.ts'
import type { Tellers } from './tellers.ts'
import { TenantGraphs } from './tenant-graphs.ts'

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

/** Windows between two looks for calls that are no longer made. */
const EXPIRE_EVERY = 30

/** What will be published at the end of the window. */
type Pending = [Story, DisruptionEventType][]

/** Windows after opening at which suspects are ranked, besides `rankAfterWindows`. */
const RANK_AT: readonly number[] = [5, 10]

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
  readonly #graphs: TenantGraphs
  readonly #fleet: Fleet
  readonly #book: StoryBook
  readonly #ranker: Ranker
  readonly #investigator: Investigator
  readonly #ranking: Ranking
  readonly #resolved: Story[] = []
  readonly #changes: Change[] = []
  readonly #anomalies = new Map<string, OpenAnomaly>()
  readonly #closing: OpenAnomaly[] = []
  readonly #muteWindows = new Map<string, number>()
  readonly #maintenance: Maintenance
  /** 1 for entities, by index, that are disrupted or interrupted as announced. */
  #quiet = new Uint8Array(0)
  /** Whether no entity is. */
  #isQuiet = true
  #nowMs = 0
  /** Version of each tenant's graph at which stories were last looked at for parting. */
  readonly #partedAt = new Map<string, number>()
  readonly #parts: StoryParts

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
    this.#graphs = new TenantGraphs(options.maxEdges)
    this.#fleet = new Fleet(context.series, this.#graphs, options.maxEntities, options.stepMs)
    this.#book = new StoryBook(this.#fleet, this.#graphs, options)
    this.#ranker = new Ranker(context.series, context.history, this.#fleet, options)
    this.#parts = { options, book: this.#book, fleet: this.#fleet, graphs: this.#graphs }
    this.#ranking = new Ranking(options, context.series, this.#fleet, this.#graphs)
    this.#investigator = new Investigator({
      options,
      history: context.history,
      graphs: this.#graphs,
      fleet: this.#fleet,
      book: this.#book,
      ranker: this.#ranker,
      resolved: this.#resolved,
      changes: this.#changes,
    })
  }

  observe(batch: FeatureBatch, opinions: OpinionBatch, changes: readonly AnomalyChange[]): void {
    this.#fleet.observe(batch, opinions, this.#quiet)
    for (const { event, anomaly } of changes) {
      const entity = this.#fleet.entityOf(anomaly.series)
      const family = entity < 0 ? 0 : this.#fleet.familyOf(anomaly.series)
      const open = { anomaly, entity, family }
      if (event === 'closed') {
        this.#anomalies.delete(anomaly.id)
        this.#closing.push(open)
      } else if (this.#anomalies.size < this.#options.maxAnomalies || this.#anomalies.has(anomaly.id)) {
        this.#anomalies.set(anomaly.id, open)
      } else this.counts.anomaliesDropped++
    }
  }

  place(batch: FeatureBatch): void {
    this.#fleet.place(batch)
  }

  weigh(batch: FeatureBatch, out: Float32Array): void {
    if (this.#isQuiet) out.fill(1, 0, batch.length)
    else weighRows(batch, this.#fleet.rows.chunks, this.#quiet, this.#options.disruptedWeight, out)
  }

  change(change: Change): void {
    const tenant = tenantOfChange(change)
    if (this.#changes.some(known => known.id === change.id && tenantOfChange(known) === tenant)) return
    this.counts.changesDropped += keepShare(this.#changes, change, this.#options.maxChanges, tenantOfChange)
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
    for (const { source, target } of edges) this.#graphs.give(source, target, timeMs)
  }

  advance(windowEndMs: number): DisruptionEvent[] {
    this.#nowMs = windowEndMs
    this.#ranker.renew()
    const levels = windowLevels(
      this.#fleet,
      this.#graphs,
      this.#changes,
      criticalOf(this.#anomalies.values()),
      windowEndMs,
      this.#options,
    )
    this.counts.suppressed += levels.suppressed
    this.counts.driven += levels.driven
    const events: DisruptionEvent[] = []
    const pending: Pending = []
    const { open } = this.#book
    const heard = hearPipeline(levels, this.#muteWindows, open, this.#fleet, this.#options, windowEndMs)
    for (const story of heard.opened) {
      open.push(story)
      pending.push([story, 'opened'])
    }
    for (const story of heard.ended) this.#close(story, windowEndMs, pending)
    const born = this.#book.group(levels, windowEndMs)
    this.#collect()
    for (const story of this.#book.open) {
      if (story.kind === 'fault') age(story, this.#book, this.#fleet, levels, this.#options)
    }
    for (const story of born) pending.push([this.#open(story), story.revision === 0 ? 'opened' : 'updated'])
    for (const story of this.#book.open) {
      if (story.kind === 'fault' && !born.includes(story)) this.#follow(story, pending)
    }
    this.#part(pending)
    this.#reunite(pending)
    this.#settle(windowEndMs, pending)
    this.#release(pending)
    const ranks = this.#ranking.ranks(pending.length > 0 ? this.#ranking.order(this.#book.open) : [])
    for (const [story, type] of pending) {
      const rank = ranks.get(story) ?? 1 + this.#book.openOf(story.tenant)
      events.push(this.#ranking.publish(story, type, rank, windowEndMs, this.#holdsOf(story)))
    }
    this.#mark(levels)
    this.#fleet.endWindow()
    if (Math.round(windowEndMs / this.#options.stepMs) % EXPIRE_EVERY === 0) this.#fleet.expire(windowEndMs)
    this.#closing.length = 0
    return events
  }

  board(): readonly Disruption[] {
    const open = this.#ranking.order(this.#book.open)
    const lately = [...this.#resolved]
      .filter(story => story.status === 'resolved')
      .sort((a, b) => (b.resolvedMs ?? 0) - (a.resolvedMs ?? 0) || compare(a.id, b.id))
    const all = [...open, ...lately]
    const ranks = this.#ranking.ranks(all)
    return all.flatMap(story => {
      if (!story.published) return []
      const { maintenance: _, ...published } = story.published
      const holds = story.status === 'open' ? this.#holdsOf(story) : story.holds
      return [
        { ...published, rank: ranks.get(story) ?? 0, ...(holds.length > 0 ? { maintenance: holds } : {}) },
      ]
    })
  }

  /** As `Investigator.explain`. */
  explain(
    atMs: number,
    lookbackMs: number,
    alert?: { readonly entity: string; readonly metric: string },
    tenant?: string,
    rules?: CauseRules,
  ): readonly ExplainedSuspect[] {
    return this.#investigator.explain(atMs, lookbackMs, alert, tenant, rules)
  }

  /** The newest changes, oldest first. */
  changes(): readonly Change[] {
    return this.#changes
  }

  /** Anomalies that are open, as far as the stage was told. */
  openAnomalies(): Anomaly[] {
    return Array.from(this.#anomalies.values(), open => open.anomaly)
  }

  edges(tenant?: string): readonly (CallEdge & { readonly lastSeenMs: number })[] {
    return this.#graphs.edges(tenant)
  }

  frontDoors(): readonly TenantEntity[] {
    return [...this.#fleet.tenants()].flatMap(tenant =>
      this.#graphs
        .of(tenant)
        .frontDoors()
        .map(entity => ({ tenant, entity })),
    )
  }

  letGo(): void {
    this.#book.open.length = 0
    this.#resolved.length = 0
    this.#anomalies.clear()
    this.#closing.length = 0
    this.#muteWindows.clear()
    this.#fleet.letGo()
    for (const count of Object.keys(this.counts) as (keyof DisruptionCounts)[]) this.counts[count] = 0
    this.#mark(undefined)
  }

  forget(series: number): void {
    this.#fleet.forget(series)
  }

  bytes(): number {
    const stories = this.#book.open.length + this.#resolved.length
    return this.#fleet.bytes() + 200 * this.#graphs.size + 20_000 * stories + 1_000 * this.#anomalies.size
  }

  /** What did not fit, by what it was. */
  dropped(): Readonly<Record<string, number>> {
    return {
      edges: this.#graphs.dropped,
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

  cut(cut: Cut): CutSnapshot[] {
    return [cutStage(cut, this.#state(), this.#series)]
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
      graphs: this.#graphs,
      open: this.#book.open,
      resolved: this.#resolved,
      changes: this.#changes,
      anomalies: this.#anomalies,
      muteWindows: this.#muteWindows,
      counts: this.counts,
      maintenance: this.#maintenance,
    }
  }

  /** Gives open anomalies of members to their stories as evidence. */
  #collect(): void {
    if (this.#book.open.length === 0) return
    const tellers = this.#book.tellers()
    for (const open of this.#anomalies.values()) this.#give(open, tellers)
    for (const open of this.#closing) this.#give(open, tellers)
  }

  #give({ anomaly, entity }: OpenAnomaly, tellers: Tellers): void {
    const story = tellers.of(entity, anomaly.endMs)
    if (story) this.counts.evidenceDropped += keepEvidence(story, anomaly)
  }

  #open(story: Story): Story {
    christen(story)
    this.#investigator.rank(story, this.#nowMs)
    revive(story, this.#resolved, this.#options)
    return story
  }

  /** Ranks again when due, and publishes what changed in a way that matters. */
  #follow(story: Story, pending: Pending): void {
    const { rankAfterWindows, updateGapWindows, heartbeatWindows, stepMs } = this.#options
    const due = story.windows === rankAfterWindows + 1
    // Who joins late, and two windows have told of, may be the cause of what follows.
    const joined = Object.keys(story.members).length > story.rankedMembers
    const settled = story.windows - story.rankedAt >= rankAfterWindows
    if (due || RANK_AT.includes(story.windows) || (joined && settled))
      this.#investigator.rank(story, this.#nowMs)
    const since = (this.#nowMs - story.publishedMs) / stepMs
    const changed = this.#ranking.shapeOf(story) !== story.publishedShape
    const worth = changed && (due || since >= updateGapWindows)
    if (worth || since >= heartbeatWindows) pending.push([story, 'updated'])
  }

  /** Tells apart what began as one story and is not. */
  #part(pending: Pending): void {
    const grown = new Set<string>()
    for (const tenant of new Set(this.#book.open.map(story => story.tenant))) {
      const { version } = this.#graphs.of(tenant)
      if (version !== (this.#partedAt.get(tenant) ?? 0)) grown.add(tenant)
      this.#partedAt.set(tenant, version)
    }
    for (const story of [...this.#book.open]) {
      if (story.kind !== 'fault' || !(grown.has(story.tenant) || RANK_AT.includes(story.windows))) continue
      const parts = parted(story, this.#parts, this.#nowMs)
      if (parts.length === 0) continue
      this.#book.open.push(...parts)
      for (const one of [story, ...parts]) this.#investigator.rank(one, this.#nowMs)
      if (!pending.some(([one]) => one === story)) pending.push([story, 'updated'])
      for (const one of parts) pending.push([one, 'opened'])
    }
  }

  /** Joins what began as several stories and is one: the elder goes on, the younger is retracted. */
  #reunite(pending: Pending): void {
    for (const { elder, younger } of merges(this.#parts)) {
      this.counts.evidenceDropped += absorb(elder, younger)
      retract(elder, younger, this.#nowMs)
      this.#book.open.splice(this.#book.open.indexOf(younger), 1)
      const at = pending.findIndex(([one]) => one === younger)
      if (at >= 0) pending.splice(at, 1)
      // What was never told need not be taken back.
      if (younger.revision > 0) {
        this.#keep(younger)
        pending.push([younger, 'retracted'])
      }
      this.#investigator.rank(elder, this.#nowMs)
      if (!pending.some(([one]) => one === elder)) pending.push([elder, 'updated'])
    }
  }

  /** Resolves what has been quiet long enough. */
  #settle(nowMs: number, pending: Pending): void {
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
  #release(pending: Pending): void {
    for (const story of this.#book.open) {
      const isKept = !story.told && story.revision > 0 && !pending.some(([one]) => one === story)
      if (isKept && this.#holdsOf(story).length === 0) pending.push([story, 'updated'])
    }
  }

  #close(story: Story, nowMs: number, pending: Pending): void {
    this.#book.open.splice(this.#book.open.indexOf(story), 1)
    story.status = 'resolved'
    story.resolvedMs = nowMs - story.quiet * this.#options.stepMs
    this.#keep(story)
    pending.push([story, 'resolved'])
  }

  #keep(story: Story): void {
    keepShare(this.#resolved, story, this.#options.maxResolved, one => one.tenant)
  }

  /** Notes which entities must teach the baselines little. */
  #mark(levels: WindowLevels | undefined): void {
    const count = this.#fleet.entities.length
    if (this.#quiet.length < count) this.#quiet = new Uint8Array(count * 2)
    if (!this.#isQuiet) this.#quiet.fill(0)
    this.#isQuiet = this.#book.open.length === 0 && (levels?.planned.size ?? 0) === 0
    for (const entity of levels?.planned ?? []) this.#quiet[entity] = 1
    for (const story of this.#book.open) {
      for (const name of Object.keys(story.members)) {
        const entity = this.#fleet.id(story.tenant, name)
        if (entity >= 0) this.#quiet[entity] = 1
      }
    }
  }
}

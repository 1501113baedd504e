import type { Anomaly } from '../core/anomaly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { type Change, tenantOfChange } from '../core/change.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Disruption, DisruptionEvent } from '../core/disruption.ts'
import type { SeriesHistory } from '../core/history.ts'
import type { MaintenanceOrder, MaintenanceState } from '../core/maintenance.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange, DisruptionStage, ExplainedSuspect, TenantEntity } from '../core/stages.ts'
import { allSteps } from '../core/steps.ts'
import type { CallEdge } from '../core/topology.ts'
import { StoryBook } from './book.ts'
import type { CauseRules } from './cause.ts'
import { weighRows } from './evidence.ts'
import { Fleet } from './fleet.ts'
import { compare } from './graph.ts'
import { Investigator } from './investigator.ts'
import { criticalOf, windowLevels } from './levels.ts'
import { Maintenance } from './maintenance.ts'
import type { DisruptionOptions } from './options.ts'
import { Ranker } from './ranker.ts'
import { Ranking } from './ranking.ts'
import { keepShare } from './shares.ts'
import { hearPipeline } from './silence.ts'
import { cutStage, restoreStage, type StageState, snapshotStage } from './state.ts'
import type { Story } from './story.ts'
import { keepEvidence } from './story-evidence.ts'
import type { Tellers } from './tellers.ts'
import { Telling } from './telling.ts'
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
  /** Entities, by index, whose interruption was announced, as of the last window. */
  readonly #planned = new Set<number>()
  /** 1 for entities, by index, that are disrupted or interrupted as announced. */
  #quiet = new Uint8Array(0)
  /** Whether no entity is. */
  #isQuiet = true
  #nowMs = 0
  readonly #telling: Telling

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
    this.#telling = new Telling({
      options,
      book: this.#book,
      fleet: this.#fleet,
      graphs: this.#graphs,
      investigator: this.#investigator,
      ranking: this.#ranking,
      resolved: this.#resolved,
      counts: this.counts,
      holdsOf: story => this.#holdsOf(story),
    })
  }

  observe(batch: FeatureBatch, opinions: OpinionBatch, changes: readonly AnomalyChange[]): void {
    allSteps(this.observing(batch, opinions, changes))
  }

  *observing(
    batch: FeatureBatch,
    opinions: OpinionBatch,
    changes: readonly AnomalyChange[],
  ): Generator<void> {
    yield* this.#fleet.observing(batch, opinions, this.#quiet)
    for (const { event, anomaly } of changes) {
      const entity = anomaly.series < 0 ? -1 : this.#fleet.entityOf(anomaly.series)
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

  placing(batch: FeatureBatch): Generator<void> {
    return this.#fleet.placing(batch)
  }

  weigh(batch: FeatureBatch, out: Float32Array, from = 0, to = batch.length): void {
    if (this.#isQuiet) out.fill(1, from, to)
    else weighRows(batch, this.#fleet.rows.chunks, this.#quiet, this.#options.disruptedWeight, out, from, to)
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
    this.#telling.begin(windowEndMs)
    const { open } = this.#book
    const heard = hearPipeline(levels, this.#muteWindows, open, this.#fleet, this.#options, windowEndMs)
    for (const story of heard.opened) this.#telling.add(story)
    for (const story of heard.ended) this.#telling.close(story)
    const born = this.#book.group(levels, windowEndMs)
    this.#collect()
    const pending = this.#telling.advance(born, levels)
    const ranks = this.#ranking.ranks(pending.length > 0 ? this.#ranking.order(this.#book.open) : [])
    const events = pending.map(([story, type]) => {
      const rank = ranks.get(story) ?? 1 + this.#book.openOf(story.tenant)
      return this.#ranking.publish(story, type, rank, windowEndMs, this.#holdsOf(story))
    })
    this.#planned.clear()
    for (const entity of levels.planned) this.#planned.add(entity)
    this.#mark()
    this.#fleet.endWindow(windowEndMs)
    if (Math.round(windowEndMs / this.#options.stepMs) % EXPIRE_EVERY === 0)
      this.#fleet.expire(windowEndMs, this.#held())
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
    this.#planned.clear()
    this.#fleet.letGo()
    for (const count of Object.keys(this.counts) as (keyof DisruptionCounts)[]) this.counts[count] = 0
    this.#mark()
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
    this.#mark()
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
      planned: this.#planned,
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

  /** Entities, by index, that something is still told of, whether or not a series of theirs is left. */
  #held(): Set<number> {
    const held = new Set(this.#planned)
    for (const { tenant, members } of [...this.#book.open, ...this.#resolved])
      for (const name of Object.keys(members)) held.add(this.#fleet.id(tenant, name))
    for (const { entity } of this.#anomalies.values()) held.add(entity)
    return held
  }

  /** Notes which entities must teach the baselines little. */
  #mark(): void {
    const count = this.#fleet.entities.length
    if (this.#quiet.length < count) this.#quiet = new Uint8Array(count * 2)
    if (!this.#isQuiet) this.#quiet.fill(0)
    this.#isQuiet = this.#book.open.length === 0 && this.#planned.size === 0
    for (const entity of this.#planned) this.#quiet[entity] = 1
    for (const story of this.#book.open) {
      for (const name of Object.keys(story.members)) {
        const entity = this.#fleet.id(story.tenant, name)
        if (entity >= 0) this.#quiet[entity] = 1
      }
    }
  }
}

import type { Anomaly } from './anomaly.ts'
import type { FeatureBatch, OpinionBatch, SampleBatch } from './batch.ts'
import type { Change } from './change.ts'
import type { Cut, CutSnapshot } from './cut.ts'
import type { Disruption, DisruptionEvent } from './disruption.ts'
import type { Envelope, Receipt } from './envelope.ts'
import type { MaintenanceOrder, MaintenanceState } from './maintenance.ts'
import type { ModelOrder, ModelState } from './model.ts'
import type { Snapshot } from './snapshot.ts'
import type { CallEdge } from './topology.ts'

/**
 * The stages of the pipeline, in the order of the data's path. Each is a pure function of what it was given in
 * order (no wall clock, no randomness without a seed), so that replaying the journal repeats every id.
 */
interface Stage {
  snapshot(): Snapshot[]
  /** The same without copying what is large: see `Cut`. */
  cut?(cut: Cut): CutSnapshot[]
  /** Takes the parts that are its own, ignores others, throws FS_SNAPSHOT_INVALID on a layout it cannot read. */
  restore(parts: readonly Snapshot[]): void
  /** Drops what is kept of a series whose row will be reused. */
  forget(series: number): void
  /** Bytes of state held. */
  bytes(): number
}

/** Bytes → samples. */
export interface Intake extends Stage {
  /** Decodes one body and hands converted samples on in lent batches. Synchronous; never throws on bad input. */
  decode(envelope: Envelope, take: (batch: SampleBatch) => void): Receipt
  /** Counts begin anew: no rate spans this moment. */
  letGo(): void
}

/** Samples → features. */
export interface Windowing extends Stage {
  add(batch: SampleBatch, arrivalMs: number): void
  /** Wall time goes on without samples: idle sources must not hold windows open for ever. */
  tick(arrivalMs: number): void
  /**
   * The next complete batch of rows, lent until the next call; undefined when none is complete. Batches of one
   * window come one after the other.
   */
  next(): LentBatch | undefined
  /**
   * Does a part of what `next` would have to do, and what was lent before is lent no more: true while more of it is left,
   * undefined when no window is complete.
   */
  prepare(): boolean | undefined
  /** Whether a window is complete that `next` has given nothing of yet. */
  readonly hasComplete: boolean
  /** Completes everything that is still open: the input has ended. */
  finish(): void
  /** Event time up to which windows are complete, Unix ms; NaN before the first sample. */
  readonly watermarkMs: number
  /** A series is missed only once it was heard again: what history knew need not be live. */
  letGo(): void
  /** Series silent for longer than the retention, to be evicted; each is named once. */
  expired(): readonly number[]
}

/** A batch of a window, lent until the next is asked for. */
export interface LentBatch {
  readonly batch: FeatureBatch
  /** The window's last, which may be empty. */
  readonly last: boolean
  readonly windowEndMs: number
  /** With the first of several batches where rows are judged by each other: all rows of the window, lent with all of its batches. */
  readonly window?: FeatureBatch | undefined
}

export interface AnomalyChange {
  readonly event: 'opened' | 'updated' | 'closed'
  readonly anomaly: Anomaly
}

/** Alerts a week, promised against achieved, of one budget. */
export interface BudgetReport {
  readonly name: string
  /** Whom the promise is made to: each entity, or all that the budget is shared by. */
  readonly each: 'entity' | 'budget'
  /** Summed over all that it is made to. */
  readonly promisedPerWeek: number
  /** Over the last four weeks, or as long as it was counted, one week at least. */
  readonly achievedPerWeek: number
  /** How many it is made to, and how many of them had more alerts than promised. */
  readonly pools: number
  readonly poolsOverspent: number
  readonly series: number
  /** Surprise at which windows are hot, the least and the most of all. */
  readonly openSurpriseLeast: number | null
  readonly openSurpriseMost: number | null
}

/** What rules, budgets and the calendar do, for people who wrote them. */
export interface AlertingReport {
  readonly budgets: readonly BudgetReport[]
  /** Series that match each rule; 0 is a rule that does nothing. */
  readonly rules: readonly { readonly name: string; readonly series: number }[]
  /** Windows since the start that each calendar entry kept from alerting, or that it explained. */
  readonly calendar: readonly {
    readonly name: string
    readonly effect: 'suppress' | 'like'
    readonly series: number
    readonly isOn: boolean
    readonly windows: number
  }[]
}

/** How the memory for daily shapes is given out. */
export interface ProfileUse {
  readonly profiles: readonly { readonly profile: string; readonly series: number; readonly bytes: number }[]
  /** Changes of a series' profile since the start. */
  readonly promotions: number
  readonly demotions: number
}

/** Features → opinions → anomalies, wherever it is done. */
interface ScoringStage extends Stage {
  /**
   * All rows of a window that is about to be given in several batches, lent until the last of them is learned: who looks at
   * entities sees them whole. Not called where a window is one batch, or no row is judged by others.
   */
  begin(window: FeatureBatch): void
  anomalies(): readonly Anomaly[]
  /** Lets go of what is open without telling of it, and keeps what was learned. */
  letGo(): void
  /** The pool for suspects: series held, and what it did since the start, by what; empty without one. */
  pool(): Readonly<Record<string, number>>
  /** Undefined when nothing is configured. */
  alerting?(): AlertingReport | undefined
  /**
   * Called once when a window is complete, after all its batches were learned: memory may be given out anew.
   * `importance` says how much entities matter, 0..1, by `entityKey`; it is asked only when needed.
   */
  review(windowEndMs: number, importance: () => ReadonlyMap<string, number>): void
  /** How memory is given out now; undefined when no series has a daily shape. */
  profileUse(): ProfileUse | undefined
  /**
   * Carries out what is ordered of the models that score, between two windows; the reason when it cannot, and then
   * everything is as it was.
   */
  order(order: ModelOrder): Promise<string | undefined>
  /** Models that score live, by name. */
  models(): readonly ModelState[]
  /** Tries now to open models that could not be opened; windows do not wait for it. */
  reopen?(): void
  /** Lets go of what it holds outside of itself, such as opened models. */
  close?(): Promise<void>
  readonly detectors: readonly {
    readonly id: string
    readonly warmUpWindows: number
    readonly bytes: number
    /** What it covers and what it had to leave out, by name. */
    readonly counts: Readonly<Record<string, number>>
    /** Why it works with less than it should. */
    readonly problem?: string
  }[]
}

/** Asked between blocks of rows, by who works long: what is to be waited for, so that others have their turn. */
export type Rest = () => Promise<unknown> | undefined

/** Scoring that is done when it is asked for. */
export interface Scoring extends ScoringStage {
  /** Fills one opinion per row. Changes no learned state. */
  score(batch: FeatureBatch, out: OpinionBatch, rest?: Rest): Promise<void>
  /** Opens, updates and closes anomalies with hysteresis. */
  judge(batch: FeatureBatch, opinions: OpinionBatch): AnomalyChange[]
  /** The same, some rows at a time; between them others may go on, though not with this stage. */
  judging(batch: FeatureBatch, opinions: OpinionBatch): Generator<void, AnomalyChange[]>
  /** Learns from the rows, `weight` 0..1 each. */
  learn(batch: FeatureBatch, opinions: OpinionBatch, weight: Float32Array): void
  /** The same, in such steps too. */
  learning(batch: FeatureBatch, opinions: OpinionBatch, weight: Float32Array): Generator<void>
}

/** What was said of a batch; columns are lent until as many batches have been given again as may wait. */
export interface ScoredBatch {
  readonly batch: FeatureBatch
  readonly opinions: OpinionBatch
  readonly changes: readonly AnomalyChange[]
}

/** How one thread that scores does. */
export interface WorkerUse {
  readonly series: number
  /** Since the start. */
  readonly rows: number
  readonly busySeconds: number
  /** Batches that wait for it. */
  readonly waiting: number
}

/**
 * Scoring that goes on beside its caller: batches are given with their weights, are scored, judged and learned in that
 * order, and what is said of them is taken in that order. All else is asked for only when every batch was taken.
 */
export interface ScoringBeside extends ScoringStage {
  /** Batches that may be given before the first of them is taken. */
  readonly depth: number
  /** Whether a batch can be given now. */
  readonly hasRoom: boolean
  /**
   * Copies a batch and its weights, 0..1 a row, some rows at a time; it is given when all are. Nothing else is asked of this stage
   * before that, and there is room. Throws when scoring has ended.
   */
  giving(batch: FeatureBatch, weight: Float32Array): Generator<void>
  /**
   * The oldest batch that was given and not taken, put together in such steps; undefined while it is not judged. Throws when
   * scoring has ended.
   */
  taking(): Generator<void, ScoredBatch> | undefined
  /** What `waitFor` compares with. */
  mark(): number
  /** Resolves when anything was done since `mark`. */
  waitFor(mark: number): Promise<unknown>
  workers(): readonly WorkerUse[]
}

export interface ExplainedSuspect {
  readonly rank: number
  readonly entity: string
  readonly metric: string
  readonly score: number
  /** Unix ms. */
  readonly onsetMs: number
  readonly direction: 'spike' | 'drop' | 'absent'
  readonly observed: number
  readonly expected: number
  readonly why: readonly string[]
}

export interface TenantEntity {
  readonly tenant: string
  readonly entity: string
}

/** Opinions and anomalies → disruptions. */
export interface DisruptionStage extends Stage {
  /** Every row of every batch, after `judge`. */
  observe(batch: FeatureBatch, opinions: OpinionBatch, changes: readonly AnomalyChange[]): void
  /** The same, some rows at a time; between them others may go on, though not with this stage. */
  observing(batch: FeatureBatch, opinions: OpinionBatch, changes: readonly AnomalyChange[]): Generator<void>
  /** Finds out where rows belong ahead of `observe`, so that they can be weighed before they are scored; in such steps too. */
  placing(batch: FeatureBatch): Generator<void>
  /** How much each row, or those from..to, may teach the baselines: small while its entity is part of an open disruption. */
  weigh(batch: FeatureBatch, out: Float32Array, from?: number, to?: number): void
  change(change: Change): void
  /** Adds or removes a maintenance window; the reason when it cannot. */
  maintain(order: MaintenanceOrder, nowMs: number): string | undefined
  /** Maintenance windows, and how they stand at a moment. */
  maintenance(timeMs: number): readonly MaintenanceState[]
  addEdges(edges: readonly CallEdge[], timeMs: number): void
  /** Called once when a window is complete; returns what happened, in a deterministic order. */
  advance(windowEndMs: number): DisruptionEvent[]
  /** Open disruptions (and lately resolved ones), most urgent first; a rank is one among those of its tenant. */
  board(): readonly Disruption[]
  /**
   * All entities with any evidence at a moment, strongest first, ties by name. `alert` says which trouble was
   * noticed, where that is known. Of a tenant only, when one is named.
   */
  explain(
    atMs: number,
    lookbackMs: number,
    alert?: { readonly entity: string; readonly metric: string },
    tenant?: string,
  ): readonly ExplainedSuspect[]
  /** Lets go of every disruption without telling of it, and keeps what was learned. */
  letGo(): void
  /** Of a tenant: what its series told of, and what people gave. */
  edges(tenant?: string): readonly (CallEdge & { readonly lastSeenMs: number })[]
  /** Entities of each tenant that call others and are called by none. */
  frontDoors(): readonly TenantEntity[]
  /** What did not fit since the start, by what it was. */
  dropped(): Readonly<Record<string, number>>
  /** Entity-windows that were strange and explained since the start, by what explains them. */
  explainedAway(): Readonly<Record<string, number>>
}

import type { Config } from '../config/schema.ts'
import type { Anomaly } from '../core/anomaly.ts'
import type { FeatureBatch } from '../core/batch.ts'
import type { COLUMN_ARRAYS } from '../core/columns.ts'
import type { ModelOrder, ModelState, PairedScores } from '../core/model.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import type { AlertingReport, AnomalyChange, ProfileUse, Scoring } from '../core/stages.ts'
import type { BudgetWord } from '../detectors/alert-budgets.ts'
import type { ShardMemory } from './memory.ts'

/** What a worker is started with. */
export interface ShardData {
  readonly config: Config
  /** Which of how many. */
  readonly shard: number
  readonly shards: number
  readonly memory: ShardMemory
  /** Where packages of learned models lie, the first that has one; undefined where none can score. */
  readonly modelFolders: readonly string[] | undefined
}

/** Series that a worker hears of before the rows that they lie in. */
export interface ToldSeries {
  /** Rows of the worker's own. */
  readonly rows: Uint32Array
  /** Rows of the series table. */
  readonly series: Uint32Array
  /** What is known of them: see told-series.ts. */
  readonly metas: Uint8Array<ArrayBuffer>
  readonly ends: Uint32Array
}

/** A checkpoint's part as it crosses: keys are given only where rows do not name the series. */
export interface SentPart extends Omit<Snapshot, 'keys'> {
  readonly keys: readonly string[]
}

export type ShardCall =
  | {
      readonly op: 'review'
      readonly windowEndMs: number
      readonly importance: readonly (readonly [string, number])[]
      /** What became of shared budgets in all other workers. */
      readonly budgets: readonly BudgetWord[]
    }
  /** All rows of a window that comes in several batches. */
  | { readonly op: 'window'; readonly rows: FeatureBatch }
  | { readonly op: 'budgets'; readonly budgets: readonly BudgetWord[] }
  | { readonly op: 'order'; readonly order: ModelOrder; readonly history: SentPart | undefined }
  | { readonly op: 'snapshot' }
  /** `number`: which of them, to tell its pieces from those of the one before. */
  | { readonly op: 'cut'; readonly number: number }
  /** `isOwn`: the parts are of this worker and not of all series. */
  | {
      readonly op: 'restore'
      readonly table: Snapshot
      readonly parts: readonly SentPart[]
      readonly isOwn: boolean
    }
  | { readonly op: 'let-go' }
  | { readonly op: 'close' }

/** A part of a cut: columns that lie in the worker's memory come in pieces, by their number. */
export interface CutPart extends Omit<SentPart, 'columns'> {
  readonly columns: Readonly<Record<string, ColumnData | CutPlace>>
}
export interface CutPlace {
  readonly column: number
  readonly type: keyof typeof COLUMN_ARRAYS
  /** Values. */
  readonly length: number
}

/** What a worker sends of a cut, as far as it is wanted. */
export type CutWord =
  | {
      readonly number: number
      readonly column: number
      /** First byte's place in the column. */
      readonly at: number
      readonly bytes: Uint8Array
    }
  /** There is nothing more, or it was given up for this reason. */
  | { readonly number: number; readonly bytes: null; readonly failed: string | undefined }

/** What the main thread says ahead of a turn. */
export interface ToShard {
  /** Rows of the worker's own, given back before others are told. */
  readonly forgotten?: readonly number[]
  readonly told?: ToldSeries
  readonly call?: ShardCall
}

/** How scoring stands in a worker, told after each window. */
export interface ShardReport {
  readonly detectors: Scoring['detectors']
  readonly pool: Readonly<Record<string, number>>
  readonly alerting: AlertingReport | undefined
  readonly profileUse: ProfileUse | undefined
  readonly models: readonly ModelState[]
  readonly bytes: number
  readonly series: number
  readonly rows: number
  readonly busySeconds: number
}

/** What a worker says with a turn; what there is nothing to say of is left out. */
export interface FromShard {
  readonly changes?: readonly AnomalyChange[]
  /** Rows of the worker's own that became rich, plus one; those that are plain again, minus one less. */
  readonly moves?: Int32Array
  /** What became of budgets that are shared with other workers. */
  readonly budgets?: readonly BudgetWord[]
  /** Digests of models by the names under which they spoke. */
  readonly digests?: Readonly<Record<string, string>>
  readonly report?: ShardReport
  readonly parts?: readonly Snapshot[]
  readonly cut?: readonly CutPart[]
  readonly anomalies?: readonly Anomaly[]
  /** Why an order was not followed. */
  readonly refused?: string
  /** Why the call failed, with its code where it has one. */
  readonly failed?: { readonly code: string | undefined; readonly message: string }
}

/** What a worker says beside its turns. */
export type Aside =
  | { readonly kind: 'warning'; readonly text: string }
  | { readonly kind: 'pair'; readonly pair: PairedScores }

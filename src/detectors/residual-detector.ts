import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_SHIFT, type Chunk, type ColumnSpec } from '../core/columns.ts'
import type { DetectorContext } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { KindClasses } from './kind-classes.ts'
import { DONE, rowsNeeded, runEnd } from './runs.ts'
import { ScoredRows } from './scored-rows.ts'
import { SeriesState } from './series-state.ts'

/** Mean absolute deviation → standard deviation under normality. */
const MAD_TO_SD = Math.sqrt(Math.PI / 2)
/** Float32 holds no more; what is larger counts as this. */
const VALUE_MAX = 1e37

/** Rows [from, to) of a batch, which lie in one chunk of state. Valid until the next. */
export interface Run<S extends ColumnSpec> {
  readonly state: Chunk<S>
  /** Class of each row of the chunk; 0 where `traits` has not been asked yet. */
  readonly classes: Uint8Array
  readonly traits: KindClasses
  readonly batch: FeatureBatch
  /** Standardised residual of row i of the batch, at offset + i: found by scoring, used by learning. */
  readonly residuals: Float32Array
  readonly offset: number
  readonly from: number
  readonly to: number
}

/** A detector of how far values lie from what is usual of their series, in scales with the floors of the metric's kind. */
export abstract class ResidualDetector<S extends ColumnSpec> extends SeriesState<S> {
  readonly width = 0
  readonly timeless = true
  readonly #classes: KindClasses
  readonly #scored = new ScoredRows()
  #lent: { -readonly [K in keyof Run<S>]: Run<S>[K] } | undefined

  constructor(id: string, version: number, spec: S, { series, direction }: DetectorContext) {
    super(id, version, spec, series)
    this.#classes = new KindClasses(series, direction)
  }

  protected abstract scoreRun(run: Run<S>, out: ScoreBatch): void
  /** Leaves in `residuals` what `scoreRun` does, for rows that are learned without having been scored. */
  protected abstract findRun(run: Run<S>): void
  protected abstract learnRun(run: Run<S>, weight: Float32Array): void

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length, series } = batch
    out.length = length
    this.#prepare(batch)
    const offset = this.#scored.begin(batch)
    for (let from = 0; from < length; ) {
      const run = this.#run(this.store.chunks[series[from] >> CHUNK_SHIFT], batch, offset, from)
      this.scoreRun(run, out)
      from = run.to
    }
    return DONE
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length, series } = batch
    this.#prepare(batch)
    let offset = this.#scored.take(batch)
    const known = offset >= 0
    if (!known) offset = this.#scored.begin(batch)
    for (let from = 0; from < length; ) {
      const run = this.#run(this.store.writable(series[from] >> CHUNK_SHIFT), batch, offset, from)
      if (!known) this.findRun(run)
      this.learnRun(run, weight)
      from = run.to
    }
    if (!known) this.#scored.clear()
  }

  #prepare({ series, length }: FeatureBatch): void {
    const rows = rowsNeeded(series, length)
    this.store.ensure(rows)
    this.#classes.ensure(rows)
  }

  /** One for all runs, one after the other: a new one for each block of rows would be a good part of what a sample leaves behind. */
  #run(state: Chunk<S>, batch: FeatureBatch, offset: number, from: number): Run<S> {
    const { series, length } = batch
    const classes = this.#classes.chunks[series[from] >> CHUNK_SHIFT].of
    const residuals = this.#scored.values
    const to = runEnd(series, from, length)
    const run = this.#lent
    if (run === undefined) {
      this.#lent = { state, classes, traits: this.#classes, batch, residuals, offset, from, to }
      return this.#lent
    }
    run.state = state
    run.classes = classes
    run.batch = batch
    run.residuals = residuals
    run.offset = offset
    run.from = from
    run.to = to
    return run
  }

  override forget(series: number): void {
    this.#scored.clear()
    super.forget(series)
    this.#classes.forget(series)
  }

  override restore(from: Snapshot): void {
    this.#scored.clear()
    super.restore(from)
  }

  override bytes(): number {
    return super.bytes() + this.#classes.bytes() + this.#scored.bytes()
  }

  async close(): Promise<void> {}
}

export function clampValue(value: number): number {
  return value > VALUE_MAX ? VALUE_MAX : value < -VALUE_MAX ? -VALUE_MAX : value
}

/** The scale of residuals around `level`: `spread` as a standard deviation, and no less than the floors of the kind. */
export function scaleOf(spread: number, level: number, relative: number, absolute: number): number {
  const own = MAD_TO_SD * spread
  const floor = relative * level
  const scale = own > floor ? own : floor
  return scale > absolute ? scale : absolute
}

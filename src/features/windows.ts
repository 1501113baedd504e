import { type FeatureBatch, featureBatch, type SampleBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_ROWS, CHUNK_SHIFT, ColumnStore } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Rejects } from '../core/rejects.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { LentBatch, Windowing } from '../core/stages.ts'
import { ComingWindows } from './coming-windows.ts'
import { DerivedSeries } from './derived.ts'
import { FEATURES, FeatureExtractor } from './extract.ts'
import { Forgotten } from './forgotten.ts'
import { PaneGroups } from './pane-groups.ts'
import {
  DERIVED,
  type EmitRange,
  EXPIRED,
  emitStretch,
  FORGOTTEN,
  meanOf,
  PANE_COLUMNS,
  SEEN,
} from './panes.ts'
import type { WindowLog } from './sample-log.ts'
import { WholeWindow } from './whole-window.ts'
import { type WindowOptions, type WindowSettings, windowSettings } from './window-options.ts'
import { cutSamples, openSamples, readMeta, restoreSamples, windowsMeta } from './windows-snapshot.ts'

/** A batch is made ready before it waits for the writer of a cut: what that changes is written more than a batch ahead. */
const CUT_LEAD_ROWS = 2 * CHUNK_ROWS

/**
 * Event-time windows over many series. Samples wait in one log until the watermark closes their window; then
 * they are put in series and time order and summed, so that the rows depend on the samples and not on the order
 * or the batches in which they came.
 */
export class EventTimeWindows implements Windowing {
  readonly settings: WindowSettings
  readonly #table: SeriesTable
  readonly #rejects: Rejects
  readonly #panes = new ColumnStore(PANE_COLUMNS)
  readonly #forgotten = new Forgotten(this.#panes)
  readonly #coming: ComingWindows
  readonly #groups = new PaneGroups()
  /** What is left of the work of finding where samples of the window lie. */
  #finding: Generator<void> | undefined
  readonly #derived: DerivedSeries
  readonly #extractor: FeatureExtractor | undefined
  /** Batches of windows whose rows are judged each for itself, and by each other; the one of the window that is given out. */
  readonly #apart: FeatureBatch
  readonly #whole: WholeWindow
  #batch: FeatureBatch
  #spread: Float64Array
  readonly #lent: {
    batch: FeatureBatch
    last: boolean
    windowEndMs: number
    window: FeatureBatch | undefined
  }
  /** The window that is given out now. */
  #log: WindowLog | undefined
  #range: EmitRange | undefined
  /** The batch was begun and not lent yet; it is as long as it will be. */
  #isBegun = false
  #isFilled = false
  #expired: number[] = []

  constructor(options: WindowOptions, context: { readonly series: SeriesTable; readonly rejects: Rejects }) {
    this.settings = windowSettings(options)
    this.#coming = new ComingWindows(this.settings, this.#forgotten)
    this.#table = context.series
    this.#rejects = context.rejects
    this.#derived = new DerivedSeries(this.settings.expressions, context.series)
    const { features, seasonMs, stepMs, batchRows, windowRows } = this.settings
    this.#extractor = features ? new FeatureExtractor(seasonMs, stepMs) : undefined
    const width = features ? FEATURES.length : 0
    this.#apart = featureBatch(batchRows, width)
    this.#whole = new WholeWindow(batchRows, windowRows, width)
    this.#batch = this.#apart
    this.#spread = new Float64Array(batchRows)
    this.#lent = { batch: this.#batch, last: false, windowEndMs: Number.NaN, window: undefined }
  }

  get watermarkMs(): number {
    const { watermarkMs } = this.#coming.clock
    return watermarkMs === Number.NEGATIVE_INFINITY ? Number.NaN : watermarkMs
  }

  add(batch: SampleBatch, arrivalMs: number): void {
    const lost = this.#coming.add(batch, arrivalMs)
    const rejects = this.#rejects
    if (lost.late > 0) {
      const detail = `${this.#name(batch, lost.firstLate)}, watermark ${this.#coming.clock.watermarkMs}`
      rejects.add('late', detail, arrivalMs, lost.late)
    }
    if (lost.future > 0) rejects.add('future', this.#name(batch, lost.firstFuture), arrivalMs, lost.future)
    if (lost.infinite > 0)
      rejects.add('not-finite', this.#name(batch, lost.firstInfinite), arrivalMs, lost.infinite)
    if (lost.full > 0) {
      const detail = `${this.#coming.log.length} samples wait in open windows`
      rejects.add('windows-full', detail, arrivalMs, lost.full)
    }
  }

  tick(arrivalMs: number): void {
    this.#coming.tick(arrivalMs)
  }

  next(): LentBatch | undefined {
    while (this.prepare());
    const range = this.#range
    if (!range) return undefined
    const lent = this.#lent
    const whole = this.#batch === this.#whole.rows ? this.#whole : undefined
    const isNew = whole?.isNew !== false
    if (isNew) this.#extractor?.fill(this.#batch, this.#spread)
    lent.batch = whole?.next() ?? this.#batch
    const isOver = whole?.isOver !== false
    lent.last = isOver && range.series >= range.end
    lent.window = isNew && !isOver ? whole?.rows : undefined
    lent.windowEndMs = range.windowEndMs
    // What is given out in parts was made ready before the first of them.
    this.#isFilled = !isOver
    this.#isBegun = !isOver
    if (lent.last) this.#finishWindow()
    return lent
  }

  prepare(): boolean | undefined {
    if (this.#isFilled) return false
    const range = this.#range ?? this.#begin()
    if (!range) return undefined
    if (this.#finding?.next().done === false) return true
    this.#finding = undefined
    const batch = this.#batch
    if (!this.#isBegun) this.#whole.empty()
    if (!this.#isBegun) batch.length = 0
    this.#isBegun = true
    emitStretch(this.#groups, this.#panes, range, this.#derived, batch, this.#spread, this.#expired)
    this.#isFilled = range.series >= range.end || batch.length === batch.capacity
    return !this.#isFilled
  }

  get hasComplete(): boolean {
    return this.#coming.hasNext
  }

  finish(): void {
    this.#coming.finish()
  }

  letGo(): void {
    // Pauses are learned anew.
    this.#panes.touchAll()
    for (const { pauseMs } of this.#panes.chunks) pauseMs.fill(0)
    this.#coming.letGo()
  }

  expired(): readonly number[] {
    // A series that came back before anybody asked stays.
    const still = new Set(this.#expired.filter(row => (this.#flagsOf(row) & EXPIRED) !== 0))
    this.#expired = []
    return [...still]
  }

  forget(series: number): void {
    this.#panes.clear(series)
    this.#extractor?.forget(series)
    this.#derived.forget(series)
    const { isReady, log } = this.#coming
    if (log.length === 0 && !isReady) return
    this.#ensure()
    this.#forgotten.add(series, log.round)
  }

  bytes(): number {
    const parts = [this.#panes, this.#coming.log, this.#groups, this.#derived, this.#extractor, this.#whole]
    return parts.reduce((sum, part) => sum + (part?.bytes() ?? 0), 0)
  }

  snapshot(): Snapshot[] {
    const meta = this.#settle()
    return [
      this.#panes.snapshot('windows', 1, this.#table, meta),
      openSamples(this.#coming.log, this.#table),
      ...(this.#extractor?.snapshot(this.#table) ?? []),
    ]
  }

  cut(cut: Cut): CutSnapshot[] {
    const meta = this.#settle()
    return [
      this.#panes.cut(cut, 'windows', 1, this.#table, meta, this.#cutLead()),
      cutSamples(cut, this.#coming.log, this.#table),
      ...(this.#extractor?.cut(cut, this.#table) ?? []),
    ]
  }

  /** Of a window that is made ready ahead of its batches all rows come before the first of them waits. */
  #cutLead(): number {
    return this.settings.isWhole() ? this.#table.capacity : CUT_LEAD_ROWS
  }

  #settle(): unknown {
    const { isReady, log, clock, progress } = this.#coming
    if (this.#range || isReady)
      throw new ForeshockError('FS_ASSERTION', 'windows are snapshotted only when next() has nothing more')
    this.#forgotten.settle(log)
    return windowsMeta(this.settings.stepMs, clock, progress)
  }

  restore(parts: readonly Snapshot[]): void {
    const main = parts.find(part => part.id === 'windows')
    if (!main) return
    const { log, clock, progress } = this.#coming
    readMeta(main.meta, this.settings.stepMs, clock, progress)
    this.#panes.restore(main, 'windows', 1, this.#table)
    const open = parts.find(part => part.id === 'windows-open')
    if (open) restoreSamples(open, this.#table, log)
    this.#extractor?.restore(parts, this.#table)
    this.#ensure()
    const derived: number[] = []
    for (let row = 0; row < this.#table.capacity; row++) {
      if (!this.#table.has(row)) continue
      const flags = this.#flagsOf(row)
      if (flags & EXPIRED) this.#expired.push(row)
      if (flags & DERIVED) derived.push(row)
      else if (flags & SEEN && !this.#derived.empty) this.#derived.register(row)
    }
    for (const row of derived) this.#derived.adopt(row)
  }

  #flagsOf(row: number): number {
    return this.#panes.chunks[row >> CHUNK_SHIFT].flags[row & CHUNK_MASK]
  }

  #name(batch: SampleBatch, at: number): string {
    const row = batch.series[at]
    const key = this.#table.has(row) ? this.#table.meta(row).key : `row ${row}`
    return `${key} at ${batch.timeMs[at]}`
  }

  /** Groups the samples of the next complete window and evaluates the expressions; undefined when none is complete. */
  #begin(): EmitRange | undefined {
    const window = this.#coming.next()
    if (!window) return undefined
    const { log, endMs: windowEndMs, resumeMs } = window
    this.#ensure()
    if (log) this.#forgotten.dropFrom(log)
    // While samples that wait may be those of a former series each batch that comes takes memory of its own.
    if (!this.#coming.isReady) this.#forgotten.settle(this.#coming.log)
    if (!this.#derived.empty) this.#register(log)
    this.#log = log
    this.#finding = this.#groups.begin(log, this.#table.capacity)
    if (!this.#derived.empty) this.#evaluate()
    const { stepMs, retentionMs, isWhole } = this.settings
    this.#batch = isWhole() ? this.#whole.begin(this.#table.capacity) : this.#apart
    if (this.#spread.length < this.#batch.capacity) this.#spread = new Float64Array(this.#batch.capacity)
    this.#range = { series: 0, end: this.#table.capacity, windowEndMs, stepMs, retentionMs, resumeMs }
    return this.#range
  }

  #finishWindow(): void {
    this.#range = undefined
    this.#groups.clear()
    if (this.#log) this.#coming.log.recycle(this.#log)
    this.#log = undefined
  }

  #register(log: WindowLog | undefined): void {
    for (const { series, length } of log?.chunks ?? []) {
      for (let i = 0; i < length; i++) {
        const row = series[i]
        if ((this.#flagsOf(row) & SEEN) === 0 && this.#table.has(row)) this.#derived.register(row)
      }
    }
  }

  #evaluate(): void {
    const groups = this.#groups
    const capacity = this.#table.capacity
    this.#finding = undefined
    groups.whole()
    this.#derived.evaluate(
      row => (row < capacity ? meanOf(groups, row) : Number.NaN),
      row => {
        this.#ensure()
        const kept = this.#flagsOf(row) & FORGOTTEN
        this.#panes.clear(row)
        this.#panes.touch(row)
        this.#panes.chunks[row >> CHUNK_SHIFT].flags[row & CHUNK_MASK] = SEEN | DERIVED | kept
      },
    )
    groups.extend(capacity, this.#table.capacity)
  }

  #ensure(): void {
    this.#panes.ensure(this.#table.capacity)
    this.#extractor?.ensure(this.#table.capacity)
  }
}

import { type FeatureBatch, featureBatch, type SampleBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_ROWS, CHUNK_SHIFT, ColumnStore } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Rejects } from '../core/rejects.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { LentBatch, Windowing } from '../core/stages.ts'
import { DerivedSeries } from './derived.ts'
import { FEATURES, FeatureExtractor } from './extract.ts'
import { dropForgotten } from './forgotten.ts'
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
import { SampleLog, type WindowLog } from './sample-log.ts'
import { closeUpTo, eventClock, nothingLost, passTime, setBack, sift } from './watermark.ts'
import { WholeWindow } from './whole-window.ts'
import { type WindowOptions, type WindowSettings, windowSettings } from './window-options.ts'
import { cutSamples, openSamples, readMeta, restoreSamples, windowsMeta } from './windows-snapshot.ts'

/** Where the output stands. */
export interface Progress {
  /** Start of the next window to complete, Unix ms; NaN before the first. */
  nextMs: number
  /** Windows without any sample emitted in a row. */
  emptyRun: number
  /** End of the last stretch that was jumped over. */
  resumeMs: number
}

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
  readonly #open: SampleLog
  /** Complete windows, in ascending order. */
  #ready: WindowLog[] = []
  readonly #groups = new PaneGroups()
  /** What is left of the work of finding where samples of the window lie. */
  #finding: Generator<void> | undefined
  readonly #clock = eventClock()
  /** What the batch that was added last has lost. */
  readonly #lost = nothingLost()
  readonly #progress: Progress = { nextMs: Number.NaN, emptyRun: 0, resumeMs: Number.NEGATIVE_INFINITY }
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
  /** Windows of `#ready` already given out. */
  #readyAt = 0
  #range: EmitRange | undefined
  /** The batch was begun and not lent yet; it is as long as it will be. */
  #isBegun = false
  #isFilled = false
  #expired: number[] = []
  /** Rows forgotten while samples wait, and the round of the log up to which they are of the former series. */
  readonly #forgotten = new Map<number, number>()

  constructor(options: WindowOptions, context: { readonly series: SeriesTable; readonly rejects: Rejects }) {
    this.settings = windowSettings(options)
    this.#open = new SampleLog(this.settings.stepMs)
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
    const { watermarkMs } = this.#clock
    return watermarkMs === Number.NEGATIVE_INFINITY ? Number.NaN : watermarkMs
  }

  add(batch: SampleBatch, arrivalMs: number): void {
    this.#pass(arrivalMs)
    if (this.#forgotten.size > 0) this.#open.round++
    const lost = this.#lost
    lost.late = 0
    lost.future = 0
    lost.infinite = 0
    lost.full = 0
    sift(batch, arrivalMs, this.#open, this.#clock, this.settings, lost)
    const rejects = this.#rejects
    if (lost.late > 0) {
      const detail = `${this.#name(batch, lost.firstLate)}, watermark ${this.#clock.watermarkMs}`
      rejects.add('late', detail, arrivalMs, lost.late)
    }
    if (lost.future > 0) rejects.add('future', this.#name(batch, lost.firstFuture), arrivalMs, lost.future)
    if (lost.infinite > 0)
      rejects.add('not-finite', this.#name(batch, lost.firstInfinite), arrivalMs, lost.infinite)
    if (lost.full > 0)
      rejects.add('windows-full', `${this.#open.length} samples wait in open windows`, arrivalMs, lost.full)
  }

  tick(arrivalMs: number): void {
    // A return that lay ahead blames nobody for silence until then.
    if (setBack(this.#clock, arrivalMs))
      this.#progress.resumeMs = Math.min(this.#progress.resumeMs, arrivalMs)
    this.#pass(arrivalMs)
  }

  /** Nobody is blamed for silence while this process was away: a pause counts from the return. */
  #pass(arrivalMs: number): void {
    passTime(this.#clock, arrivalMs, this.settings)
    const progress = this.#progress
    if (this.#clock.returnedMs > progress.resumeMs) progress.resumeMs = this.#clock.returnedMs
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
    if (this.#readyAt < this.#ready.length) return true
    const { nextMs, emptyRun } = this.#progress
    const { closedMs } = this.#clock
    if (closedMs <= nextMs) return false
    if (closedMs > nextMs && emptyRun < this.settings.gapWindowsMax) return true
    for (const { startMs } of this.#open.windows()) if (startMs < closedMs) return true
    return false
  }

  finish(): void {
    const { stepMs } = this.settings
    let newestMs = Number.NEGATIVE_INFINITY
    for (const { startMs } of this.#open.windows()) newestMs = Math.max(newestMs, startMs)
    if (this.#open.length > 0) closeUpTo(this.#clock, newestMs + stepMs, stepMs)
  }

  letGo(): void {
    // Pauses are learned anew, and none reaches back to before this moment.
    this.#panes.touchAll()
    for (const { pauseMs } of this.#panes.chunks) pauseMs.fill(0)
    this.#progress.resumeMs = Math.max(this.#progress.resumeMs, this.#clock.eventMs + 1)
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
    if (this.#open.length === 0 && this.#readyAt >= this.#ready.length) return
    this.#ensure()
    this.#forgotten.set(series, this.#open.round)
    this.#panes.touch(series)
    this.#panes.chunks[series >> CHUNK_SHIFT].flags[series & CHUNK_MASK] = FORGOTTEN
  }

  bytes(): number {
    const parts = [this.#panes, this.#open, this.#groups, this.#derived, this.#extractor, this.#whole]
    return parts.reduce((sum, part) => sum + (part?.bytes() ?? 0), 0)
  }

  snapshot(): Snapshot[] {
    const meta = this.#settle()
    return [
      this.#panes.snapshot('windows', 1, this.#table, meta),
      openSamples(this.#open, this.#table),
      ...(this.#extractor?.snapshot(this.#table) ?? []),
    ]
  }

  cut(cut: Cut): CutSnapshot[] {
    const meta = this.#settle()
    return [
      this.#panes.cut(cut, 'windows', 1, this.#table, meta, this.#cutLead()),
      cutSamples(cut, this.#open, this.#table),
      ...(this.#extractor?.cut(cut, this.#table) ?? []),
    ]
  }

  /** Of a window that is made ready ahead of its batches all rows come before the first of them waits. */
  #cutLead(): number {
    return this.settings.isWhole() ? this.#table.capacity : CUT_LEAD_ROWS
  }

  #settle(): unknown {
    if (this.#range || this.#readyAt < this.#ready.length)
      throw new ForeshockError('FS_ASSERTION', 'windows are snapshotted only when next() has nothing more')
    this.#dropForgotten()
    return windowsMeta(this.settings.stepMs, this.#clock, this.#progress)
  }

  restore(parts: readonly Snapshot[]): void {
    const main = parts.find(part => part.id === 'windows')
    if (!main) return
    readMeta(main.meta, this.settings.stepMs, this.#clock, this.#progress)
    this.#panes.restore(main, 'windows', 1, this.#table)
    const open = parts.find(part => part.id === 'windows-open')
    if (open) restoreSamples(open, this.#table, this.#open)
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

  /** Finds the next window to complete and puts its samples in order; undefined when none is complete. */
  #begin(): EmitRange | undefined {
    const { gapWindowsMax } = this.settings
    const progress = this.#progress
    const { closedMs } = this.#clock
    if (this.#readyAt >= this.#ready.length) this.#take(closedMs)
    const ready = this.#ready
    const waiting = this.#readyAt < ready.length
    const until = waiting ? ready[this.#readyAt].startMs : closedMs
    if (Number.isNaN(progress.nextMs)) {
      if (!waiting) return undefined
      progress.nextMs = until
    }
    if (progress.nextMs < until) {
      if (progress.emptyRun < gapWindowsMax) {
        progress.emptyRun++
        return this.#window(undefined)
      }
      progress.nextMs = until
      progress.resumeMs = until
    }
    if (!waiting) return undefined
    progress.emptyRun = 0
    return this.#window(ready[this.#readyAt++])
  }

  #take(closedMs: number): void {
    this.#readyAt = 0
    this.#ready = []
    this.#dropForgotten()
    if (this.#open.length === 0) return
    const { nextMs } = this.#progress
    // Nothing has closed since the last time.
    if (closedMs <= nextMs) return
    this.#ready = this.#open.take(closedMs)
  }

  /** Groups a window's samples and evaluates the expressions: it is ready to emit. */
  #window(log: WindowLog | undefined): EmitRange {
    this.#ensure()
    if (log && this.#forgotten.size > 0) dropForgotten(log, this.#panes.chunks, this.#forgotten)
    if (!this.#derived.empty) this.#register(log)
    this.#log = log
    this.#finding = this.#groups.begin(log, this.#table.capacity)
    if (!this.#derived.empty) this.#evaluate()
    const { stepMs, retentionMs, isWhole } = this.settings
    this.#batch = isWhole() ? this.#whole.begin(this.#table.capacity) : this.#apart
    if (this.#spread.length < this.#batch.capacity) this.#spread = new Float64Array(this.#batch.capacity)
    const progress = this.#progress
    progress.nextMs += stepMs
    const { nextMs: windowEndMs, resumeMs } = progress
    this.#range = { series: 0, end: this.#table.capacity, windowEndMs, stepMs, retentionMs, resumeMs }
    return this.#range
  }

  #finishWindow(): void {
    this.#range = undefined
    this.#groups.clear()
    if (this.#log) this.#open.recycle(this.#log)
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

  /** Takes samples out of the open log whose series was forgotten after they came; nothing else waits. */
  #dropForgotten(): void {
    if (this.#forgotten.size === 0) return
    for (const log of [...this.#open.windows()]) {
      const dropped = dropForgotten(log, this.#panes.chunks, this.#forgotten)
      this.#open.dropped(log, dropped)
    }
    for (const row of this.#forgotten.keys()) {
      this.#panes.touch(row)
      this.#panes.chunks[row >> CHUNK_SHIFT].flags[row & CHUNK_MASK] &= ~FORGOTTEN
    }
    this.#forgotten.clear()
  }
}

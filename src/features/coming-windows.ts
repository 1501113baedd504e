import type { SampleBatch } from '../core/batch.ts'
import type { Forgotten } from './forgotten.ts'
import { SampleLog, type WindowLog } from './sample-log.ts'
import {
  closeUpTo,
  type EventClock,
  eventClock,
  nothingLost,
  passTime,
  type Sifted,
  setBack,
  sift,
} from './watermark.ts'
import type { WindowSettings } from './window-options.ts'

/** Where the output stands. */
export interface Progress {
  /** Start of the next window to complete, Unix ms; NaN before the first. */
  nextMs: number
  /** Windows without any sample emitted in a row. */
  emptyRun: number
  /** End of the last stretch that was jumped over. */
  resumeMs: number
}

/** A window that is complete. */
export interface CompleteWindow {
  /** Its samples; undefined when there are none. */
  readonly log: WindowLog | undefined
  readonly endMs: number
  /** End of the last stretch before it for whose silence nobody is blamed. */
  readonly resumeMs: number
}

/** Samples that wait for their windows, the time that passes, and so which window is complete next. */
export class ComingWindows {
  readonly log: SampleLog
  readonly clock: EventClock = eventClock()
  readonly progress: Progress = { nextMs: Number.NaN, emptyRun: 0, resumeMs: Number.NEGATIVE_INFINITY }
  readonly #settings: WindowSettings
  readonly #forgotten: Forgotten
  /** Complete windows, in ascending order, and how many of them were given out already. */
  #ready: WindowLog[] = []
  #readyAt = 0
  /** What the batch that was added last has lost. */
  readonly #lost = nothingLost()

  constructor(settings: WindowSettings, forgotten: Forgotten) {
    this.#settings = settings
    this.#forgotten = forgotten
    this.log = new SampleLog(settings.stepMs)
  }

  /** Whether complete windows have samples that were not given out. */
  get isReady(): boolean {
    return this.#readyAt < this.#ready.length
  }

  /** Whether `next` has a window. */
  get hasNext(): boolean {
    if (this.isReady) return true
    const { nextMs, emptyRun } = this.progress
    const { closedMs } = this.clock
    if (closedMs <= nextMs) return false
    if (closedMs > nextMs && emptyRun < this.#settings.gapWindowsMax) return true
    for (const { startMs } of this.log.windows()) if (startMs < closedMs) return true
    return false
  }

  /** Takes samples; returns what of them was lost, lent until the next call. */
  add(batch: SampleBatch, arrivalMs: number): Readonly<Sifted> {
    this.#pass(arrivalMs)
    if (!this.#forgotten.isEmpty) this.log.round++
    const lost = this.#lost
    lost.late = 0
    lost.future = 0
    lost.infinite = 0
    lost.full = 0
    sift(batch, arrivalMs, this.log, this.clock, this.#settings, lost)
    return lost
  }

  tick(arrivalMs: number): void {
    // A return that lay ahead blames nobody for silence until then.
    if (setBack(this.clock, arrivalMs)) this.progress.resumeMs = Math.min(this.progress.resumeMs, arrivalMs)
    this.#pass(arrivalMs)
  }

  /** Nobody is blamed for silence while this process was away: a pause counts from the return. */
  #pass(arrivalMs: number): void {
    passTime(this.clock, arrivalMs, this.#settings)
    const { progress } = this
    if (this.clock.returnedMs > progress.resumeMs) progress.resumeMs = this.clock.returnedMs
  }

  /** Every window that has samples is complete. */
  finish(): void {
    const { stepMs } = this.#settings
    let newestMs = Number.NEGATIVE_INFINITY
    for (const { startMs } of this.log.windows()) newestMs = Math.max(newestMs, startMs)
    if (this.log.length > 0) closeUpTo(this.clock, newestMs + stepMs, stepMs)
  }

  /** Nobody is blamed for silence before this moment. */
  letGo(): void {
    this.progress.resumeMs = Math.max(this.progress.resumeMs, this.clock.eventMs + 1)
  }

  /** The next complete window; undefined when there is none. */
  next(): CompleteWindow | undefined {
    const { progress } = this
    const { closedMs } = this.clock
    if (!this.isReady) this.#take(closedMs)
    const { isReady } = this
    const until = isReady ? this.#ready[this.#readyAt].startMs : closedMs
    if (Number.isNaN(progress.nextMs)) {
      if (!isReady) return undefined
      progress.nextMs = until
    }
    if (progress.nextMs < until) {
      if (progress.emptyRun < this.#settings.gapWindowsMax) {
        progress.emptyRun++
        return this.#complete(undefined)
      }
      progress.nextMs = until
      progress.resumeMs = until
    }
    if (!isReady) return undefined
    progress.emptyRun = 0
    return this.#complete(this.#ready[this.#readyAt++])
  }

  #complete(log: WindowLog | undefined): CompleteWindow {
    const { progress } = this
    progress.nextMs += this.#settings.stepMs
    return { log, endMs: progress.nextMs, resumeMs: progress.resumeMs }
  }

  #take(closedMs: number): void {
    this.#readyAt = 0
    this.#ready = []
    this.#forgotten.settle(this.log)
    // Nothing has closed since the last time.
    if (this.log.length === 0 || closedMs <= this.progress.nextMs) return
    this.#ready = this.log.take(closedMs)
  }
}

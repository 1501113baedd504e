import type { FeatureBatch, OpinionBatch } from './core/batch.ts'
import { opinionBatch, partOf } from './core/batch.ts'
import type { Position } from './core/ports.ts'
import type { SeriesTable } from './core/series.ts'
import type { AnomalyChange, Rest, Scoring } from './core/stages.ts'
import { restingSteps } from './core/steps.ts'
import { Underway } from './core/underway.ts'
import { importanceOf } from './importance.ts'
import type { OverlapEvents } from './overlap.ts'
import type { HistoryWriter, PipelineParts } from './pipeline.ts'

/** How windows are sliced. */
export interface SliceOptions {
  /** Windows of no more series than this are scored at once, before the body that completes them is answered. */
  readonly above: number
  /** What arrives waits for about as much work, ms. */
  readonly ms: number
}

/** So many series take 2 ms; a turn of the event loop costs some microseconds. */
export const SLICES: SliceOptions = { above: 4096, ms: 0.1 }
/** Rows of a batch that others are told of in one go. */
const TOLD_ROWS = 4096
const NO_CHANGES: readonly AnomalyChange[] = []

/** The parts that a window goes through where scoring is done in this thread. */
type Parts = Pick<PipelineParts, 'windows' | 'disruptions'> & {
  readonly series: Pick<SeriesTable, 'size'>
  readonly scoring: Scoring
  readonly history: HistoryWriter
}

/** Some rows of a batch, with what is said of them and how much each may teach. */
type Stretch = ReturnType<typeof partOf> & { readonly weight: Float32Array }

/** A window on its way. */
interface Work {
  readonly position: Position
  readonly isPast: boolean
  readonly rest: Rest
}

/**
 * Takes windows through scoring in this thread, a slice at a time: between two slices bodies of the next window are decoded
 * and questions are answered, so that nobody waits for a window of millions. One window is on its way at a time, and
 * whatever would see another order of things waits for it: the next window that is complete, and all that is not samples.
 * So nothing depends on how much is done in a slice. Series that expire go when the next window begins, as in `Overlap`.
 */
export class Slices {
  readonly #parts: Parts
  readonly #events: OverlapEvents
  readonly #options: SliceOptions
  readonly #opinions: OpinionBatch
  readonly #weight: Float32Array
  readonly #underway = new Underway()
  /** When this thread was given back, and ms worked since the batch began until it was let go last. */
  #sinceMs = 0
  /** Stretches of the batch that was told last, of TOLD_ROWS at most: eighteen views are made once, not in every window. */
  #told: FeatureBatch | undefined
  #stretches: Stretch[] = []
  /** Goes on after a rest: one at a time, so that a rest makes a promise and nothing else. */
  #wake: () => void = () => {}
  readonly #pause = (wake: () => void): void => {
    this.#wake = wake
    setImmediate(this.#goOn)
  }
  readonly #goOn = (): void => {
    this.#sinceMs = performance.now()
    this.#wake()
  }
  #workedMs = 0
  /** What is due is history. */
  isPast = false

  constructor(parts: Parts, events: OverlapEvents, batchRows: number, options: SliceOptions) {
    this.#parts = parts
    this.#events = events
    this.#options = options
    this.#opinions = opinionBatch(batchRows)
    this.#weight = new Float32Array(batchRows)
  }

  /**
   * Samples came, or time passed: begins what is complete. Resolves once no more than one window is on its way; undefined
   * where nothing is to be waited for, which is most often.
   */
  follow(position: Position): Promise<void> | undefined {
    return this.#parts.windows.hasComplete ? this.#beginAll(position) : undefined
  }

  async #beginAll(position: Position): Promise<void> {
    const { windows, series } = this.#parts
    while (windows.hasComplete) {
      await this.settle()
      if (!this.#begin(position)) return
      if (series.size <= this.#options.above) await this.settle()
    }
  }

  /** Waits until nothing is on its way. */
  settle(): Promise<void> {
    return this.#underway.settle()
  }

  #begin(position: Position): boolean {
    const { windows, series } = this.#parts
    for (const row of windows.expired()) {
      this.#events.leave(row)
      this.#events.evict(row)
    }
    // Samples that come while it is on its way are of windows after it.
    if (windows.prepare() === undefined) return false
    this.#sinceMs = performance.now()
    const rest = series.size <= this.#options.above ? () => undefined : () => this.#rest()
    this.#underway.begin(this.#run({ position, isPast: this.isPast, rest }))
    return true
  }

  #rest(): Promise<unknown> | undefined {
    const workedMs = performance.now() - this.#sinceMs
    if (workedMs < this.#options.ms) return undefined
    this.#workedMs += workedMs
    return new Promise<void>(this.#pause)
  }

  /** Rows of a batch from `from` on with what is said of them, TOLD_ROWS at most. Valid until the next batch. */
  #stretch(batch: FeatureBatch, from: number): Stretch {
    if (this.#told !== batch) this.#stretches = []
    this.#told = batch
    const at = from / TOLD_ROWS
    const to = Math.min(batch.capacity, from + TOLD_ROWS)
    this.#stretches[at] ??= {
      ...partOf(batch, this.#opinions, from, to),
      weight: this.#weight.subarray(from, to),
    }
    const part = this.#stretches[at]
    part.batch.length = Math.min(TOLD_ROWS, batch.length - from)
    part.opinions.length = part.batch.length
    return part
  }

  async #run({ position, isPast, rest }: Work): Promise<void> {
    const { windows, scoring, disruptions } = this.#parts
    const anomalies: AnomalyChange[] = []
    let windowEndMs = Number.NaN
    for (let isLast = false; !isLast; ) {
      while (windows.prepare()) {
        const others = rest()
        if (others !== undefined) await others
      }
      const ready = windows.next()
      if (ready === undefined) return
      windowEndMs = ready.windowEndMs
      isLast = ready.last
      const room = this.#events.room(ready.batch)
      if (room !== undefined) await room
      if (ready.window !== undefined) scoring.begin(ready.window)
      if (ready.batch.length === 0) continue
      const others = rest()
      if (others !== undefined) await others
      const changes = await this.#through(ready.batch, rest)
      if (!isPast) for (const change of changes) anomalies.push(change)
    }
    const events = disruptions.advance(windowEndMs)
    scoring.review(windowEndMs, () => importanceOf(disruptions.board(), disruptions.frontDoors()))
    await this.#events.done(position, { anomalies, events: isPast ? [] : events }, isPast)
  }

  async #through(batch: FeatureBatch, rest: Rest): Promise<readonly AnomalyChange[]> {
    const { scoring, disruptions, history } = this.#parts
    const opinions = this.#opinions
    this.#workedMs = this.#sinceMs - performance.now()
    await scoring.score(batch, opinions, rest)
    const changes = await restingSteps(scoring.judging(batch, opinions), rest)
    for (let from = 0; from < batch.length; from += TOLD_ROWS) {
      const part = this.#stretch(batch, from)
      const isLast = from + part.batch.length === batch.length
      disruptions.observe(part.batch, part.opinions, isLast ? changes : NO_CHANGES)
      history.record(part.batch, part.opinions)
      disruptions.weigh(part.batch, part.weight)
      const others = rest()
      if (others !== undefined) await others
    }
    await restingSteps(scoring.learning(batch, opinions, this.#weight), rest)
    this.#events.batch(batch.length, (this.#workedMs + performance.now() - this.#sinceMs) / 1000)
    return changes
  }
}

import type { FeatureBatch, OpinionBatch } from './core/batch.ts'
import { opinionBatch } from './core/batch.ts'
import type { Position } from './core/ports.ts'
import { Rests } from './core/rests.ts'
import type { SeriesTable } from './core/series.ts'
import type { AnomalyChange, Rest, Scoring } from './core/stages.ts'
import { restingSteps, STEP_ROWS } from './core/steps.ts'
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

/** The parts that a window goes through where scoring is done in this thread. */
type Parts = Pick<PipelineParts, 'windows' | 'disruptions'> & {
  readonly series: Pick<SeriesTable, 'size'>
  readonly scoring: Scoring
  readonly history: HistoryWriter
}

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
  readonly #rests: Rests
  /** What is due is history. */
  isPast = false

  constructor(parts: Parts, events: OverlapEvents, batchRows: number, options: SliceOptions) {
    this.#parts = parts
    this.#events = events
    this.#options = options
    this.#rests = new Rests(options.ms)
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
    this.#rests.begin()
    const rest = series.size <= this.#options.above ? () => undefined : () => this.#rests.rest()
    this.#underway.begin(this.#run({ position, isPast: this.isPast, rest }))
    return true
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
      if (room !== undefined) {
        await room
        this.#rests.begin()
      }
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
    const [opinions, weight] = [this.#opinions, this.#weight]
    const beganMs = this.#rests.workedMs
    await scoring.score(batch, opinions, rest)
    const changes = await restingSteps(scoring.judging(batch, opinions), rest)
    await restingSteps(disruptions.observing(batch, opinions, changes), rest)
    for (let from = 0; from < batch.length; from += STEP_ROWS) {
      const to = Math.min(batch.length, from + STEP_ROWS)
      history.record(batch, opinions, from, to)
      disruptions.weigh(batch, weight, from, to)
      const others = rest()
      if (others !== undefined) await others
    }
    await restingSteps(scoring.learning(batch, opinions, weight), rest)
    this.#events.batch(batch.length, (this.#rests.workedMs - beganMs) / 1000)
    return changes
  }
}

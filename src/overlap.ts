import type { FeatureBatch } from './core/batch.ts'
import type { DisruptionEvent } from './core/disruption.ts'
import type { Position } from './core/ports.ts'
import type { AnomalyChange, LentBatch, ScoringBeside } from './core/stages.ts'
import { Underway } from './core/underway.ts'
import { importanceOf } from './importance.ts'
import type { HistoryWriter, PipelineParts } from './pipeline.ts'

/** The parts that a window goes through where scoring goes on beside it. */
type Parts = Pick<PipelineParts, 'windows' | 'disruptions'> & {
  readonly scoring: ScoringBeside
  readonly history: HistoryWriter
}

export interface OverlapEvents {
  /** A series is no more: whoever takes samples in is to forget it, and when the window on its way is over, all others. */
  readonly leave: (row: number) => void
  readonly evict: (row: number) => void
  /** A batch went through, and took so long on this thread. */
  readonly batch: (rows: number, seconds: number) => void
  /** A window is complete. */
  readonly done: (
    position: Position,
    found: { readonly anomalies: AnomalyChange[]; readonly events: DisruptionEvent[] },
    isPast: boolean,
  ) => Promise<void>
  /** What a batch is to wait for, such as a checkpoint that cannot be written as fast; less is known without its rows. */
  readonly room: (batch?: FeatureBatch) => Promise<unknown> | undefined
}

/** A window on its way. */
interface Work {
  readonly position: Position
  readonly isPast: boolean
  readonly anomalies: AnomalyChange[]
  readonly windowEndMs: number
  /** A batch that was lent and is not given yet. */
  ready: LentBatch | undefined
  given: number
  taken: number
  /** All of its batches were given. */
  isWhole: boolean
  /** Told when they were. */
  readonly whole: () => void
}

/**
 * Takes windows through scoring that goes on beside this thread: while one is scored, bodies of the next are decoded. One
 * window is on its way at a time, and whatever would see another order of things than without threads waits for it: the next
 * window that is complete, and all that is not samples. Of that next window the first batch is made ready meanwhile, since the
 * scorers have nothing to do until they are given one. Batches are given and taken by a fixed rule, as many ahead as may wait
 * and then by turns, so that nothing depends on how fast a worker is. Series that expire go when the next window begins.
 */
export class Overlap {
  readonly #parts: Parts
  readonly #events: OverlapEvents
  #work: Work | undefined
  readonly #underway = new Underway()
  /** All batches of the window on its way were given. */
  #whole: Promise<void> | undefined
  /** The first batch of the window after it, and who is gone before that. */
  #ahead: LentBatch | undefined
  #leaving: readonly number[] = []
  #held: Promise<unknown> | undefined
  #weight: Float32Array
  /** What is due is history. */
  isPast = false

  constructor(parts: Parts, events: OverlapEvents, batchRows: number) {
    this.#parts = parts
    this.#events = events
    this.#weight = new Float32Array(batchRows)
  }

  /**
   * Samples came, or time passed: begins what is complete. Resolves once no more than one window is on its way; undefined
   * where nothing is to be waited for, which is most often.
   */
  follow(position: Position): Promise<void> | undefined {
    this.#proceed()
    const isDue = this.#ahead !== undefined || this.#parts.windows.hasComplete
    return isDue ? this.#beginAll(position) : undefined
  }

  async #beginAll(position: Position): Promise<void> {
    const { windows } = this.#parts
    while (this.#ahead !== undefined || windows.hasComplete) {
      // A window's batches are lent one at a time.
      await Promise.race([this.#whole, this.#underway.working])
      this.#lookAhead()
      await this.settle()
      if (!this.#begin(position)) return
    }
  }

  /** Nothing of the window on its way says which samples are of the next. */
  #lookAhead(): void {
    if (this.#ahead !== undefined) return
    const { windows } = this.#parts
    const expired = windows.expired()
    for (const row of expired) this.#events.leave(row)
    this.#leaving = [...this.#leaving, ...expired]
    // Samples that come while it is on its way are of windows after it.
    this.#ahead = windows.next()
  }

  /** Waits until nothing is on its way. */
  settle(): Promise<void> {
    return this.#underway.settle()
  }

  #begin(position: Position): boolean {
    for (const row of this.#leaving) this.#events.evict(row)
    this.#leaving = []
    const ready = this.#ahead
    this.#ahead = undefined
    if (ready === undefined) return false
    const { isPast } = this
    const { windowEndMs } = ready
    let whole = () => {}
    this.#whole = new Promise(done => {
      whole = done
    })
    const nothing = { anomalies: [], given: 0, taken: 0, isWhole: false }
    this.#work = { position, isPast, windowEndMs, ready, ...nothing, whole }
    this.#underway.begin(this.#run(this.#work))
    return true
  }

  async #run(work: Work): Promise<void> {
    const { scoring, disruptions } = this.#parts
    for (;;) {
      const mark = scoring.mark()
      this.#proceed()
      if (work.isWhole && work.taken === work.given) break
      await (this.#held ?? scoring.waitFor(mark))
    }
    this.#work = undefined
    const { windowEndMs, isPast, anomalies, position } = work
    const events = disruptions.advance(windowEndMs)
    scoring.review(windowEndMs, () => importanceOf(disruptions.board(), disruptions.frontDoors()))
    await this.#events.done(position, { anomalies, events }, isPast)
  }

  /** Does what can be done now. */
  #proceed(): void {
    const work = this.#work
    if (work === undefined) return
    for (;;) {
      const isAhead = work.given - work.taken < this.#parts.scoring.depth
      if (!work.isWhole && isAhead ? !this.#give(work) : !this.#take(work)) return
    }
  }

  #give(work: Work): boolean {
    const { windows, scoring, disruptions } = this.#parts
    if (this.#held !== undefined || !scoring.hasRoom) return false
    this.#held = this.#events.room()?.finally(() => {
      this.#held = undefined
    })
    if (this.#held !== undefined) return false
    const ready = work.ready ?? windows.next()
    if (ready?.window !== undefined) {
      scoring.begin(ready.window)
      work.ready = { ...ready, window: undefined }
      return true
    }
    work.ready = undefined
    work.isWhole = ready === undefined || ready.last
    if (work.isWhole) work.whole()
    if (ready === undefined) return true
    const { batch } = ready
    if (batch.length === 0) return true
    const started = performance.now()
    disruptions.place(batch)
    if (this.#weight.length < batch.capacity) this.#weight = new Float32Array(batch.capacity)
    disruptions.weigh(batch, this.#weight)
    scoring.give(batch, this.#weight)
    work.given++
    this.#events.batch(batch.length, (performance.now() - started) / 1000)
    return true
  }

  #take(work: Work): boolean {
    if (work.taken === work.given) return false
    const { scoring, disruptions, history } = this.#parts
    const found = scoring.take()
    if (found === undefined) return false
    const started = performance.now()
    const { batch, opinions, changes } = found
    disruptions.observe(batch, opinions, changes)
    history.record(batch, opinions)
    if (!work.isPast) for (const change of changes) work.anomalies.push(change)
    work.taken++
    this.#events.batch(0, (performance.now() - started) / 1000)
    return true
  }
}

import type { FeatureBatch } from './core/batch.ts'
import type { DisruptionEvent } from './core/disruption.ts'
import { ForeshockError } from './core/errors.ts'
import type { Position } from './core/ports.ts'
import { Rests } from './core/rests.ts'
import type { AnomalyChange, LentBatch, ScoringBeside } from './core/stages.ts'
import { restingSteps, STEP_ROWS } from './core/steps.ts'
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
  /** Told when all of its batches were given. */
  readonly whole: () => void
}

/**
 * Takes windows through scoring that goes on beside this thread: while one is scored, bodies of the next are decoded. One
 * window is on its way at a time, and whatever would see another order of things than without threads waits for it: the next
 * window that is complete, and all that is not samples. Of that next window the first batch is made ready meanwhile, since the
 * scorers have nothing to do until they are given one. Batches are given and taken by a fixed rule, as many ahead as may wait
 * and then by turns, so that nothing depends on how fast a worker is. Series that expire go when the next window begins.
 * What this thread has to do with a window is done in slices too: bodies and questions have their turns between them.
 */
export class Overlap {
  readonly #parts: Parts
  readonly #events: OverlapEvents
  readonly #underway = new Underway()
  readonly #rests: Rests
  readonly #rest = () => this.#rests.rest()
  /** A window is on its way, and not all that is to be done with it is done. */
  #isGoing = false
  /** All batches of that window were given. */
  #whole: Promise<void> | undefined
  /** What it waits for the scorers since, where it does. */
  #mark: number | undefined
  /** Turns that windows had had when samples came last. */
  #turns = 0
  #weight: Float32Array
  /** What is due is history. */
  isPast = false

  /** `sliceMs`: what arrives waits for about as much work on a window, ms; Infinity where nobody waits. */
  constructor(parts: Parts, events: OverlapEvents, batchRows: number, sliceMs: number) {
    this.#parts = parts
    this.#events = events
    this.#weight = new Float32Array(batchRows)
    this.#rests = new Rests(sliceMs)
  }

  /**
   * Samples came, or time passed: begins what is complete. Resolves once no more than one window is on its way; undefined
   * where nothing is to be waited for, which is most often.
   */
  follow(position: Position): Promise<void> | undefined {
    if (this.#parts.windows.hasComplete) return this.#beginAll(position)
    return this.#overlooked() ? new Promise(done => setImmediate(done)) : undefined
  }

  /** Whether samples came twice in one turn of the event loop, and the window that is on its way could go on if it had one. */
  #overlooked(): boolean {
    if (!this.#isGoing) return false
    const { turns } = this.#rests
    const hadTurn = turns !== this.#turns
    this.#turns = turns
    return !hadTurn && (this.#mark === undefined || this.#mark !== this.#parts.scoring.mark())
  }

  async #beginAll(position: Position): Promise<void> {
    const { windows } = this.#parts
    while (windows.hasComplete) {
      // A window's batches are lent one at a time.
      await Promise.race([this.#whole, this.#underway.working])
      // Nothing of the window on its way says which samples are of the next, nor who is gone before that.
      const leaving = windows.expired()
      for (const row of leaving) this.#events.leave(row)
      // Samples that come while it is on its way are of windows after it.
      const isComplete = windows.prepare() !== undefined
      if (this.#isGoing) this.#rests.begin()
      while (this.#isGoing && windows.prepare()) await this.#rest()
      await this.settle()
      for (const row of leaving) this.#events.evict(row)
      if (!isComplete) return
      this.#begin(position)
    }
  }

  /** Waits until nothing is on its way. */
  settle(): Promise<void> {
    return this.#underway.settle()
  }

  #begin(position: Position): void {
    const { isPast } = this
    let whole = () => {}
    this.#whole = new Promise(done => {
      whole = done
    })
    this.#isGoing = true
    this.#underway.begin(this.#run({ position, isPast, whole }))
  }

  async #run({ position, isPast, whole }: Work): Promise<void> {
    const { scoring, disruptions } = this.#parts
    const anomalies: AnomalyChange[] = []
    let windowEndMs = Number.NaN
    let [given, taken, isWhole] = [0, 0, false]
    const take = async (): Promise<void> => {
      const changes = await this.#take()
      if (!isPast) for (const change of changes) anomalies.push(change)
      taken++
    }
    this.#rests.begin()
    while (!isWhole || taken < given) {
      if (isWhole || given - taken >= scoring.depth) {
        await take()
        continue
      }
      const ready = await this.#ready()
      windowEndMs = ready.windowEndMs
      if (ready.window !== undefined) {
        // This takes a turn of the scorers too: a batch that is given after it may lie where one that nobody took lay.
        while (taken < given) await take()
        scoring.begin(ready.window)
        await this.#until(() => scoring.hasRoom || undefined)
      }
      if (ready.batch.length > 0) {
        await this.#give(ready.batch)
        given++
      }
      isWhole = ready.last
      if (isWhole) whole()
    }
    this.#isGoing = false
    const events = disruptions.advance(windowEndMs)
    scoring.review(windowEndMs, () => importanceOf(disruptions.board(), disruptions.frontDoors()))
    await this.#events.done(position, { anomalies, events }, isPast)
  }

  /** Waits for the scorers until there is what is asked for. */
  async #until<T>(found: () => T | undefined): Promise<T> {
    const { scoring } = this.#parts
    for (;;) {
      const mark = scoring.mark()
      const one = found()
      if (one !== undefined) return one
      this.#mark = mark
      await scoring.waitFor(mark)
      this.#mark = undefined
      this.#rests.begin()
    }
  }

  /** The next batch, once there is room for it. */
  async #ready(): Promise<LentBatch> {
    const { windows, scoring } = this.#parts
    await this.#until(() => scoring.hasRoom || undefined)
    for (let room = this.#events.room(); room !== undefined; room = this.#events.room()) {
      await room
      this.#rests.begin()
    }
    while (windows.prepare()) await this.#rest()
    const ready = windows.next()
    if (ready === undefined) throw new ForeshockError('FS_ASSERTION', 'a window that was begun has no end')
    return ready
  }

  async #give(batch: FeatureBatch): Promise<void> {
    const { scoring, disruptions } = this.#parts
    const beganMs = this.#rests.workedMs
    await restingSteps(disruptions.placing(batch), this.#rest)
    if (this.#weight.length < batch.capacity) this.#weight = new Float32Array(batch.capacity)
    disruptions.weigh(batch, this.#weight)
    await restingSteps(scoring.giving(batch, this.#weight), this.#rest)
    this.#events.batch(batch.length, (this.#rests.workedMs - beganMs) / 1000)
  }

  async #take(): Promise<readonly AnomalyChange[]> {
    const { scoring, disruptions, history } = this.#parts
    const taking = await this.#until(() => scoring.taking())
    const beganMs = this.#rests.workedMs
    const { batch, opinions, changes } = await restingSteps(taking, this.#rest)
    await restingSteps(disruptions.observing(batch, opinions, changes), this.#rest)
    for (let from = 0; from < batch.length; from += STEP_ROWS) {
      history.record(batch, opinions, from, Math.min(batch.length, from + STEP_ROWS))
      const others = this.#rest()
      if (others !== undefined) await others
    }
    this.#events.batch(0, (this.#rests.workedMs - beganMs) / 1000)
    return changes
  }
}

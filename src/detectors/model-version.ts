import { ForeshockError } from '../core/errors.ts'
import type { ModelUse, ModelVersion as Named } from '../core/model.ts'
import type { SeriesRows } from '../core/series.ts'
import { Calibration } from './calibration.ts'
import { ModelAnswer, type Said } from './model-answer.ts'
import { learnRunning, type RunningColumns, runningRate } from './model-input.ts'
import type { ModelPlan } from './model-plan.ts'
import { ModelQuestion, type OwnRows } from './model-question.ts'
import { grown, type ModelRings } from './model-rings.ts'
import type { ModelSession } from './model-runtime.ts'
import { learnRaw, type RawColumns, standardised } from './model-scores.ts'

/** Windows in a row without an answer after which a version is not asked any more. */
const STUCK_WINDOWS = 3
/** Time constant of the usual size of raw scores, days. */
const RAW_DAYS = 1

type Columns = { -readonly [K in keyof RunningColumns]: Float64Array<ArrayBuffer> }
type Raw = { -readonly [K in keyof RawColumns]: Float64Array<ArrayBuffer> }

/** What all versions of a model share. */
export interface Shared {
  readonly covered: SeriesRows
  readonly rings: ModelRings
  readonly stepMs: number
  /** Which way is bad for a covered row: 1 up, −1 down, 0 both. */
  readonly sideOf: (coveredRow: number) => number
  /** A clock for what calls take, ms; decides nothing. */
  readonly clock: () => number
}

/** One version of a model: its session, its own normalisation and calibration, and how it does. */
export class ScoringVersion {
  readonly plan: ModelPlan
  readonly named: Named
  session: ModelSession | undefined
  /** Why it is not asked any more. */
  problem: string | undefined
  /** Windows until it is opened again, after it could not be: the wait doubles. Undefined while that is not the matter. */
  reopens: { waits: number; next: number } | undefined
  readonly running: Columns = { mean: NOTHING, deviation: NOTHING, count: NOTHING }
  readonly rawPoint: Raw = { centre: NOTHING, size: NOTHING, count: NOTHING }
  readonly rawIncident: Raw = { centre: NOTHING, size: NOTHING, count: NOTHING }
  readonly point: Calibration
  readonly incident: Calibration
  rows = 0
  failed = 0
  /** Of the window scored last: time taken and rows without an answer. */
  lastMs = 0
  lastFailed = 0
  #timedRows = 0
  #ms = 0
  #msMax = 0
  #stuck = 0
  #room = 0
  readonly #question: ModelQuestion
  readonly #answer: ModelAnswer
  readonly #shared: Shared
  readonly #runningRate: number
  readonly #rawRate: number

  constructor(plan: ModelPlan, named: Named, size: number, shared: Shared) {
    this.plan = plan
    this.named = named
    this.#shared = shared
    this.#question = new ModelQuestion(plan)
    this.#answer = new ModelAnswer(plan, this.#question, shared)
    this.#runningRate = runningRate(plan.days ?? 1, shared.stepMs)
    this.#rawRate = runningRate(RAW_DAYS, shared.stepMs)
    this.point = new Calibration(`calibration:${plan.name}:point`, shared.covered, size)
    this.incident = new Calibration(`calibration:${plan.name}:incident`, shared.covered, size)
  }

  /** What it says of the own rows of the window scored last. */
  get said(): Said {
    return this.#answer.said
  }

  use(): ModelUse {
    const { rows, failed } = this
    const msPerRow = this.#timedRows === 0 ? 0 : this.#ms / this.#timedRows
    return {
      version: this.named.version,
      digest: this.named.digest,
      rows,
      failed,
      msPerRow,
      msMax: this.#msMax,
      ...(this.problem === undefined ? {} : { problem: this.problem }),
    }
  }

  /** Makes room for covered rows 0..rows−1. */
  ensure(rows: number): void {
    if (rows <= this.#room) return
    this.#room = Math.max(rows, 2 * this.#room, 64)
    for (const columns of [this.running, this.rawPoint, this.rawIncident] as Record<string, Float64Array>[])
      for (const name of Object.keys(columns)) columns[name] = grown(columns[name], this.#room)
  }

  /**
   * Finds into `said` what it says of the own rows, all NaN where it has no opinion. Never throws: a session that fails
   * is counted, and after three windows in a row not asked again.
   */
  async score(own: OwnRows, back: number, timeoutMs: number): Promise<void> {
    const { covered, rings, clock } = this.#shared
    this.ensure(covered.capacity)
    this.#answer.clear(own.length)
    this.#question.ask(own, back, rings, covered, this.running)
    const { rows } = this.#question
    this.lastMs = 0
    this.lastFailed = 0
    if (rows === 0) return
    const { session } = this
    if (session === undefined) {
      this.#lose(rows)
      return
    }
    const started = clock()
    let output: Float32Array | undefined
    try {
      output = await session.run(
        this.#question.input.subarray(0, rows * this.plan.inputWidth),
        rows,
        timeoutMs,
      )
      if (output.length !== rows * this.plan.outputWidth)
        throw new ForeshockError('FS_MODEL_RUNTIME', `${output.length} numbers for ${rows} rows`)
    } catch (error) {
      output = undefined
      this.#stuck++
      if (this.#stuck >= STUCK_WINDOWS) this.#switchOff(error)
    }
    this.#time(rows, clock() - started)
    if (output === undefined) {
      this.#lose(rows)
      return
    }
    this.#stuck = 0
    const failed = this.#answer.read(own, output)
    this.rows += rows - failed
    this.#lose(failed)
    this.#calibrate(own)
  }

  /** What it did so far was no duty. */
  startCounting(): void {
    this.rows = 0
    this.failed = 0
    this.#timedRows = 0
    this.#ms = 0
    this.#msMax = 0
  }

  #time(rows: number, ms: number): void {
    this.lastMs = ms
    this.#ms += ms
    this.#timedRows += rows
    if (ms > this.#msMax) this.#msMax = ms
  }

  #lose(rows: number): void {
    this.failed += rows
    this.lastFailed = rows
  }

  #switchOff(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    this.problem = `${this.plan.name} gave no answer in ${STUCK_WINDOWS} windows in a row and is switched off: ${reason}`
    this.close()
  }

  #calibrate(own: OwnRows): void {
    const { said } = this
    const isError = this.plan.task !== 'score'
    for (let k = 0; k < own.length; k++) {
      said.point[k] = standardised(this.rawPoint, own.covered[k], said.rawPoint[k], isError)
      said.incident[k] = standardised(this.rawIncident, own.covered[k], said.rawIncident[k], isError)
    }
    this.point.surprise(own.covered, own.length, said.point, said.pointSurprise, said.pointBins)
    this.incident.surprise(own.covered, own.length, said.incident, said.incidentSurprise, said.incidentBins)
  }

  /** Learns what was found of these own rows; `weight` is by their order here. */
  learn(own: OwnRows, rows: Uint32Array, count: number, weight: Float32Array): void {
    const { said } = this
    const isError = this.plan.task !== 'score'
    const scratch = scratchOf(count)
    let n = 0
    for (let r = 0; r < count; r++) {
      const k = rows[r]
      if (Number.isNaN(said.rawPoint[k])) continue
      learnRaw(this.rawPoint, own.covered[k], said.rawPoint[k], isError, this.#rawRate, weight[r])
      learnRaw(this.rawIncident, own.covered[k], said.rawIncident[k], isError, this.#rawRate, weight[r])
      if (Number.isNaN(said.point[k])) continue
      scratch.covered[n] = own.covered[k]
      scratch.pointBins[n] = said.pointBins[k]
      scratch.incidentBins[n] = said.incidentBins[k]
      scratch.point[n] = said.pointSurprise[k]
      scratch.incident[n] = said.incidentSurprise[k]
      scratch.weight[n++] = weight[r]
    }
    this.point.learn(scratch.covered, n, scratch.pointBins, scratch.point, scratch.weight)
    this.incident.learn(scratch.covered, n, scratch.incidentBins, scratch.incident, scratch.weight)
  }

  /** Takes a value into the normalisation of a covered row. */
  see(row: number, value: number): void {
    if (this.plan.by === 'running') learnRunning(this.running, row, value, this.#runningRate)
  }

  forget(row: number): void {
    if (row < this.#room)
      for (const columns of [this.running, this.rawPoint, this.rawIncident])
        for (const column of Object.values(columns)) column[row] = 0
    this.point.forget(row)
    this.incident.forget(row)
  }

  /** Ends its session, without waiting; what it learned stays. */
  close(): void {
    const { session } = this
    this.session = undefined
    session?.close().catch(() => {})
  }

  bytes(): number {
    return (
      9 * 8 * this.#room +
      this.point.bytes() +
      this.incident.bytes() +
      this.#question.bytes() +
      64 * this.said.point.length
    )
  }
}

const NOTHING = new Float64Array(0)

interface Scratch {
  covered: Uint32Array
  pointBins: Uint8Array
  incidentBins: Uint8Array
  point: Float32Array
  incident: Float32Array
  weight: Float32Array
}

let scratch: Scratch | undefined

function scratchOf(rows: number): Scratch {
  if (scratch === undefined || scratch.covered.length < rows)
    scratch = {
      covered: new Uint32Array(2 * rows),
      pointBins: new Uint8Array(2 * rows),
      incidentBins: new Uint8Array(2 * rows),
      point: new Float32Array(2 * rows),
      incident: new Float32Array(2 * rows),
      weight: new Float32Array(2 * rows),
    }
  return scratch
}

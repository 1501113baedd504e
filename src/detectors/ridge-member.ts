import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT } from '../core/columns.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { Calibration } from './calibration.ts'
import { KindClasses } from './kind-classes.ts'
import { ridgeRows } from './ridge.ts'
import type { CoverOptions, Entity } from './ridge-cover.ts'
import { RidgeRoster } from './ridge-roster.ts'
import { type RidgeTimes, restoreRidge, snapshotRidge } from './ridge-snapshot.ts'
import { companyWords } from './ridge-words.ts'
import { DONE, rowsNeeded } from './runs.ts'

export const RIDGE_ID = 'ridge@1'
/** A move in the good direction is this much as strange, as in deviation@1. */
const GOOD_SHARE = 0.25
/** Half the band around what the others lead one to expect, in usual distances. */
const BAND = 3

/** Rows of the batch scored last that are judged: columns of their own, dense. */
interface Own {
  length: number
  /** Place in the batch, and row among the covered. */
  places: Uint32Array
  covered: Uint32Array
  series: Uint32Array
  observed: Float64Array
  rawPoint: Float32Array
  rawIncident: Float32Array
  point: Float32Array
  incident: Float32Array
  pointBins: Uint8Array
  incidentBins: Uint8Array
  weight: Float32Array
  windowEndMs: number
}

/**
 * ridge@1 as a member of the ensemble: the rows of a window by entity, each metric judged given all others of its entity.
 * A series' point evidence is its own part in what does not fit, its incident evidence that of the whole entity, of which
 * the loudest metric carries all and the others by how loud they are. Calibrated here, since few series are covered.
 * It learns every window at full weight: its updates are clipped by themselves, and so it says of a live entity what
 * `score` says of the recorded one.
 */
export class RidgeMember implements Detector {
  readonly id = RIDGE_ID
  readonly width = 0
  readonly whole = true
  readonly warmUpWindows: number
  readonly voices: readonly DetectorVoice[] = [
    { column: 'point', feeds: ['surprise', 'point'], calibrated: true },
    { column: 'incident', feeds: ['surprise', 'incident'], calibrated: true },
  ]
  readonly #context: DetectorContext
  /** What the saved state depends on. */
  readonly #saved: RidgeTimes
  readonly #classes: KindClasses
  readonly #roster: RidgeRoster
  readonly #point: Calibration
  readonly #incident: Calibration
  readonly #touched: Entity[] = []
  #own = newOwn(0)
  #stamp = 0

  constructor(context: DetectorContext, options: CoverOptions) {
    this.#context = context
    this.#saved = { stepMs: context.stepMs, warmUpMax: options.warmUpMax }
    this.warmUpWindows = ridgeRows(context.stepMs, options.warmUpMax).warmUp
    this.#classes = new KindClasses(context.series, context.direction)
    this.#roster = new RidgeRoster(context, options, row => {
      this.#point.forget(row)
      this.#incident.forget(row)
    })
    this.#point = new Calibration(`${RIDGE_ID}:point`, this.#roster.covered)
    this.#incident = new Calibration(`${RIDGE_ID}:incident`, this.#roster.covered)
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length } = batch
    out.length = length
    for (const column of [out.score, out.point, out.incident, out.expected, out.lower, out.upper])
      column.fill(NaN, 0, length)
    this.#judge(batch)
    const own = this.#own
    for (let k = 0; k < own.length; k++) {
      const i = own.places[k]
      out.score[i] = own.point[k]
      out.point[i] = own.point[k]
      out.incident[i] = own.incident[k]
      const opinion = this.#roster.entityOf(own.series[k])?.detector?.opinion
      if (opinion === undefined) continue
      const metric = this.#roster.metricOf(own.series[k])
      const expected = opinion.expected[metric]
      const half = BAND * opinion.spread[metric]
      out.expected[i] = expected
      out.lower[i] = expected - half
      out.upper[i] = expected + half
    }
    return DONE
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length, series, observed, windowEndMs } = batch
    if (length === 0) return
    for (let i = 0; i < length; i++)
      if (!this.#roster.knows(series[i]) && !Number.isNaN(observed[i])) this.#roster.add(series[i])
    const isChanged = this.#roster.admit(windowEndMs[0])
    if (isChanged || !this.#isJudged(batch)) this.#judge(batch)
    const own = this.#own
    for (let k = 0; k < own.length; k++) own.weight[k] = weight[own.places[k]]
    this.#point.learn(own.covered, own.length, own.pointBins, own.point, own.weight)
    this.#incident.learn(own.covered, own.length, own.incidentBins, own.incident, own.weight)
    for (const entity of this.#touched) {
      entity.detector?.learn(1)
      entity.learnedEndMs = windowEndMs[0]
    }
    // What was found of the rows is of a state that is no more.
    own.windowEndMs = NaN
  }

  /** Finds what is to be said of the batch's rows into `#own` and `#touched`. */
  #judge(batch: FeatureBatch): void {
    this.#gather(batch)
    const startMs = batch.windowEndMs[0] - this.#context.stepMs
    const localMs = startMs + (this.#context.localTime?.offsetMs(startMs) ?? 0)
    for (const entity of this.#touched) entity.detector?.score(entity.values, localMs)
    this.#shareOut()
    const own = this.#own
    this.#point.surprise(own.covered, own.length, own.rawPoint, own.point, own.pointBins)
    this.#incident.surprise(own.covered, own.length, own.rawIncident, own.incident, own.incidentBins)
  }

  /** The batch's values by entity. */
  #gather(batch: FeatureBatch): void {
    const { length, series, observed, windowEndMs } = batch
    const roster = this.#roster
    if (this.#own.places.length < length) this.#own = newOwn(batch.capacity)
    const own = this.#own
    const stamp = ++this.#stamp
    this.#touched.length = 0
    own.length = 0
    own.windowEndMs = length > 0 ? windowEndMs[0] : NaN
    for (let i = 0; i < length; i++) {
      const metric = roster.metricOf(series[i])
      if (metric < 0) continue
      const entity = roster.entityOf(series[i]) as Entity
      // The rest of an entity that was learned with an earlier batch of this window: it is judged once a window.
      if (entity.learnedEndMs === windowEndMs[i]) continue
      if (entity.stamp !== stamp) {
        entity.stamp = stamp
        entity.values.fill(NaN)
        this.#touched.push(entity)
      }
      entity.values[metric] = observed[i]
      const k = own.length++
      own.places[k] = i
      own.series[k] = series[i]
      own.observed[k] = observed[i]
      own.covered[k] = roster.coveredRow(series[i])
    }
  }

  /** Raw evidence of the own rows, from the opinions of their entities. */
  #shareOut(): void {
    const own = this.#own
    const roster = this.#roster
    this.#classes.ensure(rowsNeeded(own.series, own.length))
    for (let k = 0; k < own.length; k++) {
      const row = own.series[k]
      const opinion = roster.entityOf(row)?.detector?.opinion
      const metric = roster.metricOf(row)
      const isSilent = opinion === undefined || Number.isNaN(opinion.score) || opinion.imputed[metric] === 1
      if (isSilent) {
        own.rawPoint[k] = NaN
        own.rawIncident[k] = NaN
        continue
      }
      const share = opinion.share[metric]
      const part = opinion.loudest > 0 ? share / opinion.loudest : 0
      const weight = this.#sideOf(row) * (own.observed[k] - opinion.expected[metric]) < 0 ? GOOD_SHARE : 1
      own.rawPoint[k] = weight * share
      own.rawIncident[k] = weight * part * opinion.score
    }
  }

  /** Which way is bad: 1 up, −1 down, 0 both. */
  #sideOf(row: number): number {
    const known = this.#classes.chunks[row >> CHUNK_SHIFT].of[row & CHUNK_MASK]
    return this.#classes.bad[known === 0 ? this.#classes.classOf(row) : known]
  }

  /** Whether `#own` is what was found of this very batch from the state as it is. */
  #isJudged(batch: FeatureBatch): boolean {
    const own = this.#own
    const { length, series, observed, windowEndMs } = batch
    if (own.windowEndMs !== windowEndMs[0]) return false
    let k = 0
    for (let i = 0; i < length; i++) {
      if (this.#roster.metricOf(series[i]) < 0) continue
      if (this.#roster.entityOf(series[i])?.learnedEndMs === windowEndMs[i]) continue
      if (k >= own.length || own.series[k] !== series[i] || own.places[k] !== i) return false
      if (!Object.is(own.observed[k], observed[i])) return false
      k++
    }
    return k === own.length
  }

  why(series: number): readonly string[] {
    return companyWords(this.#roster, this.#context.series, series)
  }

  counts(): Readonly<Record<string, number>> {
    return this.#roster.counts()
  }

  forget(series: number): void {
    if (this.#context.series.has(series)) this.#roster.forget(series)
    this.#classes.forget(series)
    this.#own.windowEndMs = NaN
  }

  snapshot(): Snapshot {
    return snapshotRidge(this.#roster, [this.#point, this.#incident], this.#saved)
  }

  restore(from: Snapshot): void {
    restoreRidge(from, this.#roster, [this.#point, this.#incident], this.#context.series, this.#saved)
  }

  bytes(): number {
    const calibrations = this.#point.bytes() + this.#incident.bytes()
    return this.#roster.bytes() + this.#classes.bytes() + calibrations + 50 * this.#own.places.length
  }

  async close(): Promise<void> {}
}

function newOwn(capacity: number): Own {
  return {
    length: 0,
    places: new Uint32Array(capacity),
    covered: new Uint32Array(capacity),
    series: new Uint32Array(capacity),
    observed: new Float64Array(capacity),
    rawPoint: new Float32Array(capacity),
    rawIncident: new Float32Array(capacity),
    point: new Float32Array(capacity),
    incident: new Float32Array(capacity),
    pointBins: new Uint8Array(capacity),
    incidentBins: new Uint8Array(capacity),
    weight: new Float32Array(capacity),
    windowEndMs: NaN,
  }
}

import { type FeatureBatch, featureBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import type { ColumnSpec } from '../core/columns.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { Calibration } from './calibration.ts'
import { type Kernel, KernelDetector } from './kernel-detector.ts'
import { KindClasses } from './kind-classes.ts'
import type { PoolSlots } from './pool-slots.ts'
import { DONE } from './runs.ts'

/** A move in the good direction is this much as strange, as in deviation@1. */
const GOOD_SHARE = 0.25
const COLUMNS = ['point', 'incident'] as const

interface Voice {
  readonly column: (typeof COLUMNS)[number]
  /** Undefined where the detector speaks in surprise already. */
  readonly calibration: Calibration | undefined
  readonly surprise: Float32Array
  readonly bins: Uint8Array
}

/**
 * A costly detector as a member of the ensemble that sees the series of the pool only. It lives in the pool's own small
 * table, a row a slot, and brings its calibration with it: both can then be fed the past at the moment of admission.
 */
export class PoolMember implements Detector {
  readonly id: string
  readonly width = 0
  readonly warmUpWindows: number
  readonly voices: readonly DetectorVoice[]
  readonly #inner: KernelDetector<ColumnSpec>
  readonly #slots: PoolSlots
  readonly #classes: KindClasses
  readonly #voices: readonly Voice[]
  /** The rows of a batch that are in the pool, by slot; their places in the batch. */
  readonly #own: FeatureBatch
  readonly #out: ScoreBatch
  readonly #placeOf: Int32Array
  readonly #places: Uint32Array
  readonly #weight: Float32Array

  /** `context.series` is the pool's own table, `size` rows at most. */
  constructor(context: DetectorContext, kernel: Kernel<ColumnSpec>, slots: PoolSlots, size: number) {
    this.#inner = new KernelDetector(context, kernel)
    this.id = this.#inner.id
    this.warmUpWindows = this.#inner.warmUpWindows
    this.#slots = slots
    this.#classes = new KindClasses(context.series, context.direction)
    this.#voices = COLUMNS.map(column => ({
      column,
      calibration: kernel.isSurprise
        ? undefined
        : new Calibration(`calibration:${this.id}:${column}`, context.series, size),
      surprise: new Float32Array(size),
      bins: new Uint8Array(size),
    }))
    this.voices = COLUMNS.map(column => ({ column, feeds: ['surprise', column], calibrated: true }))
    this.#own = featureBatch(size, 0)
    this.#out = scoreBatch(size)
    this.#placeOf = new Int32Array(size)
    this.#places = new Uint32Array(size)
    this.#weight = new Float32Array(size)
    this.#classes.ensure(size)
  }

  get calibrations(): readonly Calibration[] {
    return this.#voices.flatMap(voice => voice.calibration ?? [])
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length } = batch
    out.length = length
    for (const name of ['score', 'point', 'incident', 'expected', 'lower', 'upper'] as const)
      out[name].fill(Number.NaN, 0, length)
    this.#select(batch)
    this.#surprise(this.#own)
    for (let at = 0; at < this.#own.length; at++) {
      const i = this.#places[at]
      for (const { column, surprise } of this.#voices) out[column][i] = surprise[at]
      out.score[i] = out.point[i]
      out.expected[i] = this.#out.expected[at]
      out.lower[i] = this.#out.lower[at]
      out.upper[i] = this.#out.upper[at]
    }
    return DONE
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    this.#select(batch)
    for (let at = 0; at < this.#own.length; at++) this.#weight[at] = weight[this.#places[at]]
    // Worked out anew: between `score` and `learn` of a block other blocks were scored.
    this.feed(this.#own, this.#weight)
  }

  /** Takes windows of the pool's own rows, as they were when admitted ones are fed their past. */
  feed(own: FeatureBatch, weight: Float32Array): void {
    if (own.length === 0) return
    this.#surprise(own)
    this.#inner.learn(own, weight)
    for (const { calibration, bins, surprise } of this.#voices)
      calibration?.learn(own.series, own.length, bins, surprise, weight)
  }

  /** Fills the voices' surprises for rows of the pool's own table. */
  #surprise(own: FeatureBatch): void {
    if (own.length === 0) return
    this.#inner.scoreNow(own, this.#out)
    this.#weighDirection(own)
    for (const { column, calibration, surprise, bins } of this.#voices) {
      const raw = this.#out[column]
      if (calibration) calibration.surprise(own.series, own.length, raw, surprise, bins)
      else for (let at = 0; at < own.length; at++) surprise[at] = raw[at]
    }
  }

  /** A latency that falls is strange, but nobody's trouble. */
  #weighDirection(own: FeatureBatch): void {
    const { bad, chunks } = this.#classes
    const { expected, point, incident } = this.#out
    for (let at = 0; at < own.length; at++) {
      const slot = own.series[at]
      const known = chunks[0].of[slot]
      const side = bad[known === 0 ? this.#classes.classOf(slot) : known]
      if (!((own.observed[at] - expected[at]) * side < 0)) continue
      point[at] *= GOOD_SHARE
      incident[at] *= GOOD_SHARE
    }
  }

  /** The batch's rows that are in the pool, in the order of their slots, as detectors want them. */
  #select(batch: FeatureBatch): void {
    const own = this.#own
    const placeOf = this.#placeOf.fill(-1)
    for (let i = 0; i < batch.length; i++) {
      const slot = this.#slots.slotOf(batch.series[i])
      if (slot >= 0) placeOf[slot] = i
    }
    own.length = 0
    for (let slot = 0; slot < placeOf.length; slot++) {
      const i = placeOf[slot]
      if (i < 0) continue
      const at = own.length++
      this.#places[at] = i
      own.series[at] = slot
      own.windowEndMs[at] = batch.windowEndMs[i]
      own.observed[at] = batch.observed[i]
      own.coverage[at] = batch.coverage[i]
    }
  }

  /** Drops a slot's state. */
  release(slot: number): void {
    this.#inner.forget(slot)
    this.#classes.forget(slot)
    for (const { calibration } of this.#voices) calibration?.forget(slot)
  }

  /** Rows of the ensemble's table mean nothing here: the pool releases slots. */
  forget(): void {}

  snapshot(): Snapshot {
    return this.#inner.snapshot()
  }

  restore(from: Snapshot): void {
    this.#inner.restore(from)
  }

  bytes(): number {
    let sum = this.#inner.bytes() + this.#classes.bytes()
    for (const { calibration } of this.#voices) sum += calibration?.bytes() ?? 0
    return sum
  }

  async close(): Promise<void> {
    await this.#inner.close()
  }
}

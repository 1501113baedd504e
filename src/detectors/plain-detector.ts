import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { DONE } from './runs.ts'
import { convertRow, type SlotRow } from './slot-convert.ts'
import { SlotDetector } from './slot-detector.ts'
import { AT, SCRATCH_WIDTH } from './slot-kernel.ts'
import { type SlotRates, shapeRing, slotRates, TINY_PROFILE } from './slot-profile.ts'
import { decodeShape } from './slot-shapes.ts'

/** Windows before the level's scale means anything: a young series is watched by its level alone. */
const WARM_UP_WINDOWS = 20

/** Windows that `recent` can give back at most: those in the ring of shapes, and the last one as it was. */
export const RECENT_WINDOWS = shapeRing(TINY_PROFILE)

/**
 * What every series has that is not rich: the daily shape of `tiny@1` and a calibration pooled by kind of metric. State
 * lies under the rows of the series table. A series of less than a day is watched by how far it is from its level.
 */
export class PlainDetector implements Detector {
  readonly id = 'plain@1'
  readonly width = 0
  readonly warmUpWindows = WARM_UP_WINDOWS
  readonly voices: readonly DetectorVoice[] = [
    { column: 'score', feeds: ['surprise', 'point'], calibrated: true },
    { column: 'point', feeds: ['surprise', 'point'], calibrated: true },
    { column: 'incident', feeds: ['surprise', 'incident'], calibrated: true },
  ]
  readonly #context: DetectorContext
  readonly #rates: SlotRates
  readonly #inner: SlotDetector
  #ones = new Float32Array(0)

  constructor(context: DetectorContext) {
    this.#context = context
    this.#rates = slotRates(TINY_PROFILE, context.stepMs)
    this.#inner = new SlotDetector(context, TINY_PROFILE, 10)
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.#inner.scoreNow(batch, out)
    const w = this.#inner.scratch
    for (let i = 0, o = this.#inner.scratchAt; i < batch.length; i++, o += SCRATCH_WIDTH) {
      const { chunk, at } = this.#inner.rowAt(batch.series[i])
      const young = !Number.isNaN(batch.observed[i]) && Number.isNaN(out.point[i])
      out.score[i] = young && chunk.n[at] >= WARM_UP_WINDOWS ? w[o + AT.corrected] : Number.NaN
    }
    return DONE
  }

  learn(batch: FeatureBatch, _weight: Float32Array): void {
    if (this.#ones.length < batch.length) this.#ones = new Float32Array(batch.capacity).fill(1)
    this.#inner.learn(batch, this.#ones)
  }

  /** The state of a series where it lies, for another's `importRow`; undefined when nothing was learned of it. */
  exportRow(series: number): SlotRow | undefined {
    const { chunk, at } = this.#inner.rowAt(series)
    return chunk.n[at] === 0 ? undefined : { chunk, at, profile: TINY_PROFILE, rates: this.#rates }
  }

  /** Takes a series in with what was learned of it elsewhere, in whatever profile. */
  importRow(series: number, from: SlotRow): void {
    this.forget(series)
    const { chunk, at } = this.#inner.rowAt(series)
    convertRow(from, { chunk, at, profile: TINY_PROFILE, rates: this.#rates }, this.#context.stepMs)
  }

  /**
   * The last windows of a series, oldest first, as far as `out` has room and the ring of shapes holds them: decoded, so
   * the last is exact and others are within a few per cent of their distance from the mean. Returns how many.
   */
  recent(series: number, out: Float64Array): number {
    const row = this.exportRow(series)
    if (row === undefined) return 0
    const { chunk, at } = row
    const n = chunk.n[at]
    const size = shapeRing(TINY_PROFILE)
    const count = Math.min(n, size, out.length)
    const unit = chunk.shapeDev[at] + 1e-6 * Math.abs(chunk.shapeMean[at]) + 1e-12
    for (let back = 1; back <= count; back++) {
      const code = chunk.shapes[at * size + ((n - back) % size)]
      out[count - back] = chunk.shapeMean[at] + unit * decodeShape(TINY_PROFILE, code)
    }
    if (count > 0) out[count - 1] = chunk.previous[at]
    return count
  }

  forget(series: number): void {
    this.#inner.forget(series)
  }

  snapshot(): Snapshot {
    return { ...this.#inner.snapshot(), id: this.id }
  }

  restore(from: Snapshot): void {
    this.#inner.restore({ ...from, id: from.id === this.id ? TINY_PROFILE.id : from.id })
  }

  bytes(): number {
    return this.#inner.bytes()
  }

  async close(): Promise<void> {}
}

import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, ColumnStore } from '../core/columns.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { AT, learnRow, SCRATCH_WIDTH, type SlotChunk, scoreRow, startRow } from './slot-kernel.ts'
import {
  phaseOf,
  type SlotColumns,
  type SlotProfile,
  type SlotRates,
  slotColumns,
  slotRates,
} from './slot-profile.ts'

const VERSION = 2
/** Larger magnitudes are held here: squares of residuals must fit float32 state. */
const VALUE_MAX = 1e24

/** What evidence is made of: see AT. */
export interface EvidenceParts {
  /** Point evidence before it is set against the usual day. */
  readonly rawPoint: number
  /** The level shift and the shape term of the incident evidence. */
  readonly shift: number
  readonly shapes: number
  /** What the surprise averages. */
  readonly strangeness: number
}

/**
 * The daily shape in phase slots, with surprise, point and incident evidence, in `tiny` or `compact` memory.
 * A window belongs to the phase of its start. A NaN or uncovered window gives no opinion and teaches nothing.
 */
export class SlotDetector implements Detector {
  readonly id: string
  readonly width = 0
  readonly warmUpWindows: number
  readonly #context: DetectorContext
  readonly #profile: SlotProfile
  readonly #rates: SlotRates
  readonly #store: ColumnStore<SlotColumns>
  /** What `score` worked out, for `learn` of the same batch. */
  #scratch = new Float64Array(0)

  /** SCRATCH_WIDTH places a row of the batch scored last; see AT. For detectors built on this one. */
  get scratch(): Float64Array {
    return this.#scratch
  }

  /** What the opinion of a row of the batch scored last was made of: for ablations. */
  partsOf(row: number): EvidenceParts {
    const w = this.#scratch
    const o = row * SCRATCH_WIDTH
    return {
      rawPoint: w[o + AT.rawPoint],
      shift: w[o + AT.shiftRatio],
      shapes: w[o + AT.shapeRatio],
      strangeness: w[o + AT.excessRatio],
    }
  }

  constructor(context: DetectorContext, profile: SlotProfile) {
    this.id = profile.id
    this.#context = context
    this.#profile = profile
    this.#rates = slotRates(profile, context.stepMs)
    this.#store = new ColumnStore(slotColumns(profile))
    this.warmUpWindows = this.#rates.day
  }

  async score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.scoreNow(batch, out)
  }

  /** `score` without the promise, for callers that own the thread. */
  scoreNow(batch: FeatureBatch, out: ScoreBatch): void {
    if (this.#scratch.length < batch.length * SCRATCH_WIDTH)
      this.#scratch = new Float64Array(batch.capacity * SCRATCH_WIDTH)
    const w = this.#scratch
    out.length = batch.length
    for (let row = 0; row < batch.length; row++) {
      const o = row * SCRATCH_WIDTH
      this.#work(batch, row)
      out.score[row] = w[o + AT.surprise]
      out.point[row] = w[o + AT.point]
      out.incident[row] = w[o + AT.incident]
      const known = !Number.isNaN(w[o + AT.surprise])
      out.expected[row] = known ? w[o + AT.expected] : NaN
      out.lower[row] = known ? w[o + AT.expected] - w[o + AT.band] : NaN
      out.upper[row] = known ? w[o + AT.expected] + w[o + AT.band] : NaN
    }
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    if (this.#scratch.length < batch.length * SCRATCH_WIDTH)
      this.#scratch = new Float64Array(batch.capacity * SCRATCH_WIDTH)
    const w = this.#scratch
    const { stepMs, series } = this.#context
    for (let row = 0; row < batch.length; row++) {
      const observed = batch.observed[row]
      if (Number.isNaN(observed)) continue
      const index = batch.series[row]
      if (index >= this.#store.rows) this.#store.ensure(Math.max(index + 1, series.capacity))
      const chunk = this.#store.chunks[index >> CHUNK_SHIFT] as SlotChunk
      const i = index & CHUNK_MASK
      const startMs = batch.windowEndMs[row] - stepMs
      const window = Math.floor(startMs / stepMs)
      const x = clampValue(observed)
      if (chunk.n[i] === 0) startRow(chunk, i, this.#profile, x, window)
      const o = row * SCRATCH_WIDTH
      const isWorkedOut =
        w[o + AT.series] === index &&
        w[o + AT.windowEnd] === batch.windowEndMs[row] &&
        w[o + AT.observed] === observed
      if (!isWorkedOut || chunk.n[i] === 0) this.#work(batch, row)
      // What was worked out holds only for the state it was worked out from.
      w[o + AT.series] = -1
      const phase = phaseOf(startMs, stepMs, this.#rates.day)
      learnRow(chunk, i, this.#profile, this.#rates, x, window, phase, weight[row], w, o)
    }
  }

  /** Windows from the first learned one to this; NaN when there is none. For detectors built on this one. */
  ageOf(series: number, window: number): number {
    const chunk = this.#store.chunks[series >> CHUNK_SHIFT] as SlotChunk | undefined
    const i = series & CHUNK_MASK
    return chunk && chunk.n[i] > 0 ? Math.max(window - chunk.firstWindow[i], chunk.lastAge[i]) : NaN
  }

  /** Works one row out into the scratch; NaN opinion for a gap or a series not seen before. */
  #work(batch: FeatureBatch, row: number): void {
    const w = this.#scratch
    const o = row * SCRATCH_WIDTH
    w[o + AT.surprise] = NaN
    w[o + AT.point] = NaN
    w[o + AT.incident] = NaN
    const observed = batch.observed[row]
    const index = batch.series[row]
    w[o + AT.series] = index
    w[o + AT.windowEnd] = batch.windowEndMs[row]
    w[o + AT.observed] = observed
    const chunk = this.#store.chunks[index >> CHUNK_SHIFT] as SlotChunk | undefined
    const i = index & CHUNK_MASK
    // A started row (learn is about to take its first value) has levels filled but n = 0.
    if (Number.isNaN(observed) || !chunk || (chunk.n[i] === 0 && chunk.firstWindow[i] === 0)) return
    const stepMs = this.#context.stepMs
    const startMs = batch.windowEndMs[row] - stepMs
    const window = Math.floor(startMs / stepMs)
    const phase = phaseOf(startMs, stepMs, this.#rates.day)
    scoreRow(chunk, i, this.#profile, this.#rates, clampValue(observed), window, phase, w, o)
  }

  forget(series: number): void {
    this.#store.clear(series)
  }

  snapshot(): Snapshot {
    return this.#store.snapshot(this.id, VERSION, this.#context.series)
  }

  restore(from: Snapshot): void {
    this.#store.restore(from, this.id, VERSION, this.#context.series)
  }

  bytes(): number {
    return this.#store.bytes()
  }

  async close(): Promise<void> {}
}

function clampValue(x: number): number {
  return Math.max(-VALUE_MAX, Math.min(VALUE_MAX, x))
}

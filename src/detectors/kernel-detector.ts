import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { Chunk, ColumnSpec } from '../core/columns.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { hashText } from '../math/hash.ts'
import { LazyRows, type RowHome } from './lazy-rows.ts'
import {
  LOUD,
  LOUD_AT,
  LOUDNESS_COLUMNS,
  type LoudnessRates,
  learnLoudness,
  loudness,
  loudnessRates,
} from './loudness.ts'
import { DONE } from './runs.ts'

/** One series at a time: what a costly detector is apart from keeping state and making outputs of its strangeness. */
export interface Kernel<S extends ColumnSpec> {
  readonly id: string
  readonly version: number
  /** Values of a series before its strangeness means anything. */
  readonly warmUp: number
  readonly columns: S
  /** Strangeness below which differences mean nothing, added to its usual size. */
  readonly floor: number
  /** The strangeness is −log10 of a tail probability already: all three outputs are it. */
  readonly isSurprise?: boolean
  /** Makes a detector the place where its columns lie, when not in arrays of their own. */
  home?(): RowHome
  /** A snapshot of an earlier version as one of this; any other as it is. */
  upgraded?(from: Snapshot): Snapshot
  /** Before the first value is learned; `seed` derives from the series key. */
  start(state: Chunk<S>, seed: number, x: number): void
  /** ≥ 0, higher is stranger; changes nothing. */
  strangeness(state: Chunk<S>, x: number): number
  /** `windows`: how many were learned before. */
  learn(state: Chunk<S>, x: number, weight: number, windows: number): void
}

/** State of one series. */
export function stateBytes(kernel: Kernel<ColumnSpec>): number {
  return new LazyRows({ ...kernel.columns, ...LOUDNESS_COLUMNS }).rowBytes
}

/** Larger magnitudes are held here, so that float32 state and sums of squares stay finite. */
const VALUE_MAX = 1e18
/** Places of a row in the scratch: what was scored, for `learn` of the same batch. */
const MARK = { series: 0, windowEnd: 1, observed: 2, strangeness: 3 } as const
const MARK_WIDTH = 4
const SEED = 0x5eed

/**
 * A kernel as a detector: state per series made when it is first learned, three outputs, snapshots. A NaN or uncovered
 * window gives no opinion and teaches nothing; windows around a gap count as neighbours.
 */
export class KernelDetector<S extends ColumnSpec> implements Detector {
  readonly id: string
  readonly width = 0
  readonly warmUpWindows: number
  readonly voices: readonly DetectorVoice[]
  readonly #context: DetectorContext
  readonly #kernel: Kernel<S>
  readonly #rates: LoudnessRates
  readonly #rows: LazyRows<S & typeof LOUDNESS_COLUMNS>
  readonly #hash = new Int32Array(2)
  #scratch = new Float64Array(0)

  constructor(context: DetectorContext, kernel: Kernel<S>) {
    this.id = kernel.id
    this.warmUpWindows = kernel.warmUp
    this.voices = kernel.isSurprise
      ? [{ column: 'score', feeds: ['surprise', 'point', 'incident'], calibrated: true }]
      : [
          { column: 'point', feeds: ['surprise', 'point'] },
          { column: 'incident', feeds: ['surprise', 'incident'] },
        ]
    this.#context = context
    this.#kernel = kernel
    this.#rates = loudnessRates(context.stepMs)
    this.#rows = new LazyRows({ ...kernel.columns, ...LOUDNESS_COLUMNS }, kernel.home?.())
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.scoreNow(batch, out)
    return DONE
  }

  /** `score` without the promise, for callers that own the thread. */
  scoreNow(batch: FeatureBatch, out: ScoreBatch): void {
    this.#reserve(batch)
    out.length = batch.length
    for (let row = 0; row < batch.length; row++) {
      const strangeness = this.#strangeness(batch, row)
      const isKnown = !Number.isNaN(strangeness)
      const state = this.#rows.at(batch.series[row])
      if (isKnown && state) loudness(state as never, strangeness, this.#kernel.floor)
      const isSurprise = this.#kernel.isSurprise === true
      out.score[row] = isSurprise || !isKnown ? strangeness : LOUD[LOUD_AT.surprise]
      out.point[row] = isSurprise || !isKnown ? strangeness : LOUD[LOUD_AT.point]
      out.incident[row] = isSurprise || !isKnown ? strangeness : LOUD[LOUD_AT.incident]
      out.expected[row] = isKnown ? LOUD[LOUD_AT.expected] : Number.NaN
      out.lower[row] = isKnown ? LOUD[LOUD_AT.expected] - LOUD[LOUD_AT.band] : Number.NaN
      out.upper[row] = isKnown ? LOUD[LOUD_AT.expected] + LOUD[LOUD_AT.band] : Number.NaN
    }
  }

  /** Of one row, into the scratch; NaN for a gap and before the warm-up is over. */
  #strangeness(batch: FeatureBatch, row: number): number {
    const observed = batch.observed[row]
    const index = batch.series[row]
    const state = this.#rows.at(index)
    let strangeness = Number.NaN
    if (!Number.isNaN(observed) && state && state.n[0] >= this.#kernel.warmUp)
      strangeness = this.#kernel.strangeness(state as Chunk<S>, clampValue(observed))
    const at = row * MARK_WIDTH
    this.#scratch[at + MARK.series] = index
    this.#scratch[at + MARK.windowEnd] = batch.windowEndMs[row]
    this.#scratch[at + MARK.observed] = observed
    this.#scratch[at + MARK.strangeness] = strangeness
    return strangeness
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    this.#reserve(batch)
    const w = this.#scratch
    const { stepMs, series } = this.#context
    for (let row = 0; row < batch.length; row++) {
      const observed = batch.observed[row]
      if (Number.isNaN(observed)) continue
      const index = batch.series[row]
      const at = row * MARK_WIDTH
      const isScored =
        w[at + MARK.series] === index &&
        w[at + MARK.windowEnd] === batch.windowEndMs[row] &&
        w[at + MARK.observed] === observed
      const strangeness = isScored ? w[at + MARK.strangeness] : this.#strangeness(batch, row)
      // What was worked out holds only for the state it was worked out from.
      w[at + MARK.series] = -1
      const x = clampValue(observed)
      const state = this.#rows.ensure(index)
      if (state.n[0] === 0) {
        hashText(series.meta(index).key, SEED, this.#hash)
        this.#kernel.start(state as Chunk<S>, this.#hash[0] >>> 0, x)
      }
      this.#kernel.learn(state as Chunk<S>, x, weight[row], state.n[0])
      const window = Math.floor((batch.windowEndMs[row] - stepMs) / stepMs)
      learnLoudness(state as never, this.#rates, x, window, strangeness, this.#kernel.floor, weight[row])
    }
  }

  #reserve(batch: FeatureBatch): void {
    if (this.#scratch.length < batch.length * MARK_WIDTH)
      this.#scratch = new Float64Array(batch.capacity * MARK_WIDTH).fill(-1)
  }

  forget(series: number): void {
    this.#scratch.fill(-1)
    this.#rows.forget(series)
  }

  snapshot(): Snapshot {
    return this.#rows.snapshot(this.id, this.#kernel.version, this.#context.series)
  }

  restore(from: Snapshot): void {
    this.#scratch.fill(-1)
    const known = this.#kernel.upgraded?.(from) ?? from
    this.#rows.restore(known, this.id, this.#kernel.version, this.#context.series)
  }

  /** Bytes of one series. */
  get rowBytes(): number {
    return this.#rows.rowBytes
  }

  bytes(): number {
    return this.#rows.bytes() + this.#scratch.byteLength
  }

  async close(): Promise<void> {}
}

function clampValue(x: number): number {
  return x > VALUE_MAX ? VALUE_MAX : x < -VALUE_MAX ? -VALUE_MAX : x
}

import { ColumnStore } from '../core/columns.ts'
import { TINY_BLOCK, TINY_ROWS, TINY_SHIFT, TinySegment } from '../kernels/tiny.ts'
import { LOG_TABLE } from '../math/fast-log.ts'
import { AT, learnRow, SCRATCH_WIDTH, scoreRow, startRow } from './slot-kernel.ts'
import { ENVELOPES } from './slot-levels.ts'
import {
  PLAIN_PROFILE,
  type SlotChunk,
  type SlotProfile,
  type SlotRates,
  slotColumns,
} from './slot-profile.ts'
import { DECODED } from './slot-shapes.ts'

/** Windows before a young series' scale means anything; the kernel has the same number. */
export const YOUNG_WINDOWS = 20
/** Larger magnitudes are held here, as slot-detector.ts does. */
const VALUE_MAX = 1e24

/** `tiny@1` of TINY_ROWS series, a block of a batch at a time: in WebAssembly, or plainly where that is not to be had. */
export interface PlainSegment {
  readonly columns: SlotChunk
  readonly batch: TinySegment['batch']
  score(length: number, from: number, window: number, phase: number): void
  /** Returns how many rows are new. */
  learn(length: number, from: number, isScored: boolean, window: number, phase: number): number
}

/** The kernel where this machine has what it needs, else its twin. */
export function plainSegment(rates: SlotRates): PlainSegment {
  try {
    return new TinySegment(rates, { log: LOG_TABLE, envelopes: ENVELOPES, decoded: DECODED })
  } catch {
    return new TwinSegment(rates)
  }
}

/** The same without WebAssembly. What `score` works out is worked out again by `learn`. */
export class TwinSegment implements PlainSegment {
  readonly columns: SlotChunk
  readonly batch: PlainSegment['batch']
  readonly #rates: SlotRates
  readonly #profile: SlotProfile
  readonly #scratch = new Float64Array(SCRATCH_WIDTH)

  /** `profile`: another of the same layout. */
  constructor(rates: SlotRates, profile = PLAIN_PROFILE) {
    this.#profile = profile
    const store = new ColumnStore(slotColumns(profile), TINY_SHIFT)
    store.ensure(TINY_ROWS)
    this.columns = store.chunks[0] as SlotChunk
    this.#rates = rates
    const f32 = () => new Float32Array(TINY_BLOCK)
    const f64 = () => new Float64Array(TINY_BLOCK)
    this.batch = {
      row: new Uint32Array(TINY_BLOCK),
      value: f64(),
      weight: f32(),
      point: f32(),
      incident: f32(),
      young: f32(),
      expected: f64(),
      lower: f64(),
      upper: f64(),
    }
  }

  score(length: number, _from: number, window: number, phase: number): void {
    const { row, value, point, incident, young, expected, lower, upper } = this.batch
    const w = this.#scratch
    for (let i = 0; i < length; i++) {
      const at = row[i] & (TINY_ROWS - 1)
      const n = this.columns.n[at]
      w[AT.point] = w[AT.incident] = NaN
      const isKnown = n > 0 && !Number.isNaN(value[i])
      if (isKnown) this.#work(at, value[i], window, phase)
      point[i] = w[AT.point]
      incident[i] = w[AT.incident]
      const isYoung = isKnown && Number.isNaN(point[i]) && n >= YOUNG_WINDOWS
      // The window counts towards its own scale: nothing is more than n + 1 times as far as n others that were alike.
      young[i] = isYoung ? (w[AT.corrected] * (n + 1)) / (w[AT.corrected] + (n + 1)) : NaN
      const speaks = isYoung || !Number.isNaN(point[i])
      expected[i] = speaks ? w[AT.expected] : NaN
      lower[i] = speaks ? w[AT.expected] - w[AT.band] : NaN
      upper[i] = speaks ? w[AT.expected] + w[AT.band] : NaN
    }
  }

  learn(length: number, _from: number, _isScored: boolean, window: number, phase: number): number {
    const { row, value, weight } = this.batch
    const w = this.#scratch
    let started = 0
    for (let i = 0; i < length; i++) {
      if (Number.isNaN(value[i])) continue
      const at = row[i] & (TINY_ROWS - 1)
      if (this.columns.n[at] === 0) {
        startRow(this.columns, at, this.#profile, clampValue(value[i]), window)
        started++
      }
      this.#work(at, value[i], window, phase)
      w[AT.weight] = weight[i]
      learnRow(this.columns, at, this.#profile, this.#rates, window, phase, w, 0)
    }
    return started
  }

  #work(at: number, value: number, window: number, phase: number): void {
    this.#scratch[AT.value] = clampValue(value)
    scoreRow(this.columns, at, this.#profile, this.#rates, window, phase, this.#scratch, 0)
  }
}

function clampValue(x: number): number {
  return Math.max(-VALUE_MAX, Math.min(VALUE_MAX, x))
}

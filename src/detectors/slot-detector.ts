import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_SHIFT, ColumnStore, type RowTable } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Detector } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { ScoredRows } from './scored-rows.ts'
import { AT, learnRow, SCRATCH_WIDTH, scoreRow, startRow } from './slot-kernel.ts'
import {
  phaseOf,
  type SlotChunk,
  type SlotColumns,
  type SlotProfile,
  type SlotRates,
  slotColumns,
  slotRates,
} from './slot-profile.ts'

const SLOTS_VERSION = 2
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

/** Where rows lie, and the window step, ms. */
export interface SlotContext {
  readonly series: RowTable
  readonly stepMs: number
}

/**
 * The daily shape in phase slots, with surprise, point and incident evidence, in `tiny` or `compact` memory.
 * A window belongs to the phase of its start. A NaN or uncovered window gives no opinion and teaches nothing.
 */
export class SlotDetector implements Detector {
  readonly id: string
  readonly version = SLOTS_VERSION
  readonly width = 0
  readonly warmUpWindows: number
  readonly #context: SlotContext
  readonly #profile: SlotProfile
  readonly #rates: SlotRates
  readonly #store: ColumnStore<SlotColumns>
  /** What `score` worked out, for `learn` of the same rows: SCRATCH_WIDTH numbers a row. */
  readonly #scored = new ScoredRows(SCRATCH_WIDTH, length => new Float64Array(length))
  #offset = 0
  /** The window that is being worked at: its end, its number since 1970 and its place in the day. */
  #windowEndMs = Number.NaN
  #window = 0
  #phase = 0

  /** SCRATCH_WIDTH places a row; see AT. For detectors built on this one. */
  get scratch(): Float64Array {
    return this.#scored.values
  }

  /** Where in the scratch the batch scored or learned last begins. */
  get scratchAt(): number {
    return this.#offset * SCRATCH_WIDTH
  }

  /** What the opinion of a row of the batch scored last was made of: for ablations. */
  partsOf(row: number): EvidenceParts {
    const w = this.scratch
    const o = this.scratchAt + row * SCRATCH_WIDTH
    return {
      rawPoint: w[o + AT.rawPoint],
      shift: w[o + AT.shiftRatio],
      shapes: w[o + AT.shapeRatio],
      strangeness: w[o + AT.excessRatio],
    }
  }

  /** The daily shape and its slack for the rows of the batch scored last, put where `places` says; see AT. */
  dayShape(places: Uint32Array, length: number, level: Float64Array, slack: Float64Array): void {
    const w = this.scratch
    for (let row = 0, o = this.scratchAt; row < length; row++, o += SCRATCH_WIDTH) {
      level[places[row]] = w[o + AT.dayLevel]
      slack[places[row]] = w[o + AT.slack]
    }
  }

  /** `shift`: state grows by 2^shift rows at a time. */
  constructor(context: SlotContext, profile: SlotProfile, shift = CHUNK_SHIFT) {
    this.id = profile.id
    this.#context = context
    this.#profile = profile
    this.#rates = slotRates(profile, context.stepMs)
    this.#store = new ColumnStore(slotColumns(profile), shift)
    this.warmUpWindows = this.#rates.day
  }

  async score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.scoreNow(batch, out)
  }

  /** `score` without the promise. `rows`: where the state of each row of the batch lies, by default its series. */
  scoreNow(batch: FeatureBatch, out: ScoreBatch, rows: Uint32Array = batch.series): void {
    this.#offset = this.#scored.begin(batch)
    const w = this.scratch
    out.length = batch.length
    for (let row = 0, o = this.scratchAt; row < batch.length; row++, o += SCRATCH_WIDTH) {
      this.#work(batch, row, rows[row], o)
      out.score[row] = w[o + AT.surprise]
      out.point[row] = w[o + AT.point]
      out.incident[row] = w[o + AT.incident]
      const known = !Number.isNaN(w[o + AT.surprise])
      out.expected[row] = known ? w[o + AT.expected] : NaN
      out.lower[row] = known ? w[o + AT.expected] - w[o + AT.band] : NaN
      out.upper[row] = known ? w[o + AT.expected] + w[o + AT.band] : NaN
    }
  }

  learn(batch: FeatureBatch, weight: Float32Array, rows: Uint32Array = batch.series): void {
    let offset = this.#scored.take(batch)
    const isScored = offset >= 0
    if (!isScored) offset = this.#scored.begin(batch)
    this.#offset = offset
    const w = this.scratch
    const { series } = this.#context
    for (let row = 0, o = offset * SCRATCH_WIDTH; row < batch.length; row++, o += SCRATCH_WIDTH) {
      const observed = batch.observed[row]
      if (Number.isNaN(observed)) continue
      const index = rows[row]
      if (index >= this.#store.rows) this.#store.ensure(Math.max(index + 1, series.capacity))
      const chunk = this.#store.writable(index >> this.#store.shift) as SlotChunk
      const i = index & this.#store.mask
      if (batch.windowEndMs[row] !== this.#windowEndMs) this.#enter(batch.windowEndMs[row])
      if (chunk.n[i] === 0) startRow(chunk, i, this.#profile, heldValue(observed), this.#window)
      const isWorkedOut =
        isScored &&
        w[o + AT.series] === index &&
        w[o + AT.windowEnd] === batch.windowEndMs[row] &&
        w[o + AT.observed] === observed
      if (!isWorkedOut || chunk.n[i] === 0) this.#work(batch, row, index, o)
      // What was worked out holds only for the state it was worked out from.
      w[o + AT.series] = -1
      w[o + AT.value] = Math.max(-VALUE_MAX, Math.min(VALUE_MAX, observed))
      w[o + AT.weight] = weight[row]
      learnRow(chunk, i, this.#profile, this.#rates, this.#window, this.#phase, w, o)
    }
    if (!isScored) this.#scored.clear()
  }

  /** The chunk of columns that a row of state lies in, made when it is not there, and its place in it. */
  rowAt(row: number): { readonly chunk: SlotChunk; readonly at: number } {
    this.#store.ensure(row + 1)
    return { chunk: this.#store.writable(row >> this.#store.shift) as SlotChunk, at: row & this.#store.mask }
  }

  /** The state of one row takes the place of another's. */
  move(from: number, to: number): void {
    this.#scored.clear()
    this.#store.copy(from, to)
    this.#store.clear(from)
  }

  /** Lets go of memory that no row below `rows` needs. */
  shrink(rows: number): void {
    this.#scored.clear()
    this.#store.shrink(rows)
  }

  /** Bytes of one row of state, and rows there is room for. */
  get rowBytes(): number {
    return this.#store.rowBytes
  }

  get rows(): number {
    return this.#store.rows
  }

  /** Windows from the first learned one to this; NaN when there is none. For detectors built on this one. */
  ageOf(series: number, window: number): number {
    const chunk = this.#store.chunks[series >> this.#store.shift] as SlotChunk | undefined
    const i = series & this.#store.mask
    return chunk && chunk.n[i] > 0 ? Math.max(window - chunk.firstWindow[i], chunk.lastAge[i]) : NaN
  }

  /** Works one row out into the scratch; NaN opinion for a gap or a series not seen before. */
  #work(batch: FeatureBatch, row: number, index: number, o: number): void {
    const w = this.scratch
    w[o + AT.surprise] = NaN
    w[o + AT.point] = NaN
    w[o + AT.incident] = NaN
    w[o + AT.dayLevel] = NaN
    const observed = batch.observed[row]
    w[o + AT.series] = index
    w[o + AT.windowEnd] = batch.windowEndMs[row]
    w[o + AT.observed] = observed
    const chunk = this.#store.chunks[index >> this.#store.shift] as SlotChunk | undefined
    const i = index & this.#store.mask
    // A started row (learn is about to take its first value) has levels filled but n = 0.
    if (Number.isNaN(observed) || !chunk || (chunk.n[i] === 0 && chunk.firstWindow[i] === 0)) return
    if (batch.windowEndMs[row] !== this.#windowEndMs) this.#enter(batch.windowEndMs[row])
    w[o + AT.value] = Math.max(-VALUE_MAX, Math.min(VALUE_MAX, observed))
    scoreRow(chunk, i, this.#profile, this.#rates, this.#window, this.#phase, w, o)
  }

  /** Number and phase of a window are the same for all of its rows. */
  #enter(windowEndMs: number): void {
    const { stepMs } = this.#context
    const startMs = windowEndMs - stepMs
    this.#windowEndMs = windowEndMs
    this.#window = Math.floor(startMs / stepMs)
    this.#phase = phaseOf(startMs, stepMs, this.#rates.day)
  }

  forget(series: number): void {
    this.#scored.clear()
    this.#store.clear(series)
  }

  snapshot(): Snapshot {
    return this.#store.snapshot(this.id, SLOTS_VERSION, this.#context.series)
  }

  cut(cut: Cut): CutSnapshot {
    return this.#store.cut(cut, this.id, SLOTS_VERSION, this.#context.series)
  }

  restore(from: Snapshot): void {
    this.#scored.clear()
    this.#store.restore(from, this.id, SLOTS_VERSION, this.#context.series)
  }

  bytes(): number {
    return this.#store.bytes()
  }

  async close(): Promise<void> {}
}

function heldValue(x: number): number {
  return Math.max(-VALUE_MAX, Math.min(VALUE_MAX, x))
}

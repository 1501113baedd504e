import { type FeatureBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import { CHUNK_SHIFT, ColumnStore, rowsIn, rowsOf } from '../core/columns.ts'
import { type Cut, CutColumn, type CutSnapshot, type Stretch } from '../core/cut.ts'
import type { Detector } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import {
  adoptSlots,
  closeFullDay,
  FULL,
  FULL_COLUMNS,
  FULL_WIDTH,
  type FullChunk,
  learnFull,
  scoreFull,
  speakAlone,
} from './full-kernel.ts'
import { newRing, type Ring, type RingPlan, readRing, ringPlan, writeRing } from './full-rings.ts'
import { type EvidenceParts, type SlotContext, SlotDetector } from './slot-detector.ts'
import { AT, SCRATCH_WIDTH } from './slot-kernel.ts'
import { COMPACT_PROFILE, type SlotChunk, type SlotProfile, slotRates } from './slot-profile.ts'

const ID = 'full@1'
const VERSION = 2
const VALUE_MAX = 1e24

/** Its rings cost more than looking at every window does. */
export const FULL_SLOTS: SlotProfile = { ...COMPACT_PROFILE, quietStride: 1 }

/**
 * The `compact` phase slots and, beside them, fifteen days of the series itself; both views together. About 180 kB a
 * one-minute series, allocated when the series is first learned.
 */
export class FullDetector implements Detector {
  readonly id = ID
  readonly version = VERSION
  readonly width = 0
  readonly warmUpWindows: number
  readonly #context: SlotContext
  readonly #slots: SlotDetector
  readonly #rates: ReturnType<typeof slotRates>
  readonly #plan: RingPlan
  readonly #store: ColumnStore<typeof FULL_COLUMNS>
  readonly #rings: (Ring | undefined)[] = []
  /** Window number last put into each ring. */
  readonly #last: number[] = []
  /** What a cut holds of each ring. */
  #ringCut: Map<Ring, Stretch> | undefined
  #scratch = new Float64Array(0)
  #own: ScoreBatch | undefined

  /** `shift`: state grows by 2^shift rows at a time; rings come one by one. */
  constructor(context: SlotContext, shift = CHUNK_SHIFT) {
    this.#context = context
    this.#slots = new SlotDetector(context, FULL_SLOTS, shift)
    this.#store = new ColumnStore(FULL_COLUMNS, shift)
    this.#rates = slotRates(COMPACT_PROFILE, context.stepMs)
    this.#plan = ringPlan(this.#rates.day, context.stepMs)
    this.warmUpWindows = this.#slots.warmUpWindows
  }

  /** FULL_WIDTH places a row of the batch scored or learned last; see FULL. For detectors built on this one. */
  get scratch(): Float64Array {
    return this.#scratch
  }

  /** The phase slots that work beside the rings. */
  get slots(): SlotDetector {
    return this.#slots
  }

  /** What the opinion of a row of the batch scored last was made of: for ablations. */
  partsOf(row: number): EvidenceParts {
    const w = this.#scratch
    const o = row * FULL_WIDTH
    const { shapes } = this.#slots.partsOf(row)
    return {
      rawPoint: w[o + FULL.rawPoint],
      shift: w[o + FULL.incident] - shapes,
      shapes,
      strangeness: w[o + FULL.strangeness],
    }
  }

  /** As the phase slots have it. */
  dayShape(places: Uint32Array, length: number, level: Float64Array, slack: Float64Array): void {
    this.#slots.dayShape(places, length, level, slack)
  }

  async score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.scoreNow(batch, out)
  }

  /** `score` without the promise. `rows`: where the state of each row of the batch lies, by default its series. */
  scoreNow(batch: FeatureBatch, out: ScoreBatch, rows: Uint32Array = batch.series): void {
    this.#slots.scoreNow(batch, out, rows)
    this.#reserve(batch)
    const w = this.#scratch
    for (let row = 0; row < batch.length; row++) {
      const o = row * FULL_WIDTH
      this.#work(batch, row, rows[row])
      out.score[row] = w[o + FULL.surprise]
      out.point[row] = w[o + FULL.point]
      out.incident[row] = w[o + FULL.incident]
      if (Number.isNaN(w[o + FULL.surprise])) continue
      // The band keeps the width the phase slots gave it, around what the same hours of past days say.
      const half = (out.upper[row] - out.lower[row]) / 2
      out.expected[row] = w[o + FULL.expected]
      out.lower[row] = w[o + FULL.expected] - half
      out.upper[row] = w[o + FULL.expected] + half
    }
  }

  learn(batch: FeatureBatch, weight: Float32Array, rows: Uint32Array = batch.series): void {
    if (!this.#isScored(batch, rows)) {
      if (!this.#own || this.#own.capacity < batch.length) this.#own = scoreBatch(batch.capacity)
      this.scoreNow(batch, this.#own, rows)
    }
    const { stepMs, series } = this.#context
    const s = this.#slots.scratch
    for (let row = 0; row < batch.length; row++) {
      const observed = batch.observed[row]
      if (Number.isNaN(observed)) continue
      const index = rows[row]
      if (index >= this.#store.rows) this.#store.ensure(Math.max(index + 1, series.capacity))
      const chunk = this.#store.writable(index >> this.#store.shift) as FullChunk
      const i = index & this.#store.mask
      const window = windowOf(batch, row, stepMs)
      const so = this.#slots.scratchAt + row * SCRATCH_WIDTH
      const isFirst = Number.isNaN(this.#slots.ageOf(index, window))
      this.#rings[index] ??= newRing(this.#plan)
      const ring = this.#rings[index]
      this.#ringCut?.get(ring)?.touch()
      const last = this.#last[index] ?? NaN
      if (isFirst) s[so + AT.offLevel] = 0
      s[so + AT.value] = Math.max(-VALUE_MAX, Math.min(VALUE_MAX, observed))
      s[so + AT.weight] = weight[row]
      // A window behind the ring's last (a clock set back) is put where it belongs and moves nothing.
      writeRing(ring, this.#plan, window, last, s, so + AT.value, so + AT.offLevel)
      this.#last[index] = Number.isNaN(last) ? window : Math.max(window, last)
      if (isFirst) chunk.n[i] = 1
      else {
        // Days are counted from the first window, as the phase slots count them.
        const age = this.#slots.ageOf(index, window)
        // Just promoted, its ring has no last window, but its phase slots have.
        const lastAge = this.#slots.ageOf(index, Number.isNaN(last) ? -Infinity : last)
        const lastDay = Math.floor(lastAge / this.#rates.day)
        if (Math.floor(age / this.#rates.day) > lastDay) closeFullDay(chunk, i, lastDay)
        learnFull(chunk, i, this.#rates, s, so, this.#scratch, row * FULL_WIDTH)
      }
    }
    this.#slots.learn(batch, weight, rows)
  }

  /** Whether the phase slots hold what they worked out of this very batch from the state they have now. */
  #isScored(batch: FeatureBatch, rows: Uint32Array): boolean {
    const s = this.#slots.scratch
    if (
      s.length < this.#slots.scratchAt + batch.length * SCRATCH_WIDTH ||
      this.#scratch.length < batch.length * FULL_WIDTH
    )
      return false
    for (let row = 0; row < batch.length; row++) {
      const so = this.#slots.scratchAt + row * SCRATCH_WIDTH
      if (
        s[so + AT.series] !== rows[row] ||
        s[so + AT.windowEnd] !== batch.windowEndMs[row] ||
        !Object.is(s[so + AT.observed], batch.observed[row])
      )
        return false
    }
    return true
  }

  #reserve(batch: FeatureBatch): void {
    if (this.#scratch.length < batch.length * FULL_WIDTH)
      this.#scratch = new Float64Array(batch.capacity * FULL_WIDTH)
  }

  #work(batch: FeatureBatch, row: number, index: number): void {
    const w = this.#scratch
    const o = row * FULL_WIDTH
    w[o + FULL.surprise] = NaN
    w[o + FULL.point] = NaN
    w[o + FULL.incident] = NaN
    const observed = batch.observed[row]
    const ring = this.#rings[index]
    const chunk = this.#store.chunks[index >> this.#store.shift] as FullChunk | undefined
    if (Number.isNaN(observed) || !ring || !chunk) return
    const window = windowOf(batch, row, this.#context.stepMs)
    const s = this.#slots.scratch
    const so = this.#slots.scratchAt + row * SCRATCH_WIDTH
    readRing(ring, this.#plan, window, s, so + AT.offLevel, this.#last[index])
    const i = index & this.#store.mask
    s[so + AT.value] = Math.max(-VALUE_MAX, Math.min(VALUE_MAX, observed))
    scoreFull(chunk, i, s, so, w, o)
    // On the first day of the rings the phase slots, which were there before, speak alone.
    if (window < chunk.youngUntil[i]) speakAlone(s, so, w, o)
  }

  /**
   * A row begins with what phase slots (in the layout of FULL_SLOTS) already know; its rings begin to fill with the
   * next window and speak a day later.
   */
  adopt(row: number, take: (chunk: SlotChunk, at: number) => void): void {
    this.forget(row)
    const slots = this.#slots.rowAt(row)
    take(slots.chunk, slots.at)
    this.#store.ensure(row + 1)
    const chunk = this.#store.writable(row >> this.#store.shift) as FullChunk
    const lastWindow = slots.chunk.firstWindow[slots.at] + slots.chunk.lastAge[slots.at]
    adoptSlots(chunk, row & this.#store.mask, slots.chunk, slots.at, lastWindow + 1 + this.#rates.day)
    this.#rings[row] = newRing(this.#plan)
    this.#last[row] = NaN
  }

  /** The phase slots of a row, in the layout of FULL_SLOTS. */
  rowAt(row: number): { readonly chunk: SlotChunk; readonly at: number } {
    return this.#slots.rowAt(row)
  }

  ageOf(row: number, window: number): number {
    return this.#slots.ageOf(row, window)
  }

  /** The state of one row takes the place of another's. */
  move(from: number, to: number): void {
    this.#slots.move(from, to)
    this.#store.copy(from, to)
    this.#rings[to] = this.#rings[from]
    this.#last[to] = this.#last[from]
    this.forget(from)
  }

  /** Lets go of memory that no row below `rows` needs. */
  shrink(rows: number): void {
    this.#slots.shrink(rows)
    this.#store.shrink(rows)
    this.#rings.length = Math.min(this.#rings.length, rows)
    this.#last.length = Math.min(this.#last.length, rows)
  }

  /** Bytes of one row of state with its rings, of which `ringBytes` are not in columns; and rows of columns held. */
  get rowBytes(): number {
    return this.#slots.rowBytes + this.#store.rowBytes + this.ringBytes
  }

  get ringBytes(): number {
    return 2 * this.#plan.length * Float32Array.BYTES_PER_ELEMENT
  }

  get rows(): number {
    return this.#store.rows
  }

  forget(series: number): void {
    this.#slots.forget(series)
    this.#store.clear(series)
    this.#rings[series] = undefined
    this.#last[series] = NaN
  }

  snapshot(): Snapshot {
    const table = this.#context.series
    const base = this.#store.snapshot(ID, VERSION, table)
    const slots = this.#slots.snapshot()
    const width = 2 * this.#plan.length
    const rows = base.keys.length
    const rings = new Float32Array(rows * width).fill(NaN)
    const last = new Float64Array(rows).fill(NaN)
    for (let row = 0; row < rows; row++) {
      const ring = this.#rings[row]
      if (!ring) continue
      rings.set(ring, row * width)
      last[row] = this.#last[row]
    }
    const columns: Record<string, ColumnData> = { ...base.columns, rings, last }
    for (const [name, column] of Object.entries(slots.columns)) columns[SLOT_PREFIX + name] = column
    return { ...base, columns }
  }

  /** Rings move from row to row, so what a cut still needs of one is found by the ring itself. */
  cut(cut: Cut): CutSnapshot {
    const base = this.#store.cut(cut, ID, VERSION, this.#context.series)
    const slots = this.#slots.cut(cut)
    const width = 2 * this.#plan.length
    const rows = this.#context.series.capacity
    const rings = new CutColumn(Float32Array, rows * width)
    const last = new Float64Array(rows).fill(NaN)
    for (const stretch of this.#ringCut?.values() ?? []) stretch.touch()
    this.#ringCut = new Map()
    for (let row = 0; row < rows; row++) {
      const ring = this.#rings[row]
      if (!ring) continue
      const pieces = [{ column: rings, at: row * width, values: ring }]
      const stretch = cut.stretch(row / rows, () => pieces)
      this.#ringCut.set(ring, stretch)
      last[row] = this.#last[row]
    }
    const columns: Record<string, CutSnapshot['columns'][string]> = { ...base.columns, rings, last }
    for (const [name, column] of Object.entries(slots.columns)) columns[SLOT_PREFIX + name] = column
    return { ...base, columns }
  }

  restore(from: Snapshot): void {
    const table = this.#context.series
    const width = 2 * this.#plan.length
    const { rings, last } = from.columns
    const rows = rowsOf(from)
    if (from.id === ID && !(rings?.length === rows * width && last?.length === rows))
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `${ID}: rings are missing or of another step`)
    this.#store.restore(from, ID, VERSION, table)
    const columns = Object.fromEntries(
      Object.entries(from.columns)
        .filter(([name]) => name.startsWith(SLOT_PREFIX))
        .map(([name, column]) => [name.slice(SLOT_PREFIX.length), column]),
    )
    this.#slots.restore({ ...from, id: this.#slots.id, version: this.#slots.version, columns, meta: null })
    const rowOf = rowsIn(from, table)
    for (let i = 0; i < rows; i++) {
      const row = rowOf(i)
      if (row < 0 || Number.isNaN(last[i])) continue
      this.#rings[row] = Float32Array.from(rings.subarray(i * width, (i + 1) * width))
      this.#last[row] = last[i]
    }
  }

  bytes(): number {
    let sum = this.#slots.bytes() + this.#store.bytes()
    for (const ring of this.#rings) sum += ring?.byteLength ?? 0
    return sum
  }

  async close(): Promise<void> {}
}

const SLOT_PREFIX = 'slots.'

function windowOf(batch: FeatureBatch, row: number, stepMs: number): number {
  return Math.floor((batch.windowEndMs[row] - stepMs) / stepMs)
}

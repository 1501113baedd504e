import { type FeatureBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, ColumnStore } from '../core/columns.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import {
  closeFullDay,
  FULL,
  FULL_COLUMNS,
  FULL_WIDTH,
  type FullChunk,
  learnFull,
  scoreFull,
} from './full-kernel.ts'
import { newRing, type Ring, type RingPlan, readRing, ringPlan, writeRing } from './full-rings.ts'
import { type EvidenceParts, SlotDetector } from './slot-detector.ts'
import { AT, SCRATCH_WIDTH } from './slot-kernel.ts'
import { COMPACT_PROFILE, slotRates } from './slot-profile.ts'

const ID = 'full@1'
const VERSION = 1
const VALUE_MAX = 1e24

/**
 * The `compact` phase slots and, beside them, fifteen days of the series itself; both views together. About 180 kB a
 * one-minute series, allocated when the series is first learned.
 */
export class FullDetector implements Detector {
  readonly id = ID
  readonly width = 0
  readonly warmUpWindows: number
  readonly #context: DetectorContext
  readonly #slots: SlotDetector
  readonly #rates: ReturnType<typeof slotRates>
  readonly #plan: RingPlan
  readonly #store = new ColumnStore(FULL_COLUMNS)
  readonly #rings: (Ring | undefined)[] = []
  /** Window number last put into each ring. */
  readonly #last: number[] = []
  #scratch = new Float64Array(0)
  #own: ScoreBatch | undefined

  constructor(context: DetectorContext) {
    this.#context = context
    // Its rings cost more than looking at every window does.
    this.#slots = new SlotDetector(context, { ...COMPACT_PROFILE, quietStride: 1 })
    this.#rates = slotRates(COMPACT_PROFILE, context.stepMs)
    this.#plan = ringPlan(this.#rates.day, context.stepMs)
    this.warmUpWindows = this.#slots.warmUpWindows
  }

  /** FULL_WIDTH places a row of the batch scored last; see FULL. For detectors built on this one. */
  get scratch(): Float64Array {
    return this.#scratch
  }

  /** The phase slots' own; see AT. */
  get slotScratch(): Float64Array {
    return this.#slots.scratch
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

  async score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.scoreNow(batch, out)
  }

  /** `score` without the promise, for callers that own the thread. */
  scoreNow(batch: FeatureBatch, out: ScoreBatch): void {
    this.#slots.scoreNow(batch, out)
    this.#reserve(batch)
    const w = this.#scratch
    for (let row = 0; row < batch.length; row++) {
      const o = row * FULL_WIDTH
      this.#work(batch, row)
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

  learn(batch: FeatureBatch, weight: Float32Array): void {
    if (!this.#isScored(batch)) {
      if (!this.#own || this.#own.capacity < batch.length) this.#own = scoreBatch(batch.capacity)
      this.scoreNow(batch, this.#own)
    }
    const { stepMs, series } = this.#context
    const s = this.#slots.scratch
    for (let row = 0; row < batch.length; row++) {
      const observed = batch.observed[row]
      if (Number.isNaN(observed)) continue
      const index = batch.series[row]
      if (index >= this.#store.rows) this.#store.ensure(Math.max(index + 1, series.capacity))
      const chunk = this.#store.chunks[index >> CHUNK_SHIFT] as FullChunk
      const i = index & CHUNK_MASK
      const window = windowOf(batch, row, stepMs)
      const so = row * SCRATCH_WIDTH
      const isFirst = Number.isNaN(this.#slots.ageOf(index, window))
      this.#rings[index] ??= newRing(this.#plan)
      const ring = this.#rings[index]
      const last = this.#last[index] ?? NaN
      const offLevel = isFirst ? 0 : s[so + AT.offLevel]
      // A window behind the ring's last (a clock set back) is put where it belongs and moves nothing.
      writeRing(ring, this.#plan, window, last, clampValue(observed), offLevel)
      this.#last[index] = Number.isNaN(last) ? window : Math.max(window, last)
      if (isFirst) chunk.n[i] = 1
      else {
        const floor = s[so + AT.floor]
        // Days are counted from the first window, as the phase slots count them.
        const age = this.#slots.ageOf(index, window)
        const lastDay = Math.floor(this.#slots.ageOf(index, last) / this.#rates.day)
        if (Math.floor(age / this.#rates.day) > lastDay) closeFullDay(chunk, i, lastDay)
        learnFull(chunk, i, this.#rates, floor, weight[row], this.#scratch, row * FULL_WIDTH)
      }
    }
    this.#slots.learn(batch, weight)
  }

  /** Whether the phase slots hold what they worked out of this very batch from the state they have now. */
  #isScored(batch: FeatureBatch): boolean {
    const s = this.#slots.scratch
    if (s.length < batch.length * SCRATCH_WIDTH || this.#scratch.length < batch.length * FULL_WIDTH)
      return false
    for (let row = 0; row < batch.length; row++) {
      const so = row * SCRATCH_WIDTH
      if (
        s[so + AT.series] !== batch.series[row] ||
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

  #work(batch: FeatureBatch, row: number): void {
    const w = this.#scratch
    const o = row * FULL_WIDTH
    w[o + FULL.surprise] = NaN
    w[o + FULL.point] = NaN
    w[o + FULL.incident] = NaN
    const observed = batch.observed[row]
    const index = batch.series[row]
    const ring = this.#rings[index]
    const chunk = this.#store.chunks[index >> CHUNK_SHIFT] as FullChunk | undefined
    if (Number.isNaN(observed) || !ring || !chunk) return
    const window = windowOf(batch, row, this.#context.stepMs)
    const s = this.#slots.scratch
    const so = row * SCRATCH_WIDTH
    readRing(ring, this.#plan, window, s[so + AT.offLevel], this.#last[index])
    scoreFull(chunk, index & CHUNK_MASK, clampValue(observed), s, so, w, o)
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

  restore(from: Snapshot): void {
    const table = this.#context.series
    const width = 2 * this.#plan.length
    const { rings, last } = from.columns
    if (from.id === ID && !(rings?.length === from.keys.length * width && last?.length === from.keys.length))
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `${ID}: rings are missing or of another step`)
    this.#store.restore(from, ID, VERSION, table)
    const columns = Object.fromEntries(
      Object.entries(from.columns)
        .filter(([name]) => name.startsWith(SLOT_PREFIX))
        .map(([name, column]) => [name.slice(SLOT_PREFIX.length), column]),
    )
    this.#slots.restore({ ...this.#slots.snapshot(), keys: from.keys, columns })
    for (const [i, key] of from.keys.entries()) {
      const row = key === '' ? -1 : table.row(key)
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

function clampValue(x: number): number {
  return Math.max(-VALUE_MAX, Math.min(VALUE_MAX, x))
}

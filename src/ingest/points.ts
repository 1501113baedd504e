import { bucketQuantile, exponentialQuantile } from '../math/buckets.ts'
import type { Emitter } from './emitter.ts'
import { COUNT, MEAN, type Statistics } from './groups.ts'
import type { WireTable } from './wire-table.ts'

/** A whole histogram in one point, as OTLP and native histograms carry it; reused for every point. */
export class HistogramPoint {
  readonly bucketsMax: number
  exponential = false
  /** Counts since the start rather than since the previous point. */
  cumulative = true
  startMs = 0
  timeMs = 0
  count = 0
  sum = Number.NaN
  zeroCount = 0
  zeroThreshold = 0
  /** Base 2^(2^−scale). */
  scale = 0
  positiveOffset = 0
  positiveLength = 0
  negativeOffset = 0
  negativeLength = 0
  boundsLength = 0
  /** Counts of the exponential buckets, or of the explicit ones (positive, one more than bounds). */
  readonly positive: Float64Array
  readonly negative: Float64Array
  readonly bounds: Float64Array

  constructor(bucketsMax: number) {
    this.bucketsMax = bucketsMax
    this.positive = new Float64Array(bucketsMax + 1)
    this.negative = new Float64Array(bucketsMax + 1)
    this.bounds = new Float64Array(bucketsMax + 1)
  }

  /** Whether the numbers contradict each other, or are none. */
  faulty(): boolean {
    if (!this.exponential && this.positiveLength > 0 && this.positiveLength !== this.boundsLength + 1)
      return true
    if (!this.exponential && this.positiveLength === 0) this.boundsLength = 0
    for (let i = 1; i < this.boundsLength; i++) if (!(this.bounds[i] > this.bounds[i - 1])) return true
    if (this.boundsLength > 0 && !Number.isFinite(this.bounds[0] + this.bounds[this.boundsLength - 1]))
      return true
    if (this.exponential && !(Math.abs(this.scale) <= 30)) return true
    const offsets = Math.abs(this.positiveOffset) + Math.abs(this.negativeOffset)
    if (!(offsets < 2 ** 40) || !(this.zeroThreshold >= 0 && this.zeroThreshold < Infinity)) return true
    return !(this.count >= 0 && this.zeroCount >= 0 && Number.isFinite(this.count + this.zeroCount))
  }

  clear(): void {
    this.exponential = false
    this.cumulative = true
    this.startMs = 0
    this.timeMs = 0
    this.count = 0
    this.sum = Number.NaN
    this.zeroCount = 0
    this.zeroThreshold = 0
    this.scale = 0
    this.positiveOffset = 0
    this.positiveLength = 0
    this.negativeOffset = 0
    this.negativeLength = 0
    this.boundsLength = 0
  }
}

/** The previous cumulative point of a wire; JSON-safe. */
export interface PointMemory {
  exponential: boolean
  startMs: number
  timeMs: number
  count: number
  sum: number | null
  zeroCount: number
  scale: number
  positiveOffset: number
  positive: number[]
  negativeOffset: number
  negative: number[]
  bounds: number[]
}

export interface PointStream {
  readonly statistics: Statistics
  memory: PointMemory | undefined
}

const QUANTILES = [0.5, 0.95, 0.99] as const

/** Takes a point: differences for cumulative ones, then quantiles and the rate of observations. */
export function addPoint(
  table: WireTable,
  out: Emitter,
  stream: PointStream,
  wire: number,
  point: HistogramPoint,
  gapMs: number,
): '' | 'out-of-order' {
  const memory = stream.memory
  const sinceMs = memory ? point.timeMs - memory.timeMs : 0
  if (memory && sinceMs <= 0 && sinceMs > -gapMs) return 'out-of-order'
  const fresh = !memory || sinceMs < 0 || sinceMs > gapMs
  let spanMs = sinceMs
  if (point.cumulative) {
    stream.memory = remember(point)
    if (fresh) return ''
    subtract(point, memory)
  } else {
    spanMs =
      point.startMs > 0 && point.startMs < point.timeMs ? point.timeMs - point.startMs : fresh ? 0 : sinceMs
    // Only the time is needed of increments.
    stream.memory = { ...EMPTY_MEMORY, timeMs: point.timeMs }
  }
  emit(table, out, stream.statistics, wire, point, spanMs)
  return ''
}

/** An explicit gap of all statistics. */
export function addPointGap(out: Emitter, stream: PointStream, timeMs: number): void {
  for (const wire of stream.statistics.wires) if (wire >= 0) out.put(wire, timeMs, Number.NaN)
}

const EMPTY_MEMORY: PointMemory = {
  exponential: false,
  startMs: 0,
  timeMs: 0,
  count: 0,
  sum: null,
  zeroCount: 0,
  scale: 0,
  positiveOffset: 0,
  positive: [],
  negativeOffset: 0,
  negative: [],
  bounds: [],
}

function remember(point: HistogramPoint): PointMemory {
  return {
    exponential: point.exponential,
    startMs: point.startMs,
    timeMs: point.timeMs,
    count: point.count,
    sum: Number.isFinite(point.sum) ? point.sum : null,
    zeroCount: point.zeroCount,
    scale: point.scale,
    positiveOffset: point.positiveOffset,
    positive: Array.from(point.positive.subarray(0, point.positiveLength)),
    negativeOffset: point.negativeOffset,
    negative: Array.from(point.negative.subarray(0, point.negativeLength)),
    bounds: Array.from(point.bounds.subarray(0, point.boundsLength)),
  }
}

/** Leaves in `point` what was observed since `before`; everything when it was reset or laid out anew. */
function subtract(point: HistogramPoint, before: PointMemory): void {
  if (point.count < before.count || point.exponential !== before.exponential) return
  if (point.startMs > before.timeMs) return
  if (point.exponential) {
    if (before.zeroCount > point.zeroCount && point.scale >= before.scale) return
    const scale = Math.min(point.scale, before.scale)
    coarsen(point, scale)
    const shift = before.scale - scale
    take(
      point.positive,
      point.positiveOffset,
      point.positiveLength,
      before.positive,
      before.positiveOffset,
      shift,
    )
    take(
      point.negative,
      point.negativeOffset,
      point.negativeLength,
      before.negative,
      before.negativeOffset,
      shift,
    )
    point.zeroCount = Math.max(0, point.zeroCount - before.zeroCount)
  } else {
    if (point.boundsLength !== before.bounds.length) return
    for (let i = 0; i < point.boundsLength; i++) if (point.bounds[i] !== before.bounds[i]) return
    for (let i = 0; i < before.positive.length; i++) {
      point.positive[i] = Math.max(0, point.positive[i] - before.positive[i])
    }
  }
  point.count -= before.count
  point.sum = before.sum === null ? Number.NaN : point.sum - before.sum
}

function take(
  counts: Float64Array,
  offset: number,
  length: number,
  before: readonly number[],
  beforeOffset: number,
  shift: number,
): void {
  const divisor = 2 ** shift
  for (let i = 0; i < before.length; i++) {
    const at = Math.floor((beforeOffset + i) / divisor) - offset
    if (at >= 0 && at < length) counts[at] = Math.max(0, counts[at] - before[i])
  }
}

/** Merges neighbouring buckets until the scale is `scale`; exact, as each step squares the base. */
function coarsen(point: HistogramPoint, scale: number): void {
  if (scale === point.scale) return
  const divisor = 2 ** (point.scale - scale)
  const positive = merge(point.positive, point.positiveOffset, point.positiveLength, divisor)
  point.positiveOffset = Math.floor(point.positiveOffset / divisor)
  point.positiveLength = positive
  const negative = merge(point.negative, point.negativeOffset, point.negativeLength, divisor)
  point.negativeOffset = Math.floor(point.negativeOffset / divisor)
  point.negativeLength = negative
  point.scale = scale
}

function merge(counts: Float64Array, offset: number, length: number, divisor: number): number {
  if (length === 0) return 0
  const first = Math.floor(offset / divisor)
  let highest = 0
  for (let i = 0; i < length; i++) {
    const at = Math.floor((offset + i) / divisor) - first
    const value = counts[i]
    if (at > highest || i === 0) {
      counts[i] = 0
      counts[at] = value
      highest = at
    } else {
      counts[i] = 0
      counts[at] += value
    }
  }
  return highest + 1
}

function emit(
  table: WireTable,
  out: Emitter,
  statistics: Statistics,
  wire: number,
  point: HistogramPoint,
  spanMs: number,
): void {
  const bare = point.positiveLength === 0 && point.negativeLength === 0 && point.zeroCount === 0
  if (bare && point.count > 0) {
    // A sender may leave the buckets out and give count and sum only.
    statistics.put(table, out, MEAN, wire, point.timeMs, point.sum / point.count)
  } else {
    if (!point.exponential) accumulate(point)
    for (let q = 0; q < QUANTILES.length; q++) {
      statistics.put(table, out, q, wire, point.timeMs, quantile(point, QUANTILES[q]))
    }
  }
  if (spanMs > 0) statistics.put(table, out, COUNT, wire, point.timeMs, (point.count * 1000) / spanMs)
}

function accumulate(point: HistogramPoint): void {
  point.bounds[point.boundsLength] = Number.POSITIVE_INFINITY
  for (let i = 1; i < point.positiveLength; i++) point.positive[i] += point.positive[i - 1]
}

function quantile(point: HistogramPoint, q: number): number {
  return point.exponential
    ? exponentialQuantile(
        q,
        point.scale,
        point.zeroCount,
        point.zeroThreshold,
        point.positive,
        point.positiveOffset,
        point.positiveLength,
        point.negative,
        point.negativeOffset,
        point.negativeLength,
      )
    : bucketQuantile(q, point.bounds, point.positive, point.positiveLength)
}

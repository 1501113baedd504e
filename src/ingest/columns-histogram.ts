import type { ByteWriter } from '../core/byte-writer.ts'
import type { HistogramPoint } from './points.ts'
import type { ProtoReader } from './protobuf.ts'

/**
 * A whole histogram of a columnar message: bits; time, start, count, sum as doubles; for exponential ones zero count
 * and threshold as doubles, scale and both offsets zigzag; lengths as varints; then bounds (explicit) and counts.
 */
const EXPONENTIAL = 1
const CUMULATIVE = 2
/** The point says that there is no value. */
const GAP = 4
/** Counts are varints, otherwise doubles. */
const WHOLE = 8

export function writeHistogram(out: ByteWriter, p: HistogramPoint): void {
  const gap = Number.isNaN(p.count)
  const whole = areWhole(p.positive, p.positiveLength) && areWhole(p.negative, p.negativeLength)
  out.varint(
    (p.exponential ? EXPONENTIAL : 0) |
      (p.cumulative ? CUMULATIVE : 0) |
      (gap ? GAP : 0) |
      (whole ? WHOLE : 0),
  )
  out.double(p.timeMs)
  out.double(p.startMs)
  out.double(gap ? 0 : p.count)
  out.double(p.sum)
  if (p.exponential) {
    out.double(p.zeroCount)
    out.double(p.zeroThreshold)
    out.signed(p.scale)
    out.signed(p.positiveOffset)
    out.signed(p.negativeOffset)
  } else {
    out.varint(p.boundsLength)
    for (let i = 0; i < p.boundsLength; i++) out.double(p.bounds[i])
  }
  writeCounts(out, p.positive, p.positiveLength, whole)
  writeCounts(out, p.negative, p.negativeLength, whole)
}

/** Into `p`; '' or why not. The reader then stands behind it, or is `bad`. */
export function readHistogram(r: ProtoReader, p: HistogramPoint): '' | 'malformed' | 'bucket-limit' {
  p.clear()
  const bits = r.varint()
  p.exponential = (bits & EXPONENTIAL) !== 0
  p.cumulative = (bits & CUMULATIVE) !== 0
  p.timeMs = r.double()
  p.startMs = r.double()
  p.count = r.double()
  p.sum = r.double()
  if (p.exponential) {
    p.zeroCount = r.double()
    p.zeroThreshold = r.double()
    p.scale = r.sint64()
    p.positiveOffset = r.sint64()
    p.negativeOffset = r.sint64()
  } else {
    const length = r.varint()
    p.boundsLength = Math.min(length, p.bucketsMax)
    for (let i = 0; i < length && !r.bad; i++) {
      const bound = r.double()
      if (i < p.bucketsMax) p.bounds[i] = bound
    }
    if (length > p.bucketsMax) p.boundsLength = -1
  }
  p.positiveLength = readCounts(r, p.positive, (bits & WHOLE) !== 0)
  p.negativeLength = readCounts(r, p.negative, (bits & WHOLE) !== 0)
  if (r.bad) return 'malformed'
  if (p.boundsLength < 0 || p.positiveLength < 0 || p.negativeLength < 0) return 'bucket-limit'
  if (p.faulty()) return 'malformed'
  if ((bits & GAP) !== 0) p.count = Number.NaN
  return ''
}

function areWhole(counts: Float64Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (!Number.isSafeInteger(counts[i]) || counts[i] < 0) return false
  return true
}

function writeCounts(out: ByteWriter, counts: Float64Array, length: number, whole: boolean): void {
  out.varint(length)
  for (let i = 0; i < length; i++) {
    if (whole) out.varint(counts[i])
    else out.double(counts[i])
  }
}

/** How many counts, −1 when there are more than can be held. */
function readCounts(r: ProtoReader, counts: Float64Array, whole: boolean): number {
  const length = r.varint()
  for (let i = 0; i < length && !r.bad; i++) {
    const count = whole ? r.varint() : r.double()
    if (i < counts.length) counts[i] = count
  }
  return length > counts.length ? -1 : length
}

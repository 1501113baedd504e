import type { DecodeContext } from './context.ts'

/** Schema of native histograms with custom bounds, which are refused. */
const CUSTOM_SCHEMA = -53
/** High word of the stale marker 0x7ff0000000000002; the low one is 2. */
const STALE_HIGH = 0x7ff00000
const RESET_GAUGE = 3

/**
 * A native histogram, the same message in remote write 1.0 and 2.0, into `c.point`: counts as integers
 * (deltas of deltas) or floats, spans of exponential buckets, timestamp 15. False when it was refused; the
 * reader then stands anywhere, and the caller goes on at the message's end.
 */
export function readNativeHistogram(c: DecodeContext, end: number): boolean {
  const r = c.reader
  const p = c.point
  p.clear()
  p.exponential = true
  let schema = 0
  const spans = SPANS
  spans.positive.length = 0
  spans.negative.length = 0
  COUNTS.positive.length = 0
  COUNTS.negative.length = 0
  let stale = false
  let why = ''
  while (r.pos < end && why === '') {
    const tag = r.varint()
    switch (tag >>> 3) {
      case 1:
        p.count = r.varint()
        break
      case 2:
        p.count = r.double()
        break
      case 3:
        p.sum = r.double()
        stale =
          !r.bad &&
          r.view.getUint32(r.pos - 4, true) === STALE_HIGH &&
          r.view.getUint32(r.pos - 8, true) === 2
        break
      case 4:
        schema = r.sint64()
        break
      case 5:
        p.zeroThreshold = r.double()
        break
      case 6:
        p.zeroCount = r.varint()
        break
      case 7:
        p.zeroCount = r.double()
        break
      case 8:
      case 11: {
        const side = tag >>> 3 === 8 ? spans.negative : spans.positive
        const stop = r.enter()
        let offset = 0
        let length = 0
        while (r.pos < stop) {
          const field = r.varint()
          if (field === 0x08) offset = r.sint64()
          else if (field === 0x10) length = r.varint()
          else r.skip(field)
        }
        if (side.length >= 2 * p.bucketsMax) why = 'bucket-limit'
        else side.push(offset, length)
        break
      }
      case 9:
      case 10:
      case 12:
      case 13:
        why = readCounts(c, tag)
        break
      case 14:
        p.cumulative = r.varint() !== RESET_GAUGE
        break
      case 15:
        p.timeMs = r.int64()
        break
      default:
        r.skip(tag)
    }
  }
  if (why === '' && (r.bad || r.pos !== end)) why = 'malformed'
  if (why === '' && schema === CUSTOM_SCHEMA) why = 'custom-buckets'
  if (why === '' && (schema < -4 || schema > 8)) why = 'malformed'
  if (why === '') {
    p.scale = schema
    p.positiveLength = spread(p.positive, COUNTS.positive, spans.positive, p.bucketsMax)
    p.negativeLength = spread(p.negative, COUNTS.negative, spans.negative, p.bucketsMax)
    if (p.positiveLength < 0 || p.negativeLength < 0) why = 'bucket-limit'
    // Prometheus numbers a bucket by its upper bound, OpenTelemetry by its lower.
    p.positiveOffset = (spans.positive[0] ?? 0) - 1
    p.negativeOffset = (spans.negative[0] ?? 0) - 1
  }
  if (why === '' && p.faulty()) why = 'malformed'
  if (why !== '') {
    c.convert.reject(why, `a native histogram of schema ${schema} at byte ${end}`)
    return false
  }
  if (stale) p.count = Number.NaN
  return true
}

/** Scratch: [offset, length] pairs, and counts as sent. Bounded by bucketsMax, emptied after each histogram. */
const SPANS = { positive: [] as number[], negative: [] as number[] }
const COUNTS = { positive: [] as number[], negative: [] as number[] }

function readCounts(c: DecodeContext, tag: number): '' | 'bucket-limit' | 'malformed' {
  const r = c.reader
  const field = tag >>> 3
  const deltas = field === 9 || field === 12
  const side = field < 11 ? COUNTS.negative : COUNTS.positive
  const packed = (tag & 7) === 2
  const stop = packed ? r.enter() : r.pos + 1
  while (r.pos < stop) {
    if (side.length > c.point.bucketsMax) return 'bucket-limit'
    const before = deltas && side.length > 0 ? side[side.length - 1] : 0
    side.push(before + (deltas ? r.sint64() : r.double()))
  }
  return r.bad ? 'malformed' : ''
}

/** Lays counts out at their places; returns how many buckets from the first, −1 when too many. */
function spread(
  out: Float64Array,
  counts: readonly number[],
  spans: readonly number[],
  bucketsMax: number,
): number {
  let at = 0
  let next = 0
  for (let s = 0; s < spans.length; s += 2) {
    // The first offset is where it all starts; later ones are gaps.
    if (s > 0) {
      const gap = spans[s]
      if (gap < 0 || at + gap > bucketsMax) return -1
      out.fill(0, at, at + gap)
      at += gap
    }
    const length = spans[s + 1]
    if (at + length > bucketsMax) return -1
    for (let i = 0; i < length; i++) out[at++] = Math.max(0, counts[next++] ?? 0)
  }
  return at
}

import type { DecodeContext } from './context.ts'
import { TYPE } from './families.ts'
import { NO_RECORDED_VALUE } from './otlp.ts'
import { beginPoint, metricName, POINT, readAttribute, wireOf } from './otlp-place.ts'

/** Nanoseconds as sent → ms. */
function readMs(c: DecodeContext): number {
  return Math.round(c.reader.fixed64() / 1e6)
}

/** A point of a gauge or sum, up to `end`. */
export function readNumber(c: DecodeContext, end: number, type: number): void {
  const r = c.reader
  beginPoint(c, end, 7)
  while (r.pos < end) {
    const tag = r.varint()
    if (tag === 0x3a) readAttribute(c)
    else if (tag === 0x11) POINT.startMs = readMs(c)
    else if (tag === 0x19) POINT.timeMs = readMs(c)
    else if (tag === 0x21) POINT.value = r.double()
    else if (tag === 0x31) POINT.value = r.sfixed64()
    else if (tag === 0x40) POINT.flags = r.varint()
    else {
      if (tag === 0x2a) c.tally.exemplars++
      r.skip(tag)
    }
  }
  if (r.bad || r.pos !== end) return
  const wire = wireOf(c, type, '', Number.NaN)
  if (wire < 0) return
  const value = POINT.flags & NO_RECORDED_VALUE ? Number.NaN : POINT.value
  const taken =
    type === TYPE.delta
      ? c.convert.increment(wire, POINT.startMs, POINT.timeMs, value)
      : c.convert.sample(wire, POINT.timeMs, value, POINT.startMs)
  if (taken) c.tally.samples++
}

/** A point of a histogram of either kind, up to `end`. */
export function readHistogram(
  c: DecodeContext,
  end: number,
  exponential: boolean,
  cumulative: boolean,
): void {
  const r = c.reader
  const p = c.point
  p.clear()
  p.exponential = exponential
  p.cumulative = cumulative
  const attributesField = exponential ? 1 : 9
  beginPoint(c, end, attributesField)
  let full = false
  while (r.pos < end) {
    const tag = r.varint()
    const field = tag >>> 3
    if (field === attributesField) readAttribute(c)
    else if (tag === 0x11) p.startMs = readMs(c)
    else if (tag === 0x19) p.timeMs = readMs(c)
    else if (tag === 0x21) p.count = r.fixed64()
    else if (tag === 0x29) p.sum = r.double()
    else if (tag === 0x50) POINT.flags = r.varint()
    else if (exponential && tag === 0x30) p.scale = r.sint64()
    else if (exponential && tag === 0x39) p.zeroCount = r.fixed64()
    else if (exponential && tag === 0x71) p.zeroThreshold = r.double()
    else if (exponential && (tag === 0x42 || tag === 0x4a)) full = !readBuckets(c, tag === 0x42) || full
    else if (!exponential && (tag === 0x32 || tag === 0x31)) {
      const stop = tag === 0x32 ? r.enter() : r.pos + 8
      while (r.pos < stop && !full) {
        full = p.positiveLength > p.bucketsMax
        if (!full) p.positive[p.positiveLength++] = r.fixed64()
      }
    } else if (!exponential && (tag === 0x3a || tag === 0x39)) {
      const stop = tag === 0x3a ? r.enter() : r.pos + 8
      while (r.pos < stop && !full) {
        full = p.boundsLength >= p.bucketsMax
        if (!full) p.bounds[p.boundsLength++] = r.double()
      }
    } else {
      if (tag === (exponential ? 0x5a : 0x42)) c.tally.exemplars++
      r.skip(tag)
    }
    if (full) {
      c.convert.reject('bucket-limit', `${metricName(c)}: more than ${p.bucketsMax} buckets`)
      r.pos = end
      return
    }
  }
  if (r.bad || r.pos !== end) return
  if (POINT.flags & NO_RECORDED_VALUE) p.count = Number.NaN
  POINT.timeMs = p.timeMs
  if (p.faulty()) {
    c.convert.reject('malformed', `${metricName(c)}: bucket counts do not fit their bounds`)
    return
  }
  const wire = wireOf(c, TYPE.points, '', Number.NaN)
  if (wire >= 0 && c.convert.histogram(wire, p)) c.tally.histograms++
}

/** One side of an exponential histogram; false when it has too many buckets. */
function readBuckets(c: DecodeContext, positive: boolean): boolean {
  const r = c.reader
  const p = c.point
  const end = r.enter()
  const counts = positive ? p.positive : p.negative
  let offset = 0
  let length = 0
  while (r.pos < end) {
    const tag = r.varint()
    if (tag === 0x08) offset = r.sint64()
    else if (tag === 0x12 || tag === 0x10) {
      const stop = tag === 0x12 ? r.enter() : r.pos + 1
      while (r.pos < stop) {
        if (length >= p.bucketsMax) return false
        counts[length++] = r.varint()
      }
    } else r.skip(tag)
  }
  if (positive) {
    p.positiveOffset = offset
    p.positiveLength = length
  } else {
    p.negativeOffset = offset
    p.negativeLength = length
  }
  return true
}

/** A point of a summary, up to `end`. */
export function readSummary(c: DecodeContext, end: number): void {
  const r = c.reader
  beginPoint(c, end, 7)
  let count = 0
  let sum = Number.NaN
  while (r.pos < end) {
    const tag = r.varint()
    if (tag === 0x3a) readAttribute(c)
    else if (tag === 0x19) POINT.timeMs = readMs(c)
    else if (tag === 0x21) count = r.fixed64()
    else if (tag === 0x29) sum = r.double()
    else if (tag === 0x40) POINT.flags = r.varint()
    else r.skip(tag)
  }
  if (r.bad || r.pos !== end) return
  const gap = (POINT.flags & NO_RECORDED_VALUE) !== 0
  // A summary is sent as its parts, so that it converts as Prometheus' summaries do.
  const counts = wireOf(c, TYPE.summary, '_count', Number.NaN)
  const sums = wireOf(c, TYPE.summary, '_sum', Number.NaN)
  if (counts < 0 || sums < 0) return
  c.convert.sample(sums, POINT.timeMs, gap ? Number.NaN : sum)
  if (c.convert.sample(counts, POINT.timeMs, gap ? Number.NaN : count)) c.tally.samples++
  r.pos = POINT.from
  while (r.pos < end) {
    const tag = r.varint()
    if (tag !== 0x32) {
      r.skip(tag)
      continue
    }
    const stop = r.enter()
    let quantile = 0
    let value = 0
    while (r.pos < stop) {
      const field = r.varint()
      if (field === 0x09) quantile = r.double()
      else if (field === 0x11) value = r.double()
      else r.skip(field)
    }
    if (r.bad || r.pos !== stop || !(quantile >= 0 && quantile <= 1)) {
      c.convert.reject('malformed', `${metricName(c)}: a quantile cannot be read`)
      r.bad = false
      r.pos = stop
      continue
    }
    const wire = wireOf(c, TYPE.summary, '', quantile)
    if (wire >= 0) c.convert.sample(wire, POINT.timeMs, gap ? Number.NaN : value)
  }
}

import { foldHash, hashRange } from '../math/hash.ts'
import { type DecodeContext, finishDefine } from './context.ts'
import { TYPE } from './families.ts'
import { sanitised } from './naming.ts'
import { addResource, NO_RECORDED_VALUE, numberType, TEMPORALITY } from './otlp.ts'
import { utf8 } from './protobuf.ts'

/** Fields of `Metric` that hold its data. */
const GAUGE = 5
const SUM = 7
const HISTOGRAM = 9
const EXPONENTIAL = 10
const SUMMARY = 11

/** Where one metric of the body stands; reused for each. */
interface MetricPlace {
  resourceFrom: number
  resourceTo: number
  resourceA: number
  resourceB: number
  nameFrom: number
  nameTo: number
  unitFrom: number
  unitTo: number
  nameA: number
  nameB: number
}

/** One point, before it is known what it belongs to. */
interface PointPlace {
  from: number
  to: number
  attributesField: number
  startMs: number
  timeMs: number
  value: number
  flags: number
  a: number
  b: number
}

const METRIC: MetricPlace = {
  resourceFrom: 0,
  resourceTo: 0,
  resourceA: 0,
  resourceB: 0,
  nameFrom: 0,
  nameTo: 0,
  unitFrom: 0,
  unitTo: 0,
  nameA: 0,
  nameB: 0,
}
const POINT: PointPlace = {
  from: 0,
  to: 0,
  attributesField: 0,
  startMs: 0,
  timeMs: 0,
  value: 0,
  flags: 0,
  a: 0,
  b: 0,
}

/**
 * OTLP `ExportMetricsServiceRequest` (already inflated and well framed). Scratch is module-wide: decoding is
 * synchronous and never re-entered.
 */
export function decodeOtlp(c: DecodeContext): void {
  const r = c.reader
  while (r.pos < r.end) {
    const tag = r.varint()
    if (tag !== 0x0a) {
      r.skip(tag)
      continue
    }
    const end = r.enter()
    readResourceMetrics(c, end)
    if (r.bad || r.pos !== end)
      c.convert.reject('malformed', `resource metrics before byte ${end} are cut short`)
    r.pos = end
    r.bad = false
  }
}

function readResourceMetrics(c: DecodeContext, end: number): void {
  const r = c.reader
  const from = r.pos
  METRIC.resourceFrom = METRIC.resourceTo = 0
  while (r.pos < end) {
    const tag = r.varint()
    if (tag === 0x0a) {
      METRIC.resourceTo = r.enter()
      METRIC.resourceFrom = r.pos
      r.pos = METRIC.resourceTo
    } else r.skip(tag)
  }
  if (r.bad || METRIC.resourceTo > end) return
  hashRange(r.view, METRIC.resourceFrom, METRIC.resourceTo, c.seed, c.hash)
  METRIC.resourceA = c.hash[0]
  METRIC.resourceB = c.hash[1]
  r.pos = from
  while (r.pos < end) {
    const tag = r.varint()
    if (tag !== 0x12) {
      r.skip(tag)
      continue
    }
    const scopeEnd = r.enter()
    while (r.pos < scopeEnd) {
      const inner = r.varint()
      if (inner !== 0x12) {
        r.skip(inner)
        continue
      }
      const stop = r.enter()
      if (stop > scopeEnd) {
        r.fail()
        return
      }
      readMetric(c, stop)
      r.pos = stop
      r.bad = false
    }
  }
}

function readMetric(c: DecodeContext, end: number): void {
  const r = c.reader
  METRIC.nameFrom = METRIC.nameTo = METRIC.unitFrom = METRIC.unitTo = 0
  let kind = 0
  let dataFrom = 0
  let dataTo = 0
  while (r.pos < end) {
    const tag = r.varint()
    const field = tag >>> 3
    if ((tag & 7) !== 2) {
      r.skip(tag)
      continue
    }
    const to = r.enter()
    if (field === 1) {
      METRIC.nameFrom = r.pos
      METRIC.nameTo = to
    } else if (field === 3) {
      METRIC.unitFrom = r.pos
      METRIC.unitTo = to
    } else if (field === GAUGE || field === SUM || (field >= HISTOGRAM && field <= SUMMARY)) {
      kind = field
      dataFrom = r.pos
      dataTo = to
    }
    r.pos = to
  }
  if (r.bad || r.pos !== end || METRIC.nameTo === METRIC.nameFrom) {
    c.convert.reject('malformed', `a metric before byte ${end} has no name or is cut short`)
    return
  }
  if (kind === 0) return
  hashRange(r.view, METRIC.nameFrom, METRIC.nameTo, METRIC.resourceA, c.hash)
  METRIC.nameA = c.hash[0]
  METRIC.nameB = c.hash[1] ^ METRIC.resourceB
  let temporality = 0
  let monotonic = false
  r.pos = dataFrom
  while (r.pos < dataTo) {
    const tag = r.varint()
    if (tag === 0x10) temporality = r.varint()
    else if (tag === 0x18) monotonic = r.varint() !== 0
    else r.skip(tag)
  }
  if (r.bad || r.pos !== dataTo) {
    c.convert.reject('malformed', `${metricName(c)}: data points are cut short`)
    return
  }
  const needs = kind === SUM || kind === HISTOGRAM || kind === EXPONENTIAL
  if (needs && temporality !== TEMPORALITY.delta && temporality !== TEMPORALITY.cumulative) {
    c.convert.reject('temporality', `${metricName(c)}: aggregation temporality is not given`)
    return
  }
  const type = kind === GAUGE || kind === SUM ? numberType(kind === SUM, temporality, monotonic) : TYPE.points
  r.pos = dataFrom
  while (r.pos < dataTo) {
    const tag = r.varint()
    if (tag !== 0x0a) {
      r.skip(tag)
      continue
    }
    const stop = r.enter()
    if (kind === GAUGE || kind === SUM) readNumber(c, stop, type)
    else if (kind === SUMMARY) readSummary(c, stop)
    else readHistogram(c, stop, kind === EXPONENTIAL, temporality === TEMPORALITY.cumulative)
    if (r.bad || r.pos !== stop)
      c.convert.reject('malformed', `${metricName(c)}: a point before byte ${stop} is cut short`)
    r.pos = stop
    r.bad = false
  }
}

function metricName(c: DecodeContext): string {
  return utf8(c.reader.bytes, METRIC.nameFrom, Math.min(METRIC.nameTo, METRIC.nameFrom + 100))
}

/** Nanoseconds as sent → ms. */
function readMs(c: DecodeContext): number {
  return Math.round(c.reader.fixed64() / 1e6)
}

function beginPoint(c: DecodeContext, to: number, attributesField: number): void {
  POINT.from = c.reader.pos
  POINT.to = to
  POINT.attributesField = attributesField
  POINT.startMs = POINT.timeMs = POINT.value = POINT.flags = 0
  POINT.a = METRIC.nameA
  POINT.b = METRIC.nameB
}

/** Folds one attribute into the identity of the point. */
function readAttribute(c: DecodeContext): void {
  const r = c.reader
  const to = r.enter()
  hashRange(r.view, r.pos, to, POINT.a, c.hash)
  const a = c.hash[0]
  const b = c.hash[1]
  c.hash[0] = POINT.a
  c.hash[1] = POINT.b
  foldHash(c.hash, a, b)
  POINT.a = c.hash[0]
  POINT.b = c.hash[1]
  r.pos = to
}

function readNumber(c: DecodeContext, end: number, type: number): void {
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

function readHistogram(c: DecodeContext, end: number, exponential: boolean, cumulative: boolean): void {
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

function readSummary(c: DecodeContext, end: number): void {
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

/** The wire of the point just read: metric name with a suffix, and for a summary's quantile a label. */
function wireOf(c: DecodeContext, type: number, suffix: '' | '_count' | '_sum', quantile: number): number {
  const part =
    suffix === '' ? (Number.isNaN(quantile) ? 0 : 3 + Math.round(quantile * 1e6)) : suffix === '_sum' ? 1 : 2
  const width = type * 0x1000_0000 + part
  const wire = c.convert.table.find(POINT.a, POINT.b, width)
  if (wire >= 0) return wire
  const r = c.reader
  const { pos, bad } = r
  const { labels } = c
  const name = utf8(r.bytes, METRIC.nameFrom, METRIC.nameTo)
  const unit = utf8(r.bytes, METRIC.unitFrom, METRIC.unitTo).slice(0, 64)
  labels.begin(`${sanitised(name)}${suffix}`)
  readAttributes(c, POINT.from, POINT.to, POINT.attributesField, (key, value) => {
    const plain = sanitised(key)
    if (!Object.hasOwn(labels.labels, plain)) labels.add(plain, value)
  })
  if (!Number.isNaN(quantile)) labels.add('quantile', String(quantile))
  readAttributes(c, METRIC.resourceFrom, METRIC.resourceTo, 1, (key, value) =>
    addResource(labels, c.options, key, value),
  )
  r.pos = pos
  r.bad = bad
  return finishDefine(c, POINT.a, POINT.b, width, type, unit)
}

/** Attributes (`KeyValue` in field `field`) of a message; arrays and maps are left out. */
function readAttributes(
  c: DecodeContext,
  from: number,
  to: number,
  field: number,
  add: (key: string, value: string) => void,
): void {
  const r = c.reader
  r.pos = from
  while (r.pos < to) {
    const tag = r.varint()
    if (tag !== ((field << 3) | 2)) {
      r.skip(tag)
      continue
    }
    const end = r.enter()
    let key = ''
    let value: string | undefined
    while (r.pos < end) {
      const inner = r.varint()
      if (inner !== 0x0a && inner !== 0x12) {
        r.skip(inner)
        continue
      }
      const stop = r.enter()
      if (inner === 0x0a) key = utf8(r.bytes, r.pos, stop)
      else value = readAnyValue(c, stop)
      r.pos = stop
    }
    if (key !== '' && value !== undefined) add(key, value)
    r.pos = end
  }
}

function readAnyValue(c: DecodeContext, end: number): string | undefined {
  const r = c.reader
  let value: string | undefined
  while (r.pos < end) {
    const tag = r.varint()
    if (tag === 0x0a) {
      const stop = r.enter()
      value = utf8(r.bytes, r.pos, stop)
      r.pos = stop
    } else if (tag === 0x10) value = String(r.varint() !== 0)
    else if (tag === 0x18) value = String(r.int64())
    else if (tag === 0x21) value = String(r.double())
    else r.skip(tag)
  }
  return value
}

import { hashRange } from '../math/hash.ts'
import type { DecodeContext } from './context.ts'
import { TYPE } from './families.ts'
import { numberType, TEMPORALITY } from './otlp.ts'
import { METRIC, metricName } from './otlp-place.ts'
import { readHistogram, readNumber, readSummary } from './otlp-points.ts'

/** Fields of `Metric` that hold its data. */
const GAUGE = 5
const SUM = 7
const HISTOGRAM = 9
const EXPONENTIAL = 10
const SUMMARY = 11

/** OTLP `ExportMetricsServiceRequest`, already inflated and well framed. */
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
  hashRange(r.view, METRIC.resourceFrom, METRIC.resourceTo, c.seed, c.seedCheck, c.hash)
  METRIC.resourceA = c.hash[0]
  METRIC.resourceB = c.hash[1]
  METRIC.resourceCheck = c.hash[2]
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
  hashRange(r.view, METRIC.nameFrom, METRIC.nameTo, METRIC.resourceA, METRIC.resourceCheck, c.hash)
  METRIC.nameA = c.hash[0]
  METRIC.nameB = c.hash[1] ^ METRIC.resourceB
  METRIC.nameCheck = c.hash[2]
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

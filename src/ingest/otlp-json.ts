import { parseJson } from '../core/json-depth.ts'
import type { DecodeContext } from './context.ts'
import { TYPE } from './families.ts'
import { isRecord, textWire } from './json-lines.ts'
import { sanitised } from './naming.ts'
import { addResource, NO_RECORDED_VALUE, numberType, TEMPORALITY } from './otlp.ts'

const UTF8 = new TextDecoder('utf-8')

type Json = Record<string, unknown>

/**
 * OTLP in its JSON encoding (protobuf JSON mapping: lowerCamelCase, 64-bit integers as text, enums as numbers;
 * their names are understood too). Returns '' or why the whole body cannot be read.
 */
export function decodeOtlpJson(c: DecodeContext, length: number): string {
  const json = parseJson(c.reader.bytes.subarray(0, length), UTF8)
  if (typeof json === 'string') return `the body ${json}`
  const body = json.value
  if (!isRecord(body)) return 'the body is not an object'
  for (const resourceMetrics of records(body.resourceMetrics)) {
    const resource = isRecord(resourceMetrics.resource) ? resourceMetrics.resource : {}
    for (const scope of records(resourceMetrics.scopeMetrics)) {
      for (const metric of records(scope.metrics)) readMetric(c, resource, metric)
    }
  }
  return ''
}

function readMetric(c: DecodeContext, resource: Json, metric: Json): void {
  const name = typeof metric.name === 'string' ? metric.name : ''
  if (name === '') {
    c.convert.reject('malformed', 'a metric has no name')
    return
  }
  const unit = typeof metric.unit === 'string' ? metric.unit : ''
  for (const kind of ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'] as const) {
    const data = metric[kind]
    if (!isRecord(data)) continue
    const temporality = temporalityOf(data.aggregationTemporality)
    if (kind !== 'gauge' && kind !== 'summary' && temporality === 0) {
      c.convert.reject('temporality', `${name.slice(0, 100)}: aggregation temporality is not given`)
      return
    }
    const type = numberType(kind === 'sum', temporality, data.isMonotonic === true)
    for (const point of records(data.dataPoints)) {
      const at: Place = { c, resource, name, unit, point }
      if (kind === 'gauge' || kind === 'sum') readNumber(at, type)
      else if (kind === 'summary') readSummary(at)
      else readHistogram(at, kind === 'exponentialHistogram', temporality === TEMPORALITY.cumulative)
    }
  }
}

interface Place {
  readonly c: DecodeContext
  readonly resource: Json
  readonly name: string
  readonly unit: string
  readonly point: Json
}

function readNumber(at: Place, type: number): void {
  const { c, point } = at
  const value = isGap(point) ? Number.NaN : number(point.asDouble ?? point.asInt)
  const timeMs = ms(point.timeUnixNano)
  if (value === undefined) {
    c.convert.reject('malformed', `${at.name.slice(0, 100)}: a point has no number`)
    return
  }
  const wire = wireOf(at, type, '')
  if (wire < 0) return
  const startMs = ms(point.startTimeUnixNano)
  const taken =
    type === TYPE.delta
      ? c.convert.increment(wire, startMs, timeMs, value)
      : c.convert.sample(wire, timeMs, value, startMs)
  if (taken) c.tally.samples++
  if (Array.isArray(point.exemplars)) c.tally.exemplars += point.exemplars.length
}

function readHistogram(at: Place, exponential: boolean, cumulative: boolean): void {
  const { c, point, name } = at
  const p = c.point
  p.clear()
  p.exponential = exponential
  p.cumulative = cumulative
  p.startMs = ms(point.startTimeUnixNano)
  p.timeMs = ms(point.timeUnixNano)
  p.count = number(point.count) ?? 0
  p.sum = number(point.sum) ?? Number.NaN
  let fits = true
  if (exponential) {
    const positive = isRecord(point.positive) ? point.positive : {}
    const negative = isRecord(point.negative) ? point.negative : {}
    p.scale = number(point.scale) ?? 0
    p.zeroCount = number(point.zeroCount) ?? 0
    p.zeroThreshold = number(point.zeroThreshold) ?? 0
    p.positiveOffset = number(positive.offset) ?? 0
    p.negativeOffset = number(negative.offset) ?? 0
    p.positiveLength = fill(p.positive, positive.bucketCounts, p.bucketsMax)
    p.negativeLength = fill(p.negative, negative.bucketCounts, p.bucketsMax)
    fits = p.positiveLength >= 0 && p.negativeLength >= 0
  } else {
    p.boundsLength = fill(p.bounds, point.explicitBounds, p.bucketsMax)
    p.positiveLength = fill(p.positive, point.bucketCounts, p.bucketsMax + 1)
    fits = p.boundsLength >= 0 && p.positiveLength >= 0
  }
  if (!fits || p.faulty()) {
    const reason = fits ? 'malformed' : 'bucket-limit'
    c.convert.reject(
      reason,
      `${name.slice(0, 100)}: too many buckets, or counts that do not fit their bounds`,
    )
    return
  }
  if (isGap(point)) p.count = Number.NaN
  const wire = wireOf(at, TYPE.points, '')
  if (wire >= 0 && c.convert.histogram(wire, p)) c.tally.histograms++
}

function readSummary(at: Place): void {
  const { c, point } = at
  const timeMs = ms(point.timeUnixNano)
  const gap = isGap(point)
  const counts = wireOf(at, TYPE.summary, '_count')
  const sums = wireOf(at, TYPE.summary, '_sum')
  if (counts < 0 || sums < 0) return
  c.convert.sample(sums, timeMs, gap ? Number.NaN : (number(point.sum) ?? Number.NaN))
  if (c.convert.sample(counts, timeMs, gap ? Number.NaN : (number(point.count) ?? 0))) c.tally.samples++
  for (const entry of records(point.quantileValues)) {
    const quantile = number(entry.quantile ?? 0)
    const value = number(entry.value ?? 0)
    if (quantile === undefined || value === undefined || !(quantile >= 0 && quantile <= 1)) {
      c.convert.reject('malformed', `${at.name.slice(0, 100)}: a quantile cannot be read`)
      continue
    }
    const wire = wireOf(at, TYPE.summary, '', String(quantile))
    if (wire >= 0) c.convert.sample(wire, timeMs, gap ? Number.NaN : value)
  }
}

function wireOf(at: Place, type: number, suffix: string, quantile = ''): number {
  const { c, point, resource } = at
  const { labels } = c
  labels.begin(`${sanitised(at.name)}${suffix}`)
  for (const { key, value } of records(point.attributes)) {
    const text = attribute(value)
    if (typeof key !== 'string' || key === '' || text === undefined) continue
    const name = sanitised(key)
    if (!Object.hasOwn(labels.labels, name)) labels.add(name, text)
  }
  if (quantile !== '') labels.add('quantile', quantile)
  for (const { key, value } of records(resource.attributes)) {
    const text = attribute(value)
    if (typeof key === 'string' && text !== undefined) addResource(labels, c.options, key, text)
  }
  return textWire(c, type, at.unit)
}

function attribute(value: unknown): string | undefined {
  if (!isRecord(value)) return undefined
  const scalar = value.stringValue ?? value.boolValue ?? value.intValue ?? value.doubleValue
  return scalar === undefined || typeof scalar === 'object' ? undefined : String(scalar)
}

function records(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}

function number(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value !== 'string' || value === '') return undefined
  const parsed = Number(value)
  return Number.isNaN(parsed) && value !== 'NaN' ? undefined : parsed
}

function ms(nanoseconds: unknown): number {
  return Math.round((number(nanoseconds) ?? 0) / 1e6)
}

function isGap(point: Json): boolean {
  return typeof point.flags === 'number' && (point.flags & NO_RECORDED_VALUE) !== 0
}

function temporalityOf(value: unknown): number {
  if (value === 1 || value === 'AGGREGATION_TEMPORALITY_DELTA') return TEMPORALITY.delta
  return value === 2 || value === 'AGGREGATION_TEMPORALITY_CUMULATIVE' ? TEMPORALITY.cumulative : 0
}

/** Numbers of an array; −1 when there are too many. */
function fill(out: Float64Array, values: unknown, max: number): number {
  if (!Array.isArray(values)) return 0
  if (values.length > max) return -1
  for (let i = 0; i < values.length; i++) out[i] = number(values[i]) ?? 0
  return values.length
}

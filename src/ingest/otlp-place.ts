import { CHECK_MASK, foldIdentity, hashRange, mix32 } from '../math/hash.ts'
import { type DecodeContext, finishDefine } from './context.ts'
import { sanitised } from './naming.ts'
import { addResource } from './otlp.ts'
import { utf8 } from './protobuf.ts'

/** Where one metric of the body stands; reused for each. */
interface MetricPlace {
  resourceFrom: number
  resourceTo: number
  resourceA: number
  resourceB: number
  resourceCheck: number
  nameFrom: number
  nameTo: number
  unitFrom: number
  unitTo: number
  nameA: number
  nameB: number
  nameCheck: number
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
  check: number
}

/** Scratch of the walk, module-wide: decoding is synchronous and never re-entered. */
export const METRIC: MetricPlace = {
  resourceFrom: 0,
  resourceTo: 0,
  resourceA: 0,
  resourceB: 0,
  resourceCheck: 0,
  nameFrom: 0,
  nameTo: 0,
  unitFrom: 0,
  unitTo: 0,
  nameA: 0,
  nameB: 0,
  nameCheck: 0,
}
export const POINT: PointPlace = {
  from: 0,
  to: 0,
  attributesField: 0,
  startMs: 0,
  timeMs: 0,
  value: 0,
  flags: 0,
  a: 0,
  b: 0,
  check: 0,
}

export function metricName(c: DecodeContext): string {
  return utf8(c.reader.bytes, METRIC.nameFrom, Math.min(METRIC.nameTo, METRIC.nameFrom + 100))
}

export function beginPoint(c: DecodeContext, to: number, attributesField: number): void {
  POINT.from = c.reader.pos
  POINT.to = to
  POINT.attributesField = attributesField
  POINT.startMs = POINT.timeMs = POINT.value = POINT.flags = 0
  POINT.a = METRIC.nameA
  POINT.b = METRIC.nameB
  POINT.check = METRIC.nameCheck
}

/** Folds one attribute into the identity of the point. */
export function readAttribute(c: DecodeContext): void {
  const r = c.reader
  const to = r.enter()
  const { hash } = c
  hashRange(r.view, r.pos, to, POINT.a, POINT.check, hash)
  const a = hash[0]
  const b = hash[1]
  const check = hash[2]
  hash[0] = POINT.a
  hash[1] = POINT.b
  hash[2] = POINT.check
  foldIdentity(hash, a, b, check)
  POINT.a = mix32(hash[0])
  POINT.b = mix32(hash[1])
  POINT.check = hash[2]
  r.pos = to
}

/** The wire of the point just read: metric name with a suffix, and for a summary's quantile a label. */
export function wireOf(
  c: DecodeContext,
  type: number,
  suffix: '' | '_count' | '_sum',
  quantile: number,
): number {
  const part =
    suffix === '' ? (Number.isNaN(quantile) ? 0 : 3 + Math.round(quantile * 1e6)) : suffix === '_sum' ? 1 : 2
  // Two points of one name and one set of attributes may still be two series.
  const check = mix32(POINT.check ^ mix32(type * 0x1000_0000 + part)) & CHECK_MASK
  const wire = c.convert.table.find(POINT.a, POINT.b, check)
  if (wire >= 0) return wire
  const r = c.reader
  const { pos, bad } = r
  const { labels } = c
  const name = utf8(r.bytes, METRIC.nameFrom, METRIC.nameTo)
  const unit = utf8(r.bytes, METRIC.unitFrom, METRIC.unitTo)
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
  return finishDefine(c, POINT.a, POINT.b, check, type, unit)
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

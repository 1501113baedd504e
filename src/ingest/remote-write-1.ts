import { hashRange } from '../math/hash.ts'
import { type DecodeContext, finishDefine, HISTOGRAM_CHECK } from './context.ts'
import { TYPE } from './families.ts'
import { safeName } from './naming.ts'
import { readNativeHistogram } from './native-histogram.ts'
import { utf8 } from './protobuf.ts'

/**
 * Prometheus remote write 1.0 (`prometheus.WriteRequest`, already inflated and well framed): timeseries = 1
 * (labels 1, samples 2, exemplars 3, histograms 4), metadata = 3.
 */
export function decodeRemoteWrite1(c: DecodeContext): void {
  const r = c.reader
  readMetadata1(c)
  r.pos = 0
  r.bad = false
  while (r.pos < r.end) {
    const tag = r.varint()
    if (tag !== 0x0a) {
      r.skip(tag)
      continue
    }
    const end = r.enter()
    readSeries1(c, end)
    r.pos = end
    r.bad = false
  }
}

/** Metadata stand last in a body but say how its series are meant. */
export function readMetadata1(c: DecodeContext): void {
  const r = c.reader
  while (r.pos < r.end) {
    const tag = r.varint()
    if (tag === 0x1a) readMetadata(c, r.enter())
    else r.skip(tag)
  }
}

function readMetadata(c: DecodeContext, end: number): void {
  const r = c.reader
  let type = 0
  let family = ''
  let unit = ''
  while (r.pos < end) {
    const tag = r.varint()
    if (tag === 0x08) type = r.varint()
    else if (tag === 0x12 || tag === 0x2a) {
      const from = r.pos
      const to = r.enter()
      const start = r.pos
      if (to > end || to < from) break
      if (tag === 0x12) family = utf8(r.bytes, start, to)
      else unit = utf8(r.bytes, start, to)
      r.pos = to
    } else r.skip(tag)
  }
  if (r.bad || r.pos !== end)
    c.convert.reject('malformed', `metadata of ${family || 'a family'} is cut short`)
  else if (family !== '' && family.length <= 256 && type <= TYPE.stateset && unit.length <= 64) {
    c.convert.declare(family, type, unit)
  }
  r.pos = end
  r.bad = false
}

/** A series with one sample of a non-zero value at a time of this century: tag, 16, value, six bytes of time. */
const PLAIN_SAMPLE_BYTES = 18

function isPlainSample(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === 0x12 &&
    bytes[at + 1] === 16 &&
    bytes[at + 2] === 0x09 &&
    bytes[at + 11] === 0x10 &&
    (bytes[at + 12] & bytes[at + 13] & bytes[at + 14] & bytes[at + 15] & bytes[at + 16]) >= 0x80 &&
    bytes[at + 17] < 0x80
  )
}

/** A varint of exactly six bytes. */
function plainTimeMs(bytes: Uint8Array, at: number): number {
  const low =
    (bytes[at] & 0x7f) |
    ((bytes[at + 1] & 0x7f) << 7) |
    ((bytes[at + 2] & 0x7f) << 14) |
    ((bytes[at + 3] & 0x7f) << 21)
  const high = (bytes[at + 4] & 0x7f) | (bytes[at + 5] << 7)
  return high * 268_435_456 + low
}

/** One series, whose message the reader stands at. */
export function readSeries1(c: DecodeContext, end: number): void {
  const r = c.reader
  const { bytes } = r
  const from = r.pos
  // Labels come first and without a break, which makes their bytes the identity of the series.
  let to = from
  while (to < end && bytes[to] === 0x0a) {
    const length = bytes[to + 1]
    if (length < 0x80) to += length + 2
    else {
      r.pos = to + 1
      to = r.enter()
    }
  }
  if (r.bad || to > end) {
    c.convert.reject('malformed', `labels at byte ${from} are cut short`)
    return
  }
  hashRange(r.view, from, to, c.seed, c.seedCheck, c.hash)
  const a = c.hash[0]
  const b = c.hash[1]
  const check = c.hash[2]
  let wire = c.convert.table.find(a, b, check)
  r.pos = to
  if (wire >= 0 && end - to === PLAIN_SAMPLE_BYTES && isPlainSample(bytes, to)) {
    const { io } = c.convert
    io[0] = plainTimeMs(bytes, to + 12)
    io[1] = r.view.getFloat64(to + 3, true)
    io[2] = 0
    if (c.convert.take(wire)) c.tally.samples++
    r.pos = end
    return
  }
  while (r.pos < end) {
    const tag = r.varint()
    if (tag === 0x12) {
      const stop = r.enter()
      if (wire < 0) wire = define(c, from, to, a, b, check)
      let value = 0
      let timeMs = 0
      while (r.pos < stop) {
        const field = r.varint()
        if (field === 0x09) value = r.double()
        else if (field === 0x10) timeMs = r.int64()
        else r.skip(field)
      }
      if (r.bad || r.pos !== stop || stop > end) {
        c.convert.reject('malformed', `a sample at byte ${stop} is cut short`)
        return
      }
      if (wire >= 0 && c.convert.sample(wire, timeMs, value)) c.tally.samples++
    } else if (tag === 0x1a) {
      r.skip(tag)
      c.tally.exemplars++
    } else if (tag === 0x22) {
      const stop = r.enter()
      if (!readNativeHistogram(c, stop) || stop > end) return
      // Histograms of a series are a stream apart from its floats.
      let native = c.convert.table.find(a, b, check + HISTOGRAM_CHECK)
      if (native < 0) {
        r.pos = stop
        native = define(c, from, to, a, b, check + HISTOGRAM_CHECK)
      }
      if (native >= 0 && c.convert.histogram(native, c.point)) c.tally.histograms++
      r.pos = stop
    } else if (tag === 0x0a) {
      c.convert.reject('malformed', `a label at byte ${r.pos} stands after samples`)
      return
    } else r.skip(tag)
  }
  if (r.bad || r.pos !== end) c.convert.reject('malformed', `a series at byte ${from} is cut short`)
}

/** First sight of a series: the only time that its labels become text. */
function define(c: DecodeContext, from: number, to: number, a: number, b: number, check: number): number {
  const r = c.reader
  const resume = r.pos
  const { labels } = c
  labels.begin('')
  r.pos = from
  while (r.pos < to) {
    r.pos++
    const end = r.enter()
    let name = ''
    let value = ''
    while (r.pos < end) {
      const tag = r.varint()
      const stop = tag === 0x0a || tag === 0x12 ? r.enter() : 0
      if (tag === 0x0a) name = utf8(r.bytes, r.pos, stop)
      else if (tag === 0x12) value = utf8(r.bytes, r.pos, stop)
      if (stop > 0) r.pos = stop
      else r.skip(tag)
    }
    if (r.bad || r.pos !== end) {
      labels.refused = 'malformed'
      break
    }
    labels.add(name === '__name__' ? name : safeName(name), name === '__name__' ? safeName(value) : value)
  }
  r.bad = false
  r.pos = resume
  return finishDefine(c, a, b, check, check >= HISTOGRAM_CHECK ? TYPE.points : TYPE.unknown, '')
}

import { ByteWriter } from '../../core/byte-writer.ts'
import { ForeshockError } from '../../core/errors.ts'
import { SNAPPY_SLACK, snappyDecode, snappyLength, snappyLiterals } from '../../math/snappy.ts'
import { ProtoReader, utf8, wellFramed } from '../protobuf.ts'
import { type PrometheusClient, TooMuch } from './prometheus-client.ts'
import type { Matcher } from './selector.ts'
import type { HistorySlab } from './slab.ts'

/** An inflated answer of more bytes is asked for in smaller parts. */
const INFLATED_BYTES_MAX = 1024 * 1024 * 1024

/**
 * History of one selector through remote read (`prometheus.ReadRequest`, sampled answers): every sample as it was
 * scraped, whole histograms included. https://prometheus.io/docs/prometheus/latest/storage/#remote-storage-integrations
 */
export async function remoteRead(
  client: PrometheusClient,
  matchers: readonly Matcher[],
  span: { readonly fromMs: number; readonly toMs: number },
  labels: Readonly<Record<string, string>>,
  slab: HistorySlab,
): Promise<void> {
  const bytes = await client.ask('/api/v1/read', {
    method: 'POST',
    body: snappyLiterals(readRequest(matchers, span)) as Uint8Array<ArrayBuffer>,
    headers: {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'snappy',
      'x-prometheus-remote-read-version': '0.1.0',
    },
  })
  const length = snappyLength(bytes)
  if (length > INFLATED_BYTES_MAX) throw new TooMuch(`an answer of ${length} bytes`)
  const out = new Uint8Array(Math.max(0, length) + SNAPPY_SLACK)
  const reader = new ProtoReader()
  const inflated = length < 0 ? -1 : snappyDecode(bytes, out)
  reader.reset(out, Math.max(0, inflated))
  if (inflated < 0 || !wellFramed(reader)) {
    throw new ForeshockError('FS_IO', 'remote read: the answer is not a snappy block of a ReadResponse')
  }
  eachField(reader, reader.end, 0x0a, end => {
    eachField(reader, end, 0x0a, stop => readSeries(reader, stop, span, labels, slab))
  })
  if (reader.bad) throw new ForeshockError('FS_IO', 'remote read: the answer is cut short')
}

function readRequest(matchers: readonly Matcher[], span: { fromMs: number; toMs: number }): Uint8Array {
  const query = new ByteWriter(256)
  query.varint(0x08)
  query.varint(span.fromMs)
  query.varint(0x10)
  // Both ends count in, on the server's side.
  query.varint(span.toMs - 1)
  for (const { name, kind, value } of matchers) {
    const matcher = new ByteWriter(128)
    if (kind !== 0) {
      matcher.varint(0x08)
      matcher.varint(kind)
    }
    matcher.text(0x12, name)
    matcher.text(0x1a, value)
    query.field(0x1a, matcher.take())
  }
  const request = new ByteWriter(256)
  request.field(0x0a, query.take())
  return request.take()
}

/** Visits each field of a tag up to `end`; the visitor is told where the field ends. */
function eachField(r: ProtoReader, end: number, wanted: number, visit: (stop: number) => void): void {
  while (r.pos < end && !r.bad) {
    const tag = r.varint()
    if (tag !== wanted) {
      r.skip(tag)
      continue
    }
    const stop = r.enter()
    if (r.bad) return
    visit(stop)
    r.pos = stop
  }
}

/** labels = 1, samples = 2, histograms = 4; labels stand first. */
function readSeries(
  r: ProtoReader,
  end: number,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  more: Readonly<Record<string, string>>,
  slab: HistorySlab,
): void {
  const labels: Record<string, string> = { ...more }
  let held: ReturnType<HistorySlab['series']> | undefined
  while (r.pos < end && !r.bad) {
    const tag = r.varint()
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x22) {
      r.skip(tag)
      continue
    }
    const stop = r.enter()
    if (r.bad) return
    if (tag === 0x0a) readLabel(r, stop, labels)
    else {
      held ??= slab.series(labels)
      const from = r.pos
      if (tag === 0x12) readSample(r, stop)
      else HERE.timeMs = histogramTime(r, stop)
      if (HERE.timeMs >= fromMs && HERE.timeMs < toMs) {
        if (tag === 0x12) slab.add(held, HERE.timeMs, HERE.value)
        else slab.addHistogram(held, HERE.timeMs, r.bytes.slice(from, stop))
      }
    }
    r.pos = stop
  }
}

function readLabel(r: ProtoReader, end: number, labels: Record<string, string>): void {
  let name = ''
  let value = ''
  while (r.pos < end && !r.bad) {
    const tag = r.varint()
    if (tag !== 0x0a && tag !== 0x12) {
      r.skip(tag)
      continue
    }
    const stop = r.enter()
    if (tag === 0x0a) name = utf8(r.bytes, r.pos, stop)
    else value = utf8(r.bytes, r.pos, stop)
    r.pos = stop
  }
  if (name !== '') labels[name] = value
}

/** The sample read last. */
const HERE = { timeMs: 0, value: 0 }

function readSample(r: ProtoReader, end: number): void {
  HERE.timeMs = 0
  HERE.value = 0
  while (r.pos < end && !r.bad) {
    const tag = r.varint()
    if (tag === 0x09) HERE.value = r.double()
    else if (tag === 0x10) HERE.timeMs = r.int64()
    else r.skip(tag)
  }
}

/** Field 15 of a native histogram. */
function histogramTime(r: ProtoReader, end: number): number {
  let timeMs = 0
  while (r.pos < end && !r.bad) {
    const tag = r.varint()
    if (tag === 0x78) timeMs = r.int64()
    else r.skip(tag)
  }
  return timeMs
}

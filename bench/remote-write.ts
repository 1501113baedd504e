// CPU time and heap bytes a sample, remote write 1.0 bytes → SampleBatch: `npx tsx bench/remote-write.ts`, with
// NODE_OPTIONS=--expose-gc for the heap figure. The body is encoded by hand here, 2,000 series each, as Prometheus
// sends them: sorted labels, one sample, snappy.
import { compress } from 'snappyjs'
import { Rejects } from '../src/core/rejects.ts'
import { SeriesTable } from '../src/core/series.ts'
import { IngestIntake } from '../src/ingest/intake.ts'
import { scraped } from './bodies.ts'

const T = 1_700_000_000_000
const PER_BODY = 2000
const METRICS = ['http_requests_total', 'process_resident_memory_bytes', 'queue_depth', 'cpu_usage_ratio']

function varint(out: number[], value: number): void {
  for (let left = value; ; left = Math.floor(left / 128)) {
    out.push(left >= 128 ? (left % 128) + 128 : left)
    if (left < 128) return
  }
}

function text(out: number[], field: number, value: string): void {
  out.push((field << 3) | 2)
  varint(out, value.length)
  for (let i = 0; i < value.length; i++) out.push(value.charCodeAt(i))
}

function message(out: number[], field: number, inner: readonly number[]): void {
  out.push((field << 3) | 2)
  varint(out, inner.length)
  for (const byte of inner) out.push(byte)
}

/** One body of `count` series from `first`, at a moment. */
function body(first: number, count: number, ms: number): Uint8Array {
  const out: number[] = []
  const double = new Uint8Array(8)
  const view = new DataView(double.buffer)
  for (let i = first; i < first + count; i++) {
    const labels = {
      __name__: METRICS[i % METRICS.length],
      cluster: 'eu-west-1',
      instance: `10.${(i >> 12) & 255}.${(i >> 6) & 63}.${i & 63}:9090`,
      job: `service-${i % 97}`,
      namespace: `team-${i % 13}`,
      pod: `service-${i % 97}-7d9f8b6c5-${i.toString(36)}`,
    }
    const series: number[] = []
    for (const [name, value] of Object.entries(labels)) {
      const label: number[] = []
      text(label, 1, name)
      text(label, 2, value)
      message(series, 1, label)
    }
    const sample: number[] = [0x09]
    view.setFloat64(0, i * 1.1 + (ms - T) / 100, true)
    sample.push(...double, 0x10)
    varint(sample, ms)
    message(series, 2, sample)
    message(out, 1, series)
  }
  return compress(Uint8Array.from(out))
}

function run(seriesCount: number, rounds: number): void {
  const series = new SeriesTable()
  const intake = new IngestIntake({}, { series, rejects: new Rejects() })
  let taken = 0
  let sum = 0
  const round = (r: number): Uint8Array[] =>
    Array.from({ length: seriesCount / PER_BODY }, (_, b) => body(b * PER_BODY, PER_BODY, T + r * 15_000))
  const decode = (bodies: readonly Uint8Array[]): void => {
    for (const bytes of bodies) {
      intake.decode(scraped(bytes, T + 86_400_000), batch => {
        taken += batch.length
        sum += batch.value[0]
      })
    }
  }
  const first = process.cpuUsage()
  decode(round(0))
  const define = process.cpuUsage(first)
  for (let r = 1; r <= 3; r++) decode(round(r))
  const gc = (globalThis as { gc?: () => void }).gc
  let ns = Number.POSITIVE_INFINITY
  let heap = Number.POSITIVE_INFINITY
  let bytes = 0
  taken = 0
  for (let r = 4; r < 4 + rounds; r++) {
    const bodies = round(r)
    bytes = bodies.reduce((all, each) => all + each.length, 0)
    gc?.()
    const heapBefore = process.memoryUsage().heapUsed
    const before = process.cpuUsage()
    decode(bodies)
    const used = process.cpuUsage(before)
    heap = Math.min(heap, (process.memoryUsage().heapUsed - heapBefore) / seriesCount)
    ns = Math.min(ns, ((used.user + used.system) * 1000) / seriesCount)
  }
  const perSeries = ((define.user + define.system) * 1000) / seriesCount
  console.log(
    `${seriesCount} series: ${ns.toFixed(0)} ns CPU a sample (best of ${rounds}), ` +
      `${gc ? heap.toFixed(2) : '? (run with --expose-gc)'} heap bytes a sample, ` +
      `${(bytes / seriesCount).toFixed(0)} wire bytes a sample, first round with encoding ${perSeries.toFixed(0)} ns, ` +
      `state ${(intake.bytes() / seriesCount).toFixed(0)} B a series, ${taken} samples, checksum ${sum.toFixed(3)}`,
  )
}

run(2000, 40)
run(100_000, 8)

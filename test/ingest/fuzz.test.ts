// Shows that no bytes make a decoder throw, hang or grow without bound: random ones, and valid bodies of every
// kind with bytes changed, cut or doubled; and that small bodies which claim or inflate to a gigabyte are refused
// while inflating.
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { compress } from 'snappyjs'
import { describe, expect, it } from 'vitest'
import type { EnvelopeKind } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import { Bench, encode, labelList } from './wire.ts'

const T = 1_700_000_000_000
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const histogram = {
  count_int: 30,
  sum: 1,
  schema: 1,
  zero_count_int: 0,
  positive_spans: [{ offset: 1, length: 2 }],
  positive_deltas: [10, 10],
  timestamp: T,
}
const timeseries = [
  {
    labels: labelList('a_total', { job: 'j' }),
    samples: [{ timestamp: T, value: 1 }],
    histograms: [histogram],
  },
  { labels: labelList('b_bucket', { job: 'j', le: '1' }), samples: [{ timestamp: T, value: 1 }] },
]
const symbols = ['', '__name__', 'a_total', 'job', 'j']
const point = { time_unix_nano: `${T}000000`, start_time_unix_nano: `${T - 1000}000000`, count: 10, sum: 5 }
const metrics = [
  {
    name: 'g',
    unit: 's',
    gauge: {
      data_points: [{ ...point, as_int: 4, attributes: [{ key: 'k', value: { string_value: 'v' } }] }],
    },
  },
  {
    name: 's',
    sum: { aggregation_temporality: 2, is_monotonic: true, data_points: [{ ...point, as_double: 4 }] },
  },
  {
    name: 'h',
    histogram: {
      aggregation_temporality: 1,
      data_points: [{ ...point, bucket_counts: [4, 6], explicit_bounds: [1] }],
    },
  },
  {
    name: 'e',
    exponential_histogram: {
      aggregation_temporality: 1,
      data_points: [{ ...point, scale: 2, positive: { offset: -1, bucket_counts: [10] } }],
    },
  },
  { name: 'q', summary: { data_points: [{ ...point, quantile_values: [{ quantile: 0.5, value: 1 }] }] } },
]

/** A valid plain body of each kind. */
const OTHERS: Record<
  Exclude<EnvelopeKind, 'change' | 'tick' | 'maintenance' | 'model' | 'columns'>,
  Uint8Array
> = {
  'remote-write-1': encode('WriteRequest', {
    timeseries,
    metadata: [{ type: 1, metric_family_name: 'a', unit: 's' }],
  }),
  'remote-write-2': encode('Request', {
    symbols,
    timeseries: [
      {
        labels_refs: [1, 2, 3, 4],
        samples: [{ timestamp: T, value: 1 }],
        histograms: [histogram],
        metadata: { type: 1 },
      },
    ],
  }),
  'otlp-protobuf': encode('Export', {
    resource_metrics: [{ resource: { attributes: [] }, scope_metrics: [{ metrics }] }],
  }),
  'otlp-json': text(
    JSON.stringify({
      resourceMetrics: [
        {
          scopeMetrics: [
            { metrics: [{ name: 'g', gauge: { dataPoints: [{ asInt: '4', timeUnixNano: `${T}000000` }] } }] },
          ],
        },
      ],
    }),
  ),
  'json-lines': text(
    `{"time":${T},"metric":"m","labels":{"a":"b"},"value":1}\n{"metric":"c","times":[${T}],"values":[2]}\n`,
  ),
}

/** All of that as one columnar message. */
function columns(): Uint8Array {
  const splitter = new Splitter({}, { rejects: new Rejects(), partitions: 1, place: () => 0 })
  const parts: Uint8Array[] = []
  for (const kind of ['otlp-protobuf', 'json-lines'] as const) {
    const envelope = { kind, encoding: 'identity', arrivalMs: T, tenant: 'default' } as const
    parts.push(...splitter.split({ ...envelope, bytes: OTHERS[kind] }).parts.map(({ bytes }) => bytes))
  }
  return parts[0]
}
const BODIES: Record<keyof typeof OTHERS | 'columns', Uint8Array> = { ...OTHERS, columns: columns() }

const kinds = Object.keys(BODIES) as (keyof typeof BODIES)[]

describe('fuzzed bodies', () => {
  const limit = { inflatedBytesMax: 1 << 20 }

  it('start from bodies that are read without a reject', () => {
    for (const kind of kinds) {
      const receipt = new Bench().send(kind, BODIES[kind], { encoding: 'identity' })
      expect(receipt, kind).toMatchObject({ rejected: 0, reasons: [] })
      expect(receipt.samples, kind).toBeGreaterThan(0)
    }
  })

  it('never throw, hang or grow: changed, cut and doubled bytes of valid bodies', () => {
    const edit = fc.record({ at: fc.nat(), byte: fc.nat(255), kind: fc.constantFrom('set', 'cut', 'double') })
    const bench = new Bench(limit)
    const before = bench.intake.bytes()
    const started = process.cpuUsage()
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.array(edit, { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        (kind, edits, snappy) => {
          let bytes = Uint8Array.from(BODIES[kind])
          for (const { at, byte, kind: how } of edits) {
            const i = at % Math.max(1, bytes.length)
            if (how === 'set') bytes[i] = byte
            else if (how === 'cut') bytes = bytes.slice(0, i)
            else bytes = Uint8Array.from([...bytes.slice(0, i), ...bytes.slice(i >> 1)])
          }
          const receipt = snappy
            ? bench.send(kind, compress(bytes), { encoding: 'snappy' })
            : bench.send(kind, bytes, { encoding: 'identity' })
          const { samples, rejected, reasons, failure } = receipt
          expect(samples).toBeGreaterThanOrEqual(0)
          expect(rejected === 0).toBe(reasons.length === 0)
          if (failure) expect(failure.code).toBe('FS_INPUT_INVALID')
        },
      ),
      { numRuns: 6000 },
    )
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(20)
    expect(bench.intake.bytes() - before).toBeLessThan(16 << 20)
    for (const { timeMs } of bench.seen) expect(timeMs).toBeGreaterThan(0)
  })

  it('never throw on random bytes in any encoding', () => {
    const bench = new Bench(limit)
    const encoding = fc.constantFrom('identity', 'gzip', 'snappy')
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        encoding,
        fc.uint8Array({ maxLength: 400 }),
        (kind, how, bytes) => {
          bench.send(kind, bytes, { encoding: how as 'gzip' })
          bench.send(kind, how === 'gzip' ? gzipSync(bytes) : compress(bytes), {
            encoding: how === 'gzip' ? 'gzip' : 'snappy',
          })
        },
      ),
      { numRuns: 3000 },
    )
    expect(bench.intake.bytes()).toBeLessThan(16 << 20)
  })

  it('is refused while inflating when a small body is a gigabyte', () => {
    const bench = new Bench()
    // 64 members of 16 MB of zeros each: 1 MB that would be 1 GB.
    const member = gzipSync(new Uint8Array(16 << 20))
    const gzip = Buffer.concat(Array.from({ length: 64 }, () => member))
    expect(gzip.length).toBeLessThan(2 << 20)
    const before = process.memoryUsage().rss
    for (const kind of ['otlp-protobuf', 'json-lines'] as const) {
      expect(bench.send(kind, gzip, { encoding: 'gzip' }).failure?.code).toBe('FS_INPUT_TOO_LARGE')
    }
    // Snappy: 4,000 copies of 64 bytes, claiming 1 GB; then an honest claim within the limit that overruns it.
    const claim = (length: number): number[] => {
      const bytes: number[] = []
      for (let left = length; ; left = Math.floor(left / 128)) {
        bytes.push(left >= 128 ? (left % 128) + 128 : left)
        if (left < 128) return bytes
      }
    }
    const copies = Array.from({ length: 3300 }, () => [(63 << 2) | 2, 1, 0]).flat()
    const bomb = (length: number) => Uint8Array.from([...claim(length), 0, 0x0a, ...copies])
    expect(bomb(2 ** 30).length).toBeLessThan(10_240)
    expect(bench.send('remote-write-1', bomb(2 ** 30)).failure?.code).toBe('FS_INPUT_TOO_LARGE')
    expect(bench.send('remote-write-1', bomb(60 << 20)).failure?.code).toBe('FS_INPUT_INVALID')
    expect(bench.send('remote-write-1', bomb(1000)).failure?.code).toBe('FS_INPUT_INVALID')
    expect(process.memoryUsage().rss - before).toBeLessThan(300 << 20)
    expect(bench.intake.bytes()).toBeLessThan(8 << 20)
    expect(bench.send('remote-write-1', new Uint8Array(17 << 20)).failure?.code).toBe('FS_INPUT_TOO_LARGE')
  })
})

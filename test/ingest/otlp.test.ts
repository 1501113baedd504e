// Shows that OTLP bodies, protobuf and JSON alike, come out as the same samples: gauges, sums of both
// temporalities, explicit and exponential histograms, summaries, points without a value; and that what the
// official OpenTelemetry SDK really sends over HTTP is read.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync, gzipSync } from 'node:zlib'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { describe, expect, it } from 'vitest'
import { Bench, encode, type Json } from './wire.ts'

const T = 1_700_000_000_000
const nano = (ms: number): string => `${ms}000000`
const START = nano(T - 60_000)

function body(...metrics: Json[]): Json {
  const resource = {
    attributes: [
      { key: 'service.name', value: { string_value: 'cart' } },
      { key: 'service.instance.id', value: { string_value: 'cart-1' } },
      { key: 'process.pid', value: { int_value: 7 } },
    ],
  }
  return { resource_metrics: [{ resource, scope_metrics: [{ scope: { name: 'x' }, metrics }] }] }
}

/** The protobuf JSON mapping of the same body. */
function camel(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camel)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, inner]) => [
    key.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase()),
    camel(inner),
  ])
  return Object.fromEntries(entries)
}

const KEY = '{instance="cart-1",service="cart"}'
const CUMULATIVE = 2
const DELTA = 1

for (const kind of ['otlp-protobuf', 'otlp-json'] as const) {
  const send = (bench: Bench, ...metrics: Json[]) => {
    const message = body(...metrics)
    const bytes =
      kind === 'otlp-protobuf'
        ? encode('Export', message)
        : new TextEncoder().encode(JSON.stringify(camel(message)))
    return bench.send(kind, gzipSync(bytes), { encoding: 'gzip' })
  }
  const point = (ms: number, more: Json): Json => ({
    start_time_unix_nano: START,
    time_unix_nano: nano(ms),
    ...more,
  })

  describe(kind, () => {
    it('reads gauges and sums of both temporalities', () => {
      const bench = new Bench()
      for (const i of [0, 1]) {
        const ms = T + i * 10_000
        const attributes = [{ key: 'http.route', value: { string_value: '/a' } }]
        const receipt = send(
          bench,
          { name: 'queue.size', unit: '{item}', gauge: { data_points: [point(ms, { as_int: 3 + i })] } },
          {
            name: 'http.server.requests',
            sum: {
              aggregation_temporality: CUMULATIVE,
              is_monotonic: true,
              data_points: [point(ms, { as_double: 50 * i, attributes })],
            },
          },
          {
            name: 'jobs',
            sum: {
              aggregation_temporality: DELTA,
              is_monotonic: true,
              data_points: [{ ...point(ms, { as_int: 20 }), start_time_unix_nano: nano(ms - 10_000) }],
            },
          },
          {
            name: 'open',
            sum: { aggregation_temporality: CUMULATIVE, data_points: [point(ms, { as_int: 9, flags: i })] },
          },
        )
        expect(receipt).toMatchObject({ samples: 4, rejected: 0, reasons: [] })
      }
      expect(bench.values(`queue_size${KEY}`)).toEqual([3, 4])
      expect(
        bench.values('http_server_requests:rate{http_route="/a",instance="cart-1",service="cart"}'),
      ).toEqual([5])
      expect(bench.values(`jobs:rate${KEY}`)).toEqual([2, 2])
      expect(bench.values(`open${KEY}`)).toEqual([9, Number.NaN])
      expect(bench.meta(`queue_size${KEY}`)).toMatchObject({ unit: '{item}', entity: 'cart' })
      expect(bench.seen.every(({ timeMs }) => timeMs === T || timeMs === T + 10_000)).toBe(true)
    })

    it('reads explicit histograms of both temporalities', () => {
      for (const temporality of [CUMULATIVE, DELTA]) {
        const bench = new Bench()
        for (const i of [1, 2]) {
          const times = temporality === CUMULATIVE ? i : 1
          const counts = [50, 50, 0].map(count => count * times)
          const data = point(T + i * 10_000, {
            count: 100 * times,
            sum: 20,
            bucket_counts: counts,
            explicit_bounds: [0.1, 0.5],
          })
          if (temporality === DELTA) data.start_time_unix_nano = nano(T + i * 10_000 - 10_000)
          const histogram = { aggregation_temporality: temporality, data_points: [data] }
          const receipt = send(bench, { name: 'http.server.request.duration', unit: 's', histogram })
          expect(receipt).toMatchObject({ histograms: 1, rejected: 0 })
        }
        expect(bench.values(`http_server_request_duration:p50${KEY}`).at(-1)).toBeCloseTo(0.1)
        expect(bench.values(`http_server_request_duration:p95${KEY}`).at(-1)).toBeCloseTo(0.46)
        expect(bench.values(`http_server_request_duration:count${KEY}`).at(-1)).toBe(10)
        expect(bench.meta(`http_server_request_duration:p99${KEY}`)).toMatchObject({
          unit: 's',
          kind: 'latency',
        })
      }
    })

    it('reads exponential histograms, also when their scale falls', () => {
      const bench = new Bench()
      const send1 = (ms: number, scale: number, offset: number, counts: number[], zero = 0) =>
        send(bench, {
          name: 'size',
          exponential_histogram: {
            aggregation_temporality: CUMULATIVE,
            data_points: [
              point(ms, {
                count: counts.reduce((a, b) => a + b, zero),
                sum: 1,
                scale,
                zero_count: zero,
                positive: { offset, bucket_counts: counts },
              }),
            ],
          },
        })
      // Scale 1: base √2. Bucket 2 is (2, 2√2], bucket 3 (2√2, 4].
      send1(T, 1, 2, [10, 10])
      // Scale 0: bucket 1 is (2, 4], bucket 2 (4, 8]. Of 30 new, 10 are in the first and 20 in the second.
      send1(T + 10_000, 0, 1, [30, 20])
      expect(bench.values(`size:p50${KEY}`)[0]).toBeCloseTo(4 * 2 ** (5 / 20), 9)
      expect(bench.values(`size:count${KEY}`)).toEqual([3])
      send1(T + 20_000, 0, 1, [30, 20])
      expect(bench.values(`size:p50${KEY}`)[1]).toBeNaN()
    })

    it('passes the quantiles of a summary through, with rate and mean', () => {
      const bench = new Bench()
      for (const i of [1, 2]) {
        const quantile_values = [{ quantile: 0.99, value: 0.5 * i }]
        send(bench, {
          name: 'rpc',
          unit: 's',
          summary: { data_points: [point(T + i * 10_000, { count: 100 * i, sum: 30 * i, quantile_values })] },
        })
      }
      expect(bench.values(`rpc:p99${KEY}`)).toEqual([0.5, 1])
      expect(bench.values(`rpc:count${KEY}`)).toEqual([10])
      expect(bench.values(`rpc:mean${KEY}`)[0]).toBeCloseTo(0.3)
    })

    it('refuses a metric that contradicts itself and keeps the others', () => {
      const bench = new Bench()
      const crooked = { count: 3, bucket_counts: [1, 2, 3], explicit_bounds: [5, 1] }
      const receipt = send(
        bench,
        { name: 'a', histogram: { aggregation_temporality: DELTA, data_points: [point(T, crooked)] } },
        { name: 'b', sum: { data_points: [point(T, { as_int: 1 })] } },
        { name: '', gauge: { data_points: [point(T, { as_int: 1 })] } },
        { name: 'c', gauge: { data_points: [point(T, { as_int: 1 })] } },
      )
      expect(receipt).toMatchObject({ samples: 1, rejected: 3 })
      expect(bench.rejects.counts()).toEqual({ malformed: 2, temporality: 1 })
    })
  })
}

describe('OpenTelemetry SDK over HTTP', () => {
  it('is read as it sends', async () => {
    for (const preference of [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA]) {
      const bodies: Buffer[] = []
      const server = createServer((request, response) => {
        const chunks: Buffer[] = []
        request.on('data', chunk => chunks.push(chunk))
        request.on('end', () => {
          const whole = Buffer.concat(chunks)
          bodies.push(request.headers['content-encoding'] === 'gzip' ? gunzipSync(whole) : whole)
          response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
        })
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/metrics`
      const exporter = new OTLPMetricExporter({ url, temporalityPreference: preference })
      const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
      const resource = resourceFromAttributes({ 'service.name': 'pay' })
      const provider = new MeterProvider({ resource, readers: [reader] })
      const meter = provider.getMeter('test')
      const requests = meter.createCounter('http.requests')
      const latency = meter.createHistogram('http.duration', {
        unit: 's',
        advice: { explicitBucketBoundaries: [0.1, 1] },
      })
      const depth = meter.createGauge('queue.depth')
      for (let i = 0; i < 3; i++) {
        requests.add(10, { route: '/pay' })
        latency.record(0.05)
        depth.record(4)
        await new Promise(resolve => setTimeout(resolve, 20))
        await provider.forceFlush()
      }
      await provider.shutdown()
      server.close()
      const bench = new Bench()
      for (const bytes of bodies) {
        const receipt = bench.send('otlp-protobuf', bytes, { arrivalMs: Date.now() })
        expect(receipt).toMatchObject({ rejected: 0, reasons: [] })
      }
      expect(bench.values('queue_depth{service="pay"}').slice(0, 3)).toEqual([4, 4, 4])
      const rates = bench.values('http_requests:rate{route="/pay",service="pay"}')
      expect(rates.length).toBeGreaterThanOrEqual(2)
      expect(Math.max(...rates)).toBeGreaterThan(10)
      expect(bench.values('http_duration:p50{service="pay"}')[0]).toBeCloseTo(0.05)
    }
  })
})

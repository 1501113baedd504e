// Shows that messages which others wrote into any partition (JSON lines, one object, arrays, OTLP as the OpenTelemetry SDK
// encodes it) come out as if they had been sent to a gateway: points of this partition in place, others passed on once to
// theirs; that splitting a message again gives the same bytes, whatever came between; and that what cannot be read says why.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entityKey, partitionOf } from '../../src/bus/partition-of.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { HEADERS, type StoredMessage } from '../../src/core/stream.ts'
import { foreignBody } from '../../src/ingest/foreign-body.ts'
import { foreignSplitter } from '../../src/roles/foreign.ts'
import { Bench, encode, type Json } from '../ingest/wire.ts'

const T = 1_700_000_000_000
const PARTITIONS = 3
const text = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))

const line = (service: string, t: number, metric = 'jobs_total'): Json => ({
  metric,
  labels: { service },
  time: T + t * 1000,
  value: t * 5,
})

function otlp(services: readonly string[], t: number): Uint8Array {
  const resource_metrics = services.map(service => ({
    resource: { attributes: [{ key: 'service.name', value: { string_value: service } }] },
    scope_metrics: [
      {
        metrics: [
          {
            name: 'http.duration',
            unit: 's',
            histogram: {
              aggregation_temporality: 2,
              data_points: [
                {
                  time_unix_nano: `${T + t * 1000}000000`,
                  start_time_unix_nano: `${T}000000`,
                  count: t * 3,
                  sum: t,
                  bucket_counts: [t, t * 2],
                  explicit_bounds: [0.5],
                },
              ],
            },
          },
        ],
      },
    ],
  }))
  return encode('Export', { resource_metrics })
}

/** Partitions with their owners; messages passed on come behind what is there. */
class Partitions {
  readonly rejects = new Rejects()
  readonly split = foreignSplitter({}, this.rejects)
  readonly scorers = Array.from({ length: PARTITIONS }, () => new Bench())
  readonly #last = new Map<string, string>()
  #offset = 0
  passedOn = 0

  /** A foreign message in a partition, and everything that follows from it. */
  take(partition: number, value: Uint8Array, headers: Record<string, string> = {}): string | undefined {
    const offset = this.#offset++
    const message: StoredMessage = {
      topic: 'samples',
      partition,
      offset,
      key: 'whatever',
      value,
      headers,
      timestampMs: T + 100_000,
    }
    const { here, elsewhere, dead } = this.split(message, partition, PARTITIONS)
    for (const { kind, bytes, arrivalMs, tenant } of here)
      this.scorers[partition].send(kind, bytes, { arrivalMs, tenant })
    for (const passed of elsewhere) {
      expect(passed.partition).not.toBe(partition)
      expect(passed.headers[HEADERS.origin]).toMatch(new RegExp(`^samples/${partition}/${offset}/\\d+$`))
      const origin = passed.headers[HEADERS.origin]
      expect(this.#last.has(origin)).toBe(false)
      this.#last.set(origin, origin)
      this.passedOn++
      const { timestampMs, headers: its } = passed
      const more = { arrivalMs: timestampMs, tenant: its[HEADERS.tenant] }
      this.scorers[passed.partition as number].send('columns', passed.value, more)
    }
    return dead
  }
}

const services = ['checkout', 'payments', 'search', 'cart', 'mail']

describe('splitForeign', () => {
  it('gives what a gateway would give, in the partitions of the entities', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            partition: fc.nat(PARTITIONS - 1),
            of: fc.uniqueArray(fc.constantFrom(...services), { minLength: 1 }),
            format: fc.constantFrom('lines', 'array', 'object', 'otlp'),
          }),
          { minLength: 1, maxLength: 10 },
        ),
        messages => {
          const partitions = new Partitions()
          const alone = new Bench()
          for (const [t, { partition, of, format }] of messages.entries()) {
            const all = format === 'object' ? of.slice(0, 1) : of
            const lines = all.map(service => line(service, t))
            const plain =
              format === 'otlp' ? otlp(all, t) : text(lines.map(each => JSON.stringify(each)).join('\n'))
            const value =
              format === 'array'
                ? text(lines)
                : format === 'object'
                  ? text(JSON.stringify(lines[0], null, 2))
                  : plain
            alone.send(format === 'otlp' ? 'otlp-protobuf' : 'json-lines', plain, { arrivalMs: T + 100_000 })
            expect(partitions.take(partition, value)).toBeUndefined()
          }
          const bySeries = (benches: readonly Bench[]): Record<string, unknown> =>
            Object.fromEntries(
              benches.flatMap(bench => bench.keys().map(key => [key, bench.seen.filter(s => s.key === key)])),
            )
          expect(bySeries(partitions.scorers)).toEqual(bySeries([alone]))
          for (const [partition, { series }] of partitions.scorers.entries()) {
            for (const [, { entity }] of series.metas())
              expect(partitionOf(entityKey('default', entity), PARTITIONS)).toBe(partition)
          }
        },
      ),
      { numRuns: 100 },
    )
  })

  it('gives the same bytes for the same message, whatever came between', () => {
    const split = foreignSplitter({})
    const message = (offset: number, value: Uint8Array): StoredMessage => ({
      topic: 'samples',
      partition: 0,
      offset,
      key: null,
      value,
      headers: {},
      timestampMs: T,
    })
    const value = text(services.map(service => JSON.stringify(line(service, 0))).join('\n'))
    const first = split(message(7, value), 0, PARTITIONS)
    expect(first.elsewhere.length).toBeGreaterThan(0)
    for (let i = 0; i < 300; i++) {
      const unit = `unit${i}`
      split(message(100 + i, text({ ...line(`s${i}`, 0), unit })), 0, PARTITIONS)
    }
    expect(split(message(7, value), 0, PARTITIONS)).toEqual(first)
    expect(foreignSplitter({})(message(7, value), 0, PARTITIONS)).toEqual(first)
  })

  it('reads what the OpenTelemetry SDK really exports', async () => {
    const bodies: Uint8Array[] = []
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', chunk => chunks.push(chunk))
      request.on('end', () => {
        bodies.push(Buffer.concat(chunks))
        response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
      })
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/metrics`
    const exporter = new OTLPMetricExporter({ url })
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
    const resource = resourceFromAttributes({ 'service.name': 'pay' })
    const provider = new MeterProvider({ resource, readers: [reader] })
    const meter = provider.getMeter('test')
    meter.createGauge('queue.depth').record(4)
    meter.createHistogram('http.duration', { unit: 's' }).record(0.05)
    await provider.forceFlush()
    await provider.shutdown()
    server.close()
    const partitions = new Partitions()
    const home = partitionOf(entityKey('default', 'pay'), PARTITIONS)
    for (const value of bodies) {
      expect(foreignBody(value, undefined)).toEqual({ kind: 'otlp-protobuf', bytes: value })
      const message = { topic: 'samples', partition: home, offset: 1, key: null, value, headers: {} }
      const { here, elsewhere, dead, receipt } = partitions.split(
        { ...message, timestampMs: Date.now() },
        home,
        PARTITIONS,
      )
      expect({ dead, elsewhere, rejected: receipt?.rejected }).toEqual({ elsewhere: [], rejected: 0 })
      expect(receipt?.samples).toBe(1)
      expect(receipt?.histograms).toBe(1)
      for (const { bytes, arrivalMs } of here) partitions.scorers[home].send('columns', bytes, { arrivalMs })
    }
    expect(partitions.scorers[home].values('queue_depth{service="pay"}')[0]).toBe(4)
  })

  it('says why a message cannot be read, and takes the rest of one that can be in part', () => {
    const partitions = new Partitions()
    const dead = (value: Uint8Array | string, headers: Record<string, string> = {}): string =>
      partitions.take(0, typeof value === 'string' ? text(value) : value, headers) ?? ''
    expect(dead('')).toMatch(/empty/)
    expect(dead('hello')).toMatch(/neither JSON nor/)
    expect(dead('{"metric": "a", ')).toMatch(/not JSON/)
    expect(dead('[1, 2')).toMatch(/not JSON/)
    expect(dead('{"metric":"a"}')).toMatch(/time is missing/)
    expect(dead('<a/>', { 'content-type': 'text/xml' })).toMatch(/text\/xml is not read/)
    expect(dead('hello', { 'content-type': 'application/x-protobuf' })).toMatch(/not a protobuf message/)
    for (const tenant of ['no/body', 'no:body', '-', 'a'.repeat(65)])
      expect(dead(otlp(['a'], 1), { 'foreshock-tenant': tenant })).toMatch(/cannot be a tenant/)
    expect(dead(otlp(['a'], 1).subarray(0, 20))).toMatch(/neither JSON nor/)
    expect(partitions.passedOn).toBe(0)
    const before = partitions.rejects.counts().malformed
    expect(dead(`${JSON.stringify(line('cart', 1))}\nbroken`, { 'content-type': 'application/json' })).toBe(
      '',
    )
    expect(partitions.rejects.counts().malformed).toBe(before + 1)

    expect(dead(text({ resourceMetrics: [] }))).toBe('')
  })

  it('tells protobuf from JSON even where they begin alike', () => {
    // A line feed and an opening brace are also a message of 123 bytes in field 1.
    for (let pad = 0; pad < 260; pad++) {
      const value = text(`\n{"metric":"m","time":${T},"value":1,"labels":{"a":"${'x'.repeat(pad)}"}}`)
      expect(foreignBody(value, undefined)).toMatchObject({ kind: 'json-lines' })
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), value => {
        const partitions = new Partitions()
        const why = partitions.take(1, value)
        expect(why === undefined || why.length > 0).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

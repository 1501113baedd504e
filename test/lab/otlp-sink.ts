// A small OTLP/HTTP receiver for tests: decodes what the SDK pushes with protobufjs (no code of ours) and answers
// questions about an interval: latency quantile, error share, CPU, memory, last heard, per service or call edge.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import protobuf from 'protobufjs'

const SCHEMA = `
syntax = "proto3";
message Request { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeMetrics { repeated Metric metrics = 2; }
message Metric { string name = 1; string unit = 3; Numbers gauge = 5; Numbers sum = 7; Histogram histogram = 9; }
message Numbers { repeated NumberPoint data_points = 1; }
message NumberPoint {
  repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  oneof value { double as_double = 4; sfixed64 as_int = 6; }
}
message Histogram { repeated HistogramPoint data_points = 1; }
message HistogramPoint {
  repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  fixed64 count = 4; double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
}
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { string string_value = 1; }
`
const Request = protobuf.parse(SCHEMA).root.lookupType('Request')

interface Attribute {
  key: string
  value: { stringValue: string }
}
interface RawPoint {
  attributes: Attribute[]
  startTimeUnixNano: number
  timeUnixNano: number
  asDouble?: number
  asInt?: number
  count?: number
  bucketCounts?: number[]
  explicitBounds?: number[]
}
interface RawMetric {
  name: string
  unit: string
  gauge?: { dataPoints: RawPoint[] }
  sum?: { dataPoints: RawPoint[] }
  histogram?: { dataPoints: RawPoint[] }
}
interface RawRequest {
  resourceMetrics: { resource: { attributes: Attribute[] }; scopeMetrics: { metrics: RawMetric[] }[] }[]
}

interface Point {
  timeMs: number
  startMs: number
  value: number
  buckets: number[]
  bounds: number[]
}

export interface SinkSeries {
  service: string
  instance: string
  metric: string
  unit: string
  /** `client→server` of a call edge, else ''. */
  edge: string
  points: Point[]
}

export class OtlpSink {
  readonly series = new Map<string, SinkSeries>()
  requests = 0
  #server: Server | undefined

  async start(): Promise<string> {
    const server = createServer((incoming, outgoing) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('end', () => {
        const bytes = Buffer.concat(chunks)
        if (incoming.url === '/v1/metrics')
          this.#take(incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes)
        outgoing.writeHead(incoming.url === '/v1/metrics' ? 200 : 404, {
          'content-type': 'application/x-protobuf',
        })
        outgoing.end()
      })
    })
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    this.#server = server
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections()
    await new Promise(done => this.#server?.close(done))
  }

  /** Everything of one metric, of a service (all its instances) or of a call edge `client→server`. */
  select(metric: string, who: string): SinkSeries[] {
    return [...this.series.values()].filter(
      series =>
        series.metric === metric && (who.includes('→') ? series.edge === who : series.service === who),
    )
  }

  /** Growth of counters in the interval, over all matching series; a restart starts again from zero. */
  growth(metric: string, who: string, fromMs: number, toMs: number): number {
    let grown = 0
    for (const { points } of this.select(metric, who)) {
      for (let index = 1; index < points.length; index++) {
        const point = points[index]
        if (point.timeMs <= fromMs || point.timeMs > toMs) continue
        const before = points[index - 1]
        grown += point.startMs === before.startMs ? point.value - before.value : point.value
      }
    }
    return grown
  }

  /** Mean of a gauge in the interval; NaN without points. */
  mean(metric: string, who: string, fromMs: number, toMs: number): number {
    const values = this.select(metric, who).flatMap(({ points }) =>
      points.filter(({ timeMs }) => timeMs > fromMs && timeMs <= toMs).map(({ value }) => value),
    )
    return values.reduce((sum, value) => sum + value, 0) / values.length
  }

  /** Upper bound of the bucket that holds the quantile of what was recorded in the interval, seconds. */
  quantile(q: number, metric: string, who: string, fromMs: number, toMs: number): number {
    let bounds: number[] = []
    const counts: number[] = []
    for (const { points } of this.select(metric, who)) {
      for (let index = 1; index < points.length; index++) {
        const point = points[index]
        if (point.timeMs <= fromMs || point.timeMs > toMs) continue
        const before = points[index - 1]
        bounds = point.bounds
        for (const [bucket, count] of point.buckets.entries()) {
          const past = point.startMs === before.startMs ? (before.buckets[bucket] ?? 0) : 0
          counts[bucket] = (counts[bucket] ?? 0) + count - past
        }
      }
    }
    const target = q * counts.reduce((sum, count) => sum + count, 0)
    let seen = 0
    for (const [bucket, count] of counts.entries()) {
      seen += count
      if (seen > 0 && seen >= target) return bounds[bucket] ?? Number.POSITIVE_INFINITY
    }
    return Number.NaN
  }

  /** When an instance was last heard, Unix ms; 0 if never. */
  lastHeardMs(instance: string): number {
    let last = 0
    for (const series of this.series.values())
      if (series.instance === instance) last = Math.max(last, series.points.at(-1)?.timeMs ?? 0)
    return last
  }

  #take(bytes: Uint8Array): void {
    this.requests++
    const request = Request.toObject(Request.decode(bytes), { longs: Number, arrays: true }) as RawRequest
    for (const { resource, scopeMetrics } of request.resourceMetrics) {
      const service = attribute(resource.attributes, 'service.name')
      const instance = attribute(resource.attributes, 'service.instance.id')
      for (const { metrics } of scopeMetrics) {
        for (const metric of metrics) {
          const points = (metric.gauge ?? metric.sum ?? metric.histogram)?.dataPoints ?? []
          for (const point of points) this.#add(service, instance, metric, point)
        }
      }
    }
  }

  #add(service: string, instance: string, metric: RawMetric, point: RawPoint): void {
    const client = attribute(point.attributes, 'client')
    const edge = client === '' ? '' : `${client}→${attribute(point.attributes, 'server')}`
    const key = `${instance} ${metric.name} ${edge}`
    const series = this.series.get(key) ?? {
      service,
      instance,
      metric: metric.name,
      unit: metric.unit,
      edge,
      points: [],
    }
    this.series.set(key, series)
    series.points.push({
      timeMs: point.timeUnixNano / 1e6,
      startMs: point.startTimeUnixNano / 1e6,
      value: point.asDouble ?? point.asInt ?? point.count ?? Number.NaN,
      buckets: point.bucketCounts ?? [],
      bounds: point.explicitBounds ?? [],
    })
  }
}

function attribute(attributes: readonly Attribute[], key: string): string {
  return attributes.find(attribute => attribute.key === key)?.value.stringValue ?? ''
}

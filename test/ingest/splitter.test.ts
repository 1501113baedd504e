// Shows that a body split into columnar messages and read from them says what the body itself says: the same converted
// samples, counts and rejects, for every format and over sequences of bodies with resets, gaps, late and faulty points;
// that all series of an entity stand in one partition; that definitions come first, by turns and after silence; and that
// what was not sent is told again.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entityKey, partitionOf } from '../../src/bus/partition-of.ts'
import type { Envelope, EnvelopeKind, Receipt } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { type Parcel, Splitter, type SplitterContext } from '../../src/ingest/splitter.ts'
import { Bench, encode, type Json, labelList, remoteWrite1, remoteWrite2, type Seen } from './wire.ts'

const T = 1_700_000_000_000
const STALE = new Float64Array(new BigUint64Array([0x7ff0000000000002n]).buffer)[0]

interface Body {
  readonly kind: EnvelopeKind
  readonly bytes: Uint8Array
  readonly arrivalMs?: number
}

const envelopeOf = ({ kind, bytes, arrivalMs }: Body): Envelope => ({
  kind,
  encoding: kind.startsWith('remote') ? 'snappy' : 'identity',
  arrivalMs: arrivalMs ?? T + 3_600_000,
  tenant: 'default',
  bytes,
})

/** A gateway with scorers behind it, one a partition. */
class Fleet {
  readonly rejects = new Rejects()
  readonly splitter: Splitter
  readonly scorers: Bench[]
  parcels: Parcel[] = []

  constructor(partitions: number, more: Partial<SplitterContext> = {}, options = {}) {
    this.scorers = Array.from({ length: partitions }, () => new Bench(options))
    this.splitter = new Splitter(options, {
      rejects: this.rejects,
      partitions,
      place: (tenant, entity) => partitionOf(entityKey(tenant, entity), partitions),
      ...more,
    })
  }

  /** What gateway and scorers say together. */
  send(body: Body): Receipt {
    const envelope = envelopeOf(body)
    const parcel = this.splitter.split(envelope)
    this.splitter.keep()
    this.parcels.push(parcel)
    let { samples, histograms } = parcel.receipt
    let rejected = parcel.receipt.rejected
    samples = histograms = 0
    for (const { partition, bytes } of parcel.parts) {
      const { arrivalMs } = envelope
      const receipt = this.scorers[partition].send('columns', bytes, { arrivalMs })
      samples += receipt.samples
      histograms += receipt.histograms
      rejected += receipt.rejected
    }
    return { ...parcel.receipt, samples, histograms, rejected }
  }

  counts(): Record<string, number> {
    const all: Record<string, number> = {}
    for (const rejects of [this.rejects, ...this.scorers.map(scorer => scorer.rejects)]) {
      for (const [reason, count] of Object.entries(rejects.counts())) all[reason] = (all[reason] ?? 0) + count
    }
    return all
  }
}

/** Samples by series, in their order. */
function bySeries(seen: readonly Seen[]): Map<string, Seen[]> {
  const out = new Map<string, Seen[]>()
  for (const sample of [...seen].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))) {
    const list = out.get(sample.key)
    if (list) list.push(sample)
    else out.set(sample.key, [sample])
  }
  return out
}

/** Sends bodies both ways and compares all that is to be seen. */
function same(bodies: readonly Body[], partitions: number, more: Partial<SplitterContext> = {}): Fleet {
  const alone = new Bench()
  const fleet = new Fleet(partitions, more)
  for (const body of bodies) {
    const { kind, bytes, arrivalMs } = envelopeOf(body)
    const one = alone.send(kind, bytes, { arrivalMs })
    const many = fleet.send(body)
    const { samples, histograms, exemplars, rejected, failure } = many
    expect({ samples, histograms, exemplars, rejected, failure }).toEqual({
      samples: one.samples,
      histograms: one.histograms,
      exemplars: one.exemplars,
      rejected: one.rejected,
      failure: one.failure,
    })
  }
  expect(bySeries(fleet.scorers.flatMap(({ seen }) => seen))).toEqual(bySeries(alone.seen))
  expect(fleet.counts()).toEqual(alone.rejects.counts())
  for (const [row, meta] of alone.series.metas()) {
    const holders = fleet.scorers.filter(({ series }) => series.row(meta.key) >= 0)
    expect(holders.length, `${meta.key} of row ${row}`).toBe(1)
    expect(holders[0].meta(meta.key)).toEqual(meta)
  }
  return fleet
}

const services = ['checkout', 'payments', 'search', 'cart']
const value = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 50 }) },
  { weight: 2, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, STALE, Number.POSITIVE_INFINITY) },
)
/** Steps of time: mostly forth, at times back, far ahead of arrival, or none. */
const stepMs = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(1000, 15_000, 60_000) },
  { weight: 2, arbitrary: fc.constantFrom(0, -5000, 700_000, 86_400_000) },
)

const metricOf = fc.constantFrom(
  'up',
  'load',
  'queue_depth',
  'http_requests_total',
  'rpc_seconds_sum',
  'rpc_seconds_count',
  'lat_bucket',
  'gc_seconds',
  'a_created',
)
const series = fc.record({
  metric: metricOf,
  service: fc.constantFrom(...services, ''),
  le: fc.constantFrom('0.1', '1', '+Inf', 'oops'),
  quantile: fc.constantFrom('', '0.5'),
  values: fc.array(value, { minLength: 1, maxLength: 2 }),
})
/**
 * What a sender's first and refused sample of a series alone would tell (a bound that is none, a sum beside a count) is
 * told later in a fleet, with the first that is taken; so those come with fine values here.
 */
const told = series.map(
  (s): Series =>
    /_(sum|count|bucket)$/.test(s.metric)
      ? {
          ...s,
          le: s.le === 'oops' ? '1' : s.le,
          values: s.values.map(v => (Math.abs(v) === Number.POSITIVE_INFINITY ? 1 : v)),
        }
      : s,
)
type Series = typeof series extends fc.Arbitrary<infer S> ? S : never

function labelsOf(s: Series): Record<string, string> {
  return {
    ...(s.service === '' ? {} : { service: s.service }),
    ...(s.metric.endsWith('_bucket') ? { le: s.le } : {}),
    ...(s.metric === 'gc_seconds' && s.quantile !== '' ? { quantile: s.quantile } : {}),
  }
}

const native = (ms: number, count: number, stale: boolean): Json => ({
  count_int: count,
  sum: stale ? STALE : count * 2,
  schema: 1,
  zero_threshold: 0.001,
  zero_count_int: 0,
  positive_spans: [{ offset: 1, length: 2 }],
  positive_deltas: [count, 0],
  timestamp: ms,
})

/** Timeseries with siblings of one entity side by side, as one scrape brings them. */
function timeseriesOf(all: readonly Series[], ms: number, labels: (s: Series) => Json): Json[] {
  return all.map(s => ({
    ...labels(s),
    samples: s.values.map((v, i) => ({ timestamp: ms + i, value: v })),
    ...(s.metric === 'load'
      ? { histograms: [native(ms, Math.abs(Math.round(s.values[0])) || 1, s.le === 'oops')] }
      : {}),
    exemplars: s.quantile === '' ? [] : [{ value: 1, timestamp: ms }],
  }))
}

function remote1(all: readonly Series[], ms: number, declared: number): Body {
  const timeseries = timeseriesOf(all, ms, s => ({ labels: labelList(s.metric, labelsOf(s)) }))
  const metadata =
    declared === 0
      ? []
      : [
          { type: declared, metric_family_name: 'queue_depth', unit: 'By' },
          { type: 5, metric_family_name: 'rpc_seconds', unit: '' },
        ]
  return { kind: 'remote-write-1', bytes: remoteWrite1({ timeseries, metadata }) }
}

function remote2(all: readonly Series[], ms: number, type: number): Body {
  const symbols = ['']
  const ref = (text: string): number => {
    if (!symbols.includes(text)) symbols.push(text)
    return symbols.indexOf(text)
  }
  const timeseries = timeseriesOf(all, ms, s => ({
    labels_refs: labelList(s.metric, labelsOf(s)).flatMap(l => [ref(String(l.name)), ref(String(l.value))]),
    metadata: { type: s.metric === 'http_requests_total' ? 1 : type, unit_ref: ref('s') },
  }))
  for (const each of timeseries) delete each.exemplars
  return { kind: 'remote-write-2', bytes: remoteWrite2({ symbols, timeseries }) }
}

function lines(all: readonly Series[], ms: number): Body {
  const finite = (v: number): number | null => (Number.isFinite(v) ? v : null)
  const text = all.map((s, i) =>
    JSON.stringify({
      metric: s.metric,
      labels: labelsOf(s),
      type: ['counter', 'gauge', 'delta', undefined][i % 4],
      entity: s.quantile === '' ? undefined : 'other',
      ...(i % 3 === 0
        ? { times: s.values.map((_, j) => (ms + j * 1000) / 1000 + 0.0001), values: s.values.map(finite) }
        : { time: ms, value: finite(s.values[0]) }),
    }),
  )
  return {
    kind: 'json-lines',
    bytes: new TextEncoder().encode(`${text.join('\n')}\n{"metric":""}\nnot json\n`),
  }
}

function otlpMetrics(all: readonly Series[], ms: number, temporality: number): Json[] {
  const nanos = (at: number): string => `${at}000000`
  return all.map((s, i) => {
    const [v] = s.values
    const count = Math.abs(Math.round(v)) || 0
    const point = {
      time_unix_nano: nanos(ms),
      start_time_unix_nano: nanos(i % 2 === 0 ? T - 60_000 : ms - 5000),
      attributes: [{ key: 'peer', value: { string_value: s.le } }],
      flags: s.le === 'oops' ? 1 : 0,
    }
    const counted = { ...point, count, sum: count * 1.5 }
    const name = s.metric
    switch (name) {
      case 'http_requests_total':
        return {
          name,
          sum: {
            aggregation_temporality: temporality,
            is_monotonic: true,
            data_points: [{ ...point, as_double: v }],
          },
        }
      case 'lat_bucket':
        return {
          name,
          unit: 's',
          histogram: {
            aggregation_temporality: temporality,
            data_points: [{ ...counted, bucket_counts: [count, 1], explicit_bounds: [0.5] }],
          },
        }
      case 'load':
        return {
          name,
          exponential_histogram: {
            aggregation_temporality: temporality,
            data_points: [
              {
                ...counted,
                scale: 2,
                zero_count: 1,
                zero_threshold: 0.1,
                positive: { offset: -3, bucket_counts: [count, 2] },
                negative: { offset: 1, bucket_counts: [1] },
              },
            ],
          },
        }
      case 'gc_seconds':
        return {
          name,
          summary: {
            data_points: [
              {
                ...counted,
                quantile_values: [
                  { quantile: 0.5, value: v },
                  { quantile: 7, value: 1 },
                ],
              },
            ],
          },
        }
      default:
        return { name, gauge: { data_points: [{ ...point, as_double: v }] } }
    }
  })
}

function otlp(all: readonly Series[], ms: number, temporality: number): Body {
  const resource_metrics = services.map(service => ({
    resource: { attributes: [{ key: 'service.name', value: { string_value: service } }] },
    scope_metrics: [
      {
        metrics: otlpMetrics(
          all.filter(s => s.service === service),
          ms,
          temporality,
        ),
      },
    ],
  }))
  return { kind: 'otlp-protobuf', bytes: encode('Export', { resource_metrics }) }
}

function otlpJson(all: readonly Series[], ms: number, temporality: number): Body {
  const camel = (from: unknown): unknown => {
    if (Array.isArray(from)) return from.map(camel)
    if (typeof from === 'number' && !Number.isFinite(from)) return String(from)
    if (typeof from !== 'object' || from === null) return from
    return Object.fromEntries(
      Object.entries(from).map(([key, inner]) => [
        key.replace(/_(\w)/g, (_, c: string) => c.toUpperCase()),
        camel(inner),
      ]),
    )
  }
  const resourceMetrics = services.map(service => ({
    resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
    scopeMetrics: [
      {
        metrics: camel(
          otlpMetrics(
            all.filter(s => s.service === service),
            ms,
            temporality,
          ),
        ),
      },
    ],
  }))
  return { kind: 'otlp-json', bytes: new TextEncoder().encode(JSON.stringify({ resourceMetrics })) }
}

const FORMATS = {
  'remote-write-1': remote1,
  'remote-write-2': remote2,
  'json-lines': lines,
  'otlp-protobuf': otlp,
  'otlp-json': otlpJson,
} as const

/** One scrape: each series once, entity after entity, so that what a family's siblings tell is told within an entity. */
const scrape = fc
  .uniqueArray(told, {
    minLength: 1,
    maxLength: 14,
    selector: s => JSON.stringify([s.metric, labelsOf(s)]),
  })
  .map(all => [...all].sort((a, b) => services.indexOf(a.service) - services.indexOf(b.service)))

/** A sum beside a count of another entity tells what both are, to whoever sees both. */
const lonely = (s: Series): boolean => !/_(sum|count)$/.test(s.metric)

describe('split and read again', () => {
  for (const [name, body] of Object.entries(FORMATS)) {
    it(`says what ${name} says, over sequences of bodies`, () => {
      fc.assert(
        fc.property(
          fc.array(fc.record({ scrape, stepMs, more: fc.nat(2) }), { minLength: 1, maxLength: 6 }),
          fc.constantFrom(1, 3),
          (bodies, partitions) => {
            let ms = T
            const sent = bodies.map(each => {
              ms += each.stepMs
              const typed = name.startsWith('otlp')
              const all = partitions === 1 || typed ? each.scrape : each.scrape.filter(lonely)
              return body(all, ms, each.more)
            })
            same(sent, partitions, { messageBytes: 700 })
          },
        ),
        { numRuns: 100 },
      )
    })
  }

  it('says the same of all formats together, one after the other', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ scrape, stepMs, name: fc.constantFrom(...Object.keys(FORMATS)) }), {
          maxLength: 8,
        }),
        bodies => {
          let ms = T
          const sent = bodies.map(each => {
            ms += each.stepMs
            return FORMATS[each.name as keyof typeof FORMATS](each.scrape, ms, 2)
          })
          same(sent, 1)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('converts whole scrapes of many services alike in many partitions', () => {
    const at = (t: number): Body => {
      const ms = T + t * 15_000
      const timeseries = Array.from({ length: 40 }, (_, i) => {
        const job = `service-${i}`
        const n = t * (i + 3) + (t > 5 ? -40 : 0)
        const one = (metric: string, labels: Record<string, string>, v: number): Json => ({
          labels: labelList(metric, { job, instance: `${job}:9090`, ...labels }),
          samples: [{ timestamp: ms + i, value: v }],
        })
        return [
          one('up', {}, 1),
          one('http_requests_total', { code: '200' }, Math.max(0, n) * 10),
          ...['0.1', '1', '+Inf'].map((le, b) =>
            one('latency_seconds_bucket', { le }, Math.max(0, n) * (b + 1)),
          ),
          one('latency_seconds_sum', {}, Math.max(0, n) * 0.3),
          one('latency_seconds_count', {}, Math.max(0, n) * 3),
          one('gc_seconds', { quantile: '0.5' }, 0.01 * t),
          one('gc_seconds_sum', {}, t),
          one('gc_seconds_count', {}, t * 2),
        ]
      }).flat()
      const metadata = [{ type: 1, metric_family_name: 'http_requests', unit: '' }]
      return {
        kind: 'remote-write-1',
        bytes: remoteWrite1(t === 3 ? { timeseries, metadata } : { timeseries }),
      }
    }
    const fleet = same(
      Array.from({ length: 9 }, (_, t) => at(t)),
      7,
    )
    expect(fleet.scorers.every(({ seen }) => seen.length > 100)).toBe(true)
    // One message a partition; definitions come first and are then left out.
    expect(fleet.parcels[1].parts.map(({ partition }) => partition)).toEqual([0, 1, 2, 3, 4, 5, 6])
    const sizes = fleet.parcels.map(({ parts }) => parts.reduce((sum, { bytes }) => sum + bytes.length, 0))
    // 20 bytes a sample, and a definition of about a hundred for one in twenty, as their hashes have it.
    expect(sizes[1] / 400).toBeLessThan(30)
    expect(sizes[0]).toBeGreaterThan(3 * sizes[1])
  })
})

const line = (metric: string, service: string, ms: number, v: number | null = 1): string =>
  JSON.stringify({ metric, labels: { service }, time: ms, value: v })
const jsonBody = (text: readonly string[], arrivalMs = T + 3_600_000): Body => ({
  kind: 'json-lines',
  bytes: new TextEncoder().encode(text.join('\n')),
  arrivalMs,
})

describe('definitions', () => {
  it('come by turns and after silence, so that a reader that dropped a series takes it up again', () => {
    const fleet = new Fleet(1)
    const lengths: number[] = []
    for (let t = 0; t < 80; t++) {
      const ms = T + t * 15_000
      fleet.send(jsonBody([line('cpu', 'a', ms)], ms))
      lengths.push(fleet.parcels[t].parts[0].bytes.length)
    }
    const short = Math.min(...lengths)
    expect(lengths.filter(length => length > short).length).toBe(5)
    expect(lengths[0]).toBeGreaterThan(short)
    // A scorer that begins here knows nothing until the next turn, five minutes of the series' own time at most.
    fleet.scorers[0] = new Bench()
    let t = 80
    for (; fleet.scorers[0].seen.length === 0 && t < 200; t++) {
      const ms = T + t * 15_000
      const { rejected, samples } = fleet.send(jsonBody([line('cpu', 'a', ms)], ms))
      expect(rejected + samples).toBe(1)
    }
    expect(t - 80).toBeLessThanOrEqual(20)
    expect(Object.keys(fleet.scorers[0].rejects.counts())).toEqual(['undefined-series'])
    // Silence in event time, and silence in arrival.
    for (const [event, arrival] of [
      [7_200_000, 7_200_000],
      [7_200_000 + 300_000, 7_201_000],
      [7_200_000 + 301_000, 8_300_000],
    ]) {
      fleet.scorers[0] = new Bench()
      expect(fleet.send(jsonBody([line('cpu', 'a', T + event)], T + arrival)).samples).toBe(1)
    }
  })

  it('are told again when what told them was not sent', () => {
    const fleet = new Fleet(1)
    const first = fleet.splitter.split(envelopeOf(jsonBody([line('cpu', 'a', T), line('cpu', 'b', T)])))
    expect(first.fresh.length).toBe(2)
    fleet.splitter.undo()
    const again = fleet.splitter.split(envelopeOf(jsonBody([line('cpu', 'a', T), line('cpu', 'b', T)])))
    expect(again).toEqual(first)
    const third = fleet.splitter.split(envelopeOf(jsonBody([line('cpu', 'a', T + 1)])))
    expect(third.fresh.length).toBe(0)
    expect(new Bench().send('columns', third.parts[0].bytes)).toMatchObject({ samples: 0, rejected: 1 })
    fleet.splitter.forgetTold()
    const fourth = fleet.splitter.split(envelopeOf(jsonBody([line('cpu', 'a', T + 2)])))
    expect(new Bench().send('columns', fourth.parts[0].bytes)).toMatchObject({ samples: 1, rejected: 0 })
  })

  it('are counted when new and every hour, and left out for a while when there may be no more', () => {
    const fleet = new Fleet(1)
    const body = (minutes: number) =>
      envelopeOf(
        jsonBody(
          [line('cpu', 'a', T + minutes * 60_000), line('cpu', 'b', T + minutes * 60_000)],
          T + minutes * 60_000,
        ),
      )
    const first = fleet.splitter.split(body(0))
    expect(first.fresh.length).toBe(2)
    const again = fleet.splitter.again(body(0), [1], 'tenant-series-limit')
    expect(again).toMatchObject({ receipt: { samples: 1, rejected: 1 } })
    expect([...again.fresh]).toEqual([first.fresh[0]])
    expect(new Bench().send('columns', again.parts[0].bytes).samples).toBe(1)
    const asked: [number, number, number][] = []
    for (let minute = 1; minute < 65; minute++) {
      const { fresh, receipt } = fleet.splitter.split(body(minute))
      if (fresh.length > 0) asked.push([minute, fresh.length, receipt.samples])
    }
    // The refused one is asked for after five minutes and taken; both are counted again within the hour.
    expect(asked.slice(0, 1)).toEqual([[7, 1, 2]])
    expect(asked.slice(1).reduce((sum, [, fresh]) => sum + fresh, 0)).toBe(2)
    expect(fleet.rejects.counts()).toEqual({ 'tenant-series-limit': 7 })
  })

  it('are counted and asked for again when the clock was set back, as when time has passed', () => {
    const { splitter } = new Fleet(1)
    const body = (arrivalMs: number) =>
      envelopeOf(jsonBody([line('cpu', 'a', arrivalMs), line('cpu', 'b', arrivalMs)], arrivalMs))
    splitter.split(body(T))
    splitter.again(body(T), [1], 'tenant-series-limit')
    const back = T - 86_400_000
    // The refused one is let go, to be new with the next body.
    expect(splitter.split(body(back)).fresh.length).toBe(1)
    const next = splitter.split(body(back + 1000))
    expect([next.fresh.length, next.receipt.samples]).toEqual([1, 2])
  })

  it('carry the metadata of their family to a reader that missed them', () => {
    const fleet = new Fleet(1)
    const series = (t: number): Json[] => [
      {
        labels: labelList('requests', { job: 'a' }),
        samples: [{ timestamp: T + t * 400_000, value: t * 40 }],
      },
    ]
    const metadata = [{ type: 1, metric_family_name: 'requests', unit: 'By' }]
    const body = (t: number, more: Json): Body => ({
      kind: 'remote-write-1',
      bytes: remoteWrite1({ timeseries: series(t), ...more }),
    })
    fleet.send(body(0, { metadata }))
    fleet.scorers[0] = new Bench()
    fleet.send(body(1, {}))
    fleet.send(body(2, {}))
    expect(fleet.scorers[0].seen.map(({ key, value: v }) => [key, v])).toEqual([
      ['requests:rate{job="a"}', 0.1],
    ])
    expect(fleet.scorers[0].meta('requests:rate{job="a"}').unit).toBe('By/s')
  })

  it('are in every message of a self-contained splitter, whatever came before', () => {
    const context = { rejects: new Rejects(), partitions: 2, place: () => 1, selfContained: true }
    const splitter = new Splitter({}, context)
    const body = (from: number) =>
      envelopeOf(jsonBody(Array.from({ length: 700 }, (_, i) => line('cpu', `s${from + i}`, T))))
    const first = splitter.split(body(0)).parts
    for (let from = 700; from < 70_000; from += 700) splitter.split(body(from))
    expect(splitter.table.size).toBeLessThan(10_000)
    expect(splitter.split(body(0)).parts).toEqual(first)
    expect(first[0].partition).toBe(1)
    expect(new Bench().send('columns', first[0].bytes)).toMatchObject({ samples: 700, rejected: 0 })
  })
})

describe('limits', () => {
  it('keep messages short, whatever the body', () => {
    const fleet = new Fleet(2, { messageBytes: 20_000 })
    const text = Array.from({ length: 4000 }, (_, i) => line('cpu', `service-${i % 900}`, T + i, i))
    expect(fleet.send(jsonBody(text)).samples).toBe(4000)
    const { parts } = fleet.parcels[0]
    expect(parts.length).toBeGreaterThan(4)
    for (const { bytes } of parts) expect(bytes.length).toBeLessThan(21_000)
  })

  it('send every partition what was declared, in pieces', () => {
    const fleet = new Fleet(3, { messageBytes: 2000 })
    const metadata = Array.from({ length: 200 }, (_, i) => ({
      type: 2,
      metric_family_name: `family_${i}`,
      unit: 's',
    }))
    const body = { kind: 'remote-write-1', bytes: remoteWrite1({ timeseries: [], metadata }) } as const
    fleet.send(body)
    expect(fleet.parcels[0].parts.length).toBe(6)
    for (const { bytes } of fleet.parcels[0].parts) expect(bytes.length).toBeLessThan(2100)
    fleet.send(body)
    expect(fleet.parcels[1].parts.length).toBe(0)
  })

  it('refuse at the gateway what needs no state to be refused', () => {
    const fleet = new Fleet(1, {}, { labelsMax: 1 })
    const { receipt } = fleet.splitter.split(
      envelopeOf(
        jsonBody([
          JSON.stringify({ metric: 'm', labels: { a: '1', b: '2' }, time: T, value: 1 }),
          line('m', 'a', T + 1e10),
          line('m', 'a', T),
          '{"metric":7}',
        ]),
      ),
    )
    expect(receipt).toMatchObject({ samples: 1, rejected: 3 })
    expect(fleet.rejects.counts()).toEqual({})
    fleet.splitter.keep()
    expect(fleet.rejects.counts()).toEqual({ 'label-limit': 1, future: 1, malformed: 1 })
    const wrong = fleet.splitter.split(
      envelopeOf({ kind: 'otlp-json', bytes: new TextEncoder().encode('[') }),
    )
    expect(wrong.receipt.failure?.code).toBe('FS_INPUT_INVALID')
    expect(wrong.parts).toEqual([])
  })

  it('are for what comes from outside: a columnar message may be longer than a body', () => {
    const options = { bodyBytesMax: 4000, inflatedBytesMax: 20_000 }
    const fleet = new Fleet(1, {}, options)
    const metadata = [{ type: 2, metric_family_name: 'cpu', unit: 's' }]
    const timeseries = Array.from({ length: 300 }, (_, i) => ({
      labels: labelList('cpu', { pod: `p${i}` }),
      samples: [{ timestamp: T, value: 1 }],
    }))
    const bytes = remoteWrite1({ timeseries, metadata })
    expect(bytes.length).toBeLessThan(4000)
    expect(fleet.send({ kind: 'remote-write-1', bytes })).toMatchObject({ samples: 300, rejected: 0 })
    expect(fleet.parcels[0].parts.at(-1)?.bytes.length).toBeGreaterThan(4000)
  })

  it('refuse columns that are none, with a reason', () => {
    const good = new Fleet(1).splitter.split(envelopeOf(jsonBody([line('cpu', 'a', T)]))).parts[0].bytes
    const bench = new Bench()
    const broken = (edit: (bytes: Uint8Array) => Uint8Array): string =>
      bench.send('columns', edit(Uint8Array.from(good))).reasons.join()
    expect(broken(bytes => bytes.subarray(0, 9))).toMatch(/cut short/)
    expect(broken(bytes => bytes.fill(9, 0, 1))).toMatch(/columns of version 9; version 1 is read/)
    expect(broken(bytes => bytes.subarray(0, bytes.length - 1))).toMatch(/cut short/)
    expect(broken(bytes => bytes.fill(0xff, 10, 18))).toMatch(/cut short/)
    expect(bench.seen).toEqual([])
    expect(broken(bytes => Uint8Array.from([...bytes, 0]))).toMatch(/stand behind the columns/)
    expect(bench.send('columns', good).samples).toBe(1)
  })
})

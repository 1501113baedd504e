// Shows that an intake restored from a snapshot (through JSON for its plain part) goes on exactly as one that was
// never stopped, wherever it is cut; and that forgetting a series frees it and spoils nothing else.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { SeriesTable } from '../../src/core/series.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'
import { Bench, encode, labelList, remoteWrite1 } from './wire.ts'

const T = 1_700_000_000_000

/** What a checkpoint does to a snapshot: columns as they are, the rest as JSON. */
function saved(parts: Snapshot[]): Snapshot[] {
  return parts.map(part => ({ ...part, meta: JSON.parse(JSON.stringify(part.meta)), keys: [...part.keys] }))
}

function restored(from: Bench): Bench {
  const series = new SeriesTable()
  series.restore(saved([from.series.snapshot()])[0])
  const bench = new Bench({}, series)
  bench.intake.restore(saved(from.intake.snapshot()))
  return bench
}

type Part = Pick<Envelope, 'kind' | 'bytes'>

/** A body of everything that keeps state, at one moment. `jitter` leaves parts out and resets counters. */
function moment(i: number, jitter: number): Part[] {
  const ms = T + i * 1000
  const n = (i * 7 + jitter) % 40
  const sample = (value: number) => [{ timestamp: ms, value }]
  const timeseries = [
    { labels: labelList('up', { job: 'a' }), samples: sample(1) },
    { labels: labelList('http_requests_total', { job: 'a' }), samples: sample(n * 3) },
    { labels: labelList('rpc_count', { job: 'a' }), samples: sample(n) },
    { labels: labelList('rpc_sum', { job: 'a' }), samples: sample(n * 2) },
    ...['0.1', '1', '+Inf'].map((le, b) => ({
      labels: labelList('lat_bucket', { job: 'a', le }),
      samples: sample(n * (b + 1)),
    })),
  ]
  const point = { time_unix_nano: `${ms}000000`, count: n, sum: n }
  const metrics = [
    {
      name: 'exp',
      exponential_histogram: {
        aggregation_temporality: 2,
        data_points: [{ ...point, scale: jitter % 3, positive: { offset: 0, bucket_counts: [n] } }],
      },
    },
    {
      name: 'explicit',
      histogram: {
        aggregation_temporality: 2,
        data_points: [{ ...point, bucket_counts: [n, 0], explicit_bounds: [1] }],
      },
    },
    { name: 'inc', sum: { aggregation_temporality: 1, data_points: [{ ...point, as_int: n }] } },
  ]
  return [
    { kind: 'remote-write-1', bytes: remoteWrite1({ timeseries: timeseries.slice(jitter % 4) }) },
    { kind: 'remote-write-1', bytes: remoteWrite1({ timeseries: timeseries.slice(0, jitter % 4) }) },
    {
      kind: 'otlp-protobuf',
      bytes: encode('Export', { resource_metrics: [{ scope_metrics: [{ metrics }] }] }),
    },
  ]
}

describe('restore', () => {
  it('equals never having stopped, wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(39), { minLength: 2, maxLength: 8 }), fc.nat(), (jitters, where) => {
        const parts = jitters.flatMap((jitter, i) => moment(i, jitter))
        const cut = where % parts.length
        const whole = new Bench()
        const first = new Bench()
        for (const { kind, bytes } of parts) whole.send(kind, bytes)
        for (const { kind, bytes } of parts.slice(0, cut)) first.send(kind, bytes)
        const second = restored(first)
        for (const { kind, bytes } of parts.slice(cut)) second.send(kind, bytes)
        expect([...first.seen, ...second.seen]).toEqual(whole.seen)
        expect(second.intake.snapshot()).toEqual(whole.intake.snapshot())
      }),
      { numRuns: 60 },
    )
  })

  it('refuses another layout and ignores other parts', () => {
    const bench = new Bench()
    bench.send('remote-write-1', moment(0, 0)[0].bytes)
    const [part] = bench.intake.snapshot()
    expect(() => new Bench().intake.restore([{ ...part, version: 99 }])).toThrow(/expected v3, got v99/)
    const { sides: _, ...columns } = part.columns
    expect(() => new Bench().intake.restore([{ ...part, columns }])).toThrow(/records of wires are missing/)
    expect(() => new Bench().intake.restore([{ ...part, id: 'windows' }])).not.toThrow()
  })

  it('forgets every series it made, and starts anew when they return', () => {
    const bench = new Bench()
    for (const i of [0, 1]) for (const { kind, bytes } of moment(i, i)) bench.send(kind, bytes)
    const keys = bench.keys()
    expect(keys.length).toBeGreaterThan(8)
    for (const key of keys) {
      const row = bench.series.row(key)
      bench.intake.forget(row)
      bench.series.evict(row)
    }
    bench.seen = []
    const [part] = bench.intake.snapshot()
    expect(part.columns['texts.at'].every(address => address === 0)).toBe(true)
    for (const i of [2, 3]) for (const { kind, bytes } of moment(i, i)) bench.send(kind, bytes)
    expect(bench.keys()).toEqual(keys)
    expect(bench.values('up{job="a"}').every(value => value === 1)).toBe(true)
  })

  it('holds no more wires than its limit, and lets go of the idle', () => {
    const bench = new Bench({ wiresMax: 1024, wireIdleMs: 60_000 })
    const body = (from: number) =>
      remoteWrite1({
        timeseries: Array.from({ length: 800 }, (_, i) => ({
          labels: labelList('m', { pod: `p${from + i}` }),
          samples: [{ timestamp: T, value: 1 }],
        })),
      })
    expect(bench.send('remote-write-1', body(0), { arrivalMs: T })).toMatchObject({
      samples: 800,
      rejected: 0,
    })
    expect(bench.send('remote-write-1', body(800), { arrivalMs: T })).toMatchObject({
      samples: 224,
      rejected: 576,
    })
    expect(bench.send('remote-write-1', body(800), { arrivalMs: T + 120_000 }).rejected).toBe(0)
    expect(bench.intake.evictions).toBeGreaterThan(500)
  })
})

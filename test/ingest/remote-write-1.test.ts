// Shows that remote write 1.0 bodies made by protobufjs and snappyjs come out as the samples that went in:
// gauges as they are, counters as rates with resets, buckets as quantiles, stale markers as gaps; and that what
// is wrong with one series costs that series only.
import { describe, expect, it } from 'vitest'
import { Bench, type Json, labelList, remoteWrite1 } from './wire.ts'

const T = 1_700_000_000_000

function series(
  metric: string,
  labels: Record<string, string>,
  ...samples: (readonly [number, number])[]
): Json {
  return {
    labels: labelList(metric, labels),
    samples: samples.map(([timestamp, value]) => ({ timestamp, value })),
  }
}

/** A body whose doubles are replaced by the stale marker, which protobufjs cannot write. */
function withStale(body: Json): Uint8Array {
  const bytes = remoteWrite1(body)
  const mark = Buffer.alloc(8)
  mark.writeDoubleLE(123456.789)
  const at = Buffer.from(bytes).indexOf(mark)
  expect(at).toBeGreaterThan(0)
  bytes.set([2, 0, 0, 0, 0, 0, 0xf0, 0x7f], at)
  return bytes
}

describe('remote write 1.0', () => {
  it('passes gauges through with labels, entity, unit and kind', () => {
    const bench = new Bench()
    const body = {
      timeseries: [series('process_resident_memory_bytes', { job: 'api', instance: 'a:1' }, [T, 5e6])],
    }
    const receipt = bench.send('remote-write-1', remoteWrite1(body))
    expect(receipt).toMatchObject({ samples: 1, rejected: 0, reasons: [] })
    const key = 'process_resident_memory_bytes{instance="a:1",job="api"}'
    expect(bench.seen).toEqual([{ key, timeMs: T, value: 5e6 }])
    expect(bench.meta(key)).toMatchObject({ entity: 'api', unit: 'By', kind: 'memory', tenant: 'default' })
  })

  it('turns counters into rates, over resets, over bodies, and calls failures errors', () => {
    const bench = new Bench()
    const at = (ms: number, value: number) =>
      bench.send(
        'remote-write-1',
        remoteWrite1({ timeseries: [series('http_requests_total', { code: '500' }, [ms, value])] }),
      )
    at(T, 100)
    at(T + 10_000, 150)
    at(T + 20_000, 20)
    const key = 'http_requests_total:rate{code="500"}'
    expect(bench.values(key)).toEqual([5, 2])
    expect(bench.meta(key)).toMatchObject({ unit: '1/s', kind: 'error', bad: 'up' })
    expect(at(T + 20_000, 21)).toMatchObject({ samples: 0, rejected: 1 })
    expect(bench.rejects.counts()).toEqual({ 'out-of-order': 1 })
  })

  it('reads a stale marker as a gap and goes on with the same counter', () => {
    const bench = new Bench()
    const body = (ms: number, value: number) => ({ timeseries: [series('jobs_total', {}, [ms, value])] })
    bench.send('remote-write-1', remoteWrite1(body(T, 10)))
    bench.send('remote-write-1', remoteWrite1(body(T + 1000, 12)))
    bench.send('remote-write-1', withStale(body(T + 2000, 123456.789)))
    bench.send('remote-write-1', remoteWrite1(body(T + 4000, 18)))
    expect(bench.values('jobs_total:rate')).toEqual([2, Number.NaN, 2])
  })

  it('believes metadata before names', () => {
    const bench = new Bench()
    const metadata = [
      { type: 1, metric_family_name: 'bytes_out', unit: 'bytes' },
      { type: 2, metric_family_name: 'open_total' },
    ]
    for (const i of [0, 1]) {
      const timeseries = [
        series('bytes_out', {}, [T + i * 1000, i * 7]),
        series('open_total', {}, [T + i * 1000, 3]),
      ]
      bench.send('remote-write-1', remoteWrite1({ timeseries, metadata }))
    }
    expect(bench.values('bytes_out:rate')).toEqual([7])
    expect(bench.meta('bytes_out:rate').unit).toBe('By/s')
    expect(bench.values('open_total')).toEqual([3, 3])
  })

  it('converts anew when metadata come after the samples', () => {
    const bench = new Bench()
    const send = (i: number, metadata: Json[] = []) =>
      bench.send(
        'remote-write-1',
        remoteWrite1({ timeseries: [series('hits', {}, [T + i * 1000, i * 4])], metadata }),
      )
    send(1)
    send(2, [{ type: 1, metric_family_name: 'hits' }])
    send(3)
    expect(bench.values('hits')).toEqual([4])
    expect(bench.values('hits:rate')).toEqual([4])
  })

  it('gathers buckets to quantiles and a rate, also when they come in several bodies', () => {
    const bench = new Bench()
    const bucket = (le: string, ms: number, value: number) =>
      series('lat_seconds_bucket', { job: 'a', le }, [ms, value])
    const moment = (ms: number, counts: number[]) => [
      bucket('0.1', ms, counts[0]),
      bucket('0.5', ms, counts[1]),
      bucket('+Inf', ms, counts[2]),
    ]
    bench.send('remote-write-1', remoteWrite1({ timeseries: moment(T, [10, 20, 20]) }))
    const next = moment(T + 10_000, [60, 120, 120])
    bench.send('remote-write-1', remoteWrite1({ timeseries: next.slice(2) }))
    expect(bench.seen).toEqual([])
    bench.send('remote-write-1', remoteWrite1({ timeseries: next.slice(0, 2) }))
    expect(bench.values('lat_seconds:p50{job="a"}')[0]).toBeCloseTo(0.1)
    expect(bench.values('lat_seconds:p95{job="a"}')[0]).toBeCloseTo(0.46)
    expect(bench.values('lat_seconds:count{job="a"}')).toEqual([10])
    expect(bench.meta('lat_seconds:p99{job="a"}')).toMatchObject({ unit: 's', kind: 'latency' })
    expect(bench.meta('lat_seconds:count{job="a"}')).toMatchObject({ unit: '1/s', kind: 'traffic' })
    // Nothing observed: no quantile, and a rate of nought.
    bench.send('remote-write-1', remoteWrite1({ timeseries: moment(T + 20_000, [60, 120, 120]) }))
    expect(bench.values('lat_seconds:p50{job="a"}')[1]).toBeNaN()
    expect(bench.values('lat_seconds:count{job="a"}')[1]).toBe(0)
    // A restart of the source: all counts begin again.
    bench.send('remote-write-1', remoteWrite1({ timeseries: moment(T + 30_000, [0, 10, 10]) }))
    expect(bench.values('lat_seconds:p50{job="a"}')[2]).toBeCloseTo(0.3)
  })

  it('takes a sum and a count without buckets as a mean, and a lone count as a level', () => {
    const bench = new Bench()
    for (const i of [0, 1, 2]) {
      const ms = T + i * 1000
      const timeseries = [
        series('rpc_seconds_count', {}, [ms, i * 10]),
        series('rpc_seconds_sum', {}, [ms, i * 5]),
        series('rpc_seconds', { quantile: '0.99' }, [ms, 0.7]),
        series('pod_count', {}, [ms, 4]),
      ]
      bench.send('remote-write-1', remoteWrite1({ timeseries }))
    }
    expect(bench.values('rpc_seconds:mean')).toEqual([0.5, 0.5])
    expect(bench.values('rpc_seconds:count')).toEqual([10, 10])
    expect(bench.values('rpc_seconds:p99')).toEqual([0.7, 0.7, 0.7])
    expect(bench.values('pod_count')).toEqual([4, 4, 4])
    expect(bench.keys()).toEqual(['pod_count', 'rpc_seconds:count', 'rpc_seconds:mean', 'rpc_seconds:p99'])
  })

  it('refuses one series and keeps the others', () => {
    const bench = new Bench({ labelsMax: 2, labelValueLengthMax: 8 }, undefined)
    const receipt = bench.send(
      'remote-write-1',
      remoteWrite1({
        timeseries: [
          series('good', { a: '1' }, [T, 1]),
          series('many', { a: '1', b: '2', c: '3' }, [T, 1]),
          series('long', { a: '123456789' }, [T, 1]),
          { labels: [{ name: 'a', value: 'b' }], samples: [{ value: 1, timestamp: T }] },
          series('late', {}, [3e12, 1]),
          series('infinite', {}, [T, Number.POSITIVE_INFINITY]),
        ],
      }),
    )
    expect(receipt).toMatchObject({ samples: 1, rejected: 5 })
    expect(receipt.failure).toBeUndefined()
    expect(bench.keys()).toEqual(['good{a="1"}'])
    expect(bench.rejects.counts()).toEqual({ 'label-limit': 2, malformed: 1, future: 1, 'not-finite': 1 })
  })

  it('counts what the series table has no room for, and takes it once there is', async () => {
    const { SeriesTable } = await import('../../src/core/series.ts')
    const bench = new Bench({}, new SeriesTable(2))
    const body = remoteWrite1({ timeseries: ['a', 'b', 'c'].map(name => series(name, {}, [T, 1])) })
    expect(bench.send('remote-write-1', body)).toMatchObject({ samples: 2, rejected: 1 })
    expect(bench.rejects.counts()).toEqual({ 'series-limit': 1 })
    const row = bench.series.row('a')
    bench.intake.forget(row)
    bench.series.evict(row)
    const rest = remoteWrite1({ timeseries: [series('c', {}, [T + 1, 5])] })
    expect(bench.send('remote-write-1', rest)).toMatchObject({ samples: 1, rejected: 0 })
    expect(bench.values('c')).toEqual([5])
  })

  it('refuses what is no body at all', () => {
    const bench = new Bench()
    const good = remoteWrite1({ timeseries: [series('a', {}, [T, 1])] })
    expect(bench.send('remote-write-1', good.subarray(0, good.length - 3)).failure?.code).toBe(
      'FS_INPUT_INVALID',
    )
    expect(bench.send('remote-write-1', new Uint8Array(0)).failure?.code).toBe('FS_INPUT_INVALID')
    expect(bench.seen).toEqual([])
  })
})

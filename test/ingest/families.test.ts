// Shows that a sum or count of which nobody said what it is finds its sibling, however many that found none have come and gone; and
// that a family which senders declare in two ways stays one of them, as long as that is said.
import { expect, it } from 'vitest'
import { SeriesTable } from '../../src/core/series.ts'
import { TYPE } from '../../src/ingest/families.ts'
import { Bench, labelList, remoteWrite1 } from './wire.ts'

const T = 1_700_000_000_000
/** As many wait at once. */
const WAITING = 50_000

function send(bench: Bench, values: Readonly<Record<string, number>>, timeMs: number): void {
  const lines = Object.entries(values).map(
    ([metric, value]) => `{"metric":"${metric}","labels":{"service":"s"},"time":${timeMs},"value":${value}}`,
  )
  expect(bench.send('json-lines', new TextEncoder().encode(lines.join('\n')))).toMatchObject({ rejected: 0 })
}

const keysOf = ({ series }: Bench) => [...series.metas()].map(([, { key }]) => key).sort()

it('a sum and a count are one summary after as many gauges that are called counts have come and gone', () => {
  const bench = new Bench({}, new SeriesTable(2 * WAITING))
  const gauges = Object.fromEntries(Array.from({ length: WAITING }, (_, i) => [`pods_${i}_count`, 1]))
  send(bench, gauges, T)
  send(bench, gauges, T + 1000)
  expect(bench.series.size).toBe(WAITING)
  for (const [row] of [...bench.series.metas()]) {
    bench.intake.forget(row)
    bench.series.evict(row)
  }
  for (const k of [2, 3, 4]) send(bench, { latency_sum: 10 * k, latency_count: k }, T + 10_000 * k)
  expect(keysOf(bench)).toEqual(['latency:count{service="s"}', 'latency:mean{service="s"}'])
})

it('one that went waits for nobody, wherever it was saved', () => {
  const bench = new Bench({}, new SeriesTable(100))
  for (const k of [0, 1]) send(bench, { latency_count: k }, T + 1000 * k)
  const series = new SeriesTable(100)
  series.restore(structuredClone(bench.series.snapshot()))
  const other = new Bench({}, series)
  other.intake.restore(bench.intake.snapshot())
  for (const one of [bench, other]) {
    const row = one.series.row('latency_count{service="s"}')
    one.intake.forget(row)
    one.series.evict(row)
    // The number of its wire is that of a gauge from here on.
    for (const k of [2, 3]) send(one, { latency_total_count: k }, T + 1000 * k)
    for (const k of [4, 5, 6]) send(one, { latency_sum: 10 * k, latency_count: k }, T + 10_000 * k)
    expect(keysOf(one)).toEqual([
      'latency:count{service="s"}',
      'latency:mean{service="s"}',
      'latency_total_count{service="s"}',
    ])
  }
})

/** A counter that grows by one a second, every ten seconds, with what bodies declare of it; values that came of each. */
function counted(
  bench: Bench,
  from: number,
  to: number,
  declared: (k: number) => readonly number[],
): string[] {
  bench.seen = []
  for (let k = from; k < to; k++) {
    const timeMs = T + 10_000 * k
    const metadata = declared(k).map(type => ({ type, metric_family_name: 'jobs' }))
    const samples = [{ value: 100 + 10 * k, timestamp: timeMs }]
    const body = remoteWrite1({
      timeseries: [{ labels: labelList('jobs', { service: 's' }), samples }],
      metadata,
    })
    bench.send('remote-write-1', body, { arrivalMs: timeMs })
  }
  return bench.keys()
}
const { counter, gauge } = TYPE
const RATE = 'jobs:rate{service="s"}'
const LEVEL = 'jobs{service="s"}'

it('a family that each body declares in two ways is one of them', () => {
  for (const types of [
    [counter, gauge],
    [gauge, counter],
  ]) {
    const bench = new Bench()
    const keys = counted(bench, 0, 200, () => types)
    expect(keys).toEqual([types[1] === counter ? RATE : LEVEL])
    // A counter's first value makes none.
    expect(bench.seen).toHaveLength(types[1] === counter ? 199 : 200)
  }
})

it('a family that two senders declare by turns settles after two', () => {
  const bench = new Bench()
  counted(bench, 0, 10, k => (k % 6 === 0 ? [counter] : k % 6 === 3 ? [gauge] : []))
  const saved = new SeriesTable(100)
  saved.restore(structuredClone(bench.series.snapshot()))
  const other = new Bench({}, saved)
  other.intake.restore(bench.intake.snapshot())
  for (const one of [bench, other]) {
    expect(counted(one, 10, 400, k => (k % 6 === 0 ? [counter] : k % 6 === 3 ? [gauge] : []))).toEqual([
      LEVEL,
    ])
    expect(one.seen).toHaveLength(390)
  }
})

it('a family is what it is declared to be anew: at once, and after ten minutes when the other was said until then', () => {
  const bench = new Bench()
  expect(counted(bench, 0, 20, () => [gauge])).toEqual([LEVEL])
  expect(counted(bench, 20, 40, () => [counter])).toEqual([RATE])
  // An upgrade that is taken back.
  expect(counted(bench, 40, 90, () => [gauge])).toEqual([RATE])
  expect(counted(bench, 100, 120, () => [gauge])).toEqual([LEVEL])
})

it('a bucket that turns out to be something else leaves a histogram that has just gone stale as it is', () => {
  const bench = new Bench({}, new SeriesTable(100))
  const STALE = new Float64Array(new BigUint64Array([0x7ff0000000000002n]).buffer)[0]
  const scrape = (k: number, value: number, metadata: readonly object[] = []) => {
    const timeMs = T + 10_000 * k
    const one = (metric: string, labels: Record<string, string>) => ({
      labels: labelList(metric, { service: 's', ...labels }),
      samples: [{ value, timestamp: timeMs }],
    })
    const timeseries = [one('wait_bucket', { le: '+Inf' }), one('wait_count', {})]
    bench.send('remote-write-1', remoteWrite1({ timeseries, metadata }), { arrivalMs: timeMs })
  }
  for (const k of [1, 2, 3]) scrape(k, 10 * k)
  scrape(4, STALE)
  // From here on the count is a gauge, and the bucket is alone.
  for (const k of [5, 6]) scrape(k, 10 * k, [{ type: gauge, metric_family_name: 'wait_count' }])
  expect(bench.values('wait:count{service="s"}')).toEqual([1, 1, Number.NaN, 1, 1])
})

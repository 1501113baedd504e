// Shows that a sum or count of which nobody said what it is finds its sibling, however many that found none have come and gone.
import { expect, it } from 'vitest'
import { SeriesTable } from '../../src/core/series.ts'
import { Bench } from './wire.ts'

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

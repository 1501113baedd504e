// Shows the stage's limits and manners: odd names, changes of nobody and of the future, a reused row, a full table
// of entities, two tenants with the same names, snapshots of another layout.
import { expect, it } from 'vitest'
import { disruptionSchema } from '../../src/core/disruption.ts'
import { type SeriesMeta, seriesKey } from '../../src/core/series.ts'
import { Bench } from './bench.ts'

const START_MS = 1_700_000_000_000

function latency(entity: string, tenant = 'default', extra: Record<string, string> = {}): SeriesMeta {
  const labels = { service: entity, ...extra }
  const metric = 'server_duration_seconds:p99'
  return {
    key: seriesKey(metric, labels, tenant),
    tenant,
    metric,
    labels,
    entity,
    unit: 's',
    kind: 'latency',
    bad: 'up',
  }
}

/** Runs `windows` windows of steady latencies with a small ripple; `slow` rows are ten times slower. */
function run(
  bench: Bench,
  rows: readonly number[],
  fromMs: number,
  windows: number,
  slow: number[] = [],
): number {
  let nowMs = fromMs
  for (let i = 0; i < windows; i++) {
    nowMs += bench.options.stepMs
    const ripple = 0.05 + 0.002 * Math.sin(i * 1.7)
    bench.window(nowMs, new Map(rows.map(row => [row, slow.includes(row) ? 10 * ripple : ripple])))
  }
  return nowMs
}

it('takes odd names, changes of nobody and of the future', () => {
  const bench = new Bench()
  const names = ['__proto__', 'constructor', 'a"b\\c', 'ü ', 'x'.repeat(300)]
  const rows = names.map(name => bench.add(latency(name)))
  const nowMs = run(bench, rows, START_MS, 60)
  bench.stage.change({ id: 'future', timeMs: nowMs + 1e9, entity: '__proto__', kind: 'deploy', ref: 'v9' })
  bench.stage.change({ id: 'nobody', timeMs: nowMs - 5000, entity: 'nobody', kind: 'deploy', ref: 'v1' })
  run(bench, rows, nowMs, 10, [rows[0]])
  const [event] = bench.events
  disruptionSchema.parse(event.disruption)
  expect(event.disruption.entities).toEqual(['__proto__'])
  expect(event.disruption.suspects[0].entity).toBe('__proto__')
  expect(event.disruption.changes).toEqual([])
})

it('a reused row starts anew: the new series does not inherit the old entity', () => {
  const bench = new Bench()
  const old = bench.add(latency('old'))
  let nowMs = run(bench, [old], START_MS, 40)
  bench.stage.forget(old)
  bench.table.evict(old)
  const next = bench.add(latency('new'))
  expect(next).toBe(old)
  nowMs = run(bench, [next], nowMs, 40)
  run(bench, [next], nowMs, 10, [next])
  expect(bench.events[0].disruption.entities).toEqual(['new'])
})

it('beyond the cap entities share one place, and that is counted', () => {
  const bench = new Bench({ maxEntities: 5 })
  const rows = Array.from({ length: 20 }, (_, i) => bench.add(latency(`s${i}`)))
  const nowMs = run(bench, rows, START_MS, 60)
  run(bench, rows, nowMs, 10, [rows[1]])
  expect(bench.stage.dropped().entities).toBeGreaterThan(0)
  expect(bench.events[0].disruption.entities).toEqual(['s1'])
})

it('tenants with the same names never share a disruption', () => {
  const bench = new Bench()
  const rows = ['red', 'blue'].flatMap(tenant => ['a', 'b'].map(name => bench.add(latency(name, tenant))))
  const nowMs = run(bench, rows, START_MS, 60)
  run(bench, rows, nowMs, 10, rows)
  const opened = bench.events.filter(event => event.type === 'opened')
  expect(opened.map(event => event.disruption.tenant).sort()).toEqual(['blue', 'red'])
})

it('refuses a snapshot of another layout, ignores the parts of others', () => {
  const bench = new Bench()
  const [part] = bench.stage.snapshot()
  expect(() => bench.fresh().restore([{ ...part, version: 99 }])).toThrow(/disruptions v1, got v99/)
  expect(() => bench.fresh().restore([{ ...part, columns: {} }])).toThrow(/disruptions v1/)
  bench.fresh().restore([{ ...part, id: 'someone else', version: 99 }])
})

it('ranks five thousand series of one disruption', () => {
  const bench = new Bench({ baselineWindows: 60 })
  const rows = Array.from({ length: 5000 }, (_, i) =>
    bench.add(latency(`s${i % 50}`, 'default', { path: `/${i}` })),
  )
  const nowMs = run(bench, rows, START_MS, 40)
  const startMs = performance.now()
  const suspects = bench.stage.explain(nowMs - 5000, 0)
  expect(performance.now() - startMs).toBeLessThan(2000)
  expect(suspects.length).toBeLessThanOrEqual(50)
})

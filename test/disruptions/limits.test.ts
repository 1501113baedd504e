// Shows the stage's limits and manners: odd names, changes of nobody and of the future, a reused row, a full table
// of entities, two tenants with the same names, snapshots of another layout.
import { expect, it } from 'vitest'
import { disruptionSchema } from '../../src/core/disruption.ts'
import { seriesKey } from '../../src/core/series.ts'
import { Bench, latencyMeta } from './bench.ts'

const START_MS = 1_700_000_000_000
/** What a few questions may leave behind. */
const LITTLE_BYTES = 64 * 1_048_576

/** Names of saved entities by number; '' of a number that is free. */
function namesOf(bench: Bench): readonly string[] {
  return (bench.stage.snapshot()[0].meta as { entities: { names: string[] } }).entities.names
}

function instancesOf({ stage }: Bench): string[] {
  const [{ meta }] = stage.snapshot()
  return (meta as { instances: { name: string }[] }).instances.map(({ name }) => name).sort()
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
  const rows = names.map(name => bench.add(latencyMeta(name)))
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
  const old = bench.add(latencyMeta('old'))
  let nowMs = run(bench, [old], START_MS, 40)
  bench.stage.forget(old)
  bench.table.evict(old)
  const next = bench.add(latencyMeta('new'))
  expect(next).toBe(old)
  nowMs = run(bench, [next], nowMs, 40)
  run(bench, [next], nowMs, 10, [next])
  expect(bench.events[0].disruption.entities).toEqual(['new'])
})

it('beyond the cap entities share one place, and that is counted', () => {
  const bench = new Bench({ maxEntities: 5 })
  const rows = Array.from({ length: 20 }, (_, i) => bench.add(latencyMeta(`s${i}`)))
  const nowMs = run(bench, rows, START_MS, 60)
  run(bench, rows, nowMs, 10, [rows[1]])
  expect(bench.stage.dropped().entities).toBeGreaterThan(0)
  expect(bench.events[0].disruption.entities).toEqual(['s1'])
})

it('a service that came, stayed for a while and went leaves room for others where it is scarce, and those are told of', () => {
  const bench = new Bench({ maxEntities: 20, stepMs: 30_000 })
  const front = bench.add(latencyMeta('front'))
  let nowMs = START_MS
  const visit = (...names: string[]) => {
    const rows = names.map(name => bench.add(latencyMeta(name)))
    nowMs = run(bench, [front, ...rows], nowMs, 20)
    for (const row of rows) {
      bench.stage.forget(row)
      bench.table.evict(row)
    }
    nowMs = run(bench, [front], nowMs, 150)
  }
  for (let n = 0; n < 12; n++) visit(`preview-${n}`, `job-${n}`)
  expect(bench.stage.dropped().entities).toBe(0)
  expect(namesOf(bench).filter(name => name !== '').length).toBeLessThan(10)
  const last = bench.add(latencyMeta('last'))
  nowMs = run(bench, [front, last], nowMs, 60)
  const saved = structuredClone(bench.stage.snapshot())
  run(bench, [front, last], nowMs, 10, [last])
  expect(bench.events.map(({ disruption }) => disruption.entities)).toContainEqual(['last'])
  // Numbers that were given back are so after a restart, too.
  const again = new Bench({ maxEntities: 20, stepMs: 30_000 })
  const rows = ['front', 'last', 'next'].map(name => again.add(latencyMeta(name)))
  again.stage.restore(saved)
  run(again, rows, nowMs, 10)
  const before = namesOf(bench)
  expect(namesOf(again)).toEqual(before.with(before.indexOf(''), 'next'))
})

it('remembers a service of a week ago where there is room', () => {
  const bench = new Bench({ maxEntities: 50, stepMs: 3_600_000 })
  const [front, weekly] = ['front', 'weekly'].map(name => bench.add(latencyMeta(name)))
  let nowMs = run(bench, [front, weekly], START_MS, 5)
  nowMs = run(bench, [front], nowMs, 7 * 24)
  expect(namesOf(bench)).toEqual(['front', 'weekly'])
  run(bench, [front], nowMs, 3 * 24)
  expect(namesOf(bench)).toEqual(['front', ''])
})

it('remembers the running copies that there are, however many came and went', () => {
  const bench = new Bench({ maxEntities: 3 })
  const pod = (generation: number) =>
    ['a', 'b'].map(entity => bench.add(latencyMeta(entity, { pod: `${entity}-${generation}` })))
  let rows = pod(0)
  let nowMs = run(bench, rows, START_MS, 3)
  for (let generation = 1; generation <= 100; generation++) {
    const next = pod(generation)
    nowMs = run(bench, [...rows, ...next], nowMs, 2)
    for (const row of rows) {
      bench.stage.forget(row)
      bench.table.evict(row)
    }
    rows = next
  }
  nowMs = run(bench, rows, nowMs, 2)
  expect(bench.stage.dropped().entities).toBe(0)
  expect(instancesOf(bench)).toEqual(['a-100', 'b-100'])
  // Of saved ones that no series comes back to nothing is known after an hour of windows.
  const again = new Bench({ maxEntities: 3 })
  const [a] = ['a-100', 'b-100'].map(name => again.add(latencyMeta(name[0], { pod: name })))
  again.stage.restore(structuredClone(bench.stage.snapshot()))
  nowMs = run(again, [a], nowMs, 100)
  expect(instancesOf(again)).toEqual(['a-100', 'b-100'])
  run(again, [a], nowMs, 700)
  expect(instancesOf(again)).toEqual(['a-100'])
})

it('tenants with the same names never share a disruption', () => {
  const bench = new Bench()
  const rows = ['red', 'blue'].flatMap(tenant =>
    ['a', 'b'].map(name => bench.add(latencyMeta(name, {}, tenant))),
  )
  const nowMs = run(bench, rows, START_MS, 60)
  run(bench, rows, nowMs, 10, rows)
  const opened = bench.events.filter(event => event.type === 'opened')
  expect(opened.map(event => event.disruption.tenant).sort()).toEqual(['blue', 'red'])
})

it('refuses a snapshot of another layout, ignores the parts of others', () => {
  const bench = new Bench()
  const [part] = bench.stage.snapshot()
  expect(() => bench.fresh().restore([{ ...part, version: 99 }])).toThrow(/disruptions v1 to v3, got v99/)
  expect(() => bench.fresh().restore([{ ...part, columns: {} }])).toThrow(/disruptions v1/)
  bench.fresh().restore([{ ...part, id: 'someone else', version: 99 }])
})

it('goes on with an open disruption of a snapshot of the first version', () => {
  const bench = new Bench()
  const rows = ['a', 'b'].map(name => bench.add(latencyMeta(name)))
  let nowMs = run(bench, rows, START_MS, 60)
  nowMs = run(bench, rows, nowMs, 6, rows)
  const [part] = structuredClone(bench.stage.snapshot())
  // What the first version did not know: relations, measures, maintenance, who told of an edge, shares.
  const meta = part.meta as Record<string, unknown> & { open: Record<string, unknown>[] }
  delete meta.ceilings
  delete meta.maintenance
  meta.edges = (meta.edges as unknown[][]).map(edge => edge.slice(0, 3))
  for (const story of meta.open) {
    for (const name of [
      'measured',
      'rankedMembers',
      'related',
      'episodeMs',
      'earlier',
      'told',
      'holds',
      'learned',
    ])
      delete story[name]
    for (const member of Object.values(story.members as Record<string, Record<string, unknown>>))
      delete member.runMs
  }
  const open = bench.stage.board().map(one => one.id)
  expect(open.length).toBe(1)
  bench.stage = bench.fresh()
  bench.stage.restore([{ ...part, version: 1 }])
  expect(bench.stage.board().map(one => one.id)).toEqual(open)
  run(bench, rows, nowMs, 20)
  const last = bench.events.at(-1)
  expect(last?.type).toBe('resolved')
  expect(last?.disruption.id).toBe(open[0])
  for (const { disruption } of bench.events) disruptionSchema.parse(disruption)
})

it('ranks five thousand series of one disruption', () => {
  const bench = new Bench({ baselineWindows: 60 })
  const rows = Array.from({ length: 5000 }, (_, i) => bench.add(latencyMeta(`s${i % 50}`, { path: `/${i}` })))
  const nowMs = run(bench, rows, START_MS, 40)
  const startMs = performance.now()
  const suspects = bench.stage.explain(nowMs - 5000, 0)
  expect(performance.now() - startMs).toBeLessThan(2000)
  expect(suspects.length).toBeLessThanOrEqual(50)
})

it('ranks no more series than the limit, and counts the others', () => {
  const bench = new Bench({ baselineWindows: 60, maxRanked: 10 })
  const rows = Array.from({ length: 30 }, (_, i) => bench.add(latencyMeta('s', { path: `/${i}` })))
  const nowMs = run(bench, rows, START_MS, 40)
  run(bench, rows, nowMs, 5, rows)
  expect(bench.events[0].disruption.suspects[0].entity).toBe('s')
  expect(bench.stage.dropped().ranked).toBeGreaterThanOrEqual(20)
})

it('keeps pace with a cyclic call graph of 10,000 services and 100,000 calls', () => {
  const bench = new Bench({ baselineWindows: 60 })
  const count = 10_000
  const name = (i: number): string => `n${i % count}`
  bench.stage.addEdges(
    Array.from({ length: 100_000 }, (_, i) => ({ source: name(i), target: name(i * 7919 + (i >> 4) + 1) })),
    0,
  )
  const rows = Array.from({ length: count }, (_, i) => bench.add(latencyMeta(name(i))))
  let nowMs = run(bench, rows, START_MS, 20)
  const startMs = performance.now()
  nowMs = run(bench, rows, nowMs, 6, rows.slice(0, 40))
  // Six windows with forty strange services all over it; the bed around the stage takes part of it.
  expect(performance.now() - startMs).toBeLessThan(8000)
  const { events } = bench
  expect(events.length).toBeGreaterThan(0)
  for (const { disruption } of events) disruptionSchema.parse(disruption)
  const told = new Set(bench.stage.board().flatMap(one => one.entities))
  expect(told.size).toBe(40)
  expect(bench.stage.edges().length).toBeGreaterThan(90_000)
  expect(bench.stage.explain(nowMs - 5000, 0).length).toBeGreaterThan(40)
})

it('a fault seen thirty seconds early and late by clocks that are off is one disruption with one cause', () => {
  const bench = new Bench({ stepMs: 10_000 })
  bench.stage.addEdges(
    [
      { source: 'front', target: 'mid' },
      { source: 'mid', target: 'back' },
    ],
    0,
  )
  const [front, mid, back] = ['front', 'mid', 'back'].map(name => bench.add(latencyMeta(name)))
  const rows = [front, mid, back]
  let nowMs = run(bench, rows, START_MS, 60)
  nowMs = run(bench, rows, nowMs, 3, [front])
  nowMs = run(bench, rows, nowMs, 3, [front, mid])
  nowMs = run(bench, rows, nowMs, 20, rows)
  run(bench, rows, nowMs, 20)
  const open = bench.events.filter(event => event.type === 'opened').map(event => event.disruption.id)
  const taken = bench.events.filter(event => event.type === 'retracted').map(event => event.disruption.id)
  expect(open.filter(id => !taken.includes(id)).length).toBe(1)
  const last = bench.events.at(-1)?.disruption
  expect(last?.status).toBe('resolved')
  expect([...(last?.entities ?? [])]).toEqual(['back', 'front', 'mid'])
  expect(last?.suspects[0].entity).toBe('back')
})

it('errors without a unit that are fractions of one are weighed as a ratio, counts as counts', () => {
  const scoreOf = (calm: number, bad: number): number => {
    const bench = new Bench({ baselineWindows: 60 })
    const meta = latencyMeta('a')
    const row = bench.add({
      ...meta,
      key: 'rpc_errors{service="a"}',
      metric: 'rpc_errors',
      unit: '',
      kind: 'error',
    })
    let nowMs = START_MS
    for (let i = 0; i < 46; i++) {
      nowMs += bench.options.stepMs
      const ripple = 1 + 0.1 * Math.sin(i * 1.7)
      bench.window(nowMs, new Map([[row, ripple * (i < 40 ? calm : bad)]]))
    }
    return bench.stage.explain(nowMs - 6000, 0)[0]?.score ?? 0
  }
  expect(scoreOf(0.002, 0.6)).toBeGreaterThan(3)
  // The same rise in errors a second, of a service that has two of them every second.
  expect(scoreOf(2, 2.6)).toBeLessThan(2)
})

it('reads a snapshot of layout 2, which had entities and shares as JSON', () => {
  const bench = new Bench()
  const rows = ['a', 'b'].map(name => bench.add(latencyMeta(name)))
  const share = {
    ...latencyMeta('a'),
    metric: 'availability_ratio',
    unit: 'ratio',
    kind: 'availability',
  } as const
  rows.push(bench.add({ ...share, key: seriesKey(share.metric, share.labels, 'default'), bad: 'down' }))
  const nowMs = run(bench, rows, START_MS, 40)
  run(bench, rows, nowMs, 2, [rows[1]])
  const [part] = bench.stage.snapshot()
  const { entities, ceilings, ...columns } = part.columns
  const meta = part.meta as { entities: { tenants: string[]; names: string[]; namespaces: string[] } }
  const number = (value: number) => (Number.isNaN(value) ? null : value)
  const former = meta.entities.names.map((name, i) => ({
    tenant: meta.entities.tenants[i],
    name,
    namespace: meta.entities.namespaces[i],
    firstSeenMs: entities[7 * i],
    recent: Array.from(entities.subarray(7 * i + 1, 7 * i + 4)),
    onsetMs: number(entities[7 * i + 4]),
    lastStrangeMs: entities[7 * i + 5],
    traffic: number(entities[7 * i + 6]),
  }))
  expect(former.map(({ name }) => name)).toEqual(['a', 'b'])
  expect(former[1].onsetMs).toBeGreaterThan(START_MS)
  expect(ceilings.length).toBe(4)
  const next = bench.fresh()
  next.restore([
    { ...part, version: 2, columns, meta: { ...meta, entities: former, ceilings: [Array.from(ceilings)] } },
  ])
  expect(next.snapshot()).toEqual([part])
})

it('takes no memory for windows that the history does not have, however far back somebody asks and however long it goes on', () => {
  const bench = new Bench()
  Object.assign(bench.history, { depth: 200 })
  const rows = ['a', 'b'].map(name => bench.add(latencyMeta(name, { version: '1' })))
  bench.stage.addEdges([{ source: 'b', target: 'a' }], START_MS)
  let nowMs = run(bench, rows, START_MS, 60)
  nowMs = run(bench, rows, nowMs, 10, [rows[0]])
  const before = process.memoryUsage().arrayBuffers
  const taken = () => process.memoryUsage().arrayBuffers - before
  expect(bench.stage.explain(nowMs - 9000, 1e9)[0].entity).toBe('a')
  expect(taken()).toBeLessThan(LITTLE_BYTES)
  // An open disruption that has gone on since long before what is kept is ranked again when somebody joins.
  const [saved] = structuredClone(bench.stage.snapshot())
  const { open } = saved.meta as { open: object[] }
  Object.assign(open[0], { episodeMs: START_MS - 1e9, windows: 1e6 })
  bench.stage = bench.fresh()
  bench.stage.restore([saved])
  nowMs = run(bench, rows, nowMs, 10, rows)
  expect(bench.events.at(-1)?.disruption.entities).toEqual(['a', 'b'])
  expect(taken()).toBeLessThan(LITTLE_BYTES)
})

// Shows that the series table keeps series off the heap and loses nothing of them: whatever comes, goes and comes back
// in any order, it answers as a plain map of objects would, before and after it was saved; that labels of any spelling
// survive; that checkpoints of the former layout are read; and that its bytes stay flat while series come and go.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { METRIC_KINDS } from '../../src/core/metric-kind.ts'
import { type SeriesMeta, SeriesTable, seriesHead, seriesKey } from '../../src/core/series.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'

/** What the table must do, in objects. */
class Twin {
  readonly rows = new Map<string, number>()
  readonly metas: (SeriesMeta | undefined)[] = []
  readonly free: number[] = []
  readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  intern(meta: SeriesMeta): number {
    const known = this.rows.get(meta.key)
    // A series of another tenant stays that tenant's.
    if (known !== undefined) return this.metas[known]?.tenant === meta.tenant ? known : -1
    if (this.rows.size >= this.limit) return -1
    const row = this.free.pop() ?? this.metas.length
    this.metas[row] = meta
    this.rows.set(meta.key, row)
    return row
  }

  evict(row: number): void {
    const meta = this.metas[row]
    if (!meta) return
    this.rows.delete(meta.key)
    this.metas[row] = undefined
    this.free.push(row)
  }
}

const word = fc.oneof(
  fc.constantFrom(
    'a',
    'service',
    'checkout',
    '__proto__',
    'constructor',
    '',
    '0',
    '7',
    'x"y\\z\n',
    'größe',
    '日本語',
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ maxLength: 40 }),
  // Half a pair, as escapes of JSON can spell it.
  fc.constant('\ud800 alone'),
)
const labels = fc
  .array(fc.tuple(word, word), { maxLength: 5 })
  .map(pairs => Object.fromEntries(pairs) as Record<string, string>)
const meta: fc.Arbitrary<SeriesMeta> = fc
  .record({
    tenant: fc.constantFrom('default', 'acme', 'größe'),
    metric: word,
    labels,
    entity: fc.option(word, { nil: undefined }),
    unit: fc.constantFrom('', 's', 'By'),
    kind: fc.constantFrom(...METRIC_KINDS),
    bad: fc.constantFrom('up' as const, 'down' as const, 'both' as const),
    key: fc.option(word, { nil: undefined, freq: 8 }),
  })
  .map(one => ({
    ...one,
    entity: one.entity ?? Object.values(one.labels)[0] ?? 'unknown',
    key: one.key ?? seriesKey(one.metric, one.labels, one.tenant),
  }))

type Step = { readonly join: SeriesMeta } | { readonly leave: number } | { readonly save: true }
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: meta.map(join => ({ join })) },
    { weight: 3, arbitrary: fc.nat(20).map(leave => ({ leave })) },
    { weight: 1, arbitrary: fc.constant({ save: true as const }) },
  ),
  { maxLength: 60 },
)

/** As stores keep it, into an empty table. */
function reborn(table: SeriesTable): SeriesTable {
  const { meta: saved, ...rest } = table.snapshot()
  const next = new SeriesTable(table.limit)
  next.restore({ ...structuredClone(rest), meta: JSON.parse(JSON.stringify(saved)) })
  return next
}

function same(table: SeriesTable, twin: Twin): void {
  expect(table.size).toBe(twin.rows.size)
  expect(table.capacity).toBe(twin.metas.length)
  expect(table.keys()).toEqual(Array.from(twin.metas, one => one?.key ?? ''))
  for (let row = 0; row < twin.metas.length; row++) {
    const expected = twin.metas[row]
    expect(table.has(row)).toBe(expected !== undefined)
    if (!expected) expect(table.head(row, seriesHead())).toBe(false)
    expect(table.key(row)).toBe(expected?.key ?? '')
    if (!expected) continue
    const held = table.meta(row)
    expect(held).toEqual(expected)
    const head = seriesHead()
    const { key: _, labels: __, ...rest } = expected
    expect(table.head(row, head)).toBe(true)
    expect(head).toEqual(rest)
    for (const [name, value] of Object.entries(expected.labels)) expect(table.label(row, name)).toBe(value)
    expect(table.label(row, 'no such label')).toBeUndefined()
    // Whoever prints labels prints them in the order in which they came.
    expect(Object.entries(held.labels)).toEqual(Object.entries(expected.labels))
    expect(table.row(expected.key)).toBe(row)
  }
  const counts = new Map<string, number>()
  for (const one of twin.metas) if (one) counts.set(one.tenant, (counts.get(one.tenant) ?? 0) + 1)
  for (const tenant of ['default', 'acme', 'größe'])
    expect(table.heldBy(tenant)).toBe(counts.get(tenant) ?? 0)
}

describe('the series table', () => {
  it('answers as a map of objects would, whatever comes and goes, before and after it was saved', () => {
    fc.assert(
      fc.property(steps, all => {
        let table = new SeriesTable(12)
        const twin = new Twin(12)
        for (const step of all) {
          if ('join' in step) expect(table.intern(step.join)).toBe(twin.intern(step.join))
          else if ('leave' in step) {
            table.evict(step.leave)
            twin.evict(step.leave)
          } else table = reborn(table)
        }
        same(table, twin)
        same(reborn(table), twin)
      }),
      { numRuns: 300 },
    )
  })

  it('goes on after a restore with the same rows', () => {
    const a = filled(3000)
    const b = reborn(a)
    for (const table of [a, b]) {
      for (let row = 0; row < 3000; row += 3) table.evict(row)
      for (let i = 0; i < 1500; i++) table.intern(podSeries(10_000 + i))
    }
    expect([...b.metas()]).toEqual([...a.metas()])
    // Which texts were seen once before is not saved.
    expect(b.bytes() / a.bytes()).toBeCloseTo(1, 1)
  })

  it('reads what the former release saved', () => {
    const metas = [podSeries(0), null, podSeries(2), null]
    const former: Snapshot = {
      id: 'series',
      version: 1,
      keys: [],
      columns: {},
      meta: { metas, free: [3, 1] },
    }
    const table = new SeriesTable()
    table.restore(JSON.parse(JSON.stringify(former)) as Snapshot)
    expect([...table.metas()]).toEqual([
      [0, metas[0]],
      [2, metas[2]],
    ])
    expect(table.intern(podSeries(7))).toBe(1)
    expect(table.intern(podSeries(8))).toBe(3)
    expect(table.intern(podSeries(9))).toBe(4)
  })

  it('refuses a layout that it does not know', () => {
    const saved = filled(10).snapshot()
    const wrong = [
      { ...saved, version: 3 },
      { ...saved, columns: { ...saved.columns, hash: new Uint32Array(9) } },
      { ...saved, columns: { ...saved.columns, 'texts.0': new Uint8Array(3) } },
    ]
    for (const one of wrong)
      expect(() => new SeriesTable().restore(one)).toThrow(
        expect.objectContaining({ code: 'FS_SNAPSHOT_INVALID' }),
      )
  })

  it('takes fifty bytes or so a series and stays flat while pods come and go', () => {
    const table = filled(5000)
    expect(table.bytes() / 5000).toBeLessThan(80)
    const after: number[] = []
    for (let generation = 1; generation <= 30; generation++) {
      for (let row = 0; row < 5000; row++) if (row % 10 === generation % 10) table.evict(row)
      for (let i = 0; i < 500; i++) table.intern(podSeries(generation * 5000 + i))
      after.push(table.bytes())
    }
    expect(table.size).toBe(5000)
    expect(table.capacity).toBe(5000)
    expect(after[29]).toBeLessThan(1.3 * after[9])
  })
})

/** Five labels, one of them of nobody else. */
function podSeries(i: number): SeriesMeta {
  const labels = {
    service: `service-${i % 50}`,
    region: `eu-${i % 3}`,
    version: `v${i % 7}.2`,
    pod: `service-${i % 50}-${(i * 2_654_435_761).toString(36)}`,
    code: String(200 + (i % 5)),
  }
  const metric = `requests_${i % 20}_total:rate`
  const own = { tenant: 'default', metric, labels, entity: labels.service }
  return { ...own, key: seriesKey(metric, labels), unit: '1/s', kind: 'traffic', bad: 'both' }
}

function filled(count: number): SeriesTable {
  const table = new SeriesTable()
  for (let i = 0; i < count; i++) table.intern(podSeries(i))
  return table
}

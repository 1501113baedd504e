// Shows derived metrics in the windows: which series feed a group, the values of its rows, where they stand among
// the others, no row when there is no opinion, and a restore that nobody notices. Values are worked out by hand.
import { describe, expect, it } from 'vitest'
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { DerivedSeries } from '../../src/features/derived.ts'
import type { SliExpression } from '../../src/features/expression.ts'
import { EventTimeWindows } from '../../src/features/windows.ts'
import { add, drain, intern, rowsOf, type Sample } from './windowing.ts'

const T0 = 1_700_000_000_000
const RATIO: SliExpression = {
  metric: 'error_ratio',
  expression: 'rate(errors) / rate(requests)',
  by: ['service'],
  unit: 'ratio',
  kind: 'error',
}

function fleet(expressions: readonly SliExpression[] = [RATIO]) {
  const table = new SeriesTable()
  const rows = {
    shopErrors: intern(table, 'errors_total:rate', { service: 'shop', pod: '1' }),
    shop1: intern(table, 'requests_total:rate', { service: 'shop', pod: '1' }),
    shop2: intern(table, 'requests_total:rate', { service: 'shop', pod: '2' }),
    payErrors: intern(table, 'errors_total:rate', { service: 'pay' }),
    pay: intern(table, 'requests_total:rate', { service: 'pay' }),
  }
  const windows = new EventTimeWindows(
    { stepMs: 1000, latenessMs: 0, batchRows: 4, expressions },
    { series: table, rejects: new Rejects() },
  )
  return { table, rows, windows }
}

const second = (rows: ReturnType<typeof fleet>['rows'], s: number, values: readonly number[]): Sample[] =>
  Object.values(rows).flatMap((row, i): Sample[] =>
    values[i] === undefined ? [] : [[row, T0 + s * 1000 + 500, values[i]]],
  )

describe('derived series', () => {
  it('sums the series of a group and stands in the same window, ascending', () => {
    const { table, rows, windows } = fleet()
    add(windows, second(rows, 0, [3, 10, 20, 1, 4]))
    windows.finish()
    const out = rowsOf(drain(windows))
    const shop = table.row('error_ratio{service="shop"}')
    const pay = table.row('error_ratio{service="pay"}')
    expect(out.map(row => row.series)).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(out.find(row => row.series === shop)).toMatchObject({
      observed: 0.1,
      coverage: 1,
      endMs: T0 + 1000,
    })
    expect(out.find(row => row.series === pay)).toMatchObject({ observed: 0.25, coverage: 1 })
    expect(table.meta(shop)).toMatchObject({ entity: 'shop', unit: 'ratio', kind: 'error', bad: 'up' })
  })

  it('has no row without traffic or without an input, and says how much of its input it saw', () => {
    const { table, rows, windows } = fleet()
    add(windows, second(rows, 0, [3, 10, 20, 1, 4]))
    add(windows, second(rows, 1, [3, 0, 0, 1]))
    add(windows, second(rows, 2, [3, 10]))
    windows.finish()
    const drained = drain(windows)
    const shop = table.row('error_ratio{service="shop"}')
    const pay = table.row('error_ratio{service="pay"}')
    const of = (series: number) => rowsOf(drained).filter(row => row.series === series)
    expect(of(shop).map(row => [row.endMs - T0, row.observed])).toEqual([
      [1000, 0.1],
      [3000, 0.3],
    ])
    expect(of(shop)[1].coverage).toBeCloseTo(2 / 3)
    expect(of(pay).map(row => row.endMs - T0)).toEqual([1000])
  })

  it('uses a row that was freed, in its place', () => {
    const { table, rows, windows } = fleet()
    table.evict(rows.shop1)
    windows.forget(rows.shop1)
    add(windows, [
      [rows.shopErrors, T0, 2],
      [rows.shop2, T0, 8],
    ])
    windows.finish()
    const out = rowsOf(drain(windows))
    expect(table.row('error_ratio{service="shop"}')).toBe(rows.shop1)
    expect(out.map(row => [row.series, row.observed])).toEqual([
      [0, 2],
      [1, 0.25],
      [2, 8],
    ])
  })

  it('forgets series that are gone, and comes back when they do', () => {
    const { table, rows, windows } = fleet()
    add(windows, second(rows, 0, [3, 10, 20, 1, 4]))
    add(windows, second(rows, 1, [3, 10, 20, 1, 4]))
    drain(windows)
    const shop = table.row('error_ratio{service="shop"}')
    for (const row of [shop, rows.shop2]) {
      table.evict(row)
      windows.forget(row)
    }
    add(windows, second(rows, 2, [3, 10]))
    windows.finish()
    const again = drain(windows).at(-1)?.rows ?? []
    const row = table.row('error_ratio{service="shop"}')
    expect(again.find(r => r.series === row)).toMatchObject({ observed: 0.3, coverage: 1 })
  })

  it('forgets many series of many groups in time that grows with their number', () => {
    const table = new SeriesTable()
    const derived = new DerivedSeries([RATIO], table)
    const inputs = Array.from({ length: 20_000 }, (_, i) =>
      intern(table, 'requests_total:rate', { service: `s${i}` }),
    )
    for (const row of inputs) derived.register(row)
    const began = process.cpuUsage()
    for (const row of inputs) derived.forget(row)
    const { user, system } = process.cpuUsage(began)
    // Sixteen seconds where all groups were looked through for each.
    expect((user + system) / 1e6).toBeLessThan(1)
    derived.evaluate(
      () => 1,
      () => expect.unreachable(),
    )
  })

  it('a restored one goes on as if it had never stopped', () => {
    const { table, rows, windows } = fleet()
    add(windows, second(rows, 0, [3, 10, 20]))
    add(windows, second(rows, 1, [3, 10, 20]))
    drain(windows)
    const parts = structuredClone(windows.snapshot())
    const copy = new SeriesTable()
    copy.restore(structuredClone(table.snapshot()))
    const again = new EventTimeWindows(windows.settings, { series: copy, rejects: new Rejects() })
    again.restore(parts)
    for (const target of [windows, again]) {
      add(target, second(rows, 2, [6, 10, 20, 1, 4]))
      add(target, second(rows, 3, [6, 10, 20, 1, 4]))
      target.finish()
    }
    expect(drain(again)).toEqual(drain(windows))
    expect(copy.keys()).toEqual(table.keys())
    expect(copy.row('error_ratio{service="pay"}')).toBeGreaterThan(0)
  })

  it('names wrong expressions at the start', () => {
    expect(() => fleet([{ ...RATIO, expression: 'rate(errors' }])).toThrow(/error_ratio/)
    expect(() => fleet([RATIO, RATIO])).toThrow(/twice/)
  })
})

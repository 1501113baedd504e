// Shows that a table of some series comes back as it was, its free rows in their order of reuse, those of series that are gone
// behind them, and in time that grows with the rows however many of them are free.
import { expect, it } from 'vitest'
import { SeriesTable } from '../../src/core/series.ts'
import { SubTable } from '../../src/detectors/sub-table.ts'
import { testSeries } from './contract.ts'

function tableOf(count: number): SeriesTable {
  const series = new SeriesTable(count)
  for (let at = 0; at < count; at++) series.intern(testSeries(`s${at}`, 'cpu'))
  return series
}

function restored(from: SubTable, series: SeriesTable): SubTable {
  const rows = new SubTable(series, from.limit)
  rows.restore({ ...from.cut(), columns: {} })
  return rows
}

it('gives rows out again in the order in which it would have', () => {
  const series = tableOf(20)
  const rows = new SubTable(series, 10)
  for (let at = 0; at < 8; at++) rows.take(at)
  for (const at of [5, 1, 6]) rows.give(at)
  const same = restored(rows, series)
  series.evict(3)
  const less = restored(rows, series)
  const next = (of: SubTable) => [10, 11, 12, 13].map(at => of.take(at))
  expect(next(same)).toEqual([6, 1, 5, 8])
  expect(next(less)).toEqual([6, 1, 5, 3])
})

it('has room for those that it knows, however many others were saved before them', () => {
  const series = tableOf(8)
  const rows = new SubTable(series, 8)
  for (let at = 0; at < 8; at++) rows.take(at)
  for (const at of [0, 1, 2, 4]) series.evict(at)
  const fewer = new SubTable(series, 3)
  fewer.restore({ ...rows.cut(), columns: {} })
  expect([3, 5, 6, 7].map(at => fewer.of(at))).toEqual([0, 1, 2, -1])
  expect(fewer.take(7)).toBe(-1)
})

it('does not take the longer the more rows are free, beyond their number', () => {
  const count = 400_000
  const series = tableOf(count)
  const rows = new SubTable(series, count)
  for (let at = 0; at < count; at++) rows.take(at)
  for (let at = 0; at < count; at += 2) rows.give(at)
  const began = process.cpuUsage()
  const back = restored(rows, series)
  const { user, system } = process.cpuUsage(began)
  expect(back.size).toBe(count / 2)
  // Half a minute where each was looked for among all others.
  expect((user + system) / 1e6).toBeLessThan(5)
}, 120_000)

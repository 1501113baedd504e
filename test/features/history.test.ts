// Shows that the history gives back what was recorded, NaN where a series had no row, within its budget, and that
// a restored one is the same. The reference is a plain map of windows, driven by random rows from fast-check.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { historyColumns } from '../../src/core/history.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { nextWhere, WindowHistory } from '../../src/features/history.ts'
import { plainKnownWithin, plainWindowsAt } from '../core/plain-windows.ts'
import { intern } from './windowing.ts'

const STEP = 1000

function table(series: number): SeriesTable {
  const out = new SeriesTable()
  for (let i = 0; i < series; i++) intern(out, `m${i}`)
  return out
}

/** Records one window with observed = value and the other columns told apart by an offset. */
function record(history: WindowHistory, window: number, rows: readonly (readonly [number, number])[]): void {
  const batch = featureBatch(Math.max(rows.length, 1), 0)
  const opinions = opinionBatch(Math.max(rows.length, 1))
  for (const [i, [series, value]] of rows.entries()) {
    batch.series[i] = series
    batch.windowEndMs[i] = window * STEP
    batch.observed[i] = value
    opinions.expected[i] = value + 1
    opinions.lower[i] = value + 2
    opinions.upper[i] = value + 3
    opinions.surprise[i] = value + 4
  }
  batch.length = rows.length
  opinions.length = rows.length
  history.record(batch, opinions)
}

describe('WindowHistory', () => {
  it('gives back what a plain map would, across gaps longer than its depth', () => {
    const step = fc.tuple(
      fc.integer({ min: 1, max: 12 }),
      fc.uniqueArray(fc.integer({ min: 0, max: 4 }), { maxLength: 5 }),
    )
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), fc.boolean(), (steps, restart) => {
        const depth = 8
        const series = table(5)
        let history = new WindowHistory({ stepMs: STEP, depth }, { series })
        const reference = new Map<string, number>()
        const known = new Set<number>()
        let window = 1_000_000
        let newest = Number.NaN
        for (const [i, [ahead, present]] of steps.entries()) {
          window += ahead
          const rows = present.sort((a, b) => a - b).map(s => [s, (window % 97) + s] as const)
          record(history, window, rows)
          if (rows.length > 0) newest = window
          for (const [s, value] of rows) {
            known.add(s)
            reference.set(`${s} ${window}`, value)
          }
          if (restart && i === 10) {
            const again = new WindowHistory({ stepMs: STEP, depth }, { series })
            again.restore([structuredClone(history.snapshot())])
            history = again
          }
        }
        const out = historyColumns(depth)
        for (let s = 0; s < 5; s++) {
          const copied = history.read(s, out)
          expect(copied).toBe(known.has(s) ? depth : 0)
          const expected = Array.from({ length: depth }, (_, i) =>
            reference.get(`${s} ${newest - depth + 1 + i}`),
          )
          if (copied === 0) continue
          expect([...out.observed]).toEqual(expected.map(x => x ?? Number.NaN))
          expect([...out.expected]).toEqual(expected.map(x => (x ?? Number.NaN) + 1))
          expect([...out.lower]).toEqual(expected.map(x => (x ?? Number.NaN) + 2))
          expect([...out.upper]).toEqual(expected.map(x => (x ?? Number.NaN) + 3))
          expect([...out.surprise]).toEqual(expected.map(x => (x ?? Number.NaN) + 4))
          const three = new Float64Array(3)
          expect(history.observed(s, (newest - 3) * STEP, newest * STEP, three)).toBe(3)
          expect([...three]).toEqual([...out.observed.slice(-3)])
        }
        if (!Number.isNaN(newest)) expect(history.newestEndMs).toBe(newest * STEP)
      }),
      { numRuns: 200 },
    )
  })

  it('keeps to its budget, counts who gets nothing, and gives a freed place to the next', () => {
    const series = table(4)
    const history = new WindowHistory({ stepMs: STEP, depth: 10, budgetBytes: 2 * (10 * 20 + 8) }, { series })
    const rows = [0, 1, 2, 3].map(s => [s, s] as const)
    record(history, 1, rows)
    expect([history.size, history.refused]).toEqual([2, 2])
    const out = historyColumns(2)
    expect([0, 1, 2, 3].map(s => history.read(s, out))).toEqual([2, 2, 0, 0])
    history.forget(0)
    history.forget(3)
    record(history, 2, rows.slice(1, 3))
    expect([history.size, history.refused]).toEqual([2, 0])
    expect(history.read(2, out)).toBe(2)
    // Nothing of the series that was there before shows through.
    expect([...out.observed]).toEqual([Number.NaN, 2])
  })

  it('reads a stretch of time, and nothing outside what it holds', () => {
    const history = new WindowHistory({ stepMs: STEP, depth: 5 }, { series: table(1) })
    for (let w = 1; w <= 20; w++) record(history, w, [[0, w]])
    const out = new Float64Array(10)
    expect(history.observed(0, 17_000, 19_000, out)).toBe(2)
    expect([...out.subarray(0, 2)]).toEqual([18, 19])
    expect(history.observed(0, 0, 99_000, out)).toBe(5)
    expect([...out.subarray(0, 5)]).toEqual([16, 17, 18, 19, 20])
    expect(history.observed(0, 90_000, 99_000, out)).toBe(0)
    expect(history.observed(7, 0, 99_000, out)).toBe(0)
  })

  it('tells of the same windows of many series, and since when each is known, as reading them all does', () => {
    const ahead = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.boolean(), fc.boolean()), {
      minLength: 1,
      maxLength: 40,
    })
    const asked = fc.uniqueArray(fc.integer({ min: -30, max: 5 }), { maxLength: 20 })
    const stretch = fc.tuple(fc.integer({ min: -30, max: 3 }), fc.integer({ min: 0, max: 25 }))
    const property = fc.property(ahead, asked, stretch, (steps, backs, [from, length]) => {
      const history = new WindowHistory({ stepMs: STEP, depth: 12 }, { series: table(3) })
      let window = 1_000
      for (const [more, first, second] of steps) {
        window += more
        const rows = [...(first ? [[0, window]] : []), ...(second ? [[1, Number.NaN]] : [])]
        record(history, window, [...rows, [2, window]] as [number, number][])
      }
      const ends = Float64Array.from(
        backs.sort((a, b) => a - b),
        back => (window + back) * STEP,
      )
      const windows = history.windowsAt(ends)
      const plain = plainWindowsAt(history, ends, series => [...history.held()].includes(series))
      const [fromMs, toMs] = [(window + from) * STEP, (window + from + length) * STEP]
      const knownFor = history.knownWithin(fromMs, toMs)
      const plainFor = plainKnownWithin(history, fromMs, toMs)
      for (let s = 0; s < 4; s++) {
        const [out, expected] = [new Float64Array(20).fill(7), new Float64Array(20).fill(7)]
        expect(windows.read(s, out)).toBe(plain.read(s, expected))
        expect(out).toEqual(expected)
        expect(knownFor(s)).toBe(plainFor(s))
      }
    })
    fc.assert(property, { numRuns: 300 })
  })

  it('takes back what was saved before what was observed had a ring of its own', () => {
    const series = table(3)
    const options = { stepMs: STEP, depth: 5 }
    const history = new WindowHistory(options, { series })
    for (let w = 1; w <= 13; w++) record(history, w, w % 4 === 0 ? [[0, w]] : [0, 1, 2].map(s => [s, w + s]))
    const saved = history.snapshot()
    const rings = saved.columns.rings as Float32Array
    // Version 1: all fields window by window.
    const old = Float32Array.from(rings, (_, at) => {
      const [slot, place, field] = [Math.floor(at / 25) * 25, Math.floor((at % 25) / 5), at % 5]
      return rings[slot + (field === 0 ? place : 5 + 4 * place + field - 1)]
    })
    for (const isGiven of [false, true]) {
      const again = new WindowHistory(options, { series })
      again.restore([
        {
          ...saved,
          version: 1,
          columns: { ...saved.columns, rings: old.slice() },
          ...(isGiven ? { isGiven } : {}),
        },
      ])
      const [out, expected] = [historyColumns(5), historyColumns(5)]
      for (let s = 0; s < 3; s++) {
        expect(again.read(s, out)).toBe(history.read(s, expected))
        expect(out).toEqual(expected)
      }
    }
  })

  it('goes on with what it is given last where it had taken something older back', () => {
    const series = table(2)
    const options = { stepMs: STEP, depth: 8 }
    const history = new WindowHistory(options, { series })
    const both = (w: number) =>
      record(
        history,
        w,
        [0, 1].map(s => [s, w + s] as const),
      )
    for (let w = 1; w <= 5; w++) both(w)
    const older = history.snapshot()
    for (let w = 6; w <= 9; w++) both(w)
    const again = new WindowHistory(options, { series })
    again.restore([older])
    again.restore([history.snapshot()])
    for (const one of [history, again]) record(one, 10, [[0, 10]])
    const [out, expected] = [historyColumns(8), historyColumns(8)]
    for (let s = 0; s < 2; s++) {
      expect(again.read(s, out)).toBe(history.read(s, expected))
      expect(out).toEqual(expected)
    }
  })

  it('refuses another layout and starts empty with another depth', () => {
    const series = table(1)
    const history = new WindowHistory({ stepMs: STEP, depth: 5 }, { series })
    record(history, 1, [[0, 1]])
    const part = history.snapshot()
    expect(() => history.restore([{ ...part, version: 99 }])).toThrow(/v99/)
    const other = new WindowHistory({ stepMs: STEP, depth: 6 }, { series })
    other.restore([part])
    expect(other.size).toBe(0)
  })

  it('keeps only the series it is told to, at no cost of the others, and gives one that joins its past', () => {
    const kept = new Set<number>()
    const keeps = (series: number) => kept.has(series)
    const series = new SeriesTable(400_000)
    const history = new WindowHistory({ stepMs: STEP, depth: 8, nextKept: nextWhere(keeps) }, { series })
    const rows = Array.from({ length: 300_000 }, (_, row) => [row, row] as const)
    record(history, 100, rows)
    expect(history.size).toBe(0)
    expect(history.refused).toBe(0)
    expect(history.bytes()).toBeLessThan(100_000)
    expect(history.read(200_000, historyColumns(4))).toBe(0)

    kept.add(200_000)
    history.fill(200_000, 100 * STEP, Float64Array.of(-1, 97, 98, Number.NaN, 100))
    record(history, 101, rows)
    const out = historyColumns(5)
    expect(history.read(200_000, out)).toBe(5)
    expect([...out.observed]).toEqual([97, 98, Number.NaN, 100, 200_000])
    expect([...out.expected]).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN, 200_001])
    // A past that is known is not replaced.
    history.fill(200_000, 101 * STEP, Float64Array.of(5))
    history.read(200_000, out)
    expect(out.observed[4]).toBe(200_000)

    kept.delete(200_000)
    history.forget(200_000)
    record(history, 102, rows)
    expect(history.size).toBe(0)
    expect(history.read(200_000, out)).toBe(0)
  })
})

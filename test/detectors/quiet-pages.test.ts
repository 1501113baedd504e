// Pages of rows that are passed over are those in which nothing goes on: against a look at every row, over random touches and calms;
// and batches with holes are cut where their pages end.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextAbove, nextLive, PAGE_ROWS, pageEnd, QuietPages } from '../../src/detectors/quiet-pages.ts'

const ROWS = 65_536

describe('quiet pages', () => {
  it('are those without a row of which anything is known', () => {
    const row = fc.nat(ROWS - 1)
    const step = fc.record({
      row,
      column: fc.constantFrom('hot', 'rest', 'open'),
      value: fc.nat(3),
      asked: row,
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, all) => {
        const pages = new QuietPages()
        const columns = {
          hot: new Uint8Array(ROWS),
          rest: new Uint16Array(ROWS),
          open: new Uint8Array(ROWS),
        }
        if (all) pages.touchAll(ROWS)
        for (const { row, column, value, asked } of steps) {
          pages.touch(row)
          columns[column as keyof typeof columns][row] = value
          for (const one of [row, asked, ROWS - 1]) {
            const from = one - (one % PAGE_ROWS)
            const known = [columns.hot, columns.rest, columns.open]
            const isQuiet = known.every(of => of.subarray(from, from + PAGE_ROWS).every(v => v === 0))
            expect(pages.isQuiet(one, [columns])).toBe(isQuiet)
          }
        }
      }),
      { numRuns: 30 },
    )
  })

  it('cut ascending batches, dense and sparse', () => {
    const rows = fc.uniqueArray(fc.nat(5 * PAGE_ROWS), { minLength: 1, maxLength: 300 })
    const dense = fc
      .record({ first: fc.nat(3000), count: fc.integer({ min: 1, max: 3000 }) })
      .map(({ first, count }) => Array.from({ length: count }, (_, i) => first + i))
    fc.assert(
      fc.property(fc.oneof(rows, dense), all => {
        const series = Uint32Array.from(all).sort()
        for (let from = 0; from < series.length; ) {
          const to = pageEnd(series, from, series.length)
          const page = Math.floor(series[from] / PAGE_ROWS)
          const count = series.filter(row => Math.floor(row / PAGE_ROWS) === page).length
          expect(to - from).toBe(count)
          from = to
        }
      }),
      { numRuns: 100 },
    )
  })

  it('are left where either opinion is strong enough, and none is no opinion', () => {
    const point = Float32Array.of(Number.NaN, 1, 3, Number.NaN, 0)
    const incident = Float32Array.of(9, Number.NaN, 0, 4, Number.NaN)
    expect(nextAbove(point, incident, 3, 0, 5)).toBe(0)
    expect(nextAbove(point, incident, 3, 1, 5)).toBe(2)
    expect(nextAbove(point, incident, 3, 3, 5)).toBe(3)
    expect(nextAbove(point, incident, 3, 4, 5)).toBe(5)
    expect(nextAbove(point, incident, 10, 0, 5)).toBe(5)
  })

  it('are left row by row where anything goes on or either column is high', () => {
    const row = fc.record({ live: fc.nat(9), value: fc.constantFrom(0, 1, 3, Number.NaN) })
    fc.assert(
      fc.property(fc.array(row, { maxLength: 50 }), fc.nat(PAGE_ROWS - 100), (rows, first) => {
        const columns = { hot: new Uint8Array(ROWS), rest: new Uint16Array(ROWS), open: new Uint8Array(ROWS) }
        const series = Uint32Array.from(rows, (_, i) => ROWS + first + i)
        const [a, b] = [Float32Array.from(rows, r => r.value), new Float32Array(rows.length).fill(Number.NaN)]
        const names = ['hot', 'rest', 'open'] as const
        for (const [i, { live }] of rows.entries()) if (live < 3) columns[names[live]][first + i] = 1
        const found: number[] = []
        for (let i = 0; i < rows.length; i++) {
          i = nextLive(series, columns, a, b, 2, i, rows.length)
          if (i < rows.length) found.push(i)
        }
        const expected = [...rows.entries()].filter(([, { live, value }]) => live < 3 || value >= 2)
        expect(found).toEqual(expected.map(([i]) => i))
      }),
    )
  })
})

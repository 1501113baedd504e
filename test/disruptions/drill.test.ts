// Shows that drilling names the combination that was broken: made tables with one or two broken combinations (the
// exact one is found, shallow before deep, whatever the order of rows), ratios against their past, and bad input.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Drill } from '../../src/disruptions/drill.ts'
import { drillCounts as drillLeaves } from '../../src/disruptions/drill-count.ts'
import { groupings, LeafTable } from '../../src/disruptions/leaf-table.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const COUNT = { kind: 'count', observed: 'real', expected: 'predict' } as const
const RATE = { kind: 'rate', time: 'min', numerator: 'bad', denominator: 'all' } as const
const SIZES = [4, 6, 5]

type Where = Readonly<Record<string, string>>
const matches = (cells: Where, where: Where): boolean =>
  Object.keys(where).every(name => cells[name] === where[name])

function leaves(): Where[] {
  const out: Where[] = []
  for (let a = 0; a < SIZES[0]; a++)
    for (let b = 0; b < SIZES[1]; b++)
      for (let c = 0; c < SIZES[2]; c++) out.push({ a: `a${a}`, b: `b${b}`, c: `c${c}` })
  return out
}

/** Counts that fell by `loss` where broken, with 1 % of noise elsewhere. */
function brokenCounts(broken: readonly Where[], loss: number, seed: number): string[][] {
  const random = mulberry32(seed)
  return leaves().map(cells => {
    const forecast = 50 + 400 * random()
    const noise = 1 + 0.01 * (2 * random() - 1)
    const left = broken.some(where => matches(cells, where)) ? 1 - loss : 1
    return [cells.a, cells.b, cells.c, String(forecast * noise * left), String(forecast)]
  })
}

function drillCounts(rows: readonly (readonly string[])[]): Where[] {
  const drill = new Drill(['a', 'b', 'c', 'real', 'predict'], COUNT, Number)
  for (const row of rows) expect(drill.add(row)).toBe('')
  return drill.explain(Number.NaN).map(({ where }) => ({ ...where }))
}

describe('counts', () => {
  it('one broken combination is found exactly, whatever the order of rows', () => {
    const one = fc.record({ a: fc.nat(3), b: fc.nat(5), c: fc.nat(4) })
    fc.assert(
      fc.property(
        one,
        fc.subarray(['a', 'b', 'c'], { minLength: 1 }),
        fc.nat(1000),
        (values, names, seed) => {
          const where = Object.fromEntries(names.map(n => [n, `${n}${values[n as 'a']}`]))
          const rows = brokenCounts([where], 0.4, seed)
          expect(drillCounts(rows)).toEqual([where])
          expect(drillCounts([...rows].reverse())).toEqual([where])
        },
      ),
      { numRuns: 60, seed: 7 },
    )
  })

  it('a rise is found as a fall is, and two causes are both named', () => {
    expect(drillCounts(brokenCounts([{ b: 'b2' }], -0.5, 3))).toEqual([{ b: 'b2' }])
    const two = [{ a: 'a1' }, { b: 'b3', c: 'c2' }]
    const found = drillCounts(brokenCounts(two, 0.5, 4))
    expect(found).toHaveLength(2)
    expect(found).toEqual(expect.arrayContaining(two))
  })

  it('says nothing where nothing deviates', () => {
    expect(drillCounts(brokenCounts([], 0, 5))).toEqual([])
  })
})

describe('rates', () => {
  const header = ['min', 'a', 'b', 'c', 'bad', 'all']
  function minutes(broken: Where | undefined, rates: readonly [usual: number, wrong: number]): string[][] {
    const random = mulberry32(11)
    return Array.from({ length: 12 }, (_, minute) => minute).flatMap(minute =>
      leaves().map(cells => {
        const all = 100 + Math.floor(100 * random())
        const wrong = broken !== undefined && minute === 11 && matches(cells, broken)
        const bad = Math.round(all * (rates[wrong ? 1 : 0] + 0.004 * random()))
        return [String(minute), cells.a, cells.b, cells.c, String(bad), String(all)]
      }),
    )
  }
  const explain = (rows: readonly string[][], atMs: number) => {
    const drill = new Drill(header, RATE, Number)
    for (const row of rows) expect(drill.add(row)).toBe('')
    return drill.explain(atMs)
  }

  it('names the combination whose rate rose, with both rates', () => {
    const [first] = explain(minutes({ a: 'a2', c: 'c1' }, [0.02, 0.3]), 11)
    expect({ ...first.where }).toEqual({ a: 'a2', c: 'c1' })
    expect(first.share).toBeGreaterThan(0.9)
    expect(first.observed).toBeCloseTo(0.302, 2)
    expect(first.expected).toBeCloseTo(0.022, 2)
  })

  it('a success rate that fell is found as well', () => {
    const [first] = explain(minutes({ b: 'b4' }, [0.98, 0.6]), 11)
    expect({ ...first.where }).toEqual({ b: 'b4' })
    expect(first.observed).toBeLessThan(first.expected)
  })

  it('a ratio that is usually low and fell is found too', () => {
    const [first] = explain(minutes({ b: 'b4' }, [0.3, 0.05]), 11)
    expect({ ...first.where }).toEqual({ b: 'b4' })
    expect(first.observed).toBeLessThan(first.expected)
  })

  it('two values of one attribute that rose together come one after the other, and one alone stays alone', () => {
    const both = minutes({ a: 'a2', c: 'c1' }, [0.02, 0.3])
    const other = minutes({ a: 'a2', c: 'c3' }, [0.02, 0.3])
    const rows = both.map((row, i) => (row[0] === '11' && row[3] === 'c3' ? other[i] : row))
    const found = explain(rows, 11).map(one => ({ ...one.where }))
    expect(found[0].a).toBe('a2')
    expect(new Set(found.slice(0, 2).map(one => one.c))).toEqual(new Set(['c1', 'c3']))
    const alone = explain(both, 11)
    expect({ ...alone[0].where }).toEqual({ a: 'a2', c: 'c1' })
    expect(alone[1].where.a === undefined || alone[1].where.c === undefined).toBe(true)
  })

  it('an end of trouble elsewhere does not hide what began now', () => {
    // All of b1 failed before the moment and is well again: the whole fell although a2 rose.
    const broken = minutes({ a: 'a2', b: 'b3' }, [0.02, 0.3])
    const rows = broken.map(row =>
      row[0] !== '11' && row[2] === 'b1'
        ? [...row.slice(0, 4), String(Math.round(Number(row[5]) / 2)), row[5]]
        : row,
    )
    const [first] = explain(rows, 11)
    expect({ ...first.where }).toEqual({ a: 'a2', b: 'b3' })
    expect(first.observed).toBeGreaterThan(first.expected)
  })

  it('looks at nothing after the moment', () => {
    const rows = minutes({ b: 'b4' }, [0.02, 0.4])
    expect(explain(rows, 9)).toEqual(
      explain(
        rows.filter(([minute]) => Number(minute) <= 9),
        9,
      ),
    )
  })

  it('says nothing when the rate is as it was', () => {
    const found = explain(minutes(undefined, [0.02, 0.02]), 11)
    expect(Math.max(0, ...found.map(one => one.score))).toBeLessThan(0.2)
  })
})

describe('limits', () => {
  it('refuses what it cannot read, in words', () => {
    expect(() => new Drill(['a', 'real'], COUNT, Number)).toThrow(/no column "predict"/)
    expect(() => new Drill(['real', 'predict'], COUNT, Number)).toThrow(/no dimension column/)
    const drill = new Drill(['a', 'real', 'predict'], COUNT, Number)
    expect(drill.add(['x', 'many', '1'])).toMatch(/"many" is not a number/)
    expect(drill.add(['x', 'Infinity', '1'])).toMatch(/"Infinity" is not a number/)
    expect(drill.add(['x', '1', '1e999'])).toMatch(/"1e999" is not a number/)
    expect(drill.add(['x', '-1', '1'])).toMatch(/0 or more/)
    const rate = new Drill(['min', 'a', 'bad', 'all'], RATE, Number)
    rate.add(['5', 'x', '1', '10'])
    expect(() => rate.explain(5)).toThrow(/needs a past/)
    expect(() => rate.explain(1)).toThrow(/no row/)
  })

  it('a dimension with two hundred thousand values is looked through', () => {
    const table = new LeafTable(['user', 'region'])
    for (let i = 0; i < 200_000; i++) table.add([`u${i}`, `r${i % 3}`])
    const sets = groupings(table, 2)
    expect(sets.map(one => one.count)).toEqual([200_000, 3, 200_000])
  })
})

it('a million values of one label hide nothing and are looked through in seconds', () => {
  const count = 1_000_000
  const table = new LeafTable(['user', 'region'])
  const observed = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const region = `r${i % 7}`
    table.add([`u${i}`, region])
    observed[i] = region === 'r3' ? 40 : 100
  }
  const startMs = performance.now()
  const [first] = drillLeaves(table, observed, new Float64Array(count).fill(100))
  expect({ ...first.where }).toEqual({ region: 'r3' })
  expect(performance.now() - startMs).toBeLessThan(30_000)
}, 60_000)

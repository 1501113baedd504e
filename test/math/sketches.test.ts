// Shows that the small integer tools of the detectors are right on average and at their edges: stochastic rounding
// keeps means, the tail histogram its 99 % point, selection the sorted order.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashUnit, roundStochastic } from '../../src/math/hash-rounding.ts'
import { countTail, tailQuantile99 } from '../../src/math/log-histogram.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { medianInPlace, selectKth } from '../../src/math/select.ts'

describe('stochastic rounding', () => {
  it('is the same each time, between the neighbours, and right on average', () => {
    let sum = 0
    for (let i = 0; i < 20_000; i++) {
      const rounded = roundStochastic(-3.3, i)
      if ((rounded !== -4 && rounded !== -3) || roundStochastic(-3.3, i) !== rounded) expect.fail(`${i}`)
      sum += rounded
    }
    expect(sum / 20_000).toBeCloseTo(-3.3, 1)
    expect(roundStochastic(5, 1)).toBe(5)
  })

  it('hashes to every tenth of [0, 1) about equally often', () => {
    const tenths = new Uint32Array(10)
    for (let i = 0; i < 20_000; i++) tenths[Math.floor(10 * hashUnit(0.1 * (i % 7), i))]++
    for (const count of tenths) expect(Math.abs(count - 2000)).toBeLessThan(250)
  })
})

describe('tail histogram', () => {
  it.each([
    [16, 2],
    [32, 4],
  ])('with %i bins, %i an octave, finds the 99 % point within a bin', (bins, perOctave) => {
    const counts = new Uint16Array(bins)
    const random = mulberry32(4)
    const values = Array.from({ length: 30_000 }, () => -Math.log(1 - random()))
    for (const value of values) countTail(counts, 0, bins, perOctave, Float64Array.of(value), 0)
    const exact = values.sort((a, b) => a - b)[29_700]
    const found = tailQuantile99(counts, 0, bins, perOctave)
    expect(Math.abs(Math.log2(found / exact))).toBeLessThan(0.5 / perOctave)
  })

  it('halves its counts when one is full, and says 0 of nothing', () => {
    const counts = new Uint16Array(16)
    expect(tailQuantile99(counts, 0, 16, 2)).toBe(0)
    for (let i = 0; i < 70_000; i++)
      countTail(counts, 0, 16, 2, Float64Array.of(8, 0.1), i % 50 === 0 ? 0 : 1)
    expect(Math.max(...counts)).toBeLessThanOrEqual(65_535)
    expect(tailQuantile99(counts, 0, 16, 2)).toBeGreaterThan(7)
  })
})

describe('selection', () => {
  it('finds the k-th smallest and the median of anything', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1 }), values => {
        const sorted = [...values].sort((a, b) => a - b)
        const k = (values.length * 7) % values.length
        expect(selectKth(Float64Array.from(values), values.length, k)).toBe(sorted[k])
        const middle = values.length >> 1
        const median = values.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        expect(medianInPlace(Float64Array.from(values), values.length)).toBeCloseTo(median, 6)
      }),
      { seed: 2 },
    )
  })
})

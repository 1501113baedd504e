// Shows that the order statistics agree with plain definitions on any input, and what they say of empty ones.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { meanOfLargest, quantileOfSorted, sortFinite } from '../../src/math/order-statistics.ts'

const values = fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 50 })

it('quantiles lie between the extremes, hit them at 0 and 1, and never fall with p', () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, p) => {
      const sorted = Float64Array.from(list).sort()
      const q = quantileOfSorted(sorted, p)
      expect(quantileOfSorted(sorted, 0) === sorted[0]).toBe(true)
      expect(quantileOfSorted(sorted, 1) === sorted[sorted.length - 1]).toBe(true)
      expect(q).toBeLessThanOrEqual(quantileOfSorted(sorted, Math.min(1, p + 0.1)) + 1e-6)
    }),
  )
  expect(quantileOfSorted(Float64Array.of(1, 2, 4, 8), 0.5)).toBe(3)
  expect(quantileOfSorted(new Float64Array(0), 0.5)).toBeNaN()
})

it('sorting leaves gaps out and the input alone', () => {
  const input = Float64Array.of(3, Number.NaN, 1, Number.POSITIVE_INFINITY, 2)
  const before = [...input]
  const out = new Float64Array(5)
  expect(sortFinite(input, 5, out)).toBe(3)
  expect([...out.subarray(0, 3)]).toEqual([1, 2, 3])
  expect([...input]).toEqual(before)
})

it('the mean of the largest is the mean when all are taken, the maximum when one is', () => {
  const sorted = Float64Array.of(1, 2, 3, 10)
  expect(meanOfLargest(sorted, 4)).toBe(4)
  expect(meanOfLargest(sorted, 1)).toBe(10)
  expect(meanOfLargest(sorted, 99)).toBe(4)
  expect(meanOfLargest(sorted, 0)).toBe(10)
  expect(meanOfLargest(new Float64Array(0), 2)).toBeNaN()
})

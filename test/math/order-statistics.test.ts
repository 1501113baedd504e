// Shows that the order statistics agree with plain definitions on any input: selection with sorting, quantiles with
// type 7 of the sorted values also where the search is narrowed, and what they say of empty ones.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { sortAscending } from '../../src/math/order-statistics.ts'
import { selectKth, selectQuantile } from '../../src/math/select.ts'

// Adding 0 makes −0 one with 0: sorting puts them in an order of its own, and no statistic tells them apart.
const values = fc.array(
  fc.double({ min: -1e9, max: 1e9, noNaN: true }).map(value => value + 0),
  { minLength: 1, maxLength: 60 },
)

function quantileOf(list: readonly number[], p: number): number {
  const sorted = [...list].sort((a, b) => a - b)
  const at = (sorted.length - 1) * p
  const low = Math.floor(at)
  const high = Math.min(low + 1, sorted.length - 1)
  return sorted[low] + (at - low) * (sorted[high] - sorted[low])
}

it('selection finds what sorting finds', () => {
  fc.assert(
    fc.property(values, fc.nat(59), (list, place) => {
      const k = place % list.length
      const sorted = Float64Array.from(list)
      sortAscending(sorted, sorted.length)
      expect([...sorted]).toEqual([...Float64Array.from(list).sort()])
      expect(selectKth(Float64Array.from(list), list.length, k) === sorted[k]).toBe(true)
    }),
  )
})

it('quantiles are those of the sorted values, one after the other in narrowing ranges', () => {
  fc.assert(
    fc.property(values, list => {
      const a = Float64Array.from(list)
      const last = list.length - 1
      const middle = Math.floor(last / 2)
      expect(selectQuantile(a, list.length, 0.5, 0, last)).toBeCloseTo(quantileOf(list, 0.5), 5)
      expect(selectQuantile(a, list.length, 0.25, 0, middle)).toBeCloseTo(quantileOf(list, 0.25), 5)
      expect(selectQuantile(a, list.length, 0.75, middle, last)).toBeCloseTo(quantileOf(list, 0.75), 5)
      expect(selectQuantile(a, list.length, 0.97, middle, last)).toBeCloseTo(quantileOf(list, 0.97), 5)
    }),
  )
  expect(selectQuantile(Float64Array.of(1, 2, 4, 8), 4, 0.5, 0, 3)).toBe(3)
})

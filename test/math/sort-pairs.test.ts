// Shows that sortPairs sorts by key, then value with NaN last, leaves its surroundings alone and does not depend
// on the order at the start, for short, long, sorted and reversed input. The reference is Array.sort.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { sortPairs } from '../../src/math/sort-pairs.ts'

const pair = fc.tuple(
  fc.integer({ min: 0, max: 60 }),
  fc.oneof(fc.constantFrom(Number.NaN, 0, 1, 2), fc.double({ noNaN: true })),
)

it('is Array.sort', () => {
  fc.assert(
    fc.property(
      fc.array(pair, { maxLength: 300 }),
      fc.constantFrom('as is', 'sorted', 'reversed'),
      (pairs, how) => {
        const byBoth = (a: readonly number[], b: readonly number[]) =>
          a[0] - b[0] || Number(Number.isNaN(a[1])) - Number(Number.isNaN(b[1])) || (a[1] < b[1] ? -1 : 1)
        // −0 and 0 are equal, so which comes first is open.
        const clean = pairs.map(([k, v]) => [k, v === 0 ? 0 : v] as const)
        const expected = [...clean].sort(byBoth)
        const input = how === 'as is' ? clean : how === 'sorted' ? expected : [...expected].reverse()
        const key = Float64Array.from([99, ...input.map(p => p[0]), -99])
        const value = Float64Array.from([1, ...input.map(p => p[1]), 2])
        sortPairs(key, value, 1, input.length + 1)
        expect([...key]).toEqual([99, ...expected.map(p => p[0]), -99])
        expect([...value]).toEqual([1, ...expected.map(p => p[1]), 2])
      },
    ),
    { numRuns: 300 },
  )
})

// Shows that the metrics of rankings, groupings and combinations are those of their definitions, by hand-worked
// cases and by properties: AC@k against its formula, ARI 1 for renamed labels and about 0 for shuffled ones.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  accuracyAt,
  adjustedRand,
  averageAt5,
  combinationText,
  countCombinations,
  jaccard,
  microF1,
  reciprocalRank,
} from '../../src/evaluate/ranking.ts'

describe('ranked lists', () => {
  it('one truth: 1 from its rank on', () => {
    const ranked = ['a', 'b', 'c', 'd']
    expect([1, 2, 3].map(k => accuracyAt(ranked, ['b'], k))).toEqual([0, 1, 1])
    expect(averageAt5(ranked, ['b'])).toBeCloseTo(0.8)
    expect(reciprocalRank(ranked, ['b'])).toBe(0.5)
    expect([accuracyAt([], ['b'], 1), reciprocalRank([], ['b'])]).toEqual([0, 0])
  })

  it('several: the share found, of as many as could be', () => {
    expect(accuracyAt(['a', 'x', 'b'], ['a', 'b'], 1)).toBe(1)
    expect(accuracyAt(['a', 'x', 'b'], ['a', 'b'], 2)).toBe(0.5)
    expect(accuracyAt(['a', 'x', 'b'], ['a', 'b'], 3)).toBe(1)
    expect(accuracyAt(['a', 'a', 'b'], ['a', 'b'], 2)).toBe(0.5)
  })
})

describe('groupings', () => {
  it('Hubert and Arabie: a hand-worked table', () => {
    // Cells 2,1,0 / 0,1,2: pairs together 1 + 1, rows 3 + 3, columns 1 + 1 + 1, of 15.
    expect(adjustedRand([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2])).toBeCloseTo((2 - 18 / 15) / (4.5 - 18 / 15))
  })

  it('does not care for names, and is about 0 by chance', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { minLength: 5, maxLength: 40 }), labels => {
        expect(
          adjustedRand(
            labels,
            labels.map(label => `group ${9 - label}`),
          ),
        ).toBeCloseTo(1)
      }),
    )
    const a = Array.from({ length: 4000 }, (_, i) => i % 4)
    const b = Array.from({ length: 4000 }, (_, i) => Math.floor(i / 4) % 5)
    expect(Math.abs(adjustedRand(a, b))).toBeLessThan(0.01)
  })

  it('Jaccard of sets', () => {
    expect(jaccard(['a', 'b', 'b'], ['b', 'c'])).toBeCloseTo(1 / 3)
    expect(jaccard([], [])).toBe(1)
  })
})

it('combinations match whatever the order of attributes; F1 is over all of them', () => {
  expect(combinationText({ b: '2', a: '1' })).toBe('a=1;b=2')
  const one = countCombinations(['a=1', 'a=2'], ['a=1'])
  const two = countCombinations(['b=1'], ['b=1', 'c=3'])
  expect(microF1([one, two])).toBeCloseTo((2 * 2) / 6)
  expect(microF1([])).toBeNaN()
})

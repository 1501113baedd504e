// Shows how alerts are counted: refractory, delay-k on a grid with gaps, events, culprits and the bootstrap, each on
// a case small enough to count by hand.
import { describe, expect, it } from 'vitest'
import { bootstrap95, mean, median } from '../../src/evaluate/bootstrap.ts'
import { hitRate, interpretationsOf, ndcg } from '../../src/evaluate/culprits.ts'
import { delayCounts, f1 } from '../../src/evaluate/delay.ts'
import { eventCounts, eventF1 } from '../../src/evaluate/events.ts'
import { alertRows, segmentsOf } from '../../src/evaluate/segments.ts'

const bytes = (text: string) => Uint8Array.from(text, c => Number(c))

describe('counting', () => {
  it('finds segments and opens alerts no sooner than the refractory allows', () => {
    expect([...segmentsOf(bytes('1100101'))]).toEqual([0, 1, 4, 4, 6, 6])
    const score = Float64Array.of(1, 5, 5, NaN, 5, 5, 1)
    const timeMs = Float64Array.of(0, 1, 2, 3, 4, 5, 6)
    expect([...alertRows(score, timeMs, 5, 0)]).toEqual([1, 2, 4, 5])
    expect([...alertRows(score, timeMs, 5, 3)]).toEqual([1, 4])
  })

  it('counts a segment as found only within its first k+1 grid points, gaps included', () => {
    const label = bytes('011110')
    const place = Int32Array.of(0, 1, 2, 3, 4, 5)
    expect(delayCounts(label, place, Int32Array.of(2), 1)).toEqual({
      truePositive: 4,
      falsePositive: 0,
      falseNegative: 0,
    })
    expect(delayCounts(label, place, Int32Array.of(0, 3), 1)).toEqual({
      truePositive: 0,
      falsePositive: 1,
      falseNegative: 4,
    })
    // Two rows are missing after the first anomalous one: that ends the segment, and the rest is another.
    const gapped = Int32Array.of(0, 1, 4, 5, 6, 7)
    expect(delayCounts(label, gapped, Int32Array.of(1), 7)).toEqual({
      truePositive: 1,
      falsePositive: 0,
      falseNegative: 3,
    })
    expect(f1({ truePositive: 2, falsePositive: 1, falseNegative: 1 })).toBeCloseTo(2 / 3)
  })

  it('counts events as pages', () => {
    const counts = eventCounts(
      bytes('0110011'),
      Float64Array.of(0, 10, 20, 30, 40, 50, 60),
      Int32Array.of(0, 2, 3),
    )
    expect(counts).toEqual({ segments: 2, found: 1, alerts: 3, falseAlerts: 2, delaysMs: [10] })
    expect(eventF1(counts)).toBeCloseTo(0.4)
    const lasting = eventCounts(
      bytes('0110011'),
      Float64Array.of(0, 10, 20, 30, 40, 50, 60),
      Int32Array.of(0, 3),
      Int32Array.of(1, 4),
    )
    expect(lasting).toEqual({ segments: 2, found: 1, alerts: 2, falseAlerts: 1, delaysMs: [0] })
  })

  it('measures named culprits', () => {
    const truth = new Set([3, 5])
    expect(hitRate([3, 1, 5], truth, 1)).toBe(0.5)
    expect(hitRate([3, 1, 5], truth, 1.5)).toBe(1)
    expect(ndcg([3, 5, 1], truth, 5)).toBeCloseTo(1)
    expect(ndcg([1, 3], truth, 5)).toBeCloseTo(1 / Math.log2(3) / (1 + 1 / Math.log2(3)))
    const [first] = interpretationsOf('740-780:2,5\n\n')
    expect([first.first, first.last, [...first.metrics]]).toEqual([740, 780, [1, 4]])
  })

  it('bootstraps the same interval every time, and one that holds the mean', () => {
    const values = [1, 2, 3, 4, 5, 6, 7, 8]
    const statistic = (pick: readonly number[]) => mean(pick.map(i => values[i]))
    const [low, high] = bootstrap95(values.length, statistic)
    expect(low).toBeLessThan(4.5)
    expect(high).toBeGreaterThan(4.5)
    expect(bootstrap95(values.length, statistic)).toEqual([low, high])
    expect(median([3, NaN, 1, 2])).toBe(2)
  })
})

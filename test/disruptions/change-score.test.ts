// Shows what the score of a change answers to: a level that two windows reach counts in full, one slow window does
// not; constant series are scored by their floor; more of the same is never less strange.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { changeScratch, scoreChange } from '../../src/disruptions/change-score.ts'

const PAST = Float64Array.from({ length: 60 }, (_, i) => 0.1 + 0.01 * Math.sin(i))

function latency(after: readonly number[], past = PAST): { tail: number; sigma: number; observed: number } {
  const scratch = changeScratch(128)
  const change = scoreChange(
    past,
    past.length,
    Float64Array.from(after),
    after.length,
    { bad: 'up', relativeFloor: 0.2, unitFloor: 0.002, emptyIsZero: false },
    scratch,
  )
  if (!change) throw new Error('a series with a past has a score')
  return change
}

const LATER = Float64Array.of(30)

/** What is usual, in as many words as it takes. */
function plainPast(values: readonly number[], bad: 'up' | 'down' | 'both') {
  const quantile = (of: readonly number[], p: number): number => {
    const sorted = [...of].sort((a, b) => a - b)
    const at = (sorted.length - 1) * p
    const low = Math.floor(at)
    return at === low ? sorted[low] : sorted[low] + (at - low) * (sorted[low + 1] - sorted[low])
  }
  const median = quantile(values, 0.5)
  const distances = values.map(value => Math.abs(value - median))
  const spread = quantile(values, 0.75) - quantile(values, 0.25)
  const robust = Math.max(spread / 1.349, 1.4826 * quantile(distances, 0.5))
  const up = Math.max(0, quantile(values, 0.97) - median)
  const down = Math.max(0, median - quantile(values, 1 - 0.97))
  return { median, robust, tail: bad === 'up' ? up : bad === 'down' ? down : quantile(distances, 0.97) }
}

describe('a change', () => {
  it('is the level that two windows reach', () => {
    const lasting = latency([0.1, 0.5, 0.5, 0.1, 0.1])
    expect(lasting.observed).toBeCloseTo(0.5, 2)
    expect(lasting.tail).toBeGreaterThan(8)
    const spike = latency([0.1, 5, 0.1, 0.1, 0.1])
    expect(spike.tail).toBeLessThan(0.5)
    // Looked at later, a fault of two minutes is still there.
    expect(latency([0.1, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]).observed).toBeCloseTo(0.5, 2)
  })

  it('of which one or two windows are known is the worst of them', () => {
    expect(latency([0.5]).observed).toBeCloseTo(0.5, 2)
    expect(latency([0.1, 0.5]).observed).toBeCloseTo(0.5, 2)
    expect(latency([Number.NaN, 0.5, Number.NaN]).observed).toBeCloseTo(0.5, 2)
  })

  it('of a constant series is measured by the floor', () => {
    const constant = new Float64Array(20).fill(0.01)
    expect(latency([0.01, 0.01, 0.01], constant).tail).toBe(0)
    // The floor is the larger of 2 ms and a fifth of 10 ms.
    expect(latency([0.03, 0.03, 0.03], constant).tail).toBeCloseTo(10, 6)
  })

  it('divides by what plain sorting says of the past, be it short or long', () => {
    const value = fc.double({ min: -5, max: 5, noNaN: true })
    const bads = fc.constantFrom('up' as const, 'down' as const, 'both' as const)
    const property = fc.property(fc.array(value, { minLength: 2, maxLength: 200 }), bads, (values, bad) => {
      const past = Float64Array.from(values)
      const yardstick = { bad, relativeFloor: 0, unitFloor: 1e-9, emptyIsZero: false }
      const shift = scoreChange(past, past.length, LATER, 1, yardstick, changeScratch(200))
      const { median, robust, tail } = plainPast(values, bad)
      const top = bad === 'down' ? 0 : 30 - median
      // Which of 0 and −0 is in the middle is no matter.
      expect((shift?.expected ?? NaN) + 0).toBe(median + 0)
      expect(shift?.tail).toBe(top / (Math.max(robust, 1e-9) + tail))
    })
    fc.assert(property, {
      numRuns: 500,
      examples: [[[-0, 5e-324, 5e-324, 0, 0, 5e-324, 0, -5e-324, 5e-324], 'up']],
    })
  })

  it('is never less strange when a window is worse', () => {
    const seconds = fc.double({ min: 0, max: 10, noNaN: true })
    fc.assert(
      fc.property(
        fc.array(seconds, { minLength: 1, maxLength: 8 }),
        fc.nat(7),
        seconds,
        (after, at, more) => {
          const worse = after.map((value, i) => (i === at % after.length ? value + more : value))
          expect(latency(worse).tail).toBeGreaterThanOrEqual(latency(after).tail)
          expect(latency(worse).sigma).toBeGreaterThanOrEqual(latency(after).sigma)
        },
      ),
    )
  })
})

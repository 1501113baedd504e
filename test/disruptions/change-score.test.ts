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
    'up',
    0.2,
    0.002,
    false,
    scratch,
  )
  if (!change) throw new Error('a series with a past has a score')
  return change
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

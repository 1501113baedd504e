// Shows that the users arrive as the settings say: the rhythm stays within its amplitude and averages to the mean,
// the same seed draws the same numbers, and skewed choices prefer the head without leaving the range.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arrivalRate } from '../../src/lab/load.ts'
import { exponential, seededRandom, skewedIndex } from '../../src/lab/random.ts'
import { RESTING } from '../../src/lab/settings.ts'

describe('arrivals', () => {
  it('follow a sped-up day around their mean', () => {
    const switches = { ...RESTING, requestsPerSecond: 50, rhythmPeriodSeconds: 600, trafficFactor: 1.6 }
    const rates = Array.from({ length: 600 }, (_, second) => arrivalRate(switches, second * 1000))
    expect(Math.max(...rates)).toBeCloseTo(100, 1)
    expect(Math.min(...rates)).toBeCloseTo(60, 1)
    expect(rates.reduce((sum, rate) => sum + rate, 0) / 600).toBeCloseTo(80, 6)
  })

  it('repeat with the seed and have the mean asked for', () => {
    fc.assert(
      fc.property(fc.integer(), seed => {
        const [one, two] = [seededRandom(seed), seededRandom(seed)]
        for (let draw = 0; draw < 50; draw++) expect(one()).toBe(two())
      }),
    )
    const random = seededRandom(3)
    const gaps = Array.from({ length: 20_000 }, () => exponential(random, 20))
    expect(gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length).toBeCloseTo(20, 0)
  })

  it('ask for the head of a list more often, and never past its end', () => {
    const random = seededRandom(4)
    const picks = Array.from({ length: 10_000 }, () => skewedIndex(random, 400))
    expect(picks.every(pick => Number.isInteger(pick) && pick >= 0 && pick < 400)).toBe(true)
    expect(picks.filter(pick => pick < 40).length).toBeGreaterThan(4000)
  })
})

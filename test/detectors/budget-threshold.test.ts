// Shows that a series told to alert n times a week does so whatever its tail is like: honest, bursty, too light or too
// heavy; that a change of noise is paged for a while only; that silence and gaps move nothing they should not.
import { describe, expect, it } from 'vitest'
import { BudgetThreshold } from '../../src/detectors/budget-threshold.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const STEP_MS = 300_000
const WEEK = 2016

/** Surprises of windows whose tail is `honesty` times as long as it says; `burst` windows in a row share one. */
function achieved(budget: number, honesty: number, burst: number, weeks = 12): number {
  const random = mulberry32(7)
  const threshold = new BudgetThreshold(budget, STEP_MS)
  let alerts = 0
  let surprise = 0
  for (let t = 0; t < weeks * WEEK; t++) {
    if (t % burst === 0) surprise = -honesty * Math.log10(random())
    if (threshold.next(surprise)) alerts++
  }
  return alerts / weeks / budget
}

describe('the threshold of an alert budget', () => {
  for (const budget of [1, 7])
    for (const [name, honesty, burst] of [
      ['an honest tail', 1, 1],
      ['bursts of an hour', 1, 12],
      ['a tail that says too little', 1.4, 1],
      ['a tail that says too much, in bursts', 0.8, 6],
    ] as const)
      it(`keeps ${budget} a week with ${name}`, () => {
        const ratio = achieved(budget, honesty, burst)
        expect(ratio).toBeGreaterThan(0.5)
        expect(ratio).toBeLessThan(2)
      })

  it('would not keep it by the tail alone', () => {
    const random = mulberry32(7)
    const fixed = new BudgetThreshold(7, STEP_MS).threshold
    let alerts = 0
    for (let hour = 0; hour < 12 * 168; hour++) if (-Math.log10(random()) >= fixed) alerts++
    expect(alerts / 12 / 7).toBeLessThan(0.2)
  })

  it('never pages about what is not strange, however quiet the weeks', () => {
    const threshold = new BudgetThreshold(7, STEP_MS)
    for (let t = 0; t < 52 * WEEK; t++) expect(threshold.next(t % 500 === 0 ? 0.9 : 0)).toBe(false)
    expect(threshold.threshold).toBeGreaterThanOrEqual(1.3)
  })

  it('is unmoved by gaps, and a flicker is one alert', () => {
    const threshold = new BudgetThreshold(1, STEP_MS)
    const before = threshold.threshold
    for (let t = 0; t < WEEK; t++) expect(threshold.next(Number.NaN)).toBe(false)
    expect(threshold.threshold).toBe(before)
    const opened = [9, 0, 9, 0, 0, 9].map(s => threshold.next(s))
    expect(opened).toEqual([true, false, false, false, false, false])
  })
})

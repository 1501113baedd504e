// Shows that the full profile keeps the detector contract, that its bytes are as stated, and that it outdoes the
// compact one where a day has a shape finer than its phase slots.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { CHUNK_ROWS } from '../../src/core/columns.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { FullDetector } from '../../src/detectors/full-detector.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { detectorContract, gaussian, testSeries } from './contract.ts'

detectorContract('full@1', context => new FullDetector(context))

const STEP_MS = 60_000
const DAY = 1440

function detectorOf() {
  const series = new SeriesTable(1)
  series.intern(testSeries('s'))
  return new FullDetector({ series, stepMs: STEP_MS })
}

describe('full@1', () => {
  it('holds at most 200 kB a one-minute series', () => {
    const detector = detectorOf()
    const batch = featureBatch(1, 0)
    batch.length = 1
    detector.learn(batch, Float32Array.of(1))
    const shared = detector.bytes() - 2 * 15 * DAY * 4
    expect(2 * 15 * DAY * 4 + shared / CHUNK_ROWS).toBeLessThan(200_000)
  })

  it('does not call a five-minute job at the same time of every day, and calls it when it fails to come', () => {
    const detector = detectorOf()
    const batch = featureBatch(1, 0)
    const out = scoreBatch(1)
    batch.length = 1
    const random = mulberry32(5)
    const point: number[] = []
    for (let t = 0; t < 10 * DAY; t++) {
      const isJob = t % DAY >= 360 && t % DAY < 365
      const isSkipped = t >= 9 * DAY
      batch.windowEndMs[0] = (t + 1) * STEP_MS
      batch.observed[0] = 10 + gaussian(random) + (isJob && !isSkipped ? 40 : 0)
      detector.scoreNow(batch, out)
      detector.learn(batch, Float32Array.of(1))
      point.push(out.point[0])
    }
    const during = (day: number) => Math.max(...point.slice(day * DAY + 360, day * DAY + 365))
    for (const day of [6, 7, 8]) expect(during(day)).toBeLessThan(2.3)
    expect(during(9)).toBeGreaterThan(2.3)
    expect(during(9)).toBeGreaterThan(1.5 * Math.max(during(6), during(7), during(8)))
  })
})

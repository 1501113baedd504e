// Shows the seasonal detector: the contract with a season of 48 windows, silence during the first season, and that
// an ordinary peak is expected while the same value at the wrong hour is not.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { SeasonalDetector } from '../../src/detectors/seasonal.ts'
import { detectorContract, gaussian, mulberry32, testSeries } from './contract.ts'

detectorContract('seasonal@1', context => new SeasonalDetector(context))

describe('a daily rhythm', () => {
  const stepMs = 900_000
  const day = 96
  it('expects the peak, and is surprised by it at night', async () => {
    const series = new SeriesTable()
    series.intern(testSeries('only', 'saturation', ''))
    const detector = new SeasonalDetector({ series, stepMs })
    const random = mulberry32(3)
    const batch = featureBatch(1, 0)
    const out = scoreBatch(1)
    batch.length = 1
    const scores: number[] = []
    const expected: number[] = []
    for (let t = 0; t < 6 * day; t++) {
      const usual = 100 - 60 * Math.cos((2 * Math.PI * t) / day) + 2 * gaussian(random)
      batch.windowEndMs[0] = Date.UTC(2026, 0, 5) + (t + 1) * stepMs
      batch.observed[0] = t === 5 * day + 4 ? 155 : usual
      await detector.score(batch, out)
      scores.push(out.score[0])
      expected.push(out.expected[0])
      detector.learn(batch, Float32Array.of(1))
    }
    expect(scores.slice(0, day).every(Number.isNaN)).toBe(true)
    expect(scores.slice(day + 1).some(Number.isNaN)).toBe(false)
    const lastDay = scores.slice(5 * day + 10)
    expect(Math.max(...lastDay)).toBeLessThan(4)
    expect(scores[5 * day + 4]).toBeGreaterThan(8)
    expect(expected[5 * day + day / 2]).toBeGreaterThan(140)
  })
})

// Shows that the combiner keeps the detector contract with the model that is shipped, that it changes loud windows
// only, that it goes on as the profile when there is no model, and says so once.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import type { ForeshockError } from '../../src/core/errors.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { COMBINER_FOLDER } from '../../src/detectors/combiner.ts'
import { FullDetector } from '../../src/detectors/full-detector.ts'
import { OnnxCombiner } from '../../src/detectors/onnx-combiner.ts'
import { SlotDetector } from '../../src/detectors/slot-detector.ts'
import { TINY_PROFILE } from '../../src/detectors/slot-profile.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { detectorContract, gaussian, testSeries } from './contract.ts'

const onFailure = (error: ForeshockError) => {
  throw error
}

detectorContract(
  'combiner-tiny@1',
  context => new OnnxCombiner(context, { profile: 'tiny', folder: COMBINER_FOLDER, onFailure }),
)

const STEP_MS = 300_000
const DAY = 288

/** Point evidence of each window of ten noisy days with a job and a spike, from either of the detectors. */
async function points(make: (series: SeriesTable) => SlotDetector | FullDetector | OnnxCombiner) {
  const series = new SeriesTable(1)
  series.intern(testSeries('s'))
  const detector = make(series)
  const batch = featureBatch(1, 0)
  const out = scoreBatch(1)
  batch.length = 1
  const random = mulberry32(5)
  const said: { point: number; incident: number; score: number }[] = []
  for (let t = 0; t < 10 * DAY; t++) {
    batch.windowEndMs[0] = (t + 1) * STEP_MS
    batch.observed[0] = 10 + gaussian(random) + (t % DAY === 100 ? 15 : 0) + (t === 9 * DAY + 10 ? 12 : 0)
    await detector.score(batch, out)
    detector.learn(batch, Float32Array.of(1))
    said.push({ point: out.point[0], incident: out.incident[0], score: out.score[0] })
  }
  await detector.close()
  return said
}

describe('combiner', () => {
  for (const profile of ['tiny', 'full'] as const) {
    it(`weighs the point evidence of ${profile} and leaves the rest as it is`, async () => {
      const own = await points(series =>
        profile === 'full'
          ? new FullDetector({ series, stepMs: STEP_MS })
          : new SlotDetector({ series, stepMs: STEP_MS }, TINY_PROFILE),
      )
      const combined = await points(
        series =>
          new OnnxCombiner({ series, stepMs: STEP_MS }, { profile, folder: COMBINER_FOLDER, onFailure }),
      )
      expect(combined.map(s => [s.incident, s.score])).toEqual(own.map(s => [s.incident, s.score]))
      const spike = 9 * DAY + 10
      expect(combined[spike].point).not.toBe(own[spike].point)
      // The spike stays what it is: louder than any ordinary window of the days before.
      const before = combined.slice(8 * DAY, 9 * DAY).map(s => s.point)
      expect(combined[spike].point).toBeGreaterThan(Math.max(...before))
    })
  }

  it('goes on as the profile when the model is missing, and says so once', async () => {
    const failures: ForeshockError[] = []
    const own = await points(series => new SlotDetector({ series, stepMs: STEP_MS }, TINY_PROFILE))
    const combined = await points(
      series =>
        new OnnxCombiner(
          { series, stepMs: STEP_MS },
          { profile: 'tiny', folder: '/nowhere', onFailure: error => failures.push(error) },
        ),
    )
    expect(failures.map(error => error.code)).toEqual(['FS_MODEL_INVALID'])
    const differences = combined.map(({ point }, t) => Math.abs(point - own[t].point) / own[t].point)
    // What is kept between scoring and learning has float32's seven digits.
    expect(Math.max(...differences.filter(d => !Number.isNaN(d)))).toBeLessThan(1e-6)
    expect(differences.filter(d => Number.isNaN(d)).length).toBeLessThan(2 * DAY)
  })
})

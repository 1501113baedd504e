import { type FeatureBatch, featureBatch, type ScoreBatch, scoreBatch } from '../../src/core/batch.ts'
import type { DetectorContext } from '../../src/core/detector.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { testSeries } from './contract.ts'

interface ScoresNow {
  scoreNow(batch: FeatureBatch, out: ScoreBatch): void
  learn(batch: FeatureBatch, weight: Float32Array): void
}

/** Runs one series through a detector of its own; what it says of each window. */
export function runLone(
  make: (context: DetectorContext) => ScoresNow,
  stepMs: number,
  values: readonly number[],
  key = 's',
) {
  const series = new SeriesTable(1)
  series.intern(testSeries(key))
  const detector = make({ series, stepMs })
  const batch = featureBatch(1, 0)
  const out = scoreBatch(1)
  batch.length = 1
  return values.map((value, t) => {
    batch.windowEndMs[0] = (t + 1) * stepMs
    batch.observed[0] = value
    detector.scoreNow(batch, out)
    detector.learn(batch, Float32Array.of(1))
    return {
      surprise: out.score[0],
      point: out.point[0],
      incident: out.incident[0],
      expected: out.expected[0],
    }
  })
}

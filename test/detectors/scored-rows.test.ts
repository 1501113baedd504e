// Shows that what scoring left behind is used once, for the very same rows only: otherwise learning works it out
// again. Two detectors see the same windows, one of them learning without ever having scored them; their states
// must agree to float32 rounding.
import { describe, expect, it } from 'vitest'
import { type FeatureBatch, featureBatch, scoreBatch } from '../../src/core/batch.ts'
import type { Detector, DetectorContext } from '../../src/core/detector.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { ScoredRows } from '../../src/detectors/scored-rows.ts'
import { ShiftDetector } from '../../src/detectors/shift.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'

function block(first: number, rows: number, endMs: number): FeatureBatch {
  const batch = featureBatch(rows, 0)
  batch.length = rows
  for (let i = 0; i < rows; i++) {
    batch.series[i] = first + i
    batch.windowEndMs[i] = endMs
    batch.observed[i] = first + i
  }
  return batch
}

describe('rows scored', () => {
  it('are found once, block after block', () => {
    const rows = new ScoredRows()
    const [a, b] = [block(0, 10, 1000), block(10, 5, 1000)]
    expect(rows.begin(a)).toBe(0)
    expect(rows.begin(b)).toBe(10)
    expect(rows.take(a)).toBe(0)
    expect(rows.take(b)).toBe(10)
    expect(rows.take(a)).toBe(-1)
  })

  it('are not found for another window, other rows, other values, or out of turn', () => {
    const rows = new ScoredRows()
    const other = block(0, 10, 1000)
    other.observed[0] = 5
    for (const wrong of [block(0, 10, 2000), block(1, 10, 1000), block(0, 9, 1000), other]) {
      rows.begin(block(0, 10, 1000))
      expect(rows.take(wrong)).toBe(-1)
    }
    rows.begin(block(0, 10, 1000))
    rows.begin(block(10, 10, 1000))
    expect(rows.take(block(10, 10, 1000))).toBe(-1)
  })

  it('of a batch scored again take the place of the first', () => {
    const rows = new ScoredRows()
    rows.begin(block(0, 10, 1000))
    expect(rows.begin(block(0, 10, 1000))).toBe(0)
    expect(rows.take(block(0, 10, 1000))).toBe(0)
  })
})

const MAKERS: Readonly<Record<string, (context: DetectorContext) => Detector>> = {
  deviation: context => new DeviationDetector(context),
  shift: context => new ShiftDetector(context),
}

describe('learning without scoring', () => {
  for (const [name, make] of Object.entries(MAKERS)) {
    it(`leaves ${name} in the same state`, async () => {
      const series = new SeriesTable()
      for (let row = 0; row < 20; row++)
        series.intern(testSeries(`s${row}`, row % 2 === 0 ? 'latency' : 'other'))
      const [scored, unscored] = [make({ series, stepMs: 1000 }), make({ series, stepMs: 1000 })]
      const random = mulberry32(3)
      const weight = Float32Array.from({ length: 20 }, (_, i) => (i % 3 === 0 ? 0.1 : 1))
      for (let t = 0; t < 200; t++) {
        const batch = block(0, 20, t * 1000)
        for (let i = 0; i < 20; i++) batch.observed[i] = (t < 120 ? 10 : 30) + gaussian(random)
        await scored.score(batch, scoreBatch(20))
        scored.learn(batch, weight)
        unscored.learn(batch, weight)
      }
      expect(scored.snapshot().columns).toEqual(unscored.snapshot().columns)
    })
  }
})

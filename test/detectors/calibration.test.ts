// Shows that promised tail probabilities are kept: residuals of four laws go through the deviation detector and its
// calibration, and after warm-up the achieved rates at 10^-2 and 10^-3 lie near the promised ones. Also that the
// map is monotone and that one huge score does not ruin the tail.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { Calibration } from '../../src/detectors/calibration.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'

const LAWS: Readonly<Record<string, (random: () => number) => number>> = {
  normal: gaussian,
  exponential: random => -Math.log(1 - random()),
  lognormal: random => Math.exp(gaussian(random)),
  t3: random =>
    gaussian(random) / Math.sqrt((gaussian(random) ** 2 + gaussian(random) ** 2 + gaussian(random) ** 2) / 3),
}

/** Achieved rates at 1e-2 and 1e-3 over `count` series and windows after warm-up. */
async function achieved(law: (random: () => number) => number, count: number, windows: number, from: number) {
  const random = mulberry32(17)
  const series = new SeriesTable()
  for (let row = 0; row < count; row++) series.intern(testSeries(`s${row}`))
  const detector = new DeviationDetector({ series, stepMs: 1000 })
  const calibration = new Calibration('calibration:test', series)
  const batch = featureBatch(count, 0)
  batch.length = count
  for (let row = 0; row < count; row++) batch.series[row] = row
  const out = scoreBatch(count)
  const surprise = new Float32Array(count)
  const bins = new Uint8Array(count)
  const weight = new Float32Array(count).fill(1)
  let [seen, percent, permille] = [0, 0, 0]
  for (let t = 0; t < windows; t++) {
    for (let row = 0; row < count; row++) batch.observed[row] = law(random)
    await detector.score(batch, out)
    calibration.surprise(batch.series, count, out.score, surprise, bins)
    for (let row = 0; row < count && t >= from; row++) {
      seen++
      if (surprise[row] >= 2) percent++
      if (surprise[row] >= 3) permille++
    }
    detector.learn(batch, weight)
    calibration.learn(batch.series, count, bins, surprise, weight)
  }
  return { percent: percent / seen / 1e-2, permille: permille / seen / 1e-3 }
}

describe('calibration', () => {
  for (const [name, law] of Object.entries(LAWS)) {
    it(`keeps its promises on ${name} noise`, async () => {
      const late = await achieved(law, 60, 3000, 1000)
      const young = await achieved(law, 400, 100, 40)
      expect(late.percent).toBeGreaterThan(0.5)
      expect(late.percent).toBeLessThan(2)
      expect(late.permille).toBeGreaterThan(0.4)
      expect(late.permille).toBeLessThan(2)
      // In the first hundred windows the prior still speaks: it may be off by more.
      expect(young.percent).toBeLessThan(2)
      expect(young.permille).toBeLessThan(6)
    })
  }
})

describe('the map from score to surprise', () => {
  const table = new SeriesTable()
  table.intern(testSeries('only'))
  const one = Uint32Array.of(0)
  const learned = (scores: readonly number[]) => {
    const calibration = new Calibration('calibration:test', table)
    const [found, bins] = [new Float32Array(1), new Uint8Array(1)]
    for (const score of scores) {
      calibration.surprise(one, 1, Float32Array.of(score), found, bins)
      calibration.learn(one, 1, bins, found, Float32Array.of(1))
    }
    return calibration
  }
  const at = (calibration: Calibration, score: number) => {
    const out = new Float32Array(1)
    calibration.surprise(one, 1, Float32Array.of(score), out, new Uint8Array(1))
    return out[0]
  }

  it('is monotone and bounded', () => {
    const random = mulberry32(1)
    const calibration = learned(Array.from({ length: 700 }, () => Math.abs(gaussian(random))))
    let before = 0
    for (let score = 0; score < 1e6; score = score * 1.03 + 0.001) {
      const surprise = at(calibration, score)
      expect(surprise).toBeGreaterThanOrEqual(before)
      expect(surprise).toBeLessThanOrEqual(12)
      before = surprise
    }
    expect(before).toBe(12)
  })

  it('has an opinion after ten windows and grows surer of a far score', () => {
    const random = mulberry32(4)
    const scores = Array.from({ length: 1000 }, () => Math.abs(gaussian(random)))
    expect(at(learned(scores.slice(0, 9)), 10)).toBeNaN()
    const few = at(learned(scores.slice(0, 20)), 10)
    expect(few).toBeGreaterThan(2.5)
    expect(at(learned(scores), 10)).toBeGreaterThan(few + 1)
  })

  it('survives a single huge score', () => {
    const random = mulberry32(6)
    const scores = Array.from({ length: 300 }, () => Math.abs(gaussian(random)))
    const clean = at(learned(scores), 8)
    expect(at(learned([...scores, 1e5, ...scores]), 8)).toBeGreaterThan(clean - 1)
  })
})

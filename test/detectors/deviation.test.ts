// Shows the EWMA residual: the detector contract, agreement with a plain float64 transcription of the recipe, and
// that evidence looks only in the metric's bad direction.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import type { MetricKind } from '../../src/core/metric-kind.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { detectorContract, gaussian, testSeries } from './contract.ts'

detectorContract('deviation@1', context => new DeviationDetector(context))

/** Runs one series; returns evidence and score per window. */
async function run(values: readonly number[], kind: MetricKind, unit: string, weight = 1) {
  const series = new SeriesTable()
  series.intern(testSeries('only', kind, unit))
  const detector = new DeviationDetector({ series, stepMs: 1000 })
  const batch = featureBatch(1, 0)
  const out = scoreBatch(1)
  batch.length = 1
  const lines: { evidence: number; score: number; expected: number }[] = []
  for (const [t, value] of values.entries()) {
    batch.windowEndMs[0] = t * 1000
    batch.observed[0] = value
    await detector.score(batch, out)
    lines.push({ evidence: detector.evidence[0], score: out.score[0], expected: out.expected[0] })
    detector.learn(batch, Float32Array.of(weight))
  }
  return lines
}

/** The recipe as it is written, with the exact weighted 97 % point of remembered z. */
function oracle(values: readonly number[], rel: number, unit: number): number[] {
  let [n, m, s, l] = [0, 0, 0, 0]
  const past: number[] = []
  return values.map(x => {
    let a = 0
    if (n === 0) {
      ;[m, l] = [x, Math.abs(x)]
    } else {
      const g = Math.max(1 / (n + 1), 1 - 2 ** (-1 / 120))
      const r = x - m
      const sc = Math.max(1.2533141 * s, rel * l, unit)
      if (n >= 10) {
        const z = Math.max(0, r / sc)
        const weights = past.map((_, i) => 2 ** (-(past.length - i) / 720))
        const order = past.map((_, i) => i).sort((i, j) => past[j] - past[i])
        const total = weights.reduce((sum, w) => sum + w, 0)
        let [sum, q97] = [0, 1]
        if (past.length >= 5) {
          for (const i of order) {
            sum += weights[i]
            q97 = past[i]
            if (sum > 0.03 * total) break
          }
        }
        a = Math.min(8, z / (1 + q97))
        past.push(z)
      }
      const clip = n < 10 ? r : Math.max(-4 * sc, Math.min(4 * sc, r))
      m += g * clip
      s += g * (Math.abs(clip) - s)
      l += g * (Math.abs(x) - l)
    }
    n++
    return a
  })
}

describe('the stream score', () => {
  it('agrees with the recipe within the width of a histogram bin', async () => {
    const random = mulberry32(3)
    const values = Array.from({ length: 900 }, (_, t) => {
      const fault = t > 600 && t < 620 ? 3 : 1
      return 0.2 * Math.exp(0.4 * gaussian(random)) * fault
    })
    const got = await run(values, 'latency', 's')
    const want = oracle(values, 0.2, 0.002)
    let worst = 0
    for (let t = 40; t < 900; t++)
      worst = Math.max(worst, Math.abs(got[t].evidence - want[t]) / (0.3 + want[t]))
    expect(Math.max(...want)).toBeGreaterThan(2)
    expect(worst).toBeLessThan(0.12)
  })

  it('grades a fourfold latency high and a fourfold improvement nil', async () => {
    const random = mulberry32(5)
    const usual = () => 0.2 + 0.02 * gaussian(random)
    const values = Array.from({ length: 60 }, usual)
    const [slow, fast] = [
      await run([...values, 0.8], 'latency', 's'),
      await run([...values, 0.05], 'latency', 's'),
    ]
    expect(slow[60].evidence).toBeGreaterThan(5)
    expect(slow[60].score).toBeGreaterThan(12)
    expect(fast[60].evidence).toBe(0)
    expect(fast[60].score).toBeLessThan(slow[60].score / 4)
    expect(slow[60].expected).toBeCloseTo(0.2, 1)
  })

  it('sees nothing in a change below the floor of its kind', async () => {
    const steady = Array.from({ length: 50 }, () => 0.01)
    const lines = await run([...steady, 0.0115], 'latency', 's')
    expect(lines[50].score).toBeLessThan(1)
  })
})

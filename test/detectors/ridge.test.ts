// Shows that the multivariate detector finds the metric that broke with the others, keeps quiet otherwise, takes
// missing and constant metrics, splits wide entities, is causal and repeats itself.
import { describe, expect, it } from 'vitest'
import { RidgeDetector } from '../../src/detectors/ridge.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian } from './contract.ts'

const STEP_MS = 900_000
const DAY = 96

/** Metrics that share a daily load, each with a little noise of its own; the last is constant. */
function entity(metrics: number, rows: number, seed = 1): Float64Array[] {
  const random = mulberry32(seed)
  return Array.from({ length: rows }, (_, t) => {
    const load = 10 + 3 * Math.sin((2 * Math.PI * t) / DAY) + 0.5 * gaussian(random)
    return Float64Array.from({ length: metrics }, (_, j) =>
      j === metrics - 1 ? 7 : (j + 1) * load + 0.2 * (j + 1) * gaussian(random),
    )
  })
}

function run(rows: readonly Float64Array[]) {
  const detector = new RidgeDetector({ metrics: rows[0].length, stepMs: STEP_MS })
  return rows.map(row => {
    const opinion = detector.next(row)
    const order = Array.from(opinion.share.keys()).sort((a, b) => opinion.share[b] - opinion.share[a])
    return { score: opinion.score, top: order[0], imputed: [...opinion.imputed], share: [...opinion.share] }
  })
}

describe('ridge@1', () => {
  it('says nothing on the first day, and names the metric that no longer fits', () => {
    const rows = entity(8, 6 * DAY)
    // An ordinary value for the metric, but not beside the others.
    const from = 5 * DAY + 24
    for (let t = from; t < from + 6; t++) rows[t][2] = 3 * (20 - rows[t][0])
    const opinions = run(rows)
    for (const { score } of opinions.slice(0, DAY)) expect(score).toBeNaN()
    const usual = Math.max(...opinions.slice(3 * DAY, 5 * DAY).map(o => o.score))
    const during = opinions.slice(from + 1, from + 6)
    expect(Math.max(...during.map(o => o.score))).toBeGreaterThan(1.5 * usual)
    expect(during.filter(o => o.top === 2).length).toBeGreaterThanOrEqual(4)
  })

  it('imputes and marks what is missing, without alarm and without blaming it', () => {
    const rows = entity(8, 5 * DAY)
    const whole = run(rows)
    const gapped = rows.map((row, t) => {
      const copy = row.slice()
      if (t >= 4 * DAY && t < 4 * DAY + 10) copy[3] = NaN
      return copy
    })
    const opinions = run(gapped)
    for (let t = 4 * DAY; t < 4 * DAY + 10; t++) {
      expect(opinions[t].imputed[3]).toBe(1)
      expect(opinions[t].share[3]).toBe(0)
      expect(Math.abs(opinions[t].score - whole[t].score)).toBeLessThan(1)
    }
    expect(opinions.at(-1)?.score).not.toBeNaN()
  })

  it('has no opinion on a row without any value and goes on after it', () => {
    const rows = entity(4, 4 * DAY)
    for (let t = 3 * DAY; t < 3 * DAY + 90; t++) rows[t].fill(NaN)
    const opinions = run(rows)
    expect(opinions[3 * DAY + 5].score).toBeNaN()
    expect(Number.isFinite(opinions.at(-1)!.score)).toBe(true)
  })

  it('keeps every number finite on wild input', () => {
    const rows = entity(5, 4 * DAY)
    for (const [t, value] of [1e300, -1e300, 5e-324, 0].entries()) {
      rows[20 + t][1] = value
      rows[3 * DAY + t][1] = value
    }
    for (const { score } of run(rows)) expect(Math.abs(score)).not.toBe(Infinity)
    expect(Number.isFinite(run(rows).at(-1)!.score)).toBe(true)
  })

  it('splits more than sixty metrics and still names the broken one', () => {
    const rows = entity(70, 3 * DAY)
    for (let t = 2 * DAY + 30; t < 2 * DAY + 36; t++) rows[t][65] *= 1.6
    const opinions = run(rows)
    expect(opinions[2 * DAY + 32].top).toBe(65)
  })

  it('repeats itself, and no row depends on a later one', () => {
    const rows = entity(4, 3 * DAY)
    const whole = run(rows)
    expect(run(rows)).toEqual(whole)
    expect(run([...rows.slice(0, 2 * DAY), ...entity(4, DAY, 9)]).slice(0, 2 * DAY)).toEqual(
      whole.slice(0, 2 * DAY),
    )
  })
})

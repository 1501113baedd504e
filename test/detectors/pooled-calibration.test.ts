// Shows that pooled calibration says how rare a score is: against the true tails of laws it was fed from, for light and heavy ones, near and
// far; that the order of rows does not matter; that few windows make it cautious; and that a restore goes on as before.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PooledCalibration } from '../../src/detectors/pooled-calibration.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian } from './contract.ts'

const nameOf = (kind: number) => `class ${kind}`
const ROWS = 2000
const HOUR_MS = 3_600_000

/** Feeds windows of scores; `kinds` by row. */
function feed(
  pool: PooledCalibration,
  windows: number,
  kinds: Uint8Array,
  draw: (i: number) => number,
  weight = 1,
) {
  const bins = new Float32Array(ROWS)
  const raw = new Float32Array(ROWS)
  const weights = new Float32Array(ROWS).fill(weight)
  for (let t = 0; t < windows; t++) {
    for (let i = 0; i < ROWS; i++) raw[i] = draw(i)
    pool.surprise(raw, kinds, ROWS, bins, 0, 1, nameOf)
    pool.learn(ROWS, bins, 0, 1, weights)
    pool.begin(HOUR_MS)
    pool.join()
  }
}

function ask(pool: PooledCalibration, score: number, kind = 1): number {
  const raw = Float32Array.of(score)
  pool.surprise(raw, Uint8Array.of(kind), 1, new Float32Array(1), 0, 1, nameOf)
  return raw[0]
}

describe('pooled calibration', () => {
  it('knows the tails of light and heavy laws, within what was seen and a little beyond', () => {
    const random = mulberry32(1)
    const kinds = Uint8Array.from({ length: ROWS }, (_, i) => 1 + (i & 1))
    const pool = new PooledCalibration()
    // Exponential: P(x > v) = e^-v. Pareto: P(x > v) = (v / .5)^-3.
    feed(pool, 400, kinds, i => (i & 1 ? 0.5 * (1 - random()) ** (-1 / 3) : -Math.log(1 - random())))
    for (const surprise of [1, 2, 3, 4, 5]) {
      const [light, heavy] = [surprise * Math.LN10, 0.5 * 10 ** (surprise / 3)]
      expect(Math.abs(ask(pool, light, 1) - surprise)).toBeLessThan(surprise < 4 ? 0.1 : 0.7)
      expect(Math.abs(ask(pool, heavy, 2) - surprise)).toBeLessThan(surprise < 4 ? 0.1 : 0.5)
    }
  })

  it('is without opinion at first and cautious after', () => {
    const random = mulberry32(2)
    const pool = new PooledCalibration()
    const kinds = new Uint8Array(1).fill(1)
    const one = (score: number) => {
      const bins = new Float32Array(1)
      pool.surprise(Float32Array.of(score), kinds, 1, bins, 0, 1, nameOf)
      pool.learn(1, bins, 0, 1, Float32Array.of(1))
      pool.begin(HOUR_MS)
      pool.join()
    }
    for (let t = 0; t < 10; t++) {
      expect(ask(pool, 5)).toBeNaN()
      one(Math.abs(gaussian(random)))
    }
    for (let t = 0; t < 20; t++) one(Math.abs(gaussian(random)))
    expect(ask(pool, 5)).toBeGreaterThan(1)
    expect(ask(pool, 5)).toBeLessThan(4)
    expect(ask(pool, 5, 2)).toBeNaN()
    expect(ask(pool, 0.1)).toBe(0)
  })

  it('says the same of all rows of a window, whether others of it are learned already or not', () => {
    const random = mulberry32(3)
    const pool = new PooledCalibration()
    const kinds = new Uint8Array(ROWS).fill(1)
    feed(pool, 3, kinds, () => Math.abs(gaussian(random)))
    const before = ask(pool, 4)
    const usual = pool.usual(1)
    const [bins, raw] = [new Float32Array(ROWS), new Float32Array(ROWS).fill(4)]
    pool.surprise(raw, kinds, ROWS, bins, 0, 1, nameOf)
    pool.learn(ROWS, bins, 0, 1, new Float32Array(ROWS).fill(1))
    pool.begin(HOUR_MS)
    expect(ask(pool, 4)).toBe(before)
    expect(pool.usual(1)).toBe(usual)
    pool.join()
    expect(ask(pool, 4)).toBeLessThan(before)
    const heard = ask(pool, 4)
    pool.join()
    expect(ask(pool, 4)).toBe(heard)
  })

  it('rises with the score', () => {
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0.2, max: 3, noNaN: true }), (seed, heavy) => {
        const random = mulberry32(seed)
        const pool = new PooledCalibration()
        feed(pool, 3, new Uint8Array(ROWS).fill(1), () => Math.exp(heavy * gaussian(random)))
        let before = 0
        for (let score = 0.1; score < 1000; score *= 1.05) {
          const now = ask(pool, score)
          expect(now).toBeGreaterThanOrEqual(before - 1e-6)
          expect(now).toBeLessThanOrEqual(12)
          before = now
        }
      }),
      { numRuns: 30 },
    )
  })

  it('counts what belongs to a disruption little, what is merely hot whole', () => {
    const said = [1, 0.25, 0.01].map(weight => {
      const random = mulberry32(4)
      const pool = new PooledCalibration()
      const kinds = new Uint8Array(ROWS).fill(1)
      feed(pool, 20, kinds, () => Math.abs(gaussian(random)))
      feed(pool, 5, kinds, () => 20, weight)
      return ask(pool, 10)
    })
    expect(said[0]).toBeLessThan(1)
    expect(said[1]).toBe(said[0])
    expect(said[2]).toBeGreaterThan(said[0] + 0.4)
  })

  it('does not care for the order of rows, and goes on after a restore', () => {
    const [a, b] = [new PooledCalibration(), new PooledCalibration()]
    const kinds = Uint8Array.from({ length: ROWS }, (_, i) => (i < ROWS / 2 ? 1 : 2))
    const turned = kinds.slice().reverse()
    let drawn: number[] = []
    const random = mulberry32(6)
    for (let t = 0; t < 8; t++) {
      drawn = Array.from({ length: ROWS }, () => Math.exp(gaussian(random)))
      feed(a, 1, kinds, i => drawn[i])
      feed(b, 1, turned, i => drawn[ROWS - 1 - i])
    }
    expect(a.snapshot().names).toEqual(['class 1', 'class 2'])
    const restored = new PooledCalibration()
    const { names, columns } = b.snapshot()
    expect(restored.restore(names, structuredClone(columns))).toBe(true)
    expect(restored.restore(names, { ...columns, fresh: new Float64Array(512) })).toBe(false)
    for (const kind of [1, 2])
      for (const score of [0.7, 2, 9, 40]) {
        expect(ask(b, score, kind)).toBe(ask(a, score, kind))
        expect(ask(restored, score, kind)).toBe(ask(a, score, kind))
      }
  })
})

// The histogram of a row's own scores: counting scores late, up to four at once, leaves the very histogram and 97 %
// point that counting them one by one does; and the point is that of the sorted scores within the width of a bin.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  readTail,
  TAIL_BINS,
  TAIL_UNITS,
  type TailColumns,
  tailAdd,
  tailBin,
  tailDecay,
} from '../../src/detectors/tail-histogram.ts'

const ROW = 1
/** 2000/.05 in 80 bins: 14.2 % a bin. */
const BIN_RATIO = 40_000 ** (1 / 80)

function empty(): TailColumns {
  return {
    hist: new Uint16Array(3 * TAIL_BINS),
    total: new Uint32Array(3),
    above: new Uint32Array(3),
    at: new Uint8Array(3),
  }
}

function point(state: TailColumns): number {
  const out = new Float32Array(3)
  readTail(state, ROW, out)
  return out[ROW]
}

const bins = fc.array(fc.oneof(fc.nat(TAIL_BINS - 1), fc.nat(20)), { minLength: 1, maxLength: 400 })

describe('the histogram of own scores', () => {
  test('is the same when scores wait and when they do not', () => {
    fc.assert(
      fc.property(bins, fc.integer({ min: 1, max: 4 }), fc.nat(TAIL_UNITS), (scores, most, last) => {
        const one = empty()
        const late = empty()
        for (let i = 0; i < scores.length; i += most) {
          const group = scores.slice(i, i + most)
          const units = i % 3 === 0 ? last : TAIL_UNITS
          for (const [k, bin] of group.entries())
            tailAdd(one, ROW, 0, bin, k === group.length - 1 ? units : TAIL_UNITS)
          const waiting = group.slice(0, -1).reduce((held, bin) => (held << 8) | (bin + 1), 0)
          tailAdd(late, ROW, waiting, group[group.length - 1], units)
          if (i % 24 === 0) {
            tailDecay(one, ROW)
            tailDecay(late, ROW)
          }
          expect(late).toEqual(one)
        }
        expect(late.hist.subarray(0, TAIL_BINS).every(count => count === 0)).toBe(true)
        expect(late.hist.subarray(2 * TAIL_BINS).every(count => count === 0)).toBe(true)
      }),
      { numRuns: 60, seed: 11 },
    )
  })

  test('knows the 97 % point of its scores within a bin, and holds when a count is full', () => {
    const values = Float32Array.from({ length: 4000 }, (_, i) => 0.1 * 1.002 ** ((i * 1237) % 4000))
    const state = empty()
    for (let i = 0; i < values.length; i++) tailAdd(state, ROW, 0, tailBin(values, i), TAIL_UNITS)
    const want = values.slice().sort()[Math.floor(0.97 * values.length)]
    expect(point(state) / want).toBeGreaterThan(1 / BIN_RATIO)
    expect(point(state) / want).toBeLessThan(BIN_RATIO)
    for (let i = 0; i < 5000; i++) tailAdd(state, ROW, 0x01_01_01, 0, TAIL_UNITS)
    expect(point(state)).toBeLessThan(0.06)
  })

  test('takes what is nothing, negative or huge into its first and last bin', () => {
    const values = Float32Array.from([0, -5, 1e-30, 0.05, 1999, 1e30])
    expect([...values].map((_, i) => tailBin(values, i))).toEqual([0, 0, 0, 0, TAIL_BINS - 1, TAIL_BINS - 1])
  })
})

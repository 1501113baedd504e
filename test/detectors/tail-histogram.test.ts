// The histogram of a row's own scores: its 97 % point is that of the sorted scores within the width of a bin, also after
// a count was full, and rows do not touch each other.
import { describe, expect, test } from 'vitest'
import { readTail, TAIL_BINS, type TailColumns, tailAdd } from '../../src/detectors/tail-histogram.ts'

const ROW = 1
const UNITS = 32
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

describe('the histogram of own scores', () => {
  test('knows their 97 % point within a bin, and goes on when a count is full', () => {
    const values = Float32Array.from({ length: 4000 }, (_, i) => 0.1 * 1.002 ** ((i * 1237) % 4000))
    const state = empty()
    for (let i = 0; i < values.length; i++) tailAdd(state, ROW, values, i, UNITS)
    const want = values.slice().sort()[Math.floor(0.97 * values.length)]
    expect(point(state) / want).toBeGreaterThan(1 / BIN_RATIO)
    expect(point(state) / want).toBeLessThan(BIN_RATIO)
    for (let i = 0; i < 50_000; i++) tailAdd(state, ROW, values, 0, UNITS)
    expect(point(state)).toBeGreaterThan(0.1 / BIN_RATIO)
    expect(point(state)).toBeLessThan(0.1 * BIN_RATIO)
    expect(state.hist.subarray(0, TAIL_BINS).every(count => count === 0)).toBe(true)
    expect(state.hist.subarray(2 * TAIL_BINS).every(count => count === 0)).toBe(true)
  })

  test('takes what is nothing or negative into its first bin, what is huge into its last', () => {
    const values = Float32Array.from([0, -5, 1e-30, 0.05, 1999, 1e30])
    const state = empty()
    for (let i = 0; i < values.length; i++) tailAdd(state, ROW, values, i, 1)
    const counts = state.hist.subarray(TAIL_BINS, 2 * TAIL_BINS)
    expect([counts[0], counts[TAIL_BINS - 1], state.total[ROW]]).toEqual([4, 2, 6])
    tailAdd(state, ROW, values, 0, 0)
    expect(state.total[ROW]).toBe(6)
  })
})

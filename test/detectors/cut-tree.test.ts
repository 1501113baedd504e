// Shows that a random cut tree stays a tree whatever is put in and taken out: counts add up, every box is exactly that
// of its points, every point lies on its side of every cut; and that the expected depth score equals what trees made
// anew with the point in them show on average.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ColumnSpec } from '../../src/core/columns.ts'
import {
  DIMENSIONS,
  expectedShallowness,
  type ForestState,
  insertPoint,
  nextRandom,
  plantTrees,
  removeRandom,
  SAMPLES,
  TREE_COLUMNS,
} from '../../src/detectors/cut-tree.ts'
import { LazyRows } from '../../src/detectors/lazy-rows.ts'

const CUTS = SAMPLES - 1

function forest(seed: number): ForestState {
  const rows = new LazyRows<typeof TREE_COLUMNS & ColumnSpec>(TREE_COLUMNS)
  const state = rows.ensure(0) as ForestState
  plantTrees(state, seed)
  return state
}

/** Walks tree 0 from `node`, checking it; returns its points. */
function check(s: ForestState, node: number): number[][] {
  if (node < 0) {
    const point = Array.from(s.points.subarray(~node * DIMENSIONS, (~node + 1) * DIMENSIONS))
    expect(s.count[~node]).toBeGreaterThan(0)
    return Array.from({ length: s.count[~node] }, () => point)
  }
  const [left, right] = [check(s, s.left[node]), check(s, s.right[node])]
  const all = [...left, ...right]
  expect(s.mass[node]).toBe(all.length)
  const d = s.cutDimension[node]
  for (const point of left) expect(point[d]).toBeLessThanOrEqual(s.cutAt[node])
  for (const point of right) expect(point[d]).toBeGreaterThan(s.cutAt[node])
  for (let k = 0; k < DIMENSIONS; k++) {
    const values = all.map(point => point[k])
    // A box of 0 and −0 may say either: adding 0 makes them one.
    expect(s.boxes[node * 2 * DIMENSIONS + k] + 0).toBe(Math.min(...values) + 0)
    expect(s.boxes[node * 2 * DIMENSIONS + DIMENSIONS + k] + 0).toBe(Math.max(...values) + 0)
  }
  return all
}

const point = fc.array(
  fc.oneof(
    fc.integer({ min: -3, max: 3 }),
    fc.float({ noNaN: true, min: Math.fround(-1e30), max: Math.fround(1e30) }),
  ),
  {
    minLength: DIMENSIONS,
    maxLength: DIMENSIONS,
  },
)

describe('a random cut tree', () => {
  it('stays whole under any order of points in and out', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.array(fc.oneof({ weight: 3, arbitrary: point }, { weight: 1, arbitrary: fc.constant(null) }), {
          maxLength: 60,
        }),
        (seed, steps) => {
          const s = forest(seed)
          let held = 0
          for (const step of steps) {
            if (step) {
              insertPoint(s, 0, Float32Array.from(step))
              held++
            } else if (held > 0) {
              removeRandom(s, 0)
              held--
            }
            expect(s.samples[0]).toBe(held)
            if (held > 0) expect(check(s, s.root[0])).toHaveLength(held)
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  it('holds its full number of points, is emptied, and frees every place', () => {
    const s = forest(5)
    const random = Uint32Array.of(1)
    const q = new Float32Array(DIMENSIONS)
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < SAMPLES; i++) {
        for (let d = 0; d < DIMENSIONS; d++) q[d] = nextRandom(random)
        insertPoint(s, 0, q)
      }
      expect(check(s, s.root[0])).toHaveLength(SAMPLES)
      for (let i = 0; i < SAMPLES; i++) removeRandom(s, 0)
      expect(s.samples[0]).toBe(0)
      expect(s.mass.subarray(0, CUTS).every(mass => mass === 0)).toBe(true)
      expect(s.count.subarray(0, SAMPLES).every(count => count === 0)).toBe(true)
    }
  })

  it('scores by the depth at which the point lies once it is put in, on average', () => {
    const random = Uint32Array.of(7)
    const points = Array.from({ length: 40 }, () =>
      Float32Array.from({ length: DIMENSIONS }, () => nextRandom(random)),
    )
    for (const far of [0.5, 1.5, 4]) {
      const q = new Float32Array(DIMENSIONS).fill(far)
      let expected = 0
      let seen = 0
      const RUNS = 3000
      for (let seed = 0; seed < RUNS; seed++) {
        const s = forest(seed)
        s.random[0] = (seed * 2_654_435_761) >>> 0
        for (const other of points) insertPoint(s, 0, other)
        expected += expectedShallowness(s, 0, q) / RUNS
        insertPoint(s, 0, q)
        seen += shallowness(s, s.root[0], q) / RUNS
      }
      expect(Math.abs(seen / expected - 1)).toBeLessThan(0.08)
    }
  })
})

/** 1 ÷ (depth of the point), which lies alone, by the size of the tree it was put into. */
function shallowness(s: ForestState, root: number, q: Float32Array): number {
  let depth = 0
  for (let node = root; node >= 0; depth++)
    node = q[s.cutDimension[node]] <= s.cutAt[node] ? s.left[node] : s.right[node]
  return Math.log2(s.samples[0]) / depth
}

import type { Chunk, ColumnSpec } from '../core/columns.ts'
import type { ColumnData } from '../core/snapshot.ts'
import { CutForestSegment } from '../kernels/cut-forest.ts'
import {
  DIMENSIONS,
  expectedShallowness,
  insertPoint,
  nextRandom,
  plantTrees,
  removeRandom,
  SAMPLES,
  TREE_COLUMNS,
  TREES,
} from './cut-tree.ts'
import type { Kernel } from './kernel-detector.ts'
import { type SegmentPlace, SegmentRows } from './segment-rows.ts'

/**
 * Robust random cut forest over the last eight values: Guha, Mishra, Roy & Schrijvers 2016 (see cut-tree.ts). A point
 * is strange when it would lie near the root, on average over thirty trees. Each tree is a sample of the
 * past in which old points fade: a new one comes in with a chance that falls to a fixed one and takes the place of any
 * (Aggarwal 2006, "On biased reservoir sampling in the presence of stream evolution", VLDB), the trees of one series
 * independently.
 */
const COLUMNS = {
  ...TREE_COLUMNS,
  /** Values are held as differences from the first, or large levels would eat float32's digits. */
  base: 'f64',
  recent: ['f32', DIMENSIONS],
} as const satisfies ColumnSpec
type State = Chunk<typeof COLUMNS>

/** Chance that a point enters a full tree: points stay for 2,560 windows on average. */
const ENTERS = 0.1
/** Score of the only value that there ever was. */
const SOLE = 0.5
/** What lies in the thick of many is a little above it; differences of a tenth mean nothing. */
const FLOOR = 0.1
const WARM_UP = 64

/** Series of one memory of the kernel. */
const ROWS = 16
/** Where the rows of all memories lie, by their field `random`. */
const places = new WeakMap<ColumnData, SegmentPlace<CutForestSegment>>()

const point = new Float32Array(DIMENSIONS)

function pointOf(s: State, x: number): Float32Array {
  for (let d = 1; d < DIMENSIONS; d++) point[d - 1] = s.recent[d]
  point[DIMENSIONS - 1] = x - s.base[0]
  return point
}

export const CUT_FOREST: Kernel<typeof COLUMNS> = {
  id: 'rcf@1',
  version: 1,
  warmUp: WARM_UP,
  columns: COLUMNS,
  floor: FLOOR,
  // In memories of the kernel, or where there is no WebAssembly in arrays, for the twin; both say the same to the bit.
  home: () => new SegmentRows(rows => new CutForestSegment(rows), ROWS, 'random', places),
  start(s, seed, x) {
    plantTrees(s, seed)
    s.base[0] = x
  },
  strangeness(s, x) {
    const place = places.get(s.random)
    const sum = place === undefined ? shallowness(s, x) : place.segment.shallowness(place.row, x)
    return Math.max(0, sum / TREES - SOLE)
  },
  learn(s, x, weight, windows) {
    // As long as fewer were seen than a full tree spans in the end, all of them are as likely to be in it.
    const fullChance = weight * Math.max(ENTERS, SAMPLES / (windows + 1))
    const place = places.get(s.random)
    if (place === undefined) learnPoint(s, x, weight, fullChance)
    else place.segment.learn(place.row, x, weight, fullChance)
  },
}

/** Over all trees. */
function shallowness(s: State, x: number): number {
  const q = pointOf(s, x)
  let sum = 0
  for (let tree = 0; tree < TREES; tree++) sum += expectedShallowness(s, tree, q)
  return sum
}

/** The point comes into each tree with a chance, another where the tree is full. */
function learnPoint(s: State, x: number, chance: number, fullChance: number): void {
  const q = pointOf(s, x)
  s.recent.set(q)
  for (let tree = 0; tree < TREES; tree++) {
    const isFull = s.samples[tree] >= SAMPLES
    if (nextRandom(s.random) >= (isFull ? fullChance : chance)) continue
    if (isFull) removeRandom(s, tree)
    insertPoint(s, tree, q)
  }
}

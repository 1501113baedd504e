import type { Chunk, ColumnSpec } from '../core/columns.ts'
import { mix32 } from '../math/hash.ts'
import type { Kernel } from './kernel-detector.ts'

/**
 * Half-space trees: Tan, Ting & Liu 2011, "Fast anomaly detection for streaming data", IJCAI. Random trees that halve
 * space without looking at data; what is strange falls where few points of the last full window fell.
 * Deviations: depth 9 instead of 15, since a point is the last two values; values are squashed into 0..1 by the centre
 * and spread of an earlier window, because no minimum and maximum are known in advance; trees are not stored, their
 * dimensions and ranges come from a hash of the seed; the strangeness is one over the geometric mean of the
 * masses found, since in the arithmetic one a few trees that cut badly outvote all others.
 */
const TREES = 25
const DEPTH = 9
const NODES = 2 ** (DEPTH + 1) - 1
const DIMENSIONS = 2
/** Values in a reference window (the paper's ψ), so that a count fits a byte. */
const WINDOW = 200
/** Values that the first centre and spread come from. */
const SETTLING = 50
/** A node this light ends the walk: a tenth of the window, as in the paper. */
const LIGHT = WINDOW / 10
/** Strangeness where all of a window lies in one smallest cell, as that of a constant does. */
const LEAST = Math.sqrt((WINDOW * DEPTH) / (1 + WINDOW * 2 ** DEPTH))
/** Strangeness below this is that of a value in the thick of it. */
const FLOOR = 0.05

const COLUMNS = {
  seed: 'u32',
  /** Values of the window that fills. */
  seen: 'u32',
  isSettled: 'u8',
  /** By what the points of the reference, and of the window that fills, are placed. */
  centre: 'f64',
  spread: 'f64',
  latestCentre: 'f64',
  latestSpread: 'f64',
  /** Running mean and mean absolute deviation of the window that fills: the measure of the next. */
  nextCentre: 'f64',
  nextSpread: 'f64',
  recent: ['f64', DIMENSIONS],
  reference: ['u8', TREES * NODES],
  latest: ['u8', TREES * NODES],
} as const satisfies ColumnSpec
type State = Chunk<typeof COLUMNS>

const point = new Float64Array(DIMENSIONS)
const low = new Float64Array(DIMENSIONS)
const high = new Float64Array(DIMENSIONS)

/** The last values, x the newest, each squashed into 0..1. */
function placePoint(s: State, x: number, centre: number, spread: number): void {
  // One spread from the centre maps to a quarter and three quarters.
  const scale = spread + 1e-9 * Math.abs(centre) + 1e-12
  for (let d = 0; d < DIMENSIONS; d++) {
    const u = ((d === DIMENSIONS - 1 ? x : s.recent[d + 1]) - centre) / scale
    point[d] = 0.5 + (0.5 * u) / (1 + Math.abs(u))
  }
}

/** The tree's work range: a random centre in 0..1, twice as wide as to reach both ends. */
function rangesOf(seed: number, tree: number): void {
  for (let d = 0; d < DIMENSIONS; d++) {
    const centre = (mix32(seed ^ Math.imul(tree * DIMENSIONS + d + 1, 0x9e3779b1)) >>> 0) / 4_294_967_296
    const half = 2 * Math.max(centre, 1 - centre)
    low[d] = centre - half
    high[d] = centre + half
  }
}

/** The child of `node` that the point lies in; narrows the range. */
function step(seed: number, tree: number, node: number): number {
  const d = (mix32(seed ^ Math.imul(tree * NODES + node + 1, 0x85ebca77)) >>> 0) % DIMENSIONS
  const middle = (low[d] + high[d]) / 2
  if (point[d] < middle) {
    high[d] = middle
    return 2 * node + 1
  }
  low[d] = middle
  return 2 * node + 2
}

/** Mass × 2^depth where the walk ends: what the whole window would hold if all of space were as dense. */
function density(s: State, tree: number): number {
  const seed = s.seed[0]
  rangesOf(seed, tree)
  let node = 0
  let depth = 0
  while (depth < DEPTH && s.reference[tree * NODES + node] > LIGHT) {
    node = step(seed, tree, node)
    depth++
  }
  return s.reference[tree * NODES + node] * 2 ** depth
}

/** Counts the point in every tree. */
function count(s: State): void {
  const seed = s.seed[0]
  for (let tree = 0; tree < TREES; tree++) {
    rangesOf(seed, tree)
    let node = 0
    for (let depth = 0; ; depth++) {
      s.latest[tree * NODES + node]++
      if (depth === DEPTH) break
      node = step(seed, tree, node)
    }
  }
}

/** The window that is full becomes the reference; the next is placed by the centre and spread this one had. */
function turn(s: State): void {
  s.reference.set(s.latest)
  s.latest.fill(0)
  s.centre[0] = s.latestCentre[0]
  s.spread[0] = s.latestSpread[0]
}

export const HALF_SPACE: Kernel<typeof COLUMNS> = {
  id: 'hst@1',
  version: 1,
  warmUp: SETTLING + WINDOW,
  columns: COLUMNS,
  floor: FLOOR,
  start(s, seed, x) {
    s.seed[0] = seed
    s.recent.fill(x)
  },
  strangeness(s, x) {
    placePoint(s, x, s.centre[0], s.spread[0])
    let logs = 0
    for (let tree = 0; tree < TREES; tree++) logs += Math.log(1 + density(s, tree))
    // The square root tames it: an empty corner is thousands of times less dense than the middle.
    return Math.max(0, Math.sqrt((WINDOW * DEPTH) / Math.exp(logs / TREES)) - LEAST)
  },
  learn(s, x, weight) {
    const isSettled = s.isSettled[0] === 1
    // An anomaly is not counted, but the shingle goes on.
    if (weight > 0.5 || !isSettled) {
      if (isSettled) {
        placePoint(s, x, s.latestCentre[0], s.latestSpread[0])
        count(s)
      }
      const n = ++s.seen[0]
      if (n === 1) {
        s.nextCentre[0] = x
        s.nextSpread[0] = 0
      } else {
        s.nextSpread[0] += (Math.abs(x - s.nextCentre[0]) - s.nextSpread[0]) / n
        s.nextCentre[0] += (x - s.nextCentre[0]) / n
      }
      if (n >= (isSettled ? WINDOW : SETTLING)) {
        if (isSettled) turn(s)
        s.latestCentre[0] = s.nextCentre[0]
        s.latestSpread[0] = s.nextSpread[0]
        s.isSettled[0] = 1
        s.seen[0] = 0
      }
    }
    s.recent.copyWithin(0, 1)
    s.recent[DIMENSIONS - 1] = x
  },
}

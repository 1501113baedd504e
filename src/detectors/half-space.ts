import type { Chunk, ColumnSpec } from '../core/columns.ts'
import { mix32 } from '../math/hash.ts'
import type { Kernel } from './kernel-detector.ts'

/**
 * Half-space trees: Tan, Ting & Liu 2011, "Fast anomaly detection for streaming data", IJCAI. Random trees that halve
 * space without looking at data; what is strange falls where few points of the last full window fell.
 * Deviations: depth 9 instead of 15, since a point is the last two values; values are squashed into 0..1 by the centre
 * and spread of an earlier window, because no minimum and maximum are known in advance; all series share the trees,
 * which do not look at data, and keep only what was counted in them; the strangeness is one over the geometric mean of the
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

/** Seed of the trees. */
const COMMON = 0x5eed_7ee5

const COLUMNS = {
  /** Of the trees that were counted in. */
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

/** The last values, x the newest, each squashed into 0..1. */
function placePoint(s: State, x: number, centre: number, spread: number): void {
  // One spread from the centre maps to a quarter and three quarters.
  const scale = spread + 1e-9 * Math.abs(centre) + 1e-12
  for (let d = 0; d < DIMENSIONS; d++) {
    const u = ((d === DIMENSIONS - 1 ? x : s.recent[d + 1]) - centre) / scale
    point[d] = 0.5 + (0.5 * u) / (1 + Math.abs(u))
  }
}

/** Nodes that have children. */
const INNER = 2 ** DEPTH - 1
/** Which value a node of a tree halves space by, and where. */
const halves = new Uint8Array(TREES * INNER)
const middles = new Float64Array(TREES * INNER)

/** A number in [0, 1) that is the tree's own. */
function drawn(place: number): number {
  return (mix32(COMMON ^ Math.imul(place + 1, 0x9e3779b1)) >>> 0) / 4_294_967_296
}

/** A tree's work range: a random centre in 0..1, twice as wide as to reach both ends; each node halves that of its parent. */
function grow(tree: number, node: number, low: readonly number[], high: readonly number[]): void {
  if (node >= INNER) return
  const place = tree * INNER + node
  const d = Math.floor(drawn(TREES * DIMENSIONS + place) * DIMENSIONS)
  const middle = (low[d] + high[d]) / 2
  halves[place] = d
  middles[place] = middle
  grow(tree, 2 * node + 1, low, high.with(d, middle))
  grow(tree, 2 * node + 2, low.with(d, middle), high)
}

for (let tree = 0; tree < TREES; tree++) {
  const centres = Array.from({ length: DIMENSIONS }, (_, d) => drawn(tree * DIMENSIONS + d))
  const reach = centres.map(centre => 2 * Math.max(centre, 1 - centre))
  grow(
    tree,
    0,
    centres.map((centre, d) => centre - reach[d]),
    centres.map((centre, d) => centre + reach[d]),
  )
}

/** Mass × 2^depth where the walk ends: what the whole window would hold if all of space were as dense. */
function density(reference: Uint8Array, tree: number): number {
  const masses = tree * NODES
  const cuts = tree * INNER
  let node = 0
  let scale = 1
  let mass = reference[masses]
  while (mass > LIGHT && node < INNER) {
    node = 2 * node + (point[halves[cuts + node]] < middles[cuts + node] ? 1 : 2)
    mass = reference[masses + node]
    scale *= 2
  }
  return mass * scale
}

/** Counts the point in every tree. */
function count({ latest }: State): void {
  for (let tree = 0; tree < TREES; tree++) {
    const masses = tree * NODES
    const cuts = tree * INNER
    let node = 0
    latest[masses]++
    for (let depth = 0; depth < DEPTH; depth++) {
      node = 2 * node + (point[halves[cuts + node]] < middles[cuts + node] ? 1 : 2)
      latest[masses + node]++
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
  start(s, _seed, x) {
    s.seed[0] = COMMON
    s.recent.fill(x)
  },
  strangeness(s, x) {
    placePoint(s, x, s.centre[0], s.spread[0])
    // At most 25 factors of a hundred thousand each: far from overflow.
    let product = 1
    for (let tree = 0; tree < TREES; tree++) product *= 1 + density(s.reference, tree)
    // The square root tames it: an empty corner is thousands of times less dense than the middle.
    return Math.max(0, Math.sqrt((WINDOW * DEPTH) / product ** (1 / TREES)) - LEAST)
  },
  learn(s, x, weight) {
    // Counted in trees of its own, as an earlier release did: it begins anew.
    if (s.seed[0] !== COMMON) {
      s.seed[0] = COMMON
      s.seen[0] = 0
      s.isSettled[0] = 0
      s.reference.fill(0)
      s.latest.fill(0)
    }
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

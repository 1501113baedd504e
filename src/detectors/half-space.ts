import type { Chunk, ColumnSpec } from '../core/columns.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import {
  COMMON,
  DEPTH,
  DIMENSIONS,
  fillDensities,
  findPoint,
  firstLeaf,
  LEAVES,
  leafIn,
  NODES,
  nodeOfLeaf,
  TREES,
} from './half-space-trees.ts'
import type { Kernel } from './kernel-detector.ts'

/**
 * Half-space trees: Tan, Ting & Liu 2011, "Fast anomaly detection for streaming data", IJCAI. Random trees that halve
 * space without looking at data; what is strange falls where few points of the last full window fell.
 * Deviations: depth 9 instead of 15, since a point is the last two values; values are squashed into 0..1 by the centre
 * and spread of an earlier window, because no minimum and maximum are known in advance; all series share the trees,
 * which do not look at data, and keep by leaf what was counted there and what a walk down would find; the strangeness is one
 * over the geometric mean of the masses found, since in the arithmetic one a few trees that cut badly outvote all others.
 */
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
  /** By leaf: how dense the reference is there, and points of the window that fills. */
  density: ['f32', LEAVES],
  latest: ['u8', LEAVES],
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

/** The window that is full becomes the reference; the next is placed by the centre and spread this one had. */
function turn(s: State): void {
  fillDensities(s.latest, LIGHT, s.density)
  s.latest.fill(0)
  s.centre[0] = s.latestCentre[0]
  s.spread[0] = s.latestSpread[0]
}

export const HALF_SPACE: Kernel<typeof COLUMNS> = {
  id: 'hst@1',
  version: 2,
  warmUp: SETTLING + WINDOW,
  columns: COLUMNS,
  floor: FLOOR,
  upgraded,
  start(s, _seed, x) {
    s.recent.fill(x)
  },
  strangeness(s, x) {
    placePoint(s, x, s.centre[0], s.spread[0])
    findPoint(point)
    // At most 25 factors of a hundred thousand each: far from overflow.
    let product = 1
    const { density } = s
    for (let tree = 0; tree < TREES; tree++) product *= 1 + density[leafIn(tree)]
    // The square root tames it: an empty corner is thousands of times less dense than the middle.
    return Math.max(0, Math.sqrt((WINDOW * DEPTH) / product ** (1 / TREES)) - LEAST)
  },
  learn(s, x, weight) {
    const isSettled = s.isSettled[0] === 1
    // An anomaly is not counted, but the shingle goes on.
    if (weight > 0.5 || !isSettled) {
      if (isSettled) {
        placePoint(s, x, s.latestCentre[0], s.latestSpread[0])
        findPoint(point)
        const { latest } = s
        for (let tree = 0; tree < TREES; tree++) latest[leafIn(tree)]++
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
    for (let d = 1; d < DIMENSIONS; d++) s.recent[d - 1] = s.recent[d]
    s.recent[DIMENSIONS - 1] = x
  },
}

/** Version 1 kept what was counted in every node of the trees, and first in trees of the series' own: such a series begins anew. */
function upgraded(from: Snapshot): Snapshot {
  const { seed, seen, isSettled, reference, latest, ...kept } = from.columns
  const length = from.keys.length
  const areCounts = [reference, latest].every(
    column => column instanceof Uint8Array && column.length === length * TREES * NODES,
  )
  if (from.version !== 1 || !areCounts || !seed || !seen || !isSettled) return from
  const columns = {
    ...kept,
    seen: seen.slice(),
    isSettled: isSettled.slice(),
    density: new Float32Array(length * LEAVES),
    latest: new Uint8Array(length * LEAVES),
  }
  for (let row = 0; row < length; row++) {
    if (seed[row] !== COMMON) {
      columns.seen[row] = 0
      columns.isSettled[row] = 0
      continue
    }
    const at = row * LEAVES
    const counts = columns.latest.subarray(at, at + LEAVES)
    copyCounts(reference, row, counts)
    fillDensities(counts, LIGHT, columns.density.subarray(at, at + LEAVES))
    copyCounts(latest, row, counts)
  }
  return { ...from, version: 2, columns }
}

/** From every node of the trees of a row to the leaves. */
function copyCounts(nodes: ColumnData, row: number, counts: Uint8Array): void {
  for (let tree = 0; tree < TREES; tree++)
    for (let leaf = firstLeaf(tree); leaf < firstLeaf(tree + 1); leaf++)
      counts[leaf] = nodes[(row * TREES + tree) * NODES + nodeOfLeaf(leaf)]
}

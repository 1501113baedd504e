import { mix32 } from '../math/hash.ts'

export const TREES = 25
export const DEPTH = 9
/** Values in a point. */
export const DIMENSIONS = 2
export const NODES = 2 ** (DEPTH + 1) - 1
/** What the trees drawn below come to, all together: leaves that points may lie in, stretches of either value, cells. */
export const LEAVES = 2188
const STRETCHES = [556, 471] as const
const CELLS = 10_508
/** Nodes that have children: those of node n are 2n + 1, below the cut, and 2n + 2. */
const INNER = 2 ** DEPTH - 1
/** Values of a point are below it: they may be 1. */
const END = 1 + Number.EPSILON
/** Equal parts of 0..1, to begin a search in: a power of two, so that the part of a number is exact. */
const PARTS = 1024

/** Seed of the trees. */
export const COMMON = 0x5eed_7ee5

/** A number in [0, 1) that is the tree's own. */
function drawn(place: number): number {
  return (mix32(COMMON ^ Math.imul(place + 1, 0x9e3779b1)) >>> 0) / 4_294_967_296
}

/** Low edges, which are within, and high ones, which are not, by value of a point. */
interface Box {
  readonly low: readonly number[]
  readonly end: readonly number[]
}

/** A leaf that points may lie in: its place among the nodes of its tree, and the box of it. */
interface Leaf extends Box {
  readonly node: number
}

/**
 * The trees of half-space.ts, which halve space without looking at data: all series share them. They are laid out for the question in which leaf
 * of each tree a point lies. All cuts of all trees divide 0..1 into stretches, of either value; a stretch of the one and one of the other are a
 * cell of every tree, and a cell lies in one leaf. So two searches and a table find what a walk down each tree would. Laying them out takes
 * milliseconds and is done when they are first asked; the arrays have their place before, so that the code that reads them may know it.
 */
let isLaid = false
/** The tree's first leaf, by tree and at their end: leaves of a tree lie together, in the order of its nodes. */
const firsts = new Uint16Array(TREES + 1)
/** Place among the nodes of its tree, by leaf. */
const nodeOf = new Uint16Array(LEAVES)
/** One past the last leaf under each node. */
const ends = new Uint16Array(TREES * NODES)
/** Where the stretches of each value begin, and an end that no value reaches; the stretch where each part of 0..1 begins. */
const edges = STRETCHES.map(count => new Float64Array(count + 1).fill(Infinity))
const [edgesAcross, edgesAlong] = edges
const [partsAcross, partsAlong] = STRETCHES.map(() => new Uint16Array(PARTS + 1))
/** By stretch and tree: what a stretch of the first value and one of the second add up to is the place of their cell. */
const [rows, columns] = STRETCHES.map(count => new Uint16Array(count * TREES))
/** Leaf by cell. */
const cells = new Uint16Array(CELLS)

function lay(): void {
  isLaid = true
  const leaves: Leaf[] = []
  for (let tree = 0; tree < TREES; tree++) {
    // A tree's work range: a random centre in 0..1, twice as wide as to reach both ends.
    const centres = Array.from({ length: DIMENSIONS }, (_, d) => drawn(tree * DIMENSIONS + d))
    const reach = centres.map(centre => 2 * Math.max(centre, 1 - centre))
    const low = centres.map((centre, d) => centre - reach[d])
    const end = centres.map((centre, d) => centre + reach[d])
    grow(leaves, tree, 0, { low, end }, { low: [0, 0], end: [END, END] })
    firsts[tree + 1] = leaves.length
  }
  for (const [leaf, { node }] of leaves.entries()) nodeOf[leaf] = node
  for (const [d, own] of edges.entries()) own.set(lowEdges(leaves, d))
  const parts = Float64Array.from({ length: PARTS + 1 }, (_, part) => part / PARTS)
  fillStretches(partsAcross, parts, edgesAcross)
  fillStretches(partsAlong, parts, edgesAlong)
  const count = layCells(leaves)
  if (leaves.length !== LEAVES || count !== CELLS)
    throw new RangeError(`the trees have ${leaves.length} leaves and ${count} cells`)
}

/** `range`: the tree's work range here, of which each node halves that of its parent; `box`: what of 0..1 comes here. */
function grow(leaves: Leaf[], tree: number, node: number, range: Box, box: Box): void {
  const nodes = tree * NODES
  if (node >= INNER) leaves.push({ node, ...box })
  else {
    const d = Math.floor(drawn(TREES * DIMENSIONS + tree * INNER + node) * DIMENSIONS)
    const middle = (range.low[d] + range.end[d]) / 2
    // Most of a work range lies beyond 0..1: where all points are on one side there is nothing on the other.
    const below = 2 * node + 1
    if (middle > box.low[d]) {
      const end = box.end.with(d, Math.min(middle, box.end[d]))
      grow(leaves, tree, below, { ...range, end: range.end.with(d, middle) }, { ...box, end })
    } else ends[nodes + below] = leaves.length
    if (middle < box.end[d]) {
      const low = box.low.with(d, Math.max(middle, box.low[d]))
      grow(leaves, tree, below + 1, { ...range, low: range.low.with(d, middle) }, { ...box, low })
    } else ends[nodes + below + 1] = leaves.length
  }
  ends[nodes + node] = leaves.length
}

/** Fills rows, columns and the leaf of each cell; returns how many cells there are. */
function layCells(leaves: readonly Leaf[]): number {
  let first = 0
  for (let tree = 0; tree < TREES; tree++) {
    const own = leaves.slice(firsts[tree], firsts[tree + 1])
    const [across, along] = edges.map((_, d) => lowEdges(own, d))
    const [xs, ys] = [across, along].map((some, d) =>
      fillStretches(new Uint16Array(STRETCHES[d]), edges[d].subarray(0, -1), some),
    )
    for (const [s, x] of xs.entries()) rows[s * TREES + tree] = first + x * along.length
    for (const [s, y] of ys.entries()) columns[s * TREES + tree] = y
    for (const [i, { low, end }] of own.entries())
      for (let x = across.indexOf(low[0]); across[x] < end[0]; x++)
        for (let y = along.indexOf(low[1]); along[y] < end[1]; y++)
          cells[first + x * along.length + y] = firsts[tree] + i
    first += across.length * along.length
  }
  return first
}

/** The tree's first leaf; for TREES one past the last leaf of all. */
export function firstLeaf(tree: number): number {
  if (!isLaid) lay()
  return firsts[tree]
}

/** Place of a leaf among the nodes of its tree. */
export function nodeOfLeaf(leaf: number): number {
  if (!isLaid) lay()
  return nodeOf[leaf]
}

/** Where the point that was found last lies in rows and columns. */
const at = { row: 0, column: 0 }

/** Finds where a point lies, two values from 0 to 1, for `leafIn`. */
export function findPoint(point: Float64Array): void {
  if (!isLaid) lay()
  at.row = stretchOf(edgesAcross, partsAcross, point[0]) * TREES
  at.column = stretchOf(edgesAlong, partsAlong, point[1]) * TREES
}

/** The leaf of a tree that the point lies in which was found last. */
export function leafIn(tree: number): number {
  return cells[rows[at.row + tree] + columns[at.column + tree]]
}

/** Points in the leaves before each. */
const before = new Uint32Array(LEAVES + 1)

/**
 * What a walk down each tree finds, by leaf, of points that were counted in leaves: mass × 2^depth at the first node of no more than `light`
 * points or at the leaf; what all of space would hold if it were as dense.
 */
export function fillDensities(counts: Uint8Array, light: number, densities: Float32Array): void {
  if (!isLaid) lay()
  for (let leaf = 0; leaf < LEAVES; leaf++) before[leaf + 1] = before[leaf] + counts[leaf]
  for (let tree = 0; tree < TREES; tree++) {
    const nodes = tree * NODES
    let leaf = firsts[tree]
    let node = 0
    let scale = 1
    while (leaf < firsts[tree + 1]) {
      const end = ends[nodes + node]
      const mass = before[end] - before[leaf]
      if (mass > light && node < INNER) {
        node = 2 * node + 1
        scale *= 2
        continue
      }
      const density = mass * scale
      while (leaf < end) densities[leaf++] = density
      // On to the right: up from right children, which are even, and over to the sibling.
      while ((node & 1) === 0 && node > 0) {
        node = (node - 2) >> 1
        scale /= 2
      }
      node++
    }
  }
}

function lowEdges(leaves: readonly Leaf[], d: number): Float64Array {
  return Float64Array.from(new Set(leaves.map(({ low }) => low[d]))).sort()
}

/** In which of the stretches that begin at some edges each of some sorted numbers lies. */
function fillStretches(stretches: Uint16Array, numbers: Float64Array, edges: Float64Array): Uint16Array {
  let stretch = 0
  for (let i = 0; i < numbers.length; i++) {
    while (edges[stretch + 1] <= numbers[i]) stretch++
    stretches[i] = stretch
  }
  return stretches
}

function stretchOf(edges: Float64Array, parts: Uint16Array, x: number): number {
  let stretch = parts[(x * PARTS) | 0]
  while (x >= edges[stretch + 1]) stretch++
  return stretch
}

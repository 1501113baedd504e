import type { Chunk } from '../core/columns.ts'

/**
 * One robust random cut tree of a forest, in typed arrays: Guha, Mishra, Roy & Schrijvers 2016, "Robust random cut
 * forest based anomaly detection on streams", ICML. A child ≥ 0 is a cut, ~leaf below; NONE is no tree yet. Leaves of
 * equal points are one leaf with a count, so repeated values cost nothing.
 */
export const TREES = 30
/** Points a tree holds at most. */
export const SAMPLES = 256
/** Values in a point. */
export const DIMENSIONS = 8
const CUTS = SAMPLES - 1
const BOX = 2 * DIMENSIONS
const NONE = -32_768

export const TREE_COLUMNS = {
  /** Points by leaf, boxes by cut (minima, then maxima), cut positions. */
  points: ['f32', TREES * SAMPLES * DIMENSIONS],
  boxes: ['f32', TREES * CUTS * BOX],
  cutAt: ['f32', TREES * CUTS],
  cutDimension: ['u8', TREES * CUTS],
  left: ['i16', TREES * CUTS],
  right: ['i16', TREES * CUTS],
  /** Points under a cut (0: free), and at a leaf. */
  mass: ['u16', TREES * CUTS],
  count: ['u16', TREES * SAMPLES],
  root: ['i16', TREES],
  samples: ['u16', TREES],
  random: 'u32',
} as const
export type ForestState = Chunk<typeof TREE_COLUMNS>

/** Cuts above the place reached, as indices of the tree. */
const path = new Int16Array(SAMPLES)

export function plantTrees(s: ForestState, seed: number): void {
  s.root.fill(NONE)
  s.random[0] = seed
}

/** The next number in [0, 1) of the forest's own sequence (mulberry32). */
export function nextRandom(random: Uint32Array): number {
  const state = (random[0] + 0x6d2b79f5) >>> 0
  random[0] = state
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

function massOf(s: ForestState, tree: number, node: number): number {
  return node >= 0 ? s.mass[tree * CUTS + node] : s.count[tree * SAMPLES + ~node]
}

/**
 * How shallow `q` would lie in a tree if it were put in, expected over the random cuts of that insertion, 0..1: 1 ÷ (depth + 1) where it
 * is parted from a box, less the more of the tree the box holds; at an equal point 1 ÷ (depth + log2(count + 1)), halved for its share.
 * The score of Guha et al.'s algorithm as AWS documents it for its service.
 */
export function expectedShallowness(s: ForestState, tree: number, q: Float32Array): number {
  let node = s.root[tree]
  if (node === NONE) return 0
  const cutsAt = tree * CUTS
  const { boxes } = s
  const total = massOf(s, tree, node)
  let remaining = 1
  let depth = 0
  let sum = 0
  while (node >= 0) {
    const cut = cutsAt + node
    let at = cut * BOX
    let size = 0
    let beyond = 0
    for (let d = 0; d < DIMENSIONS; d++, at++) {
      const low = boxes[at]
      const high = boxes[at + DIMENSIONS]
      const x = q[d]
      size += high - low
      if (x < low) beyond += low - x
      else if (x > high) beyond += x - high
    }
    if (beyond > 0) {
      const parted = remaining * (beyond / (size + beyond))
      sum += parted / (depth + 1)
      remaining -= parted
    }
    depth++
    node = q[s.cutDimension[cut]] <= s.cutAt[cut] ? s.left[cut] : s.right[cut]
  }
  const leaf = tree * SAMPLES + ~node
  const count = s.count[leaf]
  const isSeen = isAt(s.points, leaf * DIMENSIONS, q)
  const last = isSeen ? (1 - (0.5 * count) / total) / (depth + Math.log2(count + 1)) : 1 / (depth + 1)
  return (sum + remaining * last) * Math.log2(total + 1)
}

function isAt(points: Float32Array, at: number, q: Float32Array): boolean {
  for (let d = 0; d < DIMENSIONS; d++) if (points[at + d] !== q[d]) return false
  return true
}

/** Puts a point in; the tree must hold fewer than SAMPLES. */
export function insertPoint(s: ForestState, tree: number, q: Float32Array): void {
  s.samples[tree]++
  let node = s.root[tree]
  if (node === NONE) {
    s.root[tree] = ~newLeaf(s, tree, q)
    return
  }
  let depth = 0
  while (node >= 0) {
    if (partFrom(s, tree, node, q)) {
      graft(s, tree, node, depth, q)
      return
    }
    const cut = tree * CUTS + node
    s.mass[cut]++
    path[depth++] = node
    node = q[s.cutDimension[cut]] <= s.cutAt[cut] ? s.left[cut] : s.right[cut]
  }
  const leaf = tree * SAMPLES + ~node
  if (isAt(s.points, leaf * DIMENSIONS, q)) {
    s.count[leaf]++
    return
  }
  drawBox(s, tree, node, q)
  partFrom(s, tree, node, q)
  graft(s, tree, node, depth, q)
}

/** The box of a node and a point together, and a random cut of it. */
const low = new Float32Array(DIMENSIONS)
const high = new Float32Array(DIMENSIONS)
const drawn = { dimension: 0, at: 0 }

function drawBox(s: ForestState, tree: number, node: number, q: Float32Array): void {
  const isCut = node >= 0
  const from = isCut ? s.boxes : s.points
  const at = isCut ? (tree * CUTS + node) * BOX : (tree * SAMPLES + ~node) * DIMENSIONS
  const upper = isCut ? at + DIMENSIONS : at
  for (let d = 0; d < DIMENSIONS; d++) {
    low[d] = Math.min(from[at + d], q[d])
    high[d] = Math.max(from[upper + d], q[d])
  }
}

/**
 * Draws a cut of the box of node and point; true when it parts the two. Else the box of the node is widened: under the
 * point it keeps its own cut, which is as likely as any other (theorem 3 of the paper).
 */
function partFrom(s: ForestState, tree: number, node: number, q: Float32Array): boolean {
  drawBox(s, tree, node, q)
  let size = 0
  for (let d = 0; d < DIMENSIONS; d++) size += high[d] - low[d]
  let left = nextRandom(s.random) * size
  let d = 0
  while (d < DIMENSIONS - 1 && left >= high[d] - low[d]) {
    left -= high[d] - low[d]
    d++
  }
  // Rounding may run past the last dimension that has any width.
  while (d > 0 && high[d] === low[d]) d--
  drawn.dimension = d
  drawn.at = Math.fround(low[d] + left)
  if (drawn.at >= high[d]) drawn.at = low[d]
  const isCut = node >= 0
  const from = isCut ? s.boxes : s.points
  const at = isCut ? (tree * CUTS + node) * BOX : (tree * SAMPLES + ~node) * DIMENSIONS
  const least = from[at + d]
  const most = isCut ? from[at + DIMENSIONS + d] : least
  if ((q[d] <= drawn.at && drawn.at < least) || (q[d] > drawn.at && drawn.at >= most)) return true
  if (isCut) {
    s.boxes.set(low, at)
    s.boxes.set(high, at + DIMENSIONS)
  }
  return false
}

/** Puts a new cut, as drawn last, in the place of `node`, which becomes one child of it and the point the other. */
function graft(s: ForestState, tree: number, node: number, depth: number, q: Float32Array): void {
  const cutsAt = tree * CUTS
  let made = 0
  while (s.mass[cutsAt + made] !== 0) made++
  const cut = cutsAt + made
  const leaf = ~newLeaf(s, tree, q)
  const isLeft = q[drawn.dimension] <= drawn.at
  s.left[cut] = isLeft ? leaf : node
  s.right[cut] = isLeft ? node : leaf
  s.cutDimension[cut] = drawn.dimension
  s.cutAt[cut] = drawn.at
  s.mass[cut] = massOf(s, tree, node) + 1
  s.boxes.set(low, cut * BOX)
  s.boxes.set(high, cut * BOX + DIMENSIONS)
  replaceChild(s, tree, depth === 0 ? NONE : path[depth - 1], node, made)
}

function replaceChild(s: ForestState, tree: number, parent: number, child: number, by: number): void {
  if (parent === NONE) s.root[tree] = by
  else if (s.left[tree * CUTS + parent] === child) s.left[tree * CUTS + parent] = by
  else s.right[tree * CUTS + parent] = by
}

function newLeaf(s: ForestState, tree: number, q: Float32Array): number {
  const leavesAt = tree * SAMPLES
  let made = 0
  while (s.count[leavesAt + made] !== 0) made++
  s.points.set(q, (leavesAt + made) * DIMENSIONS)
  s.count[leavesAt + made] = 1
  return made
}

/** Takes out a point drawn at random, all alike; the tree must hold some. */
export function removeRandom(s: ForestState, tree: number): void {
  s.samples[tree]--
  let node = s.root[tree]
  let depth = 0
  while (node >= 0) {
    const cut = tree * CUTS + node
    const isLeft = nextRandom(s.random) * s.mass[cut] < massOf(s, tree, s.left[cut])
    s.mass[cut]--
    path[depth++] = node
    node = isLeft ? s.left[cut] : s.right[cut]
  }
  const leaf = tree * SAMPLES + ~node
  if (--s.count[leaf] > 0) return
  if (depth === 0) {
    s.root[tree] = NONE
    return
  }
  // The sibling takes the parent's place, and the boxes above may shrink.
  const parent = path[depth - 1]
  const cut = tree * CUTS + parent
  const sibling = s.left[cut] === node ? s.right[cut] : s.left[cut]
  s.mass[cut] = 0
  replaceChild(s, tree, depth < 2 ? NONE : path[depth - 2], parent, sibling)
  for (let k = depth - 2; k >= 0; k--) if (!shrink(s, tree, path[k])) return
}

/** Recomputes the box of a cut from its children; false when it did not change. */
function shrink(s: ForestState, tree: number, node: number): boolean {
  const cut = tree * CUTS + node
  const a = s.left[cut]
  const b = s.right[cut]
  const { boxes, points } = s
  const fromA = a >= 0 ? boxes : points
  const fromB = b >= 0 ? boxes : points
  const lowA = a >= 0 ? (tree * CUTS + a) * BOX : (tree * SAMPLES + ~a) * DIMENSIONS
  const lowB = b >= 0 ? (tree * CUTS + b) * BOX : (tree * SAMPLES + ~b) * DIMENSIONS
  const highA = a >= 0 ? lowA + DIMENSIONS : lowA
  const highB = b >= 0 ? lowB + DIMENSIONS : lowB
  const at = cut * BOX
  let isChanged = false
  for (let d = 0; d < DIMENSIONS; d++) {
    const least = Math.min(fromA[lowA + d], fromB[lowB + d])
    const most = Math.max(fromA[highA + d], fromB[highB + d])
    if (boxes[at + d] !== least || boxes[at + DIMENSIONS + d] !== most) {
      boxes[at + d] = least
      boxes[at + DIMENSIONS + d] = most
      isChanged = true
    }
  }
  return isChanged
}

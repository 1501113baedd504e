// How strange a point is to a random cut forest: see cut-forest.ts.

import { TREES, CUTS, NONE, POINT, PARTS, WAYS, ABREAST, WAY, CUT_AT, LEFT, RIGHT, ROOT, CUT_DIMENSION, rowAt, takeTree, takePoint, logOf, boxOf, pointOf, massOf, isAt } from './_cut-forest-layout'

/** Sum over all trees of how shallow the point of the last values and this one would lie. */
export function shallowness(row: i32, x: f64): f64 {
  const r = rowAt(row)
  takePoint(r, x)
  let sum: f64 = 0
  for (let tree: usize = 0; tree < TREES; tree += ABREAST) {
    walk(r, tree)
    for (let other: usize = 0; other < ABREAST; other++) {
      takeTree(r, tree + other)
      sum += expectedShallowness(WAYS + WAY * other)
    }
  }
  return sum
}

/**
 * Ways down ABREAST trees to the leaves: each step waits for memory, so they wait together. Who is at a leaf stays there, or has no tree,
 * and nobody guesses when that is.
 */
function walk(r: usize, tree: usize): void {
  let a = rootOf(r, tree)
  let b = rootOf(r, tree + 1)
  let c = rootOf(r, tree + 2)
  let d = rootOf(r, tree + 3)
  let e = rootOf(r, tree + 4)
  let f = rootOf(r, tree + 5)
  let at = WAYS
  for (;;) {
    store<i32>(at, a)
    store<i32>(at, b, WAY)
    store<i32>(at, c, 2 * WAY)
    store<i32>(at, d, 3 * WAY)
    store<i32>(at, e, 4 * WAY)
    store<i32>(at, f, 5 * WAY)
    // All are negative: leaves.
    if ((a & b & c & d & e & f) < 0) return
    a = stepFrom(r, tree, a)
    b = stepFrom(r, tree + 1, b)
    c = stepFrom(r, tree + 2, c)
    d = stepFrom(r, tree + 3, d)
    e = stepFrom(r, tree + 4, e)
    f = stepFrom(r, tree + 5, f)
    at += 4
  }
}

// @ts-ignore: decorator
@inline
function rootOf(r: usize, tree: usize): i32 {
  return <i32>load<i16>(r + (tree << 1), ROOT)
}

/** The node below a cut of a tree that the point goes to; a leaf itself. */
// @ts-ignore: decorator
@inline
function stepFrom(r: usize, tree: usize, node: i32): i32 {
  const cut = r + CUTS * tree + <usize>(node & ~(node >> 31))
  // All columns are by cut: what lies two or four bytes apart is found by twice or four times the place.
  const place = cut - r
  const x = load<f32>(POINT + ((<usize>load<u8>(cut, CUT_DIMENSION)) << 2))
  const to = select(LEFT, RIGHT, x <= load<f32>(r + (place << 2), CUT_AT))
  return select(node, <i32>load<i16>(r + (place << 1) + to), node < 0)
}

/** Of the tree at hand, by the way down to where the point lies in it. */
function expectedShallowness(way: usize): f64 {
  let node = load<i32>(way)
  if (node == NONE) return 0
  const total = massOf(node)
  let depth: usize = 0
  while (node >= 0) node = load<i32>(way + (++depth << 2))
  let inside = depth
  while (inside > 0 && isPartedFrom(load<i32>(way + ((inside - 1) << 2)), PARTS + ((inside - 1) << 3))) inside--
  let remaining: f64 = 1
  let sum: f64 = 0
  for (; inside < depth; inside++) {
    const parted = remaining * load<f64>(PARTS + (inside << 3))
    sum += parted / <f64>(inside + 1)
    remaining -= parted
  }
  let last: f64 = 0
  if (isAt(pointOf(node))) {
    const own = massOf(node)
    last = (1.0 - (0.5 * <f64>own) / <f64>total) / (<f64>depth + logOf(own))
  } else last = 1.0 / <f64>(depth + 1)
  return (sum + remaining * last) * logOf(total)
}

/** Whether the point lies outside of a cut's box, and if so how likely a random cut of both parts them, to `to`. */
// @ts-ignore: decorator
@inline
function isPartedFrom(node: i32, to: usize): bool {
  const box = boxOf(node)
  const first = v128.load(POINT)
  const second = v128.load(POINT, 16)
  const outside = v128.or(
    v128.or(f32x4.lt(first, v128.load(box)), f32x4.lt(second, v128.load(box, 16))),
    v128.or(f32x4.gt(first, v128.load(box, 32)), f32x4.gt(second, v128.load(box, 48))),
  )
  if (!v128.any_true(outside)) return false
  // Size in the first lane, what lies beyond in the second, dimension by dimension as the twin adds them.
  let sums = f64x2.splat(0)
  sums = addPair(sums, box, 0)
  sums = addPair(sums, box, 8)
  sums = addPair(sums, box, 16)
  sums = addPair(sums, box, 24)
  const beyond = f64x2.extract_lane(sums, 1)
  store<f64>(to, beyond / (f64x2.extract_lane(sums, 0) + beyond))
  return true
}

// @ts-ignore: decorator
@inline
function addPair(sums: v128, box: usize, at: usize): v128 {
  const x = f64x2.promote_low_f32x4(v128.load_zero<u64>(POINT + at))
  const low = f64x2.promote_low_f32x4(v128.load_zero<u64>(box + at))
  const high = f64x2.promote_low_f32x4(v128.load_zero<u64>(box + at, 32))
  const width = f64x2.sub(high, low)
  const gap = f64x2.pmax(f64x2.splat(0), f64x2.pmax(f64x2.sub(low, x), f64x2.sub(x, high)))
  return f64x2.add(f64x2.add(sums, v128.shuffle<f64>(width, gap, 0, 2)), v128.shuffle<f64>(width, gap, 1, 3))
}

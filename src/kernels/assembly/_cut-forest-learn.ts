// A point comes into the trees of a random cut forest, and another goes: see cut-forest.ts.

import { TREES, SAMPLES, DIMENSIONS, NONE, POINT, LOW, HIGH, WIDTHS, PATH, RECENT, rowAt, cutAt, cutDimension, left, right, mass, count, root, held, random, takeTree, takePoint, boxOf, pointOf, massOf, isAt } from './_cut-forest-layout'

/** Learns a point: it comes into a tree with this chance, or that one where the tree is full. */
export function learn(row: i32, x: f64, chance: f64, fullChance: f64): void {
  const r = rowAt(row)
  takePoint(r, x)
  v128.store(r, v128.load(POINT), RECENT)
  v128.store(r, v128.load(POINT, 16), RECENT + 16)
  for (let tree: usize = 0; tree < TREES; tree++) {
    takeTree(r, tree)
    const isFull = <usize>load<u16>(held) >= SAMPLES
    if (nextRandom() >= (isFull ? fullChance : chance)) continue
    if (isFull) removeRandom()
    insertPoint()
  }
}

/** The node below a cut that the point goes to. */
// @ts-ignore: decorator
@inline
function below(node: i32): i32 {
  const n = <usize>node
  const x = load<f32>(POINT + ((<usize>load<u8>(cutDimension + n)) << 2))
  return <i32>load<i16>(select(left, right, x <= load<f32>(cutAt + (n << 2))) + (n << 1))
}

function nextRandom(): f64 {
  const state = load<u32>(random) + 0x6d2b79f5
  store<u32>(random, state)
  let t = (state ^ (state >>> 15)) * (1 | state)
  t = (t + (t ^ (t >>> 7)) * (61 | t)) ^ t
  return <f64>(t ^ (t >>> 14)) / 4294967296.0
}

function insertPoint(): void {
  store<u16>(held, load<u16>(held) + 1)
  let node = <i32>load<i16>(root)
  if (node == NONE) {
    store<i16>(root, <i16>~newLeaf())
    return
  }
  let depth: usize = 0
  while (node >= 0) {
    if (partFrom(node)) {
      graft(node, depth)
      return
    }
    const n = mass + ((<usize>node) << 1)
    store<u16>(n, load<u16>(n) + 1)
    store<i32>(PATH + (depth++ << 2), node)
    node = below(node)
  }
  if (isAt(pointOf(node))) {
    const n = count + ((<usize>~node) << 1)
    store<u16>(n, load<u16>(n) + 1)
    return
  }
  partFrom(node)
  graft(node, depth)
}

let drawnDimension: usize = 0
let drawnAt: f32 = 0

function partFrom(node: i32): bool {
  const isCut = node >= 0
  const lower = isCut ? boxOf(node) : pointOf(node)
  const upper = isCut ? lower + 32 : lower
  const lowA = f32x4.min(v128.load(lower), v128.load(POINT))
  const lowB = f32x4.min(v128.load(lower, 16), v128.load(POINT, 16))
  const highA = f32x4.max(v128.load(upper), v128.load(POINT))
  const highB = f32x4.max(v128.load(upper, 16), v128.load(POINT, 16))
  v128.store(LOW, lowA)
  v128.store(LOW, lowB, 16)
  v128.store(HIGH, highA)
  v128.store(HIGH, highB, 16)
  let size: f64 = 0
  for (let d: usize = 0; d < DIMENSIONS; d++) {
    const width = <f64>load<f32>(HIGH + (d << 2)) - <f64>load<f32>(LOW + (d << 2))
    store<f64>(WIDTHS + (d << 3), width)
    size += width
  }
  let rest = nextRandom() * size
  let d: usize = 0
  while (d < DIMENSIONS - 1) {
    const width = load<f64>(WIDTHS + (d << 3))
    if (rest < width) break
    rest -= width
    d++
  }
  // Rounding may run past the last dimension that has any width.
  while (d > 0 && load<f64>(WIDTHS + (d << 3)) == 0) d--
  const d4 = d << 2
  const low = load<f32>(LOW + d4)
  let at = <f32>(<f64>low + rest)
  if (at >= load<f32>(HIGH + d4)) at = low
  drawnDimension = d
  drawnAt = at
  const x = load<f32>(POINT + d4)
  if (x <= at ? at < load<f32>(lower + d4) : at >= load<f32>(upper + d4)) return true
  if (isCut) {
    v128.store(lower, lowA)
    v128.store(lower, lowB, 16)
    v128.store(upper, highA)
    v128.store(upper, highB, 16)
  }
  return false
}

function graft(node: i32, depth: usize): void {
  const made = firstZero(mass)
  const leaf = ~newLeaf()
  const isLeft = load<f32>(POINT + (drawnDimension << 2)) <= drawnAt
  const n = <usize>made
  store<i16>(left + (n << 1), <i16>(isLeft ? leaf : node))
  store<i16>(right + (n << 1), <i16>(isLeft ? node : leaf))
  store<u8>(cutDimension + n, <u8>drawnDimension)
  store<f32>(cutAt + (n << 2), drawnAt)
  store<u16>(mass + (n << 1), <u16>(massOf(node) + 1))
  memory.copy(boxOf(made), LOW, 64)
  replaceChild(depth == 0 ? NONE : load<i32>(PATH + ((depth - 1) << 2)), node, made)
}

function replaceChild(parent: i32, child: i32, by: i32): void {
  if (parent == NONE) {
    store<i16>(root, <i16>by)
    return
  }
  const p = (<usize>parent) << 1
  if (<i32>load<i16>(left + p) == child) store<i16>(left + p, <i16>by)
  else store<i16>(right + p, <i16>by)
}

/** The first of a column of 16 bits that is zero; there must be one in the tree's part of it. */
function firstZero(column: usize): i32 {
  let at = column
  let zeros = zerosOf(at)
  while (zeros == 0) {
    at += 16
    zeros = zerosOf(at)
  }
  return <i32>((at - column) >> 1) + ctz(zeros)
}

// @ts-ignore: decorator
@inline
function zerosOf(eight: usize): i32 {
  return i16x8.bitmask(i16x8.eq(v128.load(eight), i16x8.splat(0)))
}

function newLeaf(): i32 {
  const made = firstZero(count)
  memory.copy(pointOf(~made), POINT, 32)
  store<u16>(count + ((<usize>made) << 1), 1)
  return made
}

function removeRandom(): void {
  store<u16>(held, load<u16>(held) - 1)
  let node = <i32>load<i16>(root)
  let depth: usize = 0
  while (node >= 0) {
    const n = (<usize>node) << 1
    const own = load<u16>(mass + n)
    const toLeft = <i32>load<i16>(left + n)
    const isLeft = nextRandom() * <f64>own < <f64>massOf(toLeft)
    store<u16>(mass + n, own - 1)
    store<i32>(PATH + (depth++ << 2), node)
    node = isLeft ? toLeft : <i32>load<i16>(right + n)
  }
  const leaf = count + ((<usize>~node) << 1)
  store<u16>(leaf, load<u16>(leaf) - 1)
  if (load<u16>(leaf) > 0) return
  if (depth == 0) {
    store<i16>(root, <i16>NONE)
    return
  }
  // The sibling takes the parent's place, and the boxes above may shrink.
  const parent = load<i32>(PATH + ((depth - 1) << 2))
  const p = (<usize>parent) << 1
  const toLeft = <i32>load<i16>(left + p)
  store<u16>(mass + p, 0)
  const sibling = toLeft == node ? <i32>load<i16>(right + p) : toLeft
  replaceChild(depth < 2 ? NONE : load<i32>(PATH + ((depth - 2) << 2)), parent, sibling)
  for (let k = <i32>depth - 2; k >= 0; k--) if (!shrink(load<i32>(PATH + ((<usize>k) << 2)))) return
}

function shrink(node: i32): bool {
  const n = (<usize>node) << 1
  const a = <i32>load<i16>(left + n)
  const b = <i32>load<i16>(right + n)
  const lowA = a >= 0 ? boxOf(a) : pointOf(a)
  const lowB = b >= 0 ? boxOf(b) : pointOf(b)
  const highA = a >= 0 ? lowA + 32 : lowA
  const highB = b >= 0 ? lowB + 32 : lowB
  const box = boxOf(node)
  const first = shrinkFour(box, lowA, lowB, highA, highB)
  return shrinkFour(box + 16, lowA + 16, lowB + 16, highA + 16, highB + 16) || first
}

/** Of four dimensions. Those that did not change keep the zero that they had, of either sign. */
// @ts-ignore: decorator
@inline
function shrinkFour(box: usize, lowA: usize, lowB: usize, highA: usize, highB: usize): bool {
  const low = v128.load(box)
  const high = v128.load(box, 32)
  const least = f32x4.min(v128.load(lowA), v128.load(lowB))
  const most = f32x4.max(v128.load(highA), v128.load(highB))
  const isChanged = v128.or(f32x4.ne(low, least), f32x4.ne(high, most))
  if (!v128.any_true(isChanged)) return false
  v128.store(box, v128.bitselect(least, low, isChanged))
  v128.store(box, v128.bitselect(most, high, isChanged), 32)
  return true
}

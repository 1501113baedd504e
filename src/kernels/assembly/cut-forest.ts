// A random cut forest of thirty trees a series, a point at a time; its twin is detectors/cut-tree.ts, where the method and its source stand, and
// the two agree to the bit: the same numbers are drawn and added in the same order. Names are the twin's.
//
// What is faster here: a box is four registers, and those that the point lies in are not even read. A walk down follows the cuts alone; then
// the boxes are looked at from the leaf up to the first that holds the point, for all above hold it as well and add nothing.
//
// Memory: what does not depend on a series, then rows. A row is its columns one after the other; those of a tree lie together in each.

const TREES: usize = 30
const SAMPLES: usize = 256
const CUTS: usize = SAMPLES - 1
const DIMENSIONS: usize = 8
const NONE: i32 = -32768

/** log2(n + 1) by n, as JavaScript has it. */
const LOG: usize = 0
/** The point, the box that was drawn, its widths (f64), the cuts above the place reached, and of them how likely each parts the point (f64). */
const POINT: usize = LOG + 8 * (SAMPLES + 1) + 56
const LOW: usize = POINT + 32
const HIGH: usize = LOW + 32
const WIDTHS: usize = HIGH + 32
const PATH: usize = WIDTHS + 64
const PARTS: usize = PATH + 4 * SAMPLES
/** Of a walk down several trees at once: by tree, the nodes on the way to the leaf and the leaf. */
const WAYS: usize = PARTS + 8 * SAMPLES + 32
/** Trees at once, and bytes of a way. */
const ABREAST: usize = 6
const WAY: usize = 4 * (SAMPLES + 1) + 60
const ROWS: usize = WAYS + WAY * ABREAST

// Places of columns in a row.
const POINTS: usize = 0
const BOXES: usize = POINTS + 4 * TREES * SAMPLES * DIMENSIONS
const CUT_AT: usize = BOXES + 8 * TREES * CUTS * DIMENSIONS
const LEFT: usize = CUT_AT + 4 * TREES * CUTS
const RIGHT: usize = LEFT + 2 * TREES * CUTS
const MASS: usize = RIGHT + 2 * TREES * CUTS
const COUNT: usize = MASS + 2 * TREES * CUTS
const ROOT: usize = COUNT + 2 * TREES * SAMPLES
const HELD: usize = ROOT + 2 * TREES
const RANDOM: usize = HELD + 2 * TREES
const RECENT: usize = RANDOM + 4
const BASE: usize = RECENT + 4 * DIMENSIONS
const CUT_DIMENSION: usize = BASE + 8
const END: usize = CUT_DIMENSION + TREES * CUTS
/** Rows and boxes begin where lines of the cache do. */
const ROW_BYTES: usize = (END + 63) & ~63

export function layoutRows(): usize {
  return ROWS
}

export function layoutRow(): usize {
  return ROW_BYTES
}

// @ts-ignore: decorator
@inline
function rowAt(row: i32): usize {
  return ROWS + <usize>row * ROW_BYTES
}

export function clear(row: i32): void {
  memory.fill(rowAt(row), 0, ROW_BYTES)
}

// Of the tree at hand: where its part of each column begins.
let points: usize = 0
let boxes: usize = 0
let cutAt: usize = 0
let cutDimension: usize = 0
let left: usize = 0
let right: usize = 0
let mass: usize = 0
let count: usize = 0
let root: usize = 0
let held: usize = 0
let random: usize = 0

function takeTree(r: usize, tree: usize): void {
  points = r + POINTS + 4 * SAMPLES * DIMENSIONS * tree
  boxes = r + BOXES + 8 * CUTS * DIMENSIONS * tree
  cutAt = r + CUT_AT + 4 * CUTS * tree
  cutDimension = r + CUT_DIMENSION + CUTS * tree
  left = r + LEFT + 2 * CUTS * tree
  right = r + RIGHT + 2 * CUTS * tree
  mass = r + MASS + 2 * CUTS * tree
  count = r + COUNT + 2 * SAMPLES * tree
  root = r + ROOT + 2 * tree
  held = r + HELD + 2 * tree
  random = r + RANDOM
}

/** The point of the last values and this one. */
function takePoint(r: usize, x: f64): void {
  v128.store(POINT, v128.load(r, RECENT + 4))
  v128.store(POINT, v128.load(r, RECENT + 16), 12)
  store<f32>(POINT, <f32>(x - load<f64>(r, BASE)), 28)
}

// @ts-ignore: decorator
@inline
function logOf(n: u32): f64 {
  return load<f64>(LOG + ((<usize>n) << 3))
}

// @ts-ignore: decorator
@inline
function boxOf(node: i32): usize {
  return boxes + ((<usize>node) << 6)
}

// @ts-ignore: decorator
@inline
function pointOf(node: i32): usize {
  return points + ((<usize>~node) << 5)
}

// @ts-ignore: decorator
@inline
function massOf(node: i32): u32 {
  return node >= 0 ? <u32>load<u16>(mass + ((<usize>node) << 1)) : <u32>load<u16>(count + ((<usize>~node) << 1))
}

/** The node below a cut that the point goes to. */
// @ts-ignore: decorator
@inline
function below(node: i32): i32 {
  const n = <usize>node
  const x = load<f32>(POINT + ((<usize>load<u8>(cutDimension + n)) << 2))
  return <i32>load<i16>(select(left, right, x <= load<f32>(cutAt + (n << 2))) + (n << 1))
}

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

// @ts-ignore: decorator
@inline
function isAt(at: usize): bool {
  return i32x4.all_true(
    v128.and(f32x4.eq(v128.load(at), v128.load(POINT)), f32x4.eq(v128.load(at, 16), v128.load(POINT, 16))),
  )
}

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

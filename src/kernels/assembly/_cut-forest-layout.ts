// Where a row of the random cut forest lies in memory, and what is asked of a tree by those who score and who learn.

export const TREES: usize = 30
export const SAMPLES: usize = 256
export const CUTS: usize = SAMPLES - 1
export const DIMENSIONS: usize = 8
export const NONE: i32 = -32768

/** log2(n + 1) by n, as JavaScript has it. */
const LOG: usize = 0
/** The point, the box that was drawn, its widths (f64), the cuts above the place reached, and of them how likely each parts the point (f64). */
export const POINT: usize = LOG + 8 * (SAMPLES + 1) + 56
export const LOW: usize = POINT + 32
export const HIGH: usize = LOW + 32
export const WIDTHS: usize = HIGH + 32
export const PATH: usize = WIDTHS + 64
export const PARTS: usize = PATH + 4 * SAMPLES
/** Of a walk down several trees at once: by tree, the nodes on the way to the leaf and the leaf. */
export const WAYS: usize = PARTS + 8 * SAMPLES + 32
/** Trees at once, and bytes of a way. */
export const ABREAST: usize = 6
export const WAY: usize = 4 * (SAMPLES + 1) + 60
export const ROWS: usize = WAYS + WAY * ABREAST

// Places of columns in a row.
const POINTS: usize = 0
const BOXES: usize = POINTS + 4 * TREES * SAMPLES * DIMENSIONS
export const CUT_AT: usize = BOXES + 8 * TREES * CUTS * DIMENSIONS
export const LEFT: usize = CUT_AT + 4 * TREES * CUTS
export const RIGHT: usize = LEFT + 2 * TREES * CUTS
const MASS: usize = RIGHT + 2 * TREES * CUTS
const COUNT: usize = MASS + 2 * TREES * CUTS
export const ROOT: usize = COUNT + 2 * TREES * SAMPLES
const HELD: usize = ROOT + 2 * TREES
const RANDOM: usize = HELD + 2 * TREES
export const RECENT: usize = RANDOM + 4
const BASE: usize = RECENT + 4 * DIMENSIONS
export const CUT_DIMENSION: usize = BASE + 8
const END: usize = CUT_DIMENSION + TREES * CUTS
/** Rows and boxes begin where lines of the cache do. */
export const ROW_BYTES: usize = (END + 63) & ~63

// @ts-ignore: decorator
@inline
export function rowAt(row: i32): usize {
  return ROWS + <usize>row * ROW_BYTES
}

// Of the tree at hand: where its part of each column begins.
let points: usize = 0
let boxes: usize = 0
export let cutAt: usize = 0
export let cutDimension: usize = 0
export let left: usize = 0
export let right: usize = 0
export let mass: usize = 0
export let count: usize = 0
export let root: usize = 0
export let held: usize = 0
export let random: usize = 0

export function takeTree(r: usize, tree: usize): void {
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
export function takePoint(r: usize, x: f64): void {
  v128.store(POINT, v128.load(r, RECENT + 4))
  v128.store(POINT, v128.load(r, RECENT + 16), 12)
  store<f32>(POINT, <f32>(x - load<f64>(r, BASE)), 28)
}

// @ts-ignore: decorator
@inline
export function logOf(n: u32): f64 {
  return load<f64>(LOG + ((<usize>n) << 3))
}

// @ts-ignore: decorator
@inline
export function boxOf(node: i32): usize {
  return boxes + ((<usize>node) << 6)
}

// @ts-ignore: decorator
@inline
export function pointOf(node: i32): usize {
  return points + ((<usize>~node) << 5)
}

// @ts-ignore: decorator
@inline
export function massOf(node: i32): u32 {
  return node >= 0 ? <u32>load<u16>(mass + ((<usize>node) << 1)) : <u32>load<u16>(count + ((<usize>~node) << 1))
}

// @ts-ignore: decorator
@inline
export function isAt(at: usize): bool {
  return i32x4.all_true(
    v128.and(f32x4.eq(v128.load(at), v128.load(POINT)), f32x4.eq(v128.load(at, 16), v128.load(POINT, 16))),
  )
}

// Left matrix profile, one value of many series a call; its twin is math/left-profile.ts, where the method and its sources stand, and the
// two agree to the bit: the same float32 operations in the same order, and of what the lanes find only the order of
// size counts, which no order of work changes. Names are the twin's.
//
// Memory: a block of a batch, then rows. A row is its columns one after the other, in the twin's order; all rows have one shape.

const BLOCK: usize = 1024
const IN_ROW: usize = 0
const IN_VALUE: usize = IN_ROW + 4 * BLOCK
const OUT_SHAPE: usize = IN_VALUE + 4 * BLOCK
const OUT_LEVEL: usize = OUT_SHAPE + 4 * BLOCK
/** What each of the eight lanes found. */
const CLASSES: usize = OUT_LEVEL + 4 * BLOCK
const ROWS: usize = CLASSES + 32

// Places in a row before the columns.
const SUM: usize = 0
const SQUARE: usize = 8
const NEXT_SUM: usize = 16
const NEXT_SQUARE: usize = 24
const AT: usize = 32
const GAP: usize = 36
const HALF: usize = 40
const IS_PENDING: usize = 44
const NEXT_GAP: usize = 48
const SAID_VALUE: usize = 56
const SAID_SHAPE: usize = 60
const SAID_LEVEL: usize = 64
const VALUES: usize = 72

// Distances wanted; both: their sum.
const SHAPE: i32 = 1
const LEVEL: i32 = 2

let length: i32 = 0
let history: i32 = 0
let exclusion: i32 = 0
let refresh: i32 = 0
let wants: i32 = 0
let rank: i32 = 1
let width: i32 = 0
/** Sum of squares around the mean below which a stretch is flat. */
let flatPower: f64 = 0
let meanUnit: f64 = 0
/** One over the length. */
let share: f64 = 0
/** Bytes of a column, and where each begins in a row. */
let column: usize = 0
let change: usize = 0
let around: usize = 0
let inverse: usize = 0
let power: usize = 0
let mean: usize = 0
let products: usize = 0
let rowBytes: usize = 0

export function layoutRows(): usize {
  return ROWS
}

/** Sets the shape of all rows; returns the bytes of one. */
export function configure(values: i32, stretches: i32, apart: i32, after: i32, flat: f64, distances: i32, nth: i32): usize {
  length = values
  history = stretches
  exclusion = apart
  refresh = after
  wants = distances
  rank = nth
  width = history + exclusion - 1 + refresh
  flatPower = flat * flat * <f64>length
  share = 1.0 / <f64>length
  meanUnit = Math.sqrt(<f64>length * 0.5)
  column = 4 * <usize>width
  change = VALUES + column + 4 * <usize>length
  around = change + column
  inverse = around + column
  power = inverse + column
  mean = power + column
  products = mean + column
  // Rows begin at multiples of eight, for their sums.
  rowBytes = (products + 8 * <usize>history + 7) & ~7
  return rowBytes
}

// @ts-ignore: decorator
@inline
function place(row: i32): usize {
  return ROWS + <usize>row * rowBytes
}

/** A row that is to be all zero so far. */
export function begin(row: i32): void {
  const r = place(row)
  store<i32>(r, history + exclusion - 2, AT)
  store<i32>(r, length, GAP)
  for (let at: usize = 0; at < column; at += 4) {
    store<f32>(r + inverse + at, f32.NaN)
    store<f32>(r + power + at, f32.NaN)
  }
}

export function clear(row: i32): void {
  memory.fill(place(row), 0, rowBytes)
}

export function scoreRow(row: i32, value: f32): void {
  score(place(row), value)
}

export function learnRow(row: i32, value: f32): bool {
  return learn(place(row), value)
}

/** Scores the first `count` rows of the block. */
export function scoreBlock(count: i32): void {
  for (let i: usize = 0; i < 4 * <usize>count; i += 4) {
    const r = place(load<i32>(IN_ROW + i))
    score(r, load<f32>(IN_VALUE + i))
    store<f32>(OUT_SHAPE + i, load<f32>(r, SAID_SHAPE))
    store<f32>(OUT_LEVEL + i, load<f32>(r, SAID_LEVEL))
  }
}

/** Learns the first `count` rows of the block; returns how many slid. */
export function learnBlock(count: i32): i32 {
  let slid = 0
  for (let i: usize = 0; i < 4 * <usize>count; i += 4)
    if (learn(place(load<i32>(IN_ROW + i)), load<f32>(IN_VALUE + i))) slid++
  return slid
}

function score(r: usize, value: f32): void {
  if (load<i32>(r, IS_PENDING) == 1 && load<f32>(r, SAID_VALUE) == value) return
  const p = load<i32>(r, AT) + 1
  const at = r + 4 * <usize>p
  const isMissing = isNaN(value)
  let gap = load<i32>(r, GAP) - 1
  if (gap < 0) gap = 0
  if (isMissing) gap = length
  const newest = at + VALUES + 4 * <usize>length
  const x = isMissing ? load<f32>(newest - 4) : value
  store<f32>(newest, x)
  const old = load<f32>(at, VALUES)
  const before = load<f64>(r, SUM)
  const sum = before + <f64>x - <f64>old
  const square = load<f64>(r, SQUARE) + <f64>x * <f64>x - <f64>old * <f64>old
  store<f64>(r, sum, NEXT_SUM)
  store<f64>(r, square, NEXT_SQUARE)
  describe(at, x, old, gap > 0, before, sum, square)
  store<i32>(r, gap, NEXT_GAP)
  store<i32>(r, 1, IS_PENDING)
  store<f32>(r, value, SAID_VALUE)
  pass(r, p)
  if (gap > 0) {
    store<f32>(r, f32.NaN, SAID_SHAPE)
    store<f32>(r, f32.NaN, SAID_LEVEL)
  }
}

// @ts-ignore: decorator
@inline
function describe(
  at: usize,
  x: f32,
  old: f32,
  isMissing: bool,
  before: f64,
  sum: f64,
  square: f64,
): void {
  const own = sum * share
  let squares = square - sum * own
  if (!(squares > 0)) squares = 0
  store<f32>(at + change, <f32>((<f64>x - <f64>old) * 0.5))
  store<f32>(at + around, <f32>(<f64>x - own + (<f64>old - before * share)))
  store<f32>(at + mean, <f32>(own * meanUnit))
  store<f32>(at + power, isMissing ? f32.NaN : <f32>(squares * 0.5))
  store<f32>(
    at + inverse,
    isMissing ? f32.NaN : squares < flatPower ? 0 : <f32>(1.0 / Math.sqrt(squares)),
  )
}

// @ts-ignore: decorator
@inline
function passOf(r: usize, p: i32, ofShape: bool, ofLevel: bool): void {
  const base = r + 4 * <usize>(p - exclusion - history + 1)
  const half: usize = 4 * <usize>history
  const isSecond = load<i32>(r, HALF) == 1
  let from = r + products + (isSecond ? half : <usize>0)
  let to = r + products + (isSecond ? <usize>0 : half)
  const end = from + half
  let changes = base + change
  let arounds = base + around
  let inverses = base + inverse
  let powers = base + power
  let means = base + mean
  const at = r + 4 * <usize>p
  const df = v128.load_splat<f32>(at + change)
  const dg = v128.load_splat<f32>(at + around)
  const level = v128.load_splat<f32>(at + mean)
  let best = f32x4.splat(-Infinity)
  let best2 = best
  let least = f32x4.splat(Infinity)
  let least2 = least
  while (from < end) {
    const product = f32x4.add(
      v128.load(from),
      f32x4.add(f32x4.mul(df, v128.load(arounds)), f32x4.mul(dg, v128.load(changes))),
    )
    v128.store(to, product)
    // Where a value is missing there is NaN, and pmax and pmin keep what they have.
    if (ofShape) best = f32x4.pmax(best, f32x4.mul(product, v128.load(inverses)))
    if (ofLevel) {
      const apart = f32x4.sub(v128.load(means), level)
      least = f32x4.pmin(
        least,
        f32x4.sub(f32x4.add(v128.load(powers), f32x4.mul(apart, apart)), product),
      )
    }
    const product2 = f32x4.add(
      v128.load(from, 16),
      f32x4.add(f32x4.mul(df, v128.load(arounds, 16)), f32x4.mul(dg, v128.load(changes, 16))),
    )
    v128.store(to, product2, 16)
    if (ofShape) best2 = f32x4.pmax(best2, f32x4.mul(product2, v128.load(inverses, 16)))
    if (ofLevel) {
      const apart2 = f32x4.sub(v128.load(means, 16), level)
      least2 = f32x4.pmin(
        least2,
        f32x4.sub(f32x4.add(v128.load(powers, 16), f32x4.mul(apart2, apart2)), product2),
      )
    }
    from += 32
    to += 32
    changes += 32
    arounds += 32
    inverses += 32
    powers += 32
    means += 32
  }
  v128.store(CLASSES, f32x4.neg(best))
  v128.store(CLASSES, f32x4.neg(best2), 16)
  const alike = -nth()
  v128.store(CLASSES, least)
  v128.store(CLASSES, least2, 16)
  say(r, at, base, alike, nth())
}

/** A loop for each wish, so that none pays for what it does not want. */
function pass(r: usize, p: i32): void {
  if (wants == SHAPE) passOf(r, p, true, false)
  else if (wants == LEVEL) passOf(r, p, false, true)
  else passOf(r, p, true, true)
}

function say(r: usize, at: usize, base: usize, best: f32, least: f32): void {
  const own = load<f32>(at + inverse)
  const most: f64 = 2.0 * <f64>length
  let shape = f32.NaN
  if (best != -Infinity) {
    if (own == 0) shape = hasFlat(base) ? 0 : <f32>Math.sqrt(most)
    else {
      const unlike = 1.0 - <f64>best * <f64>own
      // The twin's Math.max is NaN where one of them is.
      shape = <f32>Math.sqrt(most * (unlike < 0 ? 0 : unlike))
    }
  }
  store<f32>(r, shape, SAID_SHAPE)
  let apart = f32.NaN
  if (least != Infinity) {
    const half = <f64>load<f32>(at + power) + <f64>least
    apart = <f32>Math.sqrt(2.0 * (half < 0 ? 0 : half))
  }
  store<f32>(r, apart, SAID_LEVEL)
}

/** The least of the eight classes but for so many as the rank says. */
function nth(): f32 {
  let found: f32 = 0
  for (let k = 0; k < rank; k++) {
    let at: usize = CLASSES
    found = load<f32>(CLASSES)
    for (let other: usize = CLASSES + 4; other < CLASSES + 32; other += 4)
      if (load<f32>(other) < found) {
        found = load<f32>(other)
        at = other
      }
    store<f32>(at, Infinity)
  }
  return found
}

/** Whether so many classes as the rank says have a flat stretch. */
function hasFlat(base: usize): bool {
  let classes: u32 = 0
  for (let k = 0; k < history; k++)
    if (load<f32>(base + inverse + 4 * <usize>k) == 0) classes |= 1 << (k & 7)
  return popcnt(classes) >= <u32>rank
}

function learn(r: usize, value: f32): bool {
  score(r, value)
  store<i32>(r, 0, IS_PENDING)
  const at = load<i32>(r, AT) + 1
  store<i32>(r, at, AT)
  store<i32>(r, load<i32>(r, NEXT_GAP), GAP)
  store<i32>(r, 1 - load<i32>(r, HALF), HALF)
  store<f64>(r, load<f64>(r, NEXT_SUM), SUM)
  store<f64>(r, load<f64>(r, NEXT_SQUARE), SQUARE)
  if (at < width - 1) return false
  const gone: usize = 4 * <usize>refresh
  memory.copy(r + VALUES, r + VALUES + gone, column + 4 * <usize>length - gone)
  slide(r + change, gone)
  slide(r + around, gone)
  slide(r + inverse, gone)
  slide(r + power, gone)
  slide(r + mean, gone)
  store<i32>(r, at - refresh, AT)
  renew(r)
  return true
}

// @ts-ignore: decorator
@inline
function slide(at: usize, gone: usize): void {
  memory.copy(at, at + gone, column - gone)
}

/** Sums and products of the latest stretch, from the values: four lags at once. */
function renew(r: usize): void {
  const p = load<i32>(r, AT)
  const newest = r + VALUES + 4 * <usize>(p + length)
  let sum: f64 = 0
  let square: f64 = 0
  for (let at = newest - 4 * <usize>(length - 1); at <= newest; at += 4) {
    const x = <f64>load<f32>(at)
    sum += x
    square += x * x
  }
  store<f64>(r, sum, SUM)
  store<f64>(r, square, SQUARE)
  const own = sum / <f64>length
  const from = r + products + (load<i32>(r, HALF) == 1 ? 4 * <usize>history : 0)
  const others = r + VALUES + 4 * <usize>(p - exclusion - history + 1 + length)
  for (let k: usize = 0; k < 4 * <usize>history; k += 16) {
    let product = f32x4.splat(0)
    for (let t: usize = 0; t < 4 * <usize>length; t += 4) {
      const mine = f32x4.splat(<f32>(<f64>load<f32>(newest - t) - own))
      product = f32x4.add(product, f32x4.mul(mine, v128.load(others + k - t)))
    }
    v128.store(from + k, product)
  }
}

/** After the values were rewritten. */
export function rescaleRow(row: i32): void {
  const r = place(row)
  let sum: f64 = 0
  let square: f64 = 0
  for (let t: usize = 0; t < 4 * <usize>length; t += 4) {
    const x = <f64>load<f32>(r + VALUES + t)
    sum += x
    square += x * x
  }
  const last = r + 4 * <usize>load<i32>(r, AT)
  for (let at = r; at <= last; at += 4) {
    const before = sum
    const x = load<f32>(at + VALUES + 4 * <usize>length)
    const old = load<f32>(at, VALUES)
    sum += <f64>x - <f64>old
    square += <f64>x * <f64>x - <f64>old * <f64>old
    describe(at, x, old, isNaN(load<f32>(at + inverse)), before, sum, square)
  }
  store<i32>(r, 0, IS_PENDING)
  renew(r)
}

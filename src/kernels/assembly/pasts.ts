// What series are usually like: mean, deviation and quantiles of up to 64 values each, two series at a time; its twin is `readPast` of
// disruptions/usual.ts, where the formulas and their sources stand, and the two agree to the bit. Sorting is a network without branches:
// eights in registers, then bitonic merges. Zeros lose their sign first, so that the order of equal values is no matter.
//
// Memory: what is said of each series, how many values it has and which way is bad, then the values: for each two series 64 pairs of them.

const BLOCK: usize = 128
const VALUES: usize = 64
const OUT: usize = 0 // f64 × OUT_WIDTH a series
const OUT_WIDTH: usize = 5
const COUNT: usize = OUT + 8 * OUT_WIDTH * BLOCK // i32 a series
const BAD: usize = COUNT + 4 * BLOCK // i32 a series: 1 up, -1 down, 0 both
const IN: usize = BAD + 4 * BLOCK // f64 × VALUES a series, pairs of series interleaved
const PAIR_BYTES: usize = 16 * VALUES
const END: usize = IN + (BLOCK >> 1) * PAIR_BYTES

const MEDIAN: usize = 0
const ROBUST: usize = 8
const SD: usize = 16
const MEAN_SIZE: usize = 24
const TAIL: usize = 32

const TAIL_QUANTILE: f64 = 0.97

export function layoutCount(): usize { return COUNT }
export function layoutBad(): usize { return BAD }
export function layoutValues(): usize { return IN }
export function layoutEnd(): usize { return END }

/** Says of the first `length` series of the block what they are usually like; those without a value are passed over. */
export function read(length: i32): void {
  for (let row: i32 = 0; row < length; row += 2) {
    const n0 = load<i32>(COUNT + (<usize>row << 2))
    const n1 = row + 1 < length ? load<i32>(COUNT + (<usize>row << 2), 4) : 0
    const most = max(n0, n1)
    if (most == 0) continue
    const at = IN + <usize>(row >> 1) * PAIR_BYTES
    moments(at, row, n0, n1, most)
    sortPairs(at, most)
    if (n0 > 0) quantiles(at, row, n0)
    if (n1 > 0) quantiles(at + 8, row + 1, n1)
  }
}

/** Deviation and mean size of two series, in the order of their values; then what is no value is beyond all values. */
function moments(at: usize, row: i32, n0: i32, n1: i32, most: i32): void {
  const counts = f64x2(<f64>n0, <f64>n1)
  const one = f64x2.splat(1)
  const zero = f64x2.splat(0)
  let k = zero
  let sum = zero
  let size = zero
  const end = at + (<usize>most << 4)
  for (let p = at; p < end; p += 16) {
    const isValue = f64x2.lt(k, counts)
    const value = v128.and(v128.load(p), isValue)
    sum = f64x2.add(sum, value)
    size = f64x2.add(size, f64x2.abs(value))
    k = f64x2.add(k, one)
  }
  const mean = f64x2.div(sum, counts)
  let squares = zero
  k = zero
  const beyond = f64x2.splat(Infinity)
  for (let p = at; p < end; p += 16) {
    const isValue = f64x2.lt(k, counts)
    const value = v128.load(p)
    const away = f64x2.sub(value, mean)
    squares = f64x2.add(squares, v128.and(f64x2.mul(away, away), isValue))
    v128.store(p, v128.bitselect(f64x2.add(value, zero), beyond, isValue))
    k = f64x2.add(k, one)
  }
  const stop = at + (<usize>placesOf(most) << 4)
  for (let p = end; p < stop; p += 16) v128.store(p, beyond)
  const sd = f64x2.sqrt(f64x2.div(squares, counts))
  size = f64x2.div(size, counts)
  const out = OUT + <usize>row * 8 * OUT_WIDTH
  // Of a series that is passed over the twin may have said something.
  if (n0 > 0) {
    store<f64>(out, f64x2.extract_lane(sd, 0), SD)
    store<f64>(out, f64x2.extract_lane(size, 0), MEAN_SIZE)
  }
  if (n1 > 0) {
    store<f64>(out, f64x2.extract_lane(sd, 1), 8 * OUT_WIDTH + SD)
    store<f64>(out, f64x2.extract_lane(size, 1), 8 * OUT_WIDTH + MEAN_SIZE)
  }
}

/** So many places are sorted: a power of two, eight at least. */
// @ts-ignore: decorator
@inline function placesOf(most: i32): i32 {
  return most <= 8 ? 8 : most <= 16 ? 16 : most <= 32 ? 32 : 64
}

/** Sorts the lanes of the pairs from `at` on, each by itself, ascending. */
function sortPairs(at: usize, most: i32): void {
  const bytes = <usize>placesOf(most) << 4
  for (let p: usize = 0; p < bytes; p += 128) sortEight(at + p)
  for (let run: usize = 128; run < bytes; run <<= 1) {
    for (let from: usize = 0; from < bytes; from += run << 1) {
      // Two ascending runs: the first against the second from its end, which leaves two bitonic halves.
      const start = at + from
      const last = start + (run << 1) - 16
      for (let p: usize = 0; p < run; p += 16) exchange(start + p, last - p)
      for (let gap = run >> 1; gap >= 128; gap >>= 1)
        for (let p: usize = 0; p < run << 1; p += gap << 1)
          for (let q: usize = 0; q < gap; q += 16) exchange(start + p + q, start + p + q + gap)
      for (let p: usize = 0; p < run << 1; p += 128) mergeEight(start + p)
    }
  }
}

// @ts-ignore: decorator
@inline function exchange(low: usize, high: usize): void {
  const a = v128.load(low)
  const b = v128.load(high)
  v128.store(low, f64x2.pmin(a, b))
  v128.store(high, f64x2.pmax(a, b))
}

/** Sorts eight (Batcher's network of nineteen comparisons). */
function sortEight(at: usize): void {
  let a = v128.load(at)
  let b = v128.load(at, 16)
  let c = v128.load(at, 32)
  let d = v128.load(at, 48)
  let e = v128.load(at, 64)
  let f = v128.load(at, 80)
  let g = v128.load(at, 96)
  let h = v128.load(at, 112)
  let t = f64x2.pmin(a, b); b = f64x2.pmax(a, b); a = t
  t = f64x2.pmin(c, d); d = f64x2.pmax(c, d); c = t
  t = f64x2.pmin(e, f); f = f64x2.pmax(e, f); e = t
  t = f64x2.pmin(g, h); h = f64x2.pmax(g, h); g = t
  t = f64x2.pmin(a, c); c = f64x2.pmax(a, c); a = t
  t = f64x2.pmin(b, d); d = f64x2.pmax(b, d); b = t
  t = f64x2.pmin(e, g); g = f64x2.pmax(e, g); e = t
  t = f64x2.pmin(f, h); h = f64x2.pmax(f, h); f = t
  t = f64x2.pmin(b, c); c = f64x2.pmax(b, c); b = t
  t = f64x2.pmin(f, g); g = f64x2.pmax(f, g); f = t
  t = f64x2.pmin(a, e); e = f64x2.pmax(a, e); a = t
  t = f64x2.pmin(b, f); f = f64x2.pmax(b, f); b = t
  t = f64x2.pmin(c, g); g = f64x2.pmax(c, g); c = t
  t = f64x2.pmin(d, h); h = f64x2.pmax(d, h); d = t
  t = f64x2.pmin(c, e); e = f64x2.pmax(c, e); c = t
  t = f64x2.pmin(d, f); f = f64x2.pmax(d, f); d = t
  t = f64x2.pmin(b, c); c = f64x2.pmax(b, c); b = t
  t = f64x2.pmin(d, e); e = f64x2.pmax(d, e); d = t
  t = f64x2.pmin(f, g); g = f64x2.pmax(f, g); f = t
  v128.store(at, a)
  v128.store(at, b, 16)
  v128.store(at, c, 32)
  v128.store(at, d, 48)
  v128.store(at, e, 64)
  v128.store(at, f, 80)
  v128.store(at, g, 96)
  v128.store(at, h, 112)
}

/** Sorts eight that are bitonic. */
function mergeEight(at: usize): void {
  let a = v128.load(at)
  let b = v128.load(at, 16)
  let c = v128.load(at, 32)
  let d = v128.load(at, 48)
  let e = v128.load(at, 64)
  let f = v128.load(at, 80)
  let g = v128.load(at, 96)
  let h = v128.load(at, 112)
  let t = f64x2.pmin(a, e); e = f64x2.pmax(a, e); a = t
  t = f64x2.pmin(b, f); f = f64x2.pmax(b, f); b = t
  t = f64x2.pmin(c, g); g = f64x2.pmax(c, g); c = t
  t = f64x2.pmin(d, h); h = f64x2.pmax(d, h); d = t
  t = f64x2.pmin(a, c); c = f64x2.pmax(a, c); a = t
  t = f64x2.pmin(b, d); d = f64x2.pmax(b, d); b = t
  t = f64x2.pmin(e, g); g = f64x2.pmax(e, g); e = t
  t = f64x2.pmin(f, h); h = f64x2.pmax(f, h); f = t
  t = f64x2.pmin(a, b); b = f64x2.pmax(a, b); a = t
  t = f64x2.pmin(c, d); d = f64x2.pmax(c, d); c = t
  t = f64x2.pmin(e, f); f = f64x2.pmax(e, f); e = t
  t = f64x2.pmin(g, h); h = f64x2.pmax(g, h); g = t
  v128.store(at, a)
  v128.store(at, b, 16)
  v128.store(at, c, 32)
  v128.store(at, d, 48)
  v128.store(at, e, 64)
  v128.store(at, f, 80)
  v128.store(at, g, 96)
  v128.store(at, h, 112)
}

/** The k-th value of a sorted lane, from 0. */
// @ts-ignore: decorator
@inline function valueAt(lane: usize, k: i32): f64 {
  return load<f64>(lane + (<usize>k << 4))
}

/** Linear-interpolated quantile (type 7) of n sorted values. */
// @ts-ignore: decorator
@inline function quantile(lane: usize, n: i32, p: f64): f64 {
  const at = <f64>(n - 1) * p
  const low = Math.floor(at)
  const first = valueAt(lane, <i32>low)
  if (low == at) return first
  return first + (at - low) * (valueAt(lane, <i32>low + 1) - first)
}

// Distances from the median are of two sides, both ascending: from the middle down, and from the next up.
// @ts-ignore: decorator
@inline function below(lane: usize, middle: i32, i: i32, median: f64): f64 {
  return Math.abs(valueAt(lane, middle - i) - median)
}

// @ts-ignore: decorator
@inline function above(lane: usize, middle: i32, i: i32, median: f64): f64 {
  return Math.abs(valueAt(lane, middle + 1 + i) - median)
}

/** The same of the distances of n sorted values from their median. */
function distanceQuantile(lane: usize, n: i32, p: f64, median: f64): f64 {
  const middle = (n - 1) >> 1
  const downs = middle + 1
  const ups = n - downs
  const at = <f64>(n - 1) * p
  const low = Math.floor(at)
  const taken = <i32>low + 1
  // How many of the `taken` smallest lie below.
  let least = max(0, taken - ups)
  let most = min(taken, downs)
  while (least < most) {
    const i = (least + most) >> 1
    if (below(lane, middle, i, median) < above(lane, middle, taken - i - 1, median)) least = i + 1
    else most = i
  }
  const rest = taken - least
  let first: f64 = 0
  if (least > 0) first = below(lane, middle, least - 1, median)
  if (rest > 0) first = max<f64>(first, above(lane, middle, rest - 1, median))
  if (low == at) return first
  let second: f64 = Infinity
  if (least < downs) second = below(lane, middle, least, median)
  if (rest < ups) second = min<f64>(second, above(lane, middle, rest, median))
  return first + (at - low) * (second - first)
}

function quantiles(lane: usize, row: i32, n: i32): void {
  const out = OUT + <usize>row * 8 * OUT_WIDTH
  const median = quantile(lane, n, 0.5)
  const spread = quantile(lane, n, 0.75) - quantile(lane, n, 0.25)
  const mad = distanceQuantile(lane, n, 0.5, median)
  const bad = load<i32>(BAD + (<usize>row << 2))
  let tail: f64
  if (bad > 0) tail = max<f64>(0, quantile(lane, n, TAIL_QUANTILE) - median)
  else if (bad < 0) tail = max<f64>(0, median - quantile(lane, n, 1 - TAIL_QUANTILE))
  else tail = distanceQuantile(lane, n, TAIL_QUANTILE, median)
  store<f64>(out, median, MEDIAN)
  store<f64>(out, max<f64>(spread / 1.349, 1.4826 * mad), ROBUST)
  store<f64>(out, tail, TAIL)
}

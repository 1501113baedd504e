// The newest eight values of a row against those of its last 64 windows: the shape search of the kernel `tiny`, over what _tiny-decode.ts left.

import { CODES, DECODED, LOG_KNEE, PAST, RING, SHAPE_DEV, SHAPE_ERROR, SHAPE_GAIN, SHAPE_MEAN, SUMS, Z_CLIP } from './_tiny-layout'
import { decodeShapes } from './_tiny-decode'
import { f32At, fastLog2, roundHalfUp } from './_tiny-window'

/** Where the shape begins whose sum it is: of eight, first those at even places, then those at odd ones. The last two lanes are none. */
const PLACES: usize = memory.data<u32>([
  0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15, 16, 18, 20, 22, 17, 19, 21, 23, 24, 26, 28, 30, 25, 27, 29, 31, 32, 34, 36, 38, 33, 35, 37, 39, 40, 42, 44,
  46, 41, 43, 45, 47, 48, 49, 63, 63,
], 16)

// @ts-ignore: decorator
@inline export function shapeCode(row: usize, x: f64): i32 {
  const m = load<f64>((row << 3) + SHAPE_MEAN)
  let z = (x - m) / (f32At(row << 2, SHAPE_DEV) + 1e-6 * abs<f64>(m) + 1e-12)
  if (z > Z_CLIP) z = Z_CLIP
  else if (z < -Z_CLIP) z = -Z_CLIP
  const size = <i32>roundHalfUp(SHAPE_GAIN * fastLog2(1 + abs<f64>(z) / LOG_KNEE))
  return z < 0 ? -size : size
}

/** The third smallest distance of row `row`, whose window `n` has `code`, from what came before. */
export function thirdNearest(row: usize, n: u32, code: i32): f64 {
  decodeShapes(row, n, code, 0)
  return thirdDecoded(0)
}

/**
 * The same of a row that has been decoded, `beside` bytes on. Four lags at a time in whole numbers, which say which sum is the third smallest, unless others are
 * too near to tell; that one again as the twin adds it up. Sums have their place in their lowest bits: so the third need not be looked
 * for, and the processor can go on with it before it is sure of it.
 */
export function thirdDecoded(beside: usize): f64 {
  addUp(beside)
  const keep = i32x4.splat(-64)
  let m1 = i32x4.splat(-1)
  let m2 = m1
  let m3 = m1
  let m4 = m1
  for (let at: usize = 0; at < 192; at += 64) {
    // Four sorted, then the four smallest of them and of those before, and these sorted.
    let a = v128.or(v128.and(v128.load(SUMS + beside + at, 0), keep), v128.load(PLACES + at, 0))
    let b = v128.or(v128.and(v128.load(SUMS + beside + at, 16), keep), v128.load(PLACES + at, 16))
    let c = v128.or(v128.and(v128.load(SUMS + beside + at, 32), keep), v128.load(PLACES + at, 32))
    let d = v128.or(v128.and(v128.load(SUMS + beside + at, 48), keep), v128.load(PLACES + at, 48))
    const lower = i32x4.min_u(a, b)
    const other = i32x4.min_u(c, d)
    const upper = i32x4.max_u(a, b)
    const more = i32x4.max_u(c, d)
    const second = i32x4.max_u(lower, other)
    const third = i32x4.min_u(upper, more)
    a = i32x4.min_u(m1, i32x4.max_u(upper, more))
    b = i32x4.min_u(m2, i32x4.max_u(second, third))
    c = i32x4.min_u(m3, i32x4.min_u(second, third))
    d = i32x4.min_u(m4, i32x4.min_u(lower, other))
    m1 = i32x4.min_u(a, c)
    m3 = i32x4.max_u(a, c)
    m2 = i32x4.min_u(b, d)
    m4 = i32x4.max_u(b, d)
    a = m1
    m1 = i32x4.min_u(a, m2)
    m2 = i32x4.max_u(a, m2)
    c = m3
    m3 = i32x4.min_u(c, m4)
    m4 = i32x4.max_u(c, m4)
  }
  const both = v128.load(SUMS + beside, 192)
  const rest = v128.or(v128.and(both, keep), v128.load(PLACES, 192))
  let over = i32x4.max_u(m1, rest)
  m1 = i32x4.min_u(m1, rest)
  let more = i32x4.max_u(m2, over)
  m2 = i32x4.min_u(m2, over)
  over = i32x4.max_u(m3, more)
  m3 = i32x4.min_u(m3, more)
  m4 = i32x4.min_u(m4, over)

  // Lanes take in what their neighbours have, twice.
  let a = i32x4.min_u(m1, v128.shuffle<i32>(m4, m4, 2, 3, 0, 1))
  let b = i32x4.min_u(m2, v128.shuffle<i32>(m3, m3, 2, 3, 0, 1))
  let c = i32x4.min_u(m3, v128.shuffle<i32>(m2, m2, 2, 3, 0, 1))
  let d = i32x4.min_u(m4, v128.shuffle<i32>(m1, m1, 2, 3, 0, 1))
  m1 = i32x4.min_u(a, c)
  m3 = i32x4.max_u(a, c)
  m2 = i32x4.min_u(b, d)
  m4 = i32x4.max_u(b, d)
  a = i32x4.min_u(m1, m2)
  b = i32x4.max_u(m1, m2)
  c = i32x4.min_u(m3, m4)
  d = i32x4.max_u(m3, m4)
  m1 = i32x4.min_u(a, v128.shuffle<i32>(d, d, 1, 0, 3, 2))
  m2 = i32x4.min_u(b, v128.shuffle<i32>(c, c, 1, 0, 3, 2))
  m3 = i32x4.min_u(c, v128.shuffle<i32>(b, b, 1, 0, 3, 2))
  m4 = i32x4.min_u(d, v128.shuffle<i32>(a, a, 1, 0, 3, 2))
  a = i32x4.min_u(m1, m3)
  c = i32x4.max_u(m1, m3)
  b = i32x4.min_u(m2, m4)
  d = i32x4.max_u(m2, m4)
  const second = <u32>i32x4.extract_lane(i32x4.max_u(a, b), 0)
  const third = <u32>i32x4.extract_lane(i32x4.min_u(c, d), 0)
  const fourth = <u32>i32x4.extract_lane(i32x4.max_u(c, d), 0)
  // Of two sums places hide 126 at most. A distance may be off by an error, which moves its square, s, by error·(2·√s + error).
  const error = load<f64>(SHAPE_ERROR)
  const most = <f64>third + 64
  const apart = <f64>min<u32>(third - second, fourth - third) - (128 + error * error)
  if (apart > 0 && apart * apart > 4 * error * error * most) return sqrt<f64>(distance(CODES + beside + RING, 57 - <usize>(third & 63)))
  return amongNear(beside, <f64>third, 128 + error * (error + 2 * sqrt<f64>(most)))
}

/** Squared distances of the shapes in PAST from the newest, into SUMS. */
// @ts-ignore: decorator
@inline function addUp(beside: usize): void {
  addUpEight(beside, 0)
  addUpEight(beside, 16)
  addUpEight(beside, 32)
  addUpEight(beside, 48)
  addUpEight(beside, 64)
  addUpEight(beside, 80)
  // Of the shapes that begin at 48 and 49 four lanes each are one sum.
  const newest = v128.load(PAST + beside, 114)
  const by48 = squares(v128.load(PAST + beside, 96), newest)
  const by49 = squares(v128.load(PAST + beside, 98), newest)
  const halves = i32x4.add(v128.shuffle<i32>(by48, by49, 0, 4, 1, 5), v128.shuffle<i32>(by48, by49, 2, 6, 3, 7))
  v128.store(SUMS + beside, v128.or(i32x4.add(halves, v128.shuffle<i32>(halves, halves, 2, 3, 0, 1)), i32x4(0, 0, -1, -1)), 192)
}

/** Of eight shapes. Lanes are shapes that begin two places apart, 0, 2, 4, 6 and 1, 3, 5, 7: neighbours in them are multiplied together. */
// @ts-ignore: decorator
@inline function addUpEight(beside: usize, at: usize): void {
  const from = PAST + beside + at
  const a0 = v128.load_splat<u32>(PAST + beside, 114)
  const a1 = v128.load_splat<u32>(PAST + beside, 118)
  const a2 = v128.load_splat<u32>(PAST + beside, 122)
  const a3 = v128.load_splat<u32>(PAST + beside, 126)
  const even = i32x4.add(
    i32x4.add(squares(v128.load(from, 0), a0), squares(v128.load(from, 4), a1)),
    i32x4.add(squares(v128.load(from, 8), a2), squares(v128.load(from, 12), a3)),
  )
  v128.store(SUMS + beside + (at << 1), even)
  const odd = i32x4.add(
    i32x4.add(squares(v128.load(from, 2), a0), squares(v128.load(from, 6), a1)),
    i32x4.add(squares(v128.load(from, 10), a2), squares(v128.load(from, 14), a3)),
  )
  v128.store(SUMS + beside + (at << 1), odd, 16)
}

/** The third distance where those of several lags are within `reach` of it. */
function amongNear(beside: usize, third: f64, reach: f64): f64 {
  if (third < 64 && haveThreeEqual(beside)) return 0
  const most = i32x4.splat(<i32><u32>min<f64>(<f64>(u32.MAX_VALUE - 1), third + reach))
  const least = i32x4.splat(<i32><u32>max<f64>(0, third - reach))
  let near: u64 = 0
  let below: u64 = 0
  for (let place: u64 = 0; place < 52; place += 4) {
    const sums = v128.load(SUMS + beside + <usize>(place << 2))
    near |= <u64>i32x4.bitmask(i32x4.le_u(sums, most)) << place
    below |= <u64>i32x4.bitmask(i32x4.lt_u(sums, least)) << place
  }
  let first = Infinity
  let second = Infinity
  let last = Infinity
  let shape: u64 = 0
  let sum: f64 = -1
  for (let left = near & ~below; left != 0; left &= left - 1) {
    const begin = <usize>load<u32>(PLACES + (<usize>ctz<u64>(left) << 2))
    // Where many are as near as each other they are as a rule the same.
    const then = load<u64>(CODES + beside + begin)
    if (sum < 0 || then != shape) {
      shape = then
      sum = distance(CODES + beside + RING, 57 - begin)
    }
    if (sum >= last) continue
    if (sum < first) {
      last = second
      second = first
      first = sum
    } else if (sum < second) {
      last = second
      second = sum
    } else last = sum
  }
  const rank = 3 - popcnt<u64>(below)
  return sqrt<f64>(rank == 1 ? first : rank == 2 ? second : last)
}

/** Whether three shapes are as the newest is: different codes are different numbers in every scale. */
function haveThreeEqual(beside: usize): bool {
  let count = i32x4.splat(0)
  for (let at: usize = 0; at < 208; at += 16) count = i32x4.add(count, i32x4.eq(v128.load(SUMS + beside + at), i32x4.splat(0)))
  count = i32x4.add(count, v128.shuffle<i32>(count, count, 2, 3, 0, 1))
  return i32x4.extract_lane(count, 0) + i32x4.extract_lane(count, 1) <= -3
}

/** Squared differences, added up by two. */
// @ts-ignore: decorator
@inline function squares(numbers: v128, those: v128): v128 {
  const d = i16x8.sub(numbers, those)
  return i32x4.dot_i16x8_s(d, d)
}

// @ts-ignore: decorator
@inline function decoded(code: i8): f64 { return load<f64>(DECODED + 1024 + (<isize>code << 3)) }

/** The squared distance of the newest shingle from the one `lag` samples earlier, added up in the twin's order. */
export function distance(newest: usize, lag: usize): f64 {
  const then = newest - lag
  let d = decoded(load<i8>(newest)) - decoded(load<i8>(then))
  let sum = d * d
  d = decoded(load<i8>(newest - 1)) - decoded(load<i8>(then - 1))
  sum += d * d
  d = decoded(load<i8>(newest - 2)) - decoded(load<i8>(then - 2))
  sum += d * d
  d = decoded(load<i8>(newest - 3)) - decoded(load<i8>(then - 3))
  sum += d * d
  d = decoded(load<i8>(newest - 4)) - decoded(load<i8>(then - 4))
  sum += d * d
  d = decoded(load<i8>(newest - 5)) - decoded(load<i8>(then - 5))
  sum += d * d
  d = decoded(load<i8>(newest - 6)) - decoded(load<i8>(then - 6))
  sum += d * d
  d = decoded(load<i8>(newest - 7)) - decoded(load<i8>(then - 7))
  return sum + d * d
}

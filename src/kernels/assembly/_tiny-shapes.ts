// The newest eight values of a row against those of its last 64 windows: the shape search of the kernel `tiny`.

import { CODES, DECODED, LOG_KNEE, PAST, RING, SCALED, SCALED_ERROR, SCALE_OF, SHAPES, SHAPE_DEV, SHAPE_GAIN, SHAPE_MEAN, SUMS, Z_CLIP } from './_tiny-layout'
import { f32At, fastLog2, roundHalfUp } from './_tiny-window'

// @ts-ignore: decorator
@inline export function shapeCode(row: usize, x: f64): i32 {
  const m = load<f64>((row << 3) + SHAPE_MEAN)
  let z = (x - m) / (f32At(row << 2, SHAPE_DEV) + 1e-6 * abs<f64>(m) + 1e-12)
  if (z > Z_CLIP) z = Z_CLIP
  else if (z < -Z_CLIP) z = -Z_CLIP
  const size = <i32>roundHalfUp(SHAPE_GAIN * fastLog2(1 + abs<f64>(z) / LOG_KNEE))
  return z < 0 ? -size : size
}

/**
 * Four lags at a time in whole numbers, which say which sum is the third smallest but for a few that are too near to tell; those, as a
 * rule one, again as the twin adds them up. Values are rounded in a scale in which eight squared differences fit into 31 bits: each
 * difference is then off by at most 1, the root of eight squares by at most √8, and so is the third smallest of them.
 */
export function thirdNearest(row: usize, n: u32, code: i32): f64 {
  // The ring twice, one after the other: from the oldest code on all are in a row, up to the newest, which is put at their end.
  const ring = row * RING + SHAPES
  let largest = i8x16.abs(i8x16.splat(<i8>code))
  for (let at: usize = 0; at < RING; at += 16) {
    const codes = v128.load(ring + at)
    v128.store(CODES + at, codes)
    v128.store(CODES + RING + at, codes)
    largest = i8x16.max_u(largest, i8x16.abs(codes))
  }
  const oldest = CODES + (n & 63)
  const newest = oldest + RING
  store<i8>(newest, <i8>code)
  const table = SCALED + 512 + (<usize>load<u8>(SCALE_OF + maximumOf(largest)) << 10)
  // A value is the lower half of its own word and the upper one of the word before.
  for (let from = oldest, to = PAST - 2; from < newest; from += 8, to += 32) {
    store<u32>(to, scaled(table, load<i8>(from, 0)), 0)
    store<u32>(to, scaled(table, load<i8>(from, 1)), 4)
    store<u32>(to, scaled(table, load<i8>(from, 2)), 8)
    store<u32>(to, scaled(table, load<i8>(from, 3)), 12)
    store<u32>(to, scaled(table, load<i8>(from, 4)), 16)
    store<u32>(to, scaled(table, load<i8>(from, 5)), 20)
    store<u32>(to, scaled(table, load<i8>(from, 6)), 24)
    store<u32>(to, scaled(table, load<i8>(from, 7)), 28)
  }
  store<u16>(PAST, <u16>scaled(table, <i8>code), 254)
  const a0 = v128.load_splat<u32>(PAST, 228)
  const a1 = v128.load_splat<u32>(PAST, 236)
  const a2 = v128.load_splat<u32>(PAST, 244)
  const a3 = v128.load_splat<u32>(PAST, 252)
  let m1 = i32x4.splat(i32.MAX_VALUE)
  let m2 = m1
  let m3 = m1
  // Lanes are lags 57, 56, 55, 54 … 9, 8, 7, 6; the last two are none.
  for (let at: usize = 0; at < 208; at += 16) {
    let d = i16x8.sub(v128.load(PAST + at, 0), a0)
    let sum = i32x4.dot_i16x8_s(d, d)
    d = i16x8.sub(v128.load(PAST + at, 8), a1)
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(d, d))
    d = i16x8.sub(v128.load(PAST + at, 16), a2)
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(d, d))
    d = i16x8.sub(v128.load(PAST + at, 24), a3)
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(d, d))
    if (at == 192) sum = v128.bitselect(sum, i32x4.splat(i32.MAX_VALUE), i32x4(-1, -1, 0, 0))
    v128.store(SUMS + at, sum)
    const over = i32x4.max_s(m1, sum)
    m1 = i32x4.min_s(m1, sum)
    const next = i32x4.max_s(m2, over)
    m2 = i32x4.min_s(m2, over)
    m3 = i32x4.min_s(m3, next)
  }
  const roughly = thirdOf(m1, m2, m3)
  // Different codes are different numbers in every scale: nothing between is nothing at all.
  if (roughly == 0) return 0
  const about = sqrt<f64>(<f64>roughly)
  const reach = about + SCALED_ERROR
  const most = i32x4.splat(<i32>min<f64>(<f64>i32.MAX_VALUE - 1, ceil<f64>(reach * reach)))
  const short = about > SCALED_ERROR ? about - SCALED_ERROR : 0
  const least = i32x4.splat(<i32>floor<f64>(short * short))
  let near: u64 = 0
  let below: u64 = 0
  for (let block: usize = 0; block < 3; block++) {
    const at = SUMS + (block << 6)
    const s0 = v128.load(at, 0)
    const s1 = v128.load(at, 16)
    const s2 = v128.load(at, 32)
    const s3 = v128.load(at, 48)
    near |= <u64>maskOf(i32x4.le_s(s0, most), i32x4.le_s(s1, most), i32x4.le_s(s2, most), i32x4.le_s(s3, most)) << (block << 4)
    below |= <u64>maskOf(i32x4.lt_s(s0, least), i32x4.lt_s(s1, least), i32x4.lt_s(s2, least), i32x4.lt_s(s3, least)) << (block << 4)
  }
  const rest = v128.load(SUMS + 192)
  near |= <u64>i32x4.bitmask(i32x4.le_s(rest, most)) << 48
  below |= <u64>i32x4.bitmask(i32x4.lt_s(rest, least)) << 48
  // The rank of the third among those near it.
  const rank = 3 - <i32>popcnt<u64>(below)
  near &= ~below
  if (rank == 1 && (near & (near - 1)) == 0) return sqrt<f64>(distance(newest, 57 - <usize>ctz<u64>(near)))
  let first = Infinity
  let second = Infinity
  let third = Infinity
  for (; near != 0; near &= near - 1) {
    const sum = distance(newest, 57 - <usize>ctz<u64>(near))
    if (sum >= third) continue
    if (sum < first) {
      third = second
      second = first
      first = sum
    } else if (sum < second) {
      third = second
      second = sum
    } else third = sum
  }
  return sqrt<f64>(rank == 1 ? first : rank == 2 ? second : third)
}

// @ts-ignore: decorator
@inline function scaled(table: usize, code: i8): u32 { return load<u32>(table + (<isize>code << 2)) }

/** One bit a lane. */
// @ts-ignore: decorator
@inline function maskOf(a: v128, b: v128, c: v128, d: v128): i32 {
  return i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)))
}

/** The largest of sixteen bytes. */
// @ts-ignore: decorator
@inline function maximumOf(bytes: v128): usize {
  let most = i8x16.max_u(bytes, v128.shuffle<i32>(bytes, bytes, 2, 3, 0, 1))
  most = i8x16.max_u(most, v128.shuffle<i32>(most, most, 1, 0, 3, 2))
  most = i8x16.max_u(most, i16x8.shr_u(most, 8))
  const word = i32x4.extract_lane(most, 0)
  return <usize>max<i32>(word & 255, (word >> 16) & 255)
}

// @ts-ignore: decorator
@inline function decoded(code: i8): f64 { return load<f64>(DECODED + 1024 + (<isize>code << 3)) }

/** The third smallest of what the lanes hold, each lane's in ascending order: lanes take in what their neighbours have. */
function thirdOf(m1: v128, m2: v128, m3: v128): i32 {
  for (let step = 0; step < 2; step++) {
    const other = step == 0 ? v128.shuffle<i32>(m1, m1, 2, 3, 0, 1) : v128.shuffle<i32>(m1, m1, 1, 0, 3, 2)
    const o2 = step == 0 ? v128.shuffle<i32>(m2, m2, 2, 3, 0, 1) : v128.shuffle<i32>(m2, m2, 1, 0, 3, 2)
    const o3 = step == 0 ? v128.shuffle<i32>(m3, m3, 2, 3, 0, 1) : v128.shuffle<i32>(m3, m3, 1, 0, 3, 2)
    let over = i32x4.max_s(m1, other)
    m1 = i32x4.min_s(m1, other)
    const next = i32x4.max_s(m2, over)
    m2 = i32x4.min_s(m2, over)
    m3 = i32x4.min_s(m3, next)
    // The neighbour's second and third are no smaller than its first.
    over = i32x4.max_s(m2, o2)
    m2 = i32x4.min_s(m2, o2)
    m3 = i32x4.min_s(m3, over)
    m3 = i32x4.min_s(m3, o3)
  }
  return i32x4.extract_lane(m3, 0)
}

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

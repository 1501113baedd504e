// The newest eight values of a row against those of its last 64 windows: the shape search of the kernel `tiny`.

import { CODES, DECODED, DECODED32, ERROR, LOG_KNEE, PAST, RING, SHAPES, SHAPE_DEV, SHAPE_GAIN, SHAPE_MEAN, SUMS, Z_CLIP } from './_tiny-layout'
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
 * Four lags at a time in float32, which says which sum is the third smallest but for a few that are too near to tell; those, as a rule
 * one, again as the twin adds them up. The bound of what float32 loses: values are at most 31, so differences are off by e = 2^-18 at
 * most and a sum of eight squares by 2e√(8·sum) + 8e² + 2^-20·sum.
 */
export function thirdNearest(row: usize, n: u32, code: i32): f64 {
  // The ring twice, one after the other: from the oldest code on all are in a row, up to the newest, which is put at their end.
  const ring = row * RING + SHAPES
  for (let at: usize = 0; at < RING; at += 16) {
    const codes = v128.load(ring + at)
    v128.store(CODES + at, codes)
    v128.store(CODES + RING + at, codes)
  }
  const oldest = CODES + (n & 63)
  const newest = oldest + RING
  store<i8>(newest, <i8>code)
  for (let from = oldest, to = PAST; from < newest; from += 8, to += 32) {
    store<f32>(to, decoded32(load<i8>(from, 0)), 0)
    store<f32>(to, decoded32(load<i8>(from, 1)), 4)
    store<f32>(to, decoded32(load<i8>(from, 2)), 8)
    store<f32>(to, decoded32(load<i8>(from, 3)), 12)
    store<f32>(to, decoded32(load<i8>(from, 4)), 16)
    store<f32>(to, decoded32(load<i8>(from, 5)), 20)
    store<f32>(to, decoded32(load<i8>(from, 6)), 24)
    store<f32>(to, decoded32(load<i8>(from, 7)), 28)
  }
  const a0 = f32x4.splat(decoded32(<i8>code))
  const a1 = v128.load_splat<f32>(PAST, 252)
  const a2 = v128.load_splat<f32>(PAST, 248)
  const a3 = v128.load_splat<f32>(PAST, 244)
  const a4 = v128.load_splat<f32>(PAST, 240)
  const a5 = v128.load_splat<f32>(PAST, 236)
  const a6 = v128.load_splat<f32>(PAST, 232)
  const a7 = v128.load_splat<f32>(PAST, 228)
  let m1 = f32x4.splat(Infinity)
  let m2 = m1
  let m3 = m1
  // Lanes are lags 59, 58, 57, 56 … 11, 10, 9, 8; the first two are none.
  let at: usize = PAST - 8
  for (let sums: usize = SUMS; sums < SUMS + 208; sums += 16, at += 16) {
    let d = f32x4.sub(a0, v128.load(at, 28))
    let sum = f32x4.mul(d, d)
    d = f32x4.sub(a1, v128.load(at, 24))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a2, v128.load(at, 20))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a3, v128.load(at, 16))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a4, v128.load(at, 12))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a5, v128.load(at, 8))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a6, v128.load(at, 4))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a7, v128.load(at, 0))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    if (sums == SUMS) sum = v128.bitselect(f32x4.splat(Infinity), sum, i32x4(-1, -1, 0, 0))
    v128.store(sums, sum)
    const over = f32x4.pmax(m1, sum)
    m1 = f32x4.pmin(m1, sum)
    const next = f32x4.pmax(m2, over)
    m2 = f32x4.pmin(m2, over)
    m3 = f32x4.pmin(m3, next)
  }
  const about = <f64>thirdOf(m1, m2, m3)
  const loss = about * 4e-6 + 4 * ERROR * sqrt<f64>(8 * about) + 24 * ERROR * ERROR
  const most = f32x4.splat(<f32>(about + loss))
  const least = f32x4.splat(<f32>(about - loss))
  let near: u64 = 0
  let below: u64 = 0
  for (let group: u64 = 0; group < 52; group += 4) {
    const sum = v128.load(SUMS + (<usize>group << 2))
    near |= <u64>i32x4.bitmask(f32x4.le(sum, most)) << group
    below |= <u64>i32x4.bitmask(f32x4.lt(sum, least)) << group
  }
  // The rank of the third among those near it.
  let rank = 3 - <i32>popcnt<u64>(below)
  near &= ~below
  if (rank == 1 && (near & (near - 1)) == 0) return sqrt<f64>(distance(newest, 59 - <usize>ctz<u64>(near)))
  let first = Infinity
  let second = Infinity
  let third = Infinity
  for (; near != 0; near &= near - 1) {
    const sum = distance(newest, 59 - <usize>ctz<u64>(near))
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
@inline export function decoded32(code: i8): f32 { return load<f32>(DECODED32 + 512 + (<isize>code << 2)) }
// @ts-ignore: decorator
@inline export function decoded(code: i8): f64 { return load<f64>(DECODED + 1024 + (<isize>code << 3)) }

/** The third smallest of what the lanes hold, each lane's in ascending order: lanes take in what their neighbours have. */
function thirdOf(m1: v128, m2: v128, m3: v128): f32 {
  for (let step = 0; step < 2; step++) {
    const other = step == 0 ? v128.shuffle<i32>(m1, m1, 2, 3, 0, 1) : v128.shuffle<i32>(m1, m1, 1, 0, 3, 2)
    const o2 = step == 0 ? v128.shuffle<i32>(m2, m2, 2, 3, 0, 1) : v128.shuffle<i32>(m2, m2, 1, 0, 3, 2)
    const o3 = step == 0 ? v128.shuffle<i32>(m3, m3, 2, 3, 0, 1) : v128.shuffle<i32>(m3, m3, 1, 0, 3, 2)
    let over = f32x4.pmax(m1, other)
    m1 = f32x4.pmin(m1, other)
    const next = f32x4.pmax(m2, over)
    m2 = f32x4.pmin(m2, over)
    m3 = f32x4.pmin(m3, next)
    // The neighbour's second and third are no smaller than its first.
    over = f32x4.pmax(m2, o2)
    m2 = f32x4.pmin(m2, o2)
    m3 = f32x4.pmin(m3, over)
    m3 = f32x4.pmin(m3, o3)
  }
  return f32x4.extract_lane(m3, 0)
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

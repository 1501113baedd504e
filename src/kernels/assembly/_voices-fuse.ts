// What three surprises of a row are together: see detectors/fusion.ts and detectors/severity.ts. Two neighbouring rows are taken at once, a lane each, where both are in
// one of the usual cases: of less than a day, with the first voice alone, or older, with the two others. Operations and their order are those of one row.

import { CEILING, FIRST, LOG_COUNT, LOG_SUM, OUT_INCIDENT, OUT_POINT, OUT_PUBLIC, OUT_SURPRISE, PAIR, PER_UNIT, POWER, REACH, SCORES, SCORE_STEPS, SECOND, SUM_STEPS, THIRD } from './_voices-layout'

/** Surprise, point, incident and public score of `length` rows of the block, whose three columns are surprises. */
export function fuseRows(length: u32): void {
  for (let i: usize = 0; i < length; i++) {
    if (i + 1 < length && fusePair(i << 2)) i++
    else fuseRow(i << 2)
  }
}

/** Rows whose places in columns of f32 are at `i4` and after it; false, and nothing is done, where they are in no usual case. */
// @ts-ignore: decorator
@inline function fusePair(i4: usize): bool {
  const first = v128.load_zero<u64>(i4 + FIRST)
  const second = v128.load_zero<u64>(i4 + SECOND)
  const third = v128.load_zero<u64>(i4 + THIRD)
  if (both(v128.and(f32x4.ne(second, second), f32x4.ne(third, third)))) {
    putPair(i4, first, first, third)
    return true
  }
  const none = f32x4.splat(0)
  if (!both(v128.and(f32x4.ne(first, first), v128.and(f32x4.ge(second, none), f32x4.ge(third, none))))) return false
  putPair(i4, fuseLast(f64x2.promote_low_f32x4(second), f64x2.promote_low_f32x4(third)), second, third)
  return true
}

// @ts-ignore: decorator
@inline function both(isSo: v128): bool { return i64x2.extract_lane(isSo, 0) == -1 }

/** As `fuseThree` of a voice without an opinion and two that have one. */
// @ts-ignore: decorator
@inline function fuseLast(y: v128, z: v128): v128 {
  const place = f64x2.mul(f64x2.abs(f64x2.sub(y, z)), f64x2.splat(PER_UNIT))
  const reach = f64x2.splat(REACH)
  // What is read beyond the table's reach is not taken.
  const other = v128.and(between(POWER, f64x2.pmin(reach, place)), f64x2.lt(place, reach))
  const log = between(LOG_SUM, f64x2.mul(f64x2.add(f64x2.splat(1), other), f64x2.splat(SUM_STEPS)))
  const value = f64x2.sub(f64x2.add(f64x2.pmax(y, z), log), v128.load_splat<u64>(LOG_COUNT, 16))
  return f32x4.demote_f64x2_zero(v128.and(value, f64x2.gt(value, f64x2.splat(0))))
}

// @ts-ignore: decorator
@inline function putPair(i4: usize, surprise: v128, point: v128, incident: v128): void {
  v128.store_lane<u64>(i4 + OUT_SURPRISE, surprise, 0)
  v128.store_lane<u64>(i4 + OUT_POINT, point, 0)
  v128.store_lane<u64>(i4 + OUT_INCIDENT, incident, 0)
  const said = f64x2.promote_low_f32x4(surprise)
  const most = f64x2.splat(CEILING)
  // Without an opinion the place is the ceiling's, and its score is not taken.
  const shown = between(SCORES, f64x2.mul(f64x2.pmin(most, said), f64x2.splat(SCORE_STEPS)))
  const score = v128.bitselect(f64x2.splat(100), shown, f64x2.ge(said, most))
  v128.store_lane<u64>(i4 + OUT_PUBLIC, f32x4.demote_f64x2_zero(v128.bitselect(score, said, f64x2.eq(said, said))), 0)
}

/** What a table of f64 has at two places, between its entries in a straight line. */
// @ts-ignore: decorator
@inline function between(table: usize, place: v128): v128 {
  const at = i32x4.trunc_sat_f64x2_s_zero(place)
  const one = v128.load(table + (<usize>i32x4.extract_lane(at, 0) << 3))
  const other = v128.load(table + (<usize>i32x4.extract_lane(at, 1) << 3))
  const low = v128.shuffle<i64>(one, other, 0, 2)
  const next = v128.shuffle<i64>(one, other, 1, 3)
  return f64x2.add(low, f64x2.mul(f64x2.sub(place, f64x2.convert_low_i32x4_s(at)), f64x2.sub(next, low)))
}

function fuseRow(i4: usize): void {
  const first = load<f32>(i4 + FIRST)
  const second = load<f32>(i4 + SECOND)
  const third = load<f32>(i4 + THIRD)
  const surprise = fuseThree(first, second, third)
  store<f32>(i4 + OUT_SURPRISE, surprise)
  store<f32>(i4 + OUT_POINT, fuseTwo(first, second))
  store<f32>(i4 + OUT_INCIDENT, third >= 0 ? third : NaN)
  store<f32>(i4 + OUT_PUBLIC, publicScore(surprise))
}

/** A voice's contribution to the sum of inverse probabilities, relative to the strongest voice. */
// @ts-ignore: decorator
@inline function relative(distance: f64): f64 {
  const place = distance * PER_UNIT
  if (place >= REACH) return 0
  const at = <i32>place
  const low = load<f64>(POWER + (<usize>at << 3))
  return low + (place - <f64>at) * (load<f64>(POWER + (<usize>at << 3), 8) - low)
}

// @ts-ignore: decorator
@inline function fused(best: f64, sum: f64, speaking: i32): f32 {
  const place = sum * SUM_STEPS
  const at = <i32>place
  const low = load<f64>(LOG_SUM + (<usize>at << 3))
  const log = low + (place - <f64>at) * (load<f64>(LOG_SUM + (<usize>at << 3), 8) - low)
  const value = best + log - load<f64>(LOG_COUNT + (<usize>speaking << 3))
  return value > 0 ? <f32>value : 0
}

function fuseTwo(x: f64, y: f64): f32 {
  const second = y > x || x != x
  const distance = second ? y - x : x - y
  if (distance != distance) return <f32>(x != x ? y : x)
  const place = distance * PER_UNIT
  const at = place < REACH ? <i32>place : <i32>REACH - 1
  const part = place < REACH ? place - <f64>at : 1
  const low = load<f64>(PAIR + (<usize>at << 3))
  const value = (second ? y : x) + low + part * (load<f64>(PAIR + (<usize>at << 3), 8) - low)
  return value > 0 ? <f32>value : 0
}

function fuseThree(x: f64, y: f64, z: f64): f32 {
  let best: f64 = -1
  let which = 0
  let speaking = 0
  if (x >= 0) {
    best = x
    speaking = 1
  }
  if (y >= 0) {
    speaking++
    if (y > best) {
      best = y
      which = 1
    }
  }
  if (z >= 0) {
    speaking++
    if (z > best) {
      best = z
      which = 2
    }
  }
  if (speaking == 0) return NaN
  if (speaking == 1) return <f32>best
  if (speaking == 3) {
    const first = which == 0 ? y : x
    const other = which == 2 ? y : z
    return fused(best, 1 + relative(best - first) + relative(best - other), 3)
  }
  const sum = (x >= 0 ? relative(best - x) : 0) + (y >= 0 ? relative(best - y) : 0) + (z >= 0 ? relative(best - z) : 0)
  return fused(best, sum, 2)
}

// @ts-ignore: decorator
@inline function publicScore(surprise: f64): f32 {
  if (surprise != surprise) return NaN
  if (surprise >= CEILING) return 100
  const place: f64 = surprise <= 0 ? 0 : surprise * SCORE_STEPS
  const at = SCORES + (<usize><i32>place << 3)
  const low = load<f64>(at)
  return <f32>(low + (place - <f64><i32>place) * (load<f64>(at, 8) - low))
}

// Tails in log bins and the loudest of each day: what the evidence of a row is measured by.

import { BINS, DAYS, DAY_MAXIMA, ENVELOPE_GAIN, ENVELOPE_KNEE, EXP2, POINT_TAIL, POINT_USUAL, READY_WINDOWS, SHAPE_TAIL, SHAPE_USUAL, SORTED, SUMS, TAIL_LOWEST, TAIL_OFTEN, TAIL_STRIDE } from './_tiny-layout'
import { day, fastLog2, roundHalfUp } from './_tiny-window'

// @ts-ignore: decorator
@external("env", "exp")
declare function exp(x: f64): f64

// @ts-ignore: decorator
@external("env", "log")
declare function log(x: f64): f64

// @ts-ignore: decorator
@external("env", "exp2")
declare function exp2(x: f64): f64

// @ts-ignore: decorator
@inline export function countTail(tail: usize, value: f64): void {
  let bin: u32 = 0
  if (value > TAIL_LOWEST) bin = min<u32>(<u32>BINS - 1, 1 + <u32>(2 * fastLog2(value / TAIL_LOWEST)))
  const at = tail + (bin << 1)
  let count = load<u16>(at)
  if (count == 65535) {
    v128.store(tail, i16x8.shr_u(v128.load(tail), 1))
    v128.store(tail + 16, i16x8.shr_u(v128.load(tail + 16), 1))
    count = load<u16>(at)
  }
  store<u16>(at, count + 1)
}

/** Whether a row's tails are read again at its window `n`. */
// @ts-ignore: decorator
@inline export function isTailRead(n: u32, age: u32): bool {
  return n % TAIL_STRIDE == 0 || (n < TAIL_OFTEN && age + READY_WINDOWS >= day)
}

/** What a row usually reaches, by its tails. */
export function readTails(row: usize): void {
  store<f32>((row << 2) + POINT_USUAL, <f32>tail99((row << 5) + POINT_TAIL))
  store<f32>((row << 2) + SHAPE_USUAL, <f32>tail99((row << 5) + SHAPE_TAIL))
}

function tail99(tail: usize): f64 {
  const sums = i32x4.add(i32x4.extadd_pairwise_i16x8_u(v128.load(tail)), i32x4.extadd_pairwise_i16x8_u(v128.load(tail + 16)))
  const total = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) + i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3)
  if (total == 0) return 0
  const wanted = <f64>total * 0.01
  // How many lie in each bin and those above it: a count that is held at 65,535 is of more than is wanted, which is 10,486 at most.
  const upper = sumsAbove(v128.load(tail + 16))
  const lower = i16x8.add_sat_u(sumsAbove(v128.load(tail)), v128.shuffle<i16>(upper, upper, 0, 0, 0, 0, 0, 0, 0, 0))
  const enough = i16x8.splat(<i16><i32>ceil<f64>(wanted))
  const holds = i8x16.narrow_i16x8_s(i16x8.ge_u(lower, enough), i16x8.ge_u(upper, enough))
  const bin: usize = 31 - clz<u32>(<u32>i8x16.bitmask(holds))
  if (bin == 0) return TAIL_LOWEST
  v128.store(SUMS, lower)
  v128.store(SUMS + 16, upper)
  store<u16>(SUMS + 32, 0)
  const above = <f64>load<u16>(SUMS + (bin << 1), 2)
  return TAIL_LOWEST * power((<f64>bin - (wanted - above) / <f64>load<u16>(tail + (bin << 1))) / 2)
}

/** Each of eight u16 and all that come after it. */
// @ts-ignore: decorator
@inline function sumsAbove(counts: v128): v128 {
  const none = i32x4.splat(0)
  let sums = i16x8.add_sat_u(counts, v128.shuffle<i16>(counts, none, 1, 2, 3, 4, 5, 6, 7, 8))
  sums = i16x8.add_sat_u(sums, v128.shuffle<i16>(sums, none, 2, 3, 4, 5, 6, 7, 8, 9))
  return i16x8.add_sat_u(sums, v128.shuffle<i16>(sums, none, 4, 5, 6, 7, 8, 9, 10, 11))
}

/** 2^y, y ≥ 0, for a float32: by table and series, within 10^-15, unless the rounding to float32 could hang on that. */
export function power(y: f64): f64 {
  const steps = floor<f64>(y * 64 + 0.5)
  const z = (y - steps / 64) * 0.6931471805599453
  const whole = <i32>steps
  const series = 1 + z * (1 + z * (0.5 + z * (1.0 / 6.0 + z * (1.0 / 24.0 + z * (1.0 / 120.0)))))
  const found = load<f64>(EXP2 + (<usize>(whole & 63) << 3)) * series * <f64>(1 << (whole >> 6))
  return <f32>(found * (1 - 1e-14)) == <f32>(found * (1 + 1e-14)) ? found : exp2(y)
}

/** Puts the maximum of a day into the ring; returns the median (lower of two) of all days in it: see day-maxima.ts. */
export function closeDay(row: usize, dayNumber: u32, maximum: f64): f64 {
  const ring = row * DAYS + DAY_MAXIMA
  const code = 1 + roundHalfUp(ENVELOPE_GAIN * log(1 + max<f64>(0, maximum) / ENVELOPE_KNEE))
  store<u8>(ring + (dayNumber % <u32>DAYS), <u8>min<f64>(255, code))
  let count: i32 = 0
  for (let d: usize = 0; d < DAYS; d++) {
    const value = load<u8>(ring + d)
    if (value == 0) continue
    let place = count++
    while (place > 0 && load<u8>(SORTED + place - 1) > value) {
      store<u8>(SORTED + place, load<u8>(SORTED + place - 1))
      place--
    }
    store<u8>(SORTED + place, value)
  }
  const median = load<u8>(SORTED + ((count - 1) >> 1))
  return ENVELOPE_KNEE * (exp((<f64>median - 1) / ENVELOPE_GAIN) - 1)
}

// One row of the kernel `tiny`, scored and learned: every case there is.

import { CLIP_SCALES, DAY_MAX, DEVIATION, EMPTY, ENVELOPE, ENVELOPES, FIRST_WINDOW, JUMP, LAST_AGE, LEVEL, LEVELS, LONG_RATE, LONG_SQUARE, LOUD_SCALES, LOUD_SHAPE, LOUD_SHIFT, MAGNITUDE, MEAN, N, NOISE_REACH, OFFSET, OUT_EXPECTED, OUT_INCIDENT, OUT_LOWER, OUT_POINT, OUT_UPPER, OUT_YOUNG, POINT_TAIL, POINT_USUAL, PREVIOUS, QUIET_STRIDE, READY_WINDOWS, RING, SCALE1, SCALE2, SCALE3, SCALE4, SCALE5, SCALES_MAX, SETTLING, SHAPE, SHAPES, SHAPE_DEV, SHAPE_MEAN, SHAPE_TAIL, SHAPE_USUAL, SHAPE_WARM_UP, SHIFT, SHORT_RATE, SHORT_SQUARE, SLOTS, STRANGE_MAX, S_CODE, S_CORRECTED, S_EXCESS, S_JOINT, S_OPENS, S_RATIO, S_RESIDUAL, S_ROW, S_SHAPE, S_SOFT, S_VALUE, USUAL_AT_FIRST, USUAL_MAX, VISIT_COUNT, VISIT_MAX, VISIT_SUM, YOUNG_WINDOWS } from './_tiny-layout'
import { backOf, day, f32At, partB, put32, rateLevel, rateScale3, rateScale7, rateSlow, slotA, slotAt, slotB, slotBefore, slotNow, windowNow } from './_tiny-window'
import { shapeCode, thirdNearest } from './_tiny-shapes'
import { closeDay, countTail, isTailRead, readTails } from './_tiny-tails'
import { closeVisit, levelOf, tightenLevels, visitedEnvelope, visitedLevel } from './_tiny-slots'

/** Works `x` of a started row out into place `q` of the scratch and place `i` of the outputs; changes nothing else. */
export function scoreRow(row: usize, x: f64, q: usize, i: usize): void {
  const p4 = row << 2
  const n = load<u32>(p4 + N)
  const back = backOf(row)
  const age = load<u32>(p4 + LAST_AGE) + back
  const floor = 0.05 * f32At(p4, JUMP) + 0.05 * f32At(p4, DEVIATION) + 1e-6 * f32At(p4, MAGNITUDE) + 1e-12
  const previousSlot = slotBefore(back)
  const opens = n > 0 && (slotNow != previousSlot || back >= <i32>day)

  const f = partB
  const a = slotA
  const b = slotB
  const closing = opens && load<u16>((row << 1) + VISIT_COUNT) > 0 ? previousSlot : -1
  const codeA = <i32>load<i8>(slotAt(row, a) + LEVELS)
  const codeB = <i32>load<i8>(slotAt(row, b) + LEVELS)
  const hasA = codeA != EMPTY || a == closing
  const hasB = codeB != EMPTY || b == closing
  const level = load<f64>((row << 3) + LEVEL)
  let p = level
  const warm = age >= day
  if (warm && (f < 0.5 ? hasA : hasB)) {
    const levelA = a == closing ? visitedLevel(row, a) : levelOf(row, codeA)
    const levelB = b == closing ? visitedLevel(row, b) : levelOf(row, codeB)
    p = hasA && hasB ? (1 - f) * levelA + f * levelB : f < 0.5 ? levelA : levelB
  }
  const r = x - p
  const sigma = f32At(p4, SCALE1) + floor
  const ready = n >= 3
  const offset = f32At(p4, OFFSET)
  const corrected = min<f64>(SCALES_MAX, abs<f64>(r - offset) / sigma)
  const L: f64 = ready ? corrected : 0
  const Q: f64 = ready ? min<f64>(SCALES_MAX, abs<f64>(r) / (f32At(p4, SCALE3) + floor)) : 0
  const envA = a == closing ? visitedEnvelope(row, a) : load<f64>(ENVELOPES + (<usize>load<u8>(slotAt(row, a) + ENVELOPE) << 3))
  const envB = b == closing ? visitedEnvelope(row, b) : load<f64>(ENVELOPES + (<usize>load<u8>(slotAt(row, b) + ENVELOPE) << 3))
  const h = max<f64>(hasA ? envA : 0, hasB ? envB : 0)
  let k = abs<f64>(x - level)
  let soft = k
  if (hasA && hasB && age >= 2 * day) {
    k = max<f64>(0, L - h) * sigma
    soft = (sigma * L * L) / (L + 3 * h + 0.1)
  }
  const P: f64 = ready ? min<f64>(SCALES_MAX, k / (f32At(p4, SCALE2) + floor)) : 0
  const P5: f64 = ready ? min<f64>(SCALES_MAX, soft / (f32At(p4, SCALE5) + floor)) : 0
  const joint = sqrt<f64>(sqrt<f64>(Q * L) * P5)
  const shift = f32At(p4, SHIFT)
  const g = shift + (2.0 / 61.0) * (r - shift)
  const G: f64 = ready ? min<f64>(SCALES_MAX, abs<f64>(g) / (f32At(p4, SCALE4) + floor)) : 0
  const code = shapeCode(row, x)
  const shapeUsual = f32At(p4, SHAPE_USUAL) + 0.5
  let shape = f32At(p4, SHAPE)
  const isReady = age + READY_WINDOWS >= day
  const isLoud = L >= LOUD_SCALES || G >= LOUD_SHIFT || shape >= LOUD_SHAPE * shapeUsual
  if ((isReady && isLoud) || n % QUIET_STRIDE == 0) shape = n < SHAPE_WARM_UP ? 0 : thirdNearest(row, n, code)
  const raw = joint / (f32At(p4, POINT_USUAL) + 1)

  if (warm) {
    const usual = f32At(p4, USUAL_MAX)
    put32(i << 2, OUT_POINT, (2 * raw) / (1 + (usual > 0 ? usual : USUAL_AT_FIRST)))
    put32(i << 2, OUT_INCIDENT, G + shape / shapeUsual)
    put32(i << 2, OUT_YOUNG, NaN)
    const expected = p + offset
    const band = max<f64>(h, NOISE_REACH) * sigma
    store<f64>((i << 3) + OUT_EXPECTED, expected)
    store<f64>((i << 3) + OUT_LOWER, expected - band)
    store<f64>((i << 3) + OUT_UPPER, expected + band)
  } else {
    silence(i)
    if (n >= YOUNG_WINDOWS) {
      const expected = p + offset
      const band = max<f64>(h, NOISE_REACH) * sigma
      const count = <f64>n + 1
      put32(i << 2, OUT_YOUNG, (L * count) / (L + count))
      store<f64>((i << 3) + OUT_EXPECTED, expected)
      store<f64>((i << 3) + OUT_LOWER, expected - band)
      store<f64>((i << 3) + OUT_UPPER, expected + band)
    }
  }
  store<u32>((q << 2) + S_ROW, <u32>row)
  store<u8>(q + S_OPENS, opens ? 1 : 0)
  store<i8>(q + S_CODE, <i8>code)
  store<f64>((q << 3) + S_VALUE, x)
  store<f64>((q << 3) + S_RESIDUAL, r)
  store<f64>((q << 3) + S_CORRECTED, corrected)
  store<f64>((q << 3) + S_EXCESS, k)
  store<f64>((q << 3) + S_SOFT, soft)
  store<f64>((q << 3) + S_JOINT, joint)
  store<f64>((q << 3) + S_SHAPE, shape)
  store<f64>((q << 3) + S_RATIO, P)
}

/** No opinion of place `i`. */
export function silence(i: usize): void {
  store<f32>((i << 2) + OUT_POINT, NaN)
  store<f32>((i << 2) + OUT_INCIDENT, NaN)
  store<f32>((i << 2) + OUT_YOUNG, NaN)
  store<f64>((i << 3) + OUT_EXPECTED, NaN)
  store<f64>((i << 3) + OUT_LOWER, NaN)
  store<f64>((i << 3) + OUT_UPPER, NaN)
}

export function startRow(row: usize, x: f64): void {
  store<f64>((row << 3) + FIRST_WINDOW, windowNow)
  store<f64>((row << 3) + LEVEL, x)
  store<f64>((row << 3) + MEAN, x)
  store<f64>((row << 3) + PREVIOUS, x)
  put32(row << 2, MAGNITUDE, abs<f64>(x))
  for (let slot = 0; slot < <i32>SLOTS; slot++) store<i8>(slotAt(row, slot) + LEVELS, <i8>EMPTY)
}

export function learnRow(row: usize, x: f64, weight: f64, q: usize): void {
  const p4 = row << 2
  const p8 = row << 3
  const n = load<u32>(p4 + N)
  const back = backOf(row)
  const lastAge = load<u32>(p4 + LAST_AGE)
  const age = lastAge + back
  const floor = 0.05 * f32At(p4, JUMP) + 0.05 * f32At(p4, DEVIATION) + 1e-6 * f32At(p4, MAGNITUDE) + 1e-12
  const r = load<f64>((q << 3) + S_RESIDUAL)
  if (load<u8>(q + S_OPENS) == 1) {
    const previousSlot = slotBefore(back)
    closeVisit(row, previousSlot, n)
    if (slotNow <= previousSlot) tightenLevels(row, n)
  }
  const scale3 = f32At(p4, SCALE3)
  const reach: f64 = n <= day ? Infinity : 2 * (scale3 + floor)
  const clipped = max<f64>(-reach, min<f64>(reach, r))
  const isEmpty = <i32>load<i8>(slotAt(row, slotNow) + LEVELS) == EMPTY
  const visits = load<u16>((row << 1) + VISIT_COUNT)
  if (visits < 65535) {
    put32(p4, VISIT_SUM, f32At(p4, VISIT_SUM) + (isEmpty ? x : weight * clipped))
    store<u16>((row << 1) + VISIT_COUNT, visits + 1)
  }
  const corrected = load<f64>((q << 3) + S_CORRECTED)
  if (n >= 3 && corrected > f32At(p4, VISIT_MAX)) put32(p4, VISIT_MAX, corrected)

  const strange = min<f64>(load<f64>((q << 3) + S_RATIO), STRANGE_MAX)
  const square = strange * strange
  const shift = f32At(p4, SHIFT)
  const short = f32At(p4, SHORT_SQUARE)
  const long = f32At(p4, LONG_SQUARE)
  put32(p4, SHORT_SQUARE, short + weight * (short + SHORT_RATE * (square - short) - short))
  put32(p4, LONG_SQUARE, long + weight * (long + LONG_RATE * (square - long) - long))
  const moved = <f32>(shift + weight * (2.0 / 61.0) * (r - shift))
  store<f32>(p4 + SHIFT, moved)

  const offset = f32At(p4, OFFSET)
  const young = 1.0 / (<f64>n + 1)
  const rate3 = weight * (young > rateScale3 ? young : rateScale3)
  const rate7 = weight * (young > rateScale7 ? young : rateScale7)
  const settled = n > SETTLING
  nextScale(p4, SCALE1, abs<f64>(r - offset), floor, rate3, settled)
  nextScale(p4, SCALE2, load<f64>((q << 3) + S_EXCESS), floor, rate3, settled)
  nextScale(p4, SCALE3, abs<f64>(r), floor, rate3, settled)
  nextScale(p4, SCALE4, abs<f64>(<f64>moved), floor, rate7, settled)
  nextScale(p4, SCALE5, load<f64>((q << 3) + S_SOFT), floor, rate3, settled)

  const joint = load<f64>((q << 3) + S_JOINT)
  const shape = load<f64>((q << 3) + S_SHAPE)
  const raw = joint / (f32At(p4, POINT_USUAL) + 1)
  if (weight > 0.5) {
    countTail((row << 5) + POINT_TAIL, joint)
    if (n % QUIET_STRIDE == 0) countTail((row << 5) + SHAPE_TAIL, shape)
  }
  if (isTailRead(n, age)) readTails(row)
  put32(p4, SHAPE, shape)
  store<i8>(row * RING + (n & 63) + SHAPES, load<i8>(q + S_CODE))
  const shapeMean = load<f64>(p8 + SHAPE_MEAN)
  const shapeDev = f32At(p4, SHAPE_DEV)
  const count = <f64>n + 1
  put32(p4, SHAPE_DEV, shapeDev + (abs<f64>(x - shapeMean) - shapeDev) / count)
  store<f64>(p8 + SHAPE_MEAN, shapeMean + (x - shapeMean) / count)

  const lastDay = lastAge / day
  if (age - lastDay * day >= day) endDay(row, lastDay)
  if (weight > 0.5 && raw > f32At(p4, DAY_MAX)) put32(p4, DAY_MAX, raw)

  const slow = weight * max<f64>(young, rateSlow)
  const level = load<f64>(p8 + LEVEL)
  const mean = load<f64>(p8 + MEAN)
  const deviation = f32At(p4, DEVIATION)
  const jump = f32At(p4, JUMP)
  const magnitude = f32At(p4, MAGNITUDE)
  put32(p4, OFFSET, offset + weight * rateLevel * (clipped - offset))
  store<f64>(p8 + LEVEL, level + weight * max<f64>(young, rateLevel) * (x - level))
  put32(p4, DEVIATION, deviation + slow * (abs<f64>(x - mean) - deviation))
  store<f64>(p8 + MEAN, mean + slow * (x - mean))
  put32(p4, JUMP, jump + slow * (abs<f64>(x - load<f64>(p8 + PREVIOUS)) - jump))
  put32(p4, MAGNITUDE, magnitude + slow * (abs<f64>(x) - magnitude))
  store<f64>(p8 + PREVIOUS, x)
  store<u32>(p4 + LAST_AGE, age)
  store<u32>(p4 + N, n + 1)
}

// @ts-ignore: decorator
@inline export function nextScale(p4: usize, column: usize, value: f64, floor: f64, rate: f64, settled: bool): void {
  const scale = f32At(p4, column)
  put32(p4, column, scale + rate * (min<f64>(value, settled ? CLIP_SCALES * (scale + floor) : Infinity) - scale))
}

/** A day of a row is over: its loudest window joins the days before, of which the first does not count. */
function endDay(row: usize, lastDay: u32): void {
  const dayMax = f32At(row << 2, DAY_MAX)
  if (lastDay > 0 && dayMax > 0) put32(row << 2, USUAL_MAX, closeDay(row, lastDay, dayMax))
  store<f32>((row << 2) + DAY_MAX, 0)
}

/** Age of a row whose day was looked at last, and the day: neighbours are of an age as a rule, and division is dear. */
let ageAt: u32 = 0
let dayAt: u32 = 0
let daysOf: u32 = 0

/** Ends the day of a row that was seen in the last window if this one is of the next. */
// @ts-ignore: decorator
@inline export function turnDay(row: usize): void {
  const lastAge = load<u32>((row << 2) + LAST_AGE)
  if (lastAge != ageAt || day != daysOf) {
    ageAt = lastAge
    daysOf = day
    dayAt = lastAge / day
  }
  if (lastAge + 1 - dayAt * day >= day) endDay(row, dayAt)
}

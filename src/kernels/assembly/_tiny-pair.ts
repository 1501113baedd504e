// Two neighbouring rows of the kernel `tiny` at once, a lane each, where both are in the usual case: seen a window ago, in the same
// phase slot as then. Rows of a batch are neighbours as a rule. The operations and their order are those of one row (_tiny-row.ts), so that
// lanes agree with it to the bit; a choice between two values is one of lanes, which also spares what branches cost where they guess wrong.
import {
  CLIP_SCALES,
  CODE_BASE,
  CODE_STEP,
  DAY_MAX,
  DEVIATION,
  EMPTY,
  ENVELOPE,
  ENVELOPES,
  FIRST_WINDOW,
  IN_VALUE,
  IN_WEIGHT,
  JUMP,
  LAST_AGE,
  LEVEL,
  LEVELS,
  LOG_KNEE,
  LONG_RATE,
  LONG_SQUARE,
  LOUD_SCALES,
  LOUD_SHAPE,
  LOUD_SHIFT,
  MAGNITUDE,
  MEAN,
  N,
  NOISE_REACH,
  NOTHING,
  OFFSET,
  OUT_EXPECTED,
  OUT_INCIDENT,
  OUT_LOWER,
  OUT_POINT,
  OUT_UPPER,
  OUT_YOUNG,
  POINT_TAIL,
  POINT_USUAL,
  PREVIOUS,
  QUIET_STRIDE,
  READY_WINDOWS,
  RING,
  SCALE1,
  SCALE2,
  SCALE3,
  SCALE4,
  SCALE5,
  SCALES_MAX,
  SETTLING,
  SHAPE,
  SHAPE_DEV,
  SHAPE_GAIN,
  SHAPE_MEAN,
  SHAPE_TAIL,
  SHAPE_USUAL,
  SHAPE_WARM_UP,
  SHAPES,
  SHIFT,
  SHORT_RATE,
  SHORT_SQUARE,
  STRANGE_MAX,
  S_CODE,
  S_CORRECTED,
  S_EXCESS,
  S_JOINT,
  S_OPENS,
  S_RATIO,
  S_RESIDUAL,
  S_ROW,
  S_SHAPE,
  S_SOFT,
  S_VALUE,
  USUAL_AT_FIRST,
  USUAL_MAX,
  VALUE_MAX,
  VISIT_COUNT,
  VISIT_MAX,
  VISIT_SUM,
  YOUNG_WINDOWS,
  Z_CLIP,
} from './_tiny-layout'
import { thirdNearest } from './_tiny-shapes'
import { countTail, isTailRead, readTails } from './_tiny-tails'
import { turnDay } from './_tiny-row'
import {
  day,
  fastLog2,
  partB,
  rateLevel,
  rateScale3,
  rateScale7,
  rateSlow,
  slotA,
  slotAt,
  slotB,
  slotLast,
  slotNow,
  windowNow,
} from './_tiny-window'

// @ts-ignore: decorator
@inline function all(x: f64): v128 { return f64x2.splat(x) }
/** Two f32 of a column as f64. */
// @ts-ignore: decorator
@inline function two(at: usize, column: usize): v128 { return f64x2.promote_low_f32x4(v128.load_zero<u64>(at + column)) }
// @ts-ignore: decorator
@inline function put(at: usize, column: usize, value: v128): void {
  v128.store_lane<u64>(at + column, f32x4.demote_f64x2_zero(value), 0)
}
// @ts-ignore: decorator
@inline function counts(at: usize, column: usize): v128 { return f64x2.convert_low_i32x4_u(v128.load_zero<u64>(at + column)) }
// @ts-ignore: decorator
@inline function pair(a: f64, b: f64): v128 { return f64x2.replace_lane(f64x2.splat(a), 1, b) }
// @ts-ignore: decorator
@inline function envelopeAt(at: usize): f64 { return load<f64>(ENVELOPES + (<usize>load<u8>(at + ENVELOPE) << 3)) }

/** Values of places `i` and `i + 1` of the block, as they are taken. */
// @ts-ignore: decorator
@inline function valuesAt(i: usize): v128 {
  return f64x2.pmin(f64x2.pmax(v128.load((i << 3) + IN_VALUE), all(-VALUE_MAX)), all(VALUE_MAX))
}

/**
 * Whether rows `row` and `row + 1`, which were started, can be taken together: both were seen in the last window, which was of this
 * phase slot, and both know a whole day, or neither does.
 */
export function isPair(row: usize): bool {
  if (slotNow != slotLast || day == 1) return false
  const p4 = row << 2
  const ages = counts(p4, LAST_AGE)
  const back = f64x2.sub(f64x2.sub(all(windowNow), v128.load((row << 3) + FIRST_WINDOW)), ages)
  if (!i64x2.all_true(f64x2.eq(back, all(1)))) return false
  const young = i64x2.bitmask(f64x2.lt(f64x2.add(ages, all(1)), all(<f64>day)))
  return young == 0 || young == 3
}

// @ts-ignore: decorator
@inline function floorsOf(p4: usize): v128 {
  const moves = f64x2.add(f64x2.mul(all(0.05), two(p4, JUMP)), f64x2.mul(all(0.05), two(p4, DEVIATION)))
  return f64x2.add(f64x2.add(moves, f64x2.mul(all(1e-6), two(p4, MAGNITUDE))), all(1e-12))
}

/** As `scoreRow` of rows `row` and `row + 1`, into places `q` and `q + 1` of the scratch and `i`, `i + 1` of the outputs. */
export function scorePair(row: usize, q: usize, i: usize): void {
  const x = valuesAt(i)
  const p4 = row << 2
  const p8 = row << 3
  const n = counts(p4, N)
  const age = f64x2.add(counts(p4, LAST_AGE), all(1))
  const warm = f64x2.extract_lane(age, 0) >= <f64>day
  const floor = floorsOf(p4)
  const f = partB
  const a = slotAt(row, slotA)
  const a1 = slotAt(row + 1, slotA)
  const b = slotAt(row, slotB)
  const b1 = slotAt(row + 1, slotB)
  const none = all(<f64>EMPTY)
  const codeA = pair(<f64>load<i8>(a + LEVELS), <f64>load<i8>(a1 + LEVELS))
  const codeB = pair(<f64>load<i8>(b + LEVELS), <f64>load<i8>(b1 + LEVELS))
  const hasA = f64x2.ne(codeA, none)
  const hasB = f64x2.ne(codeB, none)
  const hasBoth = v128.and(hasA, hasB)
  const level = v128.load(p8 + LEVEL)
  let p = level
  if (warm) {
    const base = two(p4, CODE_BASE)
    const step = two(p4, CODE_STEP)
    const levelA = f64x2.add(base, f64x2.mul(codeA, step))
    const levelB = f64x2.add(base, f64x2.mul(codeB, step))
    const mixed = f64x2.add(f64x2.mul(all(1 - f), levelA), f64x2.mul(all(f), levelB))
    p = v128.bitselect(mixed, f < 0.5 ? levelA : levelB, hasBoth)
    p = v128.bitselect(p, level, f < 0.5 ? hasA : hasB)
  }
  const r = f64x2.sub(x, p)
  const sigma = f64x2.add(two(p4, SCALE1), floor)
  const ready = f64x2.ge(n, all(3))
  const offset = two(p4, OFFSET)
  const most = all(SCALES_MAX)
  const corrected = f64x2.pmin(most, f64x2.div(f64x2.abs(f64x2.sub(r, offset)), sigma))
  const L = v128.and(corrected, ready)
  const Q = v128.and(f64x2.pmin(most, f64x2.div(f64x2.abs(r), f64x2.add(two(p4, SCALE3), floor))), ready)
  const envA = v128.and(pair(envelopeAt(a), envelopeAt(a1)), hasA)
  const envB = v128.and(pair(envelopeAt(b), envelopeAt(b1)), hasB)
  const h = f64x2.pmax(envA, envB)
  let k = f64x2.abs(f64x2.sub(x, level))
  let soft = k
  if (warm) {
    const isKnown = v128.and(hasBoth, f64x2.ge(age, all(2 * <f64>day)))
    k = v128.bitselect(f64x2.mul(f64x2.pmax(all(0), f64x2.sub(L, h)), sigma), k, isKnown)
    const over = f64x2.add(f64x2.add(L, f64x2.mul(all(3), h)), all(0.1))
    soft = v128.bitselect(f64x2.div(f64x2.mul(f64x2.mul(sigma, L), L), over), soft, isKnown)
  }
  const P = v128.and(f64x2.pmin(most, f64x2.div(k, f64x2.add(two(p4, SCALE2), floor))), ready)
  const P5 = v128.and(f64x2.pmin(most, f64x2.div(soft, f64x2.add(two(p4, SCALE5), floor))), ready)
  const joint = f64x2.sqrt(f64x2.mul(f64x2.sqrt(f64x2.mul(Q, L)), P5))
  const codes = shapeCodes(row, x)
  store<i8>(q + S_CODE, <i8>codes, 0)
  store<i8>(q + S_CODE, <i8>(codes >> 8), 1)
  const shapeUsual = f64x2.add(two(p4, SHAPE_USUAL), all(0.5))
  let shape = two(p4, SHAPE)
  let G = all(0)
  let isLoud = 0
  const heard = f64x2.ge(f64x2.add(age, all(<f64>READY_WINDOWS)), all(<f64>day))
  if (v128.any_true(heard)) {
    const shift = two(p4, SHIFT)
    const g = f64x2.add(shift, f64x2.mul(all(2.0 / 61.0), f64x2.sub(r, shift)))
    G = v128.and(f64x2.pmin(most, f64x2.div(f64x2.abs(g), f64x2.add(two(p4, SCALE4), floor))), ready)
    const loud = v128.or(f64x2.ge(L, all(LOUD_SCALES)), f64x2.ge(G, all(LOUD_SHIFT)))
    isLoud = i64x2.bitmask(v128.and(v128.or(loud, f64x2.ge(shape, f64x2.mul(all(LOUD_SHAPE), shapeUsual))), heard))
  }
  const n0 = load<u32>(p4 + N)
  const n1 = load<u32>(p4 + N, 4)
  if ((isLoud & 1) != 0 || n0 % QUIET_STRIDE == 0)
    shape = f64x2.replace_lane(shape, 0, n0 < SHAPE_WARM_UP ? 0 : thirdNearest(row, n0, <i8>codes))
  if ((isLoud & 2) != 0 || n1 % QUIET_STRIDE == 0)
    shape = f64x2.replace_lane(shape, 1, n1 < SHAPE_WARM_UP ? 0 : thirdNearest(row + 1, n1, <i8>(codes >> 8)))

  const i4 = i << 2
  const i8 = i << 3
  const silent = all(NaN)
  const expected = f64x2.add(p, offset)
  const band = f64x2.mul(f64x2.pmax(h, all(NOISE_REACH)), sigma)
  if (warm) {
    const raw = f64x2.div(joint, f64x2.add(two(p4, POINT_USUAL), all(1)))
    const known = two(p4, USUAL_MAX)
    const usual = v128.bitselect(known, all(USUAL_AT_FIRST), f64x2.gt(known, all(0)))
    put(i4, OUT_POINT, f64x2.div(f64x2.mul(all(2), raw), f64x2.add(all(1), usual)))
    put(i4, OUT_INCIDENT, f64x2.add(G, f64x2.div(shape, shapeUsual)))
    put(i4, OUT_YOUNG, silent)
    v128.store(i8 + OUT_EXPECTED, expected)
    v128.store(i8 + OUT_LOWER, f64x2.sub(expected, band))
    v128.store(i8 + OUT_UPPER, f64x2.add(expected, band))
  } else {
    const speaks = f64x2.ge(n, all(<f64>YOUNG_WINDOWS))
    const count = f64x2.add(n, all(1))
    put(i4, OUT_POINT, silent)
    put(i4, OUT_INCIDENT, silent)
    put(i4, OUT_YOUNG, v128.bitselect(f64x2.div(f64x2.mul(L, count), f64x2.add(L, count)), silent, speaks))
    v128.store(i8 + OUT_EXPECTED, v128.bitselect(expected, silent, speaks))
    v128.store(i8 + OUT_LOWER, v128.bitselect(f64x2.sub(expected, band), silent, speaks))
    v128.store(i8 + OUT_UPPER, v128.bitselect(f64x2.add(expected, band), silent, speaks))
  }
  const q8 = q << 3
  store<u32>((q << 2) + S_ROW, <u32>row)
  store<u32>((q << 2) + S_ROW, <u32>row + 1, 4)
  store<u16>(q + S_OPENS, 0)
  v128.store(q8 + S_VALUE, x)
  v128.store(q8 + S_RESIDUAL, r)
  v128.store(q8 + S_CORRECTED, corrected)
  v128.store(q8 + S_EXCESS, k)
  v128.store(q8 + S_SOFT, soft)
  v128.store(q8 + S_JOINT, joint)
  v128.store(q8 + S_SHAPE, shape)
  v128.store(q8 + S_RATIO, P)
}

/** Codes of the normalised values of both rows, a byte each. */
// @ts-ignore: decorator
@inline function shapeCodes(row: usize, x: v128): i32 {
  const m = v128.load((row << 3) + SHAPE_MEAN)
  const unit = f64x2.add(f64x2.add(two(row << 2, SHAPE_DEV), f64x2.mul(all(1e-6), f64x2.abs(m))), all(1e-12))
  const z = f64x2.pmin(f64x2.pmax(f64x2.div(f64x2.sub(x, m), unit), all(-Z_CLIP)), all(Z_CLIP))
  const far = f64x2.add(all(1), f64x2.div(f64x2.abs(z), all(LOG_KNEE)))
  const log = pair(fastLog2(f64x2.extract_lane(far, 0)), fastLog2(f64x2.extract_lane(far, 1)))
  const size = f64x2.mul(all(SHAPE_GAIN), log)
  const up = f64x2.ceil(size)
  const rounded = f64x2.sub(up, v128.and(f64x2.gt(f64x2.sub(up, all(0.5)), size), all(1)))
  const signed = v128.bitselect(f64x2.neg(rounded), rounded, f64x2.lt(z, all(0)))
  const codes = i32x4.trunc_sat_f64x2_s_zero(signed)
  return (i32x4.extract_lane(codes, 0) & 255) | (i32x4.extract_lane(codes, 1) << 8)
}

/** Whether what `scorePair` left in places `q` and `q + 1` is of rows `row` and `row + 1` with the values at places `i` and `i + 1` of the block. */
export function isScoredPair(row: usize, q: usize, i: usize): bool {
  const rows = load<u64>((q << 2) + S_ROW)
  if (rows != ((<u64>row + 1) << 32 | <u64>row)) return false
  return load<u16>(q + S_OPENS) == 0 && i64x2.all_true(f64x2.eq(v128.load((q << 3) + S_VALUE), valuesAt(i)))
}

// @ts-ignore: decorator
@inline function nextScales(p4: usize, column: usize, value: v128, floor: v128, rate: v128, settled: v128): void {
  const scale = two(p4, column)
  const reach = v128.bitselect(f64x2.mul(all(CLIP_SCALES), f64x2.add(scale, floor)), all(Infinity), settled)
  put(p4, column, f64x2.add(scale, f64x2.mul(rate, f64x2.sub(f64x2.pmin(reach, value), scale))))
}

/** As `learnRow` of rows `row` and `row + 1`, which are a pair, from what was left in places `q` and `q + 1` of the scratch. */
export function learnPair(row: usize, q: usize, i: usize): void {
  const x = valuesAt(i)
  const weight = two(i << 2, IN_WEIGHT)
  const p4 = row << 2
  const p8 = row << 3
  const q8 = q << 3
  store<u64>((q << 2) + S_ROW, <u64>NOTHING << 32 | <u64>NOTHING)
  const n = counts(p4, N)
  const floor = floorsOf(p4)
  const r = v128.load(q8 + S_RESIDUAL)
  const scale3 = two(p4, SCALE3)
  const isFirstDay = f64x2.le(n, all(<f64>day))
  const reach = v128.bitselect(all(Infinity), f64x2.mul(all(2), f64x2.add(scale3, floor)), isFirstDay)
  const clipped = f64x2.pmax(f64x2.neg(reach), f64x2.pmin(reach, r))
  const code = pair(<f64>load<i8>(slotAt(row, slotNow) + LEVELS), <f64>load<i8>(slotAt(row + 1, slotNow) + LEVELS))
  const teaches = v128.bitselect(x, f64x2.mul(weight, clipped), f64x2.eq(code, all(<f64>EMPTY)))
  put(p4, VISIT_SUM, f64x2.add(two(p4, VISIT_SUM), teaches))
  store<u32>((row << 1) + VISIT_COUNT, load<u32>((row << 1) + VISIT_COUNT) + 0x10001)
  const corrected = v128.load(q8 + S_CORRECTED)
  const visitMax = two(p4, VISIT_MAX)
  const isMore = v128.and(f64x2.gt(corrected, visitMax), f64x2.ge(n, all(3)))
  put(p4, VISIT_MAX, v128.bitselect(corrected, visitMax, isMore))

  const strange = f64x2.pmin(all(STRANGE_MAX), v128.load(q8 + S_RATIO))
  const square = f64x2.mul(strange, strange)
  nextSquare(p4, SHORT_SQUARE, SHORT_RATE, square, weight)
  nextSquare(p4, LONG_SQUARE, LONG_RATE, square, weight)
  const shift = two(p4, SHIFT)
  const moved = f32x4.demote_f64x2_zero(
    f64x2.add(shift, f64x2.mul(f64x2.mul(weight, all(2.0 / 61.0)), f64x2.sub(r, shift))),
  )
  v128.store_lane<u64>(p4 + SHIFT, moved, 0)

  const offset = two(p4, OFFSET)
  const count = f64x2.add(n, all(1))
  const young = f64x2.div(all(1), count)
  const rate3 = f64x2.mul(weight, f64x2.pmax(all(rateScale3), young))
  const rate7 = f64x2.mul(weight, f64x2.pmax(all(rateScale7), young))
  const settled = f64x2.gt(n, all(<f64>SETTLING))
  nextScales(p4, SCALE1, f64x2.abs(f64x2.sub(r, offset)), floor, rate3, settled)
  nextScales(p4, SCALE2, v128.load(q8 + S_EXCESS), floor, rate3, settled)
  nextScales(p4, SCALE3, f64x2.abs(r), floor, rate3, settled)
  nextScales(p4, SCALE4, f64x2.abs(f64x2.promote_low_f32x4(moved)), floor, rate7, settled)
  nextScales(p4, SCALE5, v128.load(q8 + S_SOFT), floor, rate3, settled)

  const joint = v128.load(q8 + S_JOINT)
  const raw = f64x2.div(joint, f64x2.add(two(p4, POINT_USUAL), all(1)))
  const heavy = f64x2.gt(weight, all(0.5))
  learnTails(row, q, i64x2.bitmask(heavy))
  const shapeMean = v128.load(p8 + SHAPE_MEAN)
  const shapeDev = two(p4, SHAPE_DEV)
  const offMean = f64x2.sub(x, shapeMean)
  put(p4, SHAPE_DEV, f64x2.add(shapeDev, f64x2.div(f64x2.sub(f64x2.abs(offMean), shapeDev), count)))
  v128.store(p8 + SHAPE_MEAN, f64x2.add(shapeMean, f64x2.div(offMean, count)))

  turnDay(row)
  turnDay(row + 1)
  const dayMax = two(p4, DAY_MAX)
  put(p4, DAY_MAX, v128.bitselect(raw, dayMax, v128.and(heavy, f64x2.gt(raw, dayMax))))

  const slow = f64x2.mul(weight, f64x2.pmax(young, all(rateSlow)))
  const level = v128.load(p8 + LEVEL)
  const mean = v128.load(p8 + MEAN)
  const deviation = two(p4, DEVIATION)
  const jump = two(p4, JUMP)
  const magnitude = two(p4, MAGNITUDE)
  const previous = v128.load(p8 + PREVIOUS)
  put(p4, OFFSET, f64x2.add(offset, f64x2.mul(f64x2.mul(weight, all(rateLevel)), f64x2.sub(clipped, offset))))
  const rate = f64x2.mul(weight, f64x2.pmax(young, all(rateLevel)))
  v128.store(p8 + LEVEL, f64x2.add(level, f64x2.mul(rate, f64x2.sub(x, level))))
  put(p4, DEVIATION, f64x2.add(deviation, f64x2.mul(slow, f64x2.sub(f64x2.abs(f64x2.sub(x, mean)), deviation))))
  v128.store(p8 + MEAN, f64x2.add(mean, f64x2.mul(slow, f64x2.sub(x, mean))))
  put(p4, JUMP, f64x2.add(jump, f64x2.mul(slow, f64x2.sub(f64x2.abs(f64x2.sub(x, previous)), jump))))
  put(p4, MAGNITUDE, f64x2.add(magnitude, f64x2.mul(slow, f64x2.sub(f64x2.abs(x), magnitude))))
  v128.store(p8 + PREVIOUS, x)
  const one = i32x4.splat(1)
  v128.store_lane<u64>(p4 + LAST_AGE, i32x4.add(v128.load_zero<u64>(p4 + LAST_AGE), one), 0)
  v128.store_lane<u64>(p4 + N, i32x4.add(v128.load_zero<u64>(p4 + N), one), 0)
}

// @ts-ignore: decorator
@inline function nextSquare(p4: usize, column: usize, share: f64, square: v128, weight: v128): void {
  const known = two(p4, column)
  const next = f64x2.add(known, f64x2.mul(all(share), f64x2.sub(square, known)))
  put(p4, column, f64x2.add(known, f64x2.mul(weight, f64x2.sub(next, known))))
}

/** What a row's tails and its ring of shapes take in: bins and rings are a row's own. `heavy`: bit 0 and 1, the rows that count. */
// @ts-ignore: decorator
@inline function learnTails(row: usize, q: usize, heavy: i32): void {
  for (let lane: usize = 0; lane < 2; lane++) {
    const own = row + lane
    const n = load<u32>((own << 2) + N)
    const tails = own << 5
    const shape = load<f64>((q + lane << 3) + S_SHAPE)
    if (heavy >> <i32>lane & 1) {
      countTail(tails + POINT_TAIL, load<f64>((q + lane << 3) + S_JOINT))
      if (n % QUIET_STRIDE == 0) countTail(tails + SHAPE_TAIL, shape)
    }
    if (isTailRead(n, load<u32>((own << 2) + LAST_AGE) + 1)) readTails(own)
    store<f32>((own << 2) + SHAPE, <f32>shape)
    store<i8>(own * RING + (n & 63) + SHAPES, load<i8>(q + lane + S_CODE))
  }
}

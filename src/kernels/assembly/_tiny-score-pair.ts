// Two rows of the kernel `tiny` scored, a lane each: see _tiny-lanes.ts.

import { CODE_BASE, CODE_STEP, EMPTY, ENVELOPE, ENVELOPES, LAST_AGE, LEVEL, LEVELS, LOG_KNEE, LOUD_SCALES, LOUD_SHAPE, LOUD_SHIFT, N, NOISE_REACH, OFFSET, OUT_EXPECTED, OUT_INCIDENT, OUT_LOWER, OUT_POINT, OUT_UPPER, OUT_YOUNG, POINT_USUAL, QUIET_STRIDE, READY_WINDOWS, SECOND, SCALE1, SCALE2, SCALE3, SCALE4, SCALE5, SCALES_MAX, SHAPE, SHAPE_DEV, SHAPE_GAIN, SHAPE_MEAN, SHAPE_USUAL, SHAPE_WARM_UP, SHIFT, S_CODE, S_CORRECTED, S_EXCESS, S_JOINT, S_OPENS, S_RATIO, S_RESIDUAL, S_ROW, S_SHAPE, S_SOFT, S_VALUE, USUAL_AT_FIRST, USUAL_MAX, YOUNG_WINDOWS, Z_CLIP } from './_tiny-layout'
import { all, counts, floorsOf, pair, put, two, valuesAt } from './_tiny-lanes'
import { decodeShapes } from './_tiny-decode'
import { thirdDecoded, thirdNearest } from './_tiny-shapes'
import { day, fastLog2, partB, slotA, slotAt, slotB } from './_tiny-window'

// @ts-ignore: decorator
@inline function envelopeAt(at: usize): f64 { return load<f64>(ENVELOPES + (<usize>load<u8>(at + ENVELOPE) << 3)) }

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
  const n0 = load<u32>(p4 + N)
  const n1 = load<u32>(p4 + N, 4)
  store<i8>(q + S_CODE, <i8>codes, 0)
  store<i8>(q + S_CODE, <i8>(codes >> 8), 1)
  const shapeUsual = f64x2.add(two(p4, SHAPE_USUAL), all(0.5))
  let shape = two(p4, SHAPE)
  let G = all(0)
  let looks = (n0 % QUIET_STRIDE == 0 ? 1 : 0) | (n1 % QUIET_STRIDE == 0 ? 2 : 0)
  const heard = f64x2.ge(f64x2.add(age, all(<f64>READY_WINDOWS)), all(<f64>day))
  if (v128.any_true(heard)) {
    const shift = two(p4, SHIFT)
    const g = f64x2.add(shift, f64x2.mul(all(2.0 / 61.0), f64x2.sub(r, shift)))
    G = v128.and(f64x2.pmin(most, f64x2.div(f64x2.abs(g), f64x2.add(two(p4, SCALE4), floor))), ready)
    const loud = v128.or(f64x2.ge(L, all(LOUD_SCALES)), f64x2.ge(G, all(LOUD_SHIFT)))
    looks |= i64x2.bitmask(v128.and(v128.or(loud, f64x2.ge(shape, f64x2.mul(all(LOUD_SHAPE), shapeUsual))), heard))
  }
  if (looks != 0) shape = shapesOf(row, n0, n1, codes, looks, shape)

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

/** The shape distances of the rows that look for them, bit 0 and 1 of `looks`; of others, what is known. `codes`: a byte a row. */
function shapesOf(row: usize, n0: u32, n1: u32, codes: i32, looks: i32, known: v128): v128 {
  if (looks == 3 && n0 >= SHAPE_WARM_UP && n1 >= SHAPE_WARM_UP) {
    // What the second is decoded to is not read before the first is searched, and by then it has been written.
    decodeShapes(row, n0, <i8>codes, 0)
    decodeShapes(row + 1, n1, <i8>(codes >> 8), SECOND)
    return pair(thirdDecoded(0), thirdDecoded(SECOND))
  }
  if (looks & 1) known = f64x2.replace_lane(known, 0, n0 < SHAPE_WARM_UP ? 0 : thirdNearest(row, n0, <i8>codes))
  if (looks & 2) known = f64x2.replace_lane(known, 1, n1 < SHAPE_WARM_UP ? 0 : thirdNearest(row + 1, n1, <i8>(codes >> 8)))
  return known
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

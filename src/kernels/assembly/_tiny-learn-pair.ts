// Two rows of the kernel `tiny` learned, a lane each: see _tiny-lanes.ts.

import { CLIP_SCALES, DAY_MAX, DEVIATION, EMPTY, IN_WEIGHT, JUMP, LAST_AGE, LEVEL, LEVELS, LONG_RATE, LONG_SQUARE, MAGNITUDE, MEAN, N, NOTHING, OFFSET, POINT_TAIL, POINT_USUAL, PREVIOUS, QUIET_STRIDE, RING, SCALE1, SCALE2, SCALE3, SCALE4, SCALE5, SETTLING, SHAPE, SHAPES, SHAPE_DEV, SHAPE_MEAN, SHAPE_TAIL, SHIFT, SHORT_RATE, SHORT_SQUARE, STRANGE_MAX, S_CODE, S_CORRECTED, S_EXCESS, S_JOINT, S_OPENS, S_RATIO, S_RESIDUAL, S_ROW, S_SHAPE, S_SOFT, S_VALUE, VISIT_COUNT, VISIT_MAX, VISIT_SUM } from './_tiny-layout'
import { all, counts, floorsOf, pair, put, two, valuesAt } from './_tiny-lanes'
import { turnDay } from './_tiny-row'
import { countTail, isTailRead, readTails } from './_tiny-tails'
import { day, rateLevel, rateScale3, rateScale7, rateSlow, slotAt, slotNow } from './_tiny-window'

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

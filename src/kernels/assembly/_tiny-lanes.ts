// Two neighbouring rows of the kernel `tiny` at once, a lane each, where both are in the usual case: seen a window ago, in the same
// phase slot as then. Rows of a batch are neighbours as a rule. The operations and their order are those of one row (_tiny-row.ts), so that
// lanes agree with it to the bit; a choice between two values is one of lanes, which also spares what branches cost where they guess wrong.

import { DEVIATION, FIRST_WINDOW, IN_VALUE, JUMP, LAST_AGE, MAGNITUDE, VALUE_MAX } from './_tiny-layout'
import { day, slotLast, slotNow, windowNow } from './_tiny-window'

// @ts-ignore: decorator
@inline export function all(x: f64): v128 { return f64x2.splat(x) }
/** Two f32 of a column as f64. */
// @ts-ignore: decorator
@inline export function two(at: usize, column: usize): v128 { return f64x2.promote_low_f32x4(v128.load_zero<u64>(at + column)) }
// @ts-ignore: decorator
@inline export function put(at: usize, column: usize, value: v128): void {
  v128.store_lane<u64>(at + column, f32x4.demote_f64x2_zero(value), 0)
}
// @ts-ignore: decorator
@inline export function counts(at: usize, column: usize): v128 { return f64x2.convert_low_i32x4_u(v128.load_zero<u64>(at + column)) }
// @ts-ignore: decorator
@inline export function pair(a: f64, b: f64): v128 { return f64x2.replace_lane(f64x2.splat(a), 1, b) }

/** Values of places `i` and `i + 1` of the block, as they are taken. */
// @ts-ignore: decorator
@inline export function valuesAt(i: usize): v128 {
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
@inline export function floorsOf(p4: usize): v128 {
  const moves = f64x2.add(f64x2.mul(all(0.05), two(p4, JUMP)), f64x2.mul(all(0.05), two(p4, DEVIATION)))
  return f64x2.add(f64x2.add(moves, f64x2.mul(all(1e-6), two(p4, MAGNITUDE))), all(1e-12))
}

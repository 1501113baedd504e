// The phase-slot detector `tiny@1` over many series in one call; its twin is detectors/slot-kernel.ts, and the two agree to the bit: the
// same operations in the same order, float64 over float32 state, the same tables (written by the wrapper), and what needs exp, log and
// powers of two, which is rare, is asked of JavaScript. Names are the twin's.
//
// Memory: tables, the columns of one block of a batch, what `score` leaves for `learn`, then the state of ROWS series, one column a
// field. Columns begin SKEW bytes apart from where they would, or all of a row's fields would fall into one set of the cache.

import { END, IN_ROW, IN_VALUE, IN_WEIGHT, LOG_TABLE, MASK, N, NOTHING, ROWS, SKEW, S_ROW, S_VALUE, VISIT_COUNT } from './_tiny-layout'
import { isPair } from './_tiny-lanes'
import { isScoredPair, learnPair } from './_tiny-learn-pair'
import { scorePair } from './_tiny-score-pair'
import { clampValue, enter } from './_tiny-window'
import { learnRow, scoreRow, silence, startRow } from './_tiny-row'

export { configure } from './_tiny-window'

export function layoutEnd(): usize { return END }
export function layoutState(): usize { return N }
export function layoutBatch(): usize { return IN_ROW }
export function layoutTables(): usize { return LOG_TABLE }

/** Whether places `i` and `i + 1` of the block are neighbours that have been started, both with a value. */
// @ts-ignore: decorator
@inline function areNeighbours(i: usize): bool {
  const rows = load<u64>((i << 2) + IN_ROW)
  const row = <u32>rows & MASK
  if (<u32>(rows >> 32) != <u32>rows + 1 || row == MASK) return false
  const x = v128.load((i << 3) + IN_VALUE)
  const counts = load<u64>((<usize>row << 2) + N)
  return <u32>counts != 0 && counts >> 32 != 0 && i64x2.all_true(f64x2.eq(x, x))
}

/** Scores `length` rows of the block; what learn needs is left from row `from` of the scratch on. */
export function score(length: u32, from: u32, window: f64, phase: i32): void {
  enter(window, phase)
  for (let i: usize = 0, q: usize = from; i < length; i++, q++) {
    const row = load<u32>((i << 2) + IN_ROW) & MASK
    if (i + 1 < length && areNeighbours(i) && isPair(row)) {
      scorePair(row, q, i)
      i++
      q++
      continue
    }
    const x = load<f64>((i << 3) + IN_VALUE)
    if (x != x || load<u32>((<usize>row << 2) + N) == 0) {
      silence(i)
      store<u32>((q << 2) + S_ROW, NOTHING)
    } else scoreRow(row, clampValue(x), q, i)
  }
}

/**
 * Learns `length` rows of the block; `isScored`: the scratch from row `from` on may hold what score worked out of them. Returns how many
 * of them are new.
 */
export function learn(length: u32, from: u32, isScored: bool, window: f64, phase: i32): u32 {
  enter(window, phase)
  let started: u32 = 0
  for (let i: usize = 0, q: usize = from; i < length; i++, q++) {
    const row = load<u32>((i << 2) + IN_ROW) & MASK
    if (isScored && i + 1 < length && areNeighbours(i) && isPair(row) && visitsHaveRoom(row) && isScoredPair(row, q, i)) {
      learnPair(row, q, i)
      i++
      q++
      continue
    }
    const observed = load<f64>((i << 3) + IN_VALUE)
    if (observed != observed) continue
    started += learnOne(row, clampValue(observed), isScored, q, i)
  }
  return started
}

/** 1 when the row is new. */
function learnOne(row: usize, x: f64, isScored: bool, q: usize, i: usize): u32 {
  const isNew = load<u32>((row << 2) + N) == 0
  if (isNew) startRow(row, x)
  const isKnown = isScored && !isNew && load<u32>((q << 2) + S_ROW) == <u32>row && load<f64>((q << 3) + S_VALUE) == x
  if (!isKnown) scoreRow(row, x, q, i)
  // What was worked out holds only for the state it was worked out from.
  store<u32>((q << 2) + S_ROW, NOTHING)
  learnRow(row, x, <f64>load<f32>((i << 2) + IN_WEIGHT), q)
  return isNew ? 1 : 0
}

// @ts-ignore: decorator
@inline function visitsHaveRoom(row: usize): bool {
  const visits = load<u32>((row << 1) + VISIT_COUNT)
  return (visits & 0xffff) != 0xffff && visits >> 16 != 0xffff
}

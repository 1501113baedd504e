// What three voices say of a block of plain series, from raw scores to opinions in one pass: direction, surprise by the pool of the
// series' class, fusion, public score; then, on learning, the counting of what was said. Its twin is detectors/plain-voices.ts, and the two
// agree to the bit. Pools are written by the wrapper's owner, a window's end at a time; nothing here is ever called back.
//
// Memory: tables, the columns of one block, what `opine` leaves for `count`, then the pools of each voice and class and their counts.

import { BAD, BINS, CLASSES, END, END_SHARE, EVIDENCE_MAX, EXPECTED, FIRST, FRESH, FRESH_BYTES, GOOD_SHARE, KIND, LEAST, LEAST_COUNTED, LOG10_2, LOG10_E, LOG_TABLE, LOWEST, OUT_DIRECTION, OUT_EVIDENCE, PER_UNIT, POOLS, POOL_BYTES, P_EDGES, P_SCALE, P_SHAPE, P_SPEAKS, P_SURPRISE, P_THRESHOLD, P_USUAL, SCRATCH, SCRATCH_BYTES, SECOND, STRANGE_UNITS, STRANGE_WEIGHT, SURPRISE_MAX, S_KIND, S_SPOKE, TABLES_END, THIRD, UNITS, VALUE, VOICE_BYTES, WEIGHT } from './_voices-layout'
import { fuseRows } from './_voices-fuse'

let endSurprise: f64 = 0

export function layoutTables(): usize { return LOG_TABLE }
export function layoutTablesEnd(): usize { return TABLES_END }
export function layoutBatch(): usize { return VALUE }
export function layoutPools(): usize { return POOLS }
export function layoutFresh(): usize { return FRESH }
export function layoutEnd(): usize { return END }
export function poolBytes(): usize { return POOL_BYTES }

/** `end`: log10 of LEAST, as JavaScript has it. */
export function configure(end: f64): void {
  endSurprise = end
}

// @ts-ignore: decorator
@inline function fastLog2(value: f64): f64 {
  const bits = reinterpret<u32>(<f32>value)
  const at = LOG_TABLE + (((bits >> 15) & 255) << 3)
  const low = load<f64>(at)
  return <f64>(<i32>(bits >> 23) - 127) + low + (<f64>(bits & 0x7fff) / 32768.0) * (load<f64>(at, 8) - low)
}

/** −log10 of the tail probability of an excess over the threshold of a pool, not counting the threshold's own. */
function excessSurprise(excess: f64, scale: f64, shape: f64): f64 {
  const t = excess / scale
  if (shape > -0.01 && shape < 0.01) return t * LOG10_E
  const argument = 1 + shape * t
  if (argument >= LEAST) return (fastLog2(argument) * LOG10_2) / shape
  const end = -END_SHARE / shape
  return endSurprise / shape + ((t - end) * LOG10_E) / LEAST
}

/** The surprise of a score that is counted, and its bin into the scratch at `bin`. */
// @ts-ignore: decorator
@inline function surpriseOf(score: f64, pool: usize, bin: usize): f32 {
  if (!(score > LEAST_COUNTED)) return load<f64>(pool, P_SPEAKS) != 0 ? 0 : NaN
  const y = fastLog2(score)
  const place = (y - LOWEST) * PER_UNIT
  const at: i32 = place >= <f64>BINS ? <i32>BINS - 1 : <i32>place
  store<u8>(bin, <u8>at)
  if (load<f64>(pool, P_SPEAKS) == 0) return NaN
  const excess = y - load<f64>(pool, P_THRESHOLD)
  if (excess < 0) {
    const edge = pool + (<usize>at << 3)
    const low = load<f64>(edge, P_EDGES)
    return <f32>(low + (place - <f64>at) * (load<f64>(edge, P_EDGES + 8) - low))
  }
  return <f32>min<f64>(SURPRISE_MAX, load<f64>(pool, P_SURPRISE) + excessSurprise(excess, load<f64>(pool, P_SCALE), load<f64>(pool, P_SHAPE)))
}

/**
 * Opinions of `length` rows of the block, whose three columns of raw scores become surprises; what is to be counted of them is left from row
 * `from` of the scratch on.
 */
export function opine(length: u32, from: u32): void {
  let s = SCRATCH + <usize>from * SCRATCH_BYTES
  for (let i: usize = 0; i < length; i++, s += SCRATCH_BYTES) {
    const i4 = i << 2
    const value = load<f64>((i << 3) + VALUE)
    const expected = load<f64>((i << 3) + EXPECTED)
    store<i8>(i + OUT_DIRECTION, value > expected ? 1 : value < expected ? -1 : 0)
    let first = load<f32>(i4 + FIRST)
    let second = load<f32>(i4 + SECOND)
    let third = load<f32>(i4 + THIRD)
    let spoke: u8 = 0
    store<u64>(s, 0)
    if (first != first && second != second && third != third) {
      store<f32>(i4 + OUT_EVIDENCE, 0)
      continue
    }
    const kind = <usize>load<u8>(i + KIND)
    const pool = POOLS + kind * POOL_BYTES
    const strength = first != first ? <f64>second : <f64>first / (1 + load<f64>(pool, P_USUAL))
    let evidence = strength > EVIDENCE_MAX ? EVIDENCE_MAX : strength > 0 ? strength : 0
    if ((value - expected) * load<f64>(BAD + (kind << 3)) < 0) {
      evidence = 0
      first = <f32>(<f64>first * GOOD_SHARE)
      second = <f32>(<f64>second * GOOD_SHARE)
      third = <f32>(<f64>third * GOOD_SHARE)
    }
    store<f32>(i4 + OUT_EVIDENCE, <f32>evidence)
    if (first == first) {
      spoke = 1
      store<f32>(i4 + FIRST, surpriseOf(first, pool, s))
    }
    if (second == second) {
      spoke |= 2
      store<f32>(i4 + SECOND, surpriseOf(second, pool + VOICE_BYTES, s + 1))
    }
    if (third == third) {
      spoke |= 4
      store<f32>(i4 + THIRD, surpriseOf(third, pool + 2 * VOICE_BYTES, s + 2))
    }
    store<u8>(s, <u8>kind, S_KIND)
    store<u8>(s, spoke, S_SPOKE)
  }
  // In a loop of its own: what is guessed wrong above does not hold these up.
  fuseRows(length)
}

/** Counts what `opine` left of `length` rows from row `from` of the scratch on. */
export function count(length: u32, from: u32): void {
  let s = SCRATCH + <usize>from * SCRATCH_BYTES
  for (let i: usize = 0; i < length; i++, s += SCRATCH_BYTES) {
    const spoke = load<u8>(s, S_SPOKE)
    if (spoke == 0) continue
    const weight = <f64>load<f32>((i << 2) + WEIGHT)
    const units = weight < STRANGE_WEIGHT ? <u32>(STRANGE_UNITS * weight + 0.5) : UNITS
    const fresh = FRESH + <usize>load<u8>(s, S_KIND) * FRESH_BYTES
    if (spoke & 1) add(fresh, load<u8>(s), units)
    if (spoke & 2) add(fresh + CLASSES * FRESH_BYTES, load<u8>(s, 1), units)
    if (spoke & 4) add(fresh + 2 * CLASSES * FRESH_BYTES, load<u8>(s, 2), units)
  }
}

// @ts-ignore: decorator
@inline function add(fresh: usize, bin: u8, units: u32): void {
  const at = fresh + (<usize>bin << 2)
  store<u32>(at, load<u32>(at) + units)
}

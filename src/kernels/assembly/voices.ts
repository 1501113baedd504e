// What three voices say of a block of plain series, from raw scores to opinions in one pass: direction, surprise by the pool of the
// series' class, fusion, public score; then, on learning, the counting of what was said. Its twin is detectors/plain-voices.ts, and the two
// agree to the bit. Pools are written by the wrapper's owner, a window's end at a time; nothing here is ever called back.
//
// Memory: tables, the columns of one block, what `opine` leaves for `count`, then the pools of each voice and class and their counts.

// ---- places; the wrapper asks for the first ones and knows the columns' order and widths
const CLASSES: usize = 256
const BINS: usize = 256
const VOICES: usize = 3
const LOG_TABLE: usize = 4096 // 257 f64
const POWER: usize = LOG_TABLE + 257 * 8 // 129 f64: 10^-d by steps of d
const PAIR: usize = POWER + 129 * 8 // 129 f64: two voices by distance
const LOG_SUM: usize = PAIR + 129 * 8 // 258 f64
const LOG_COUNT: usize = LOG_SUM + 258 * 8 // 4 f64
const SCORES: usize = LOG_COUNT + 4 * 8 // 257 f64, and one more that is not read as said
const BAD: usize = SCORES + 258 * 8 // 256 f64 by class: 1 up, -1 down, 0 both
const TABLES_END: usize = BAD + 256 * 8

const BLOCK: usize = 1024
const BATCH: usize = 16384
const VALUE: usize = BATCH
const EXPECTED: usize = VALUE + 8 * BLOCK
const WEIGHT: usize = EXPECTED + 8 * BLOCK
const FIRST: usize = WEIGHT + 4 * BLOCK
const SECOND: usize = FIRST + 4 * BLOCK
const THIRD: usize = SECOND + 4 * BLOCK
const OUT_SURPRISE: usize = THIRD + 4 * BLOCK
const OUT_POINT: usize = OUT_SURPRISE + 4 * BLOCK
const OUT_INCIDENT: usize = OUT_POINT + 4 * BLOCK
const OUT_PUBLIC: usize = OUT_INCIDENT + 4 * BLOCK
const OUT_EVIDENCE: usize = OUT_PUBLIC + 4 * BLOCK
const OUT_DIRECTION: usize = OUT_EVIDENCE + 4 * BLOCK
const KIND: usize = OUT_DIRECTION + BLOCK

// A row of the scratch: class, and the voices' bins; which of them spoke.
const SCRATCH: usize = KIND + BLOCK
const SCRATCH_ROWS: usize = 65536
const SCRATCH_BYTES: usize = 8
const S_KIND: usize = 3
const S_SPOKE: usize = 4

// A pool: f64 numbers, then the surprise at each bin's edge.
const POOLS: usize = SCRATCH + SCRATCH_ROWS * SCRATCH_BYTES
const P_THRESHOLD: usize = 0
const P_SURPRISE: usize = 8
const P_SCALE: usize = 16
const P_SHAPE: usize = 24
const P_SPEAKS: usize = 32
const P_USUAL: usize = 40
const P_EDGES: usize = 64
const POOL_BYTES: usize = 64 + 258 * 8
const VOICE_BYTES: usize = POOL_BYTES * CLASSES
const FRESH: usize = POOLS + VOICES * VOICE_BYTES
const FRESH_BYTES: usize = 4 * BINS
const END: usize = FRESH + VOICES * CLASSES * FRESH_BYTES

// ---- constants of the twin: see plain-voices.ts, pooled-calibration.ts, fusion.ts, severity.ts, math/tail-fit.ts
const PER_UNIT: f64 = 32
const LOWEST: f64 = -1
const LEAST_COUNTED: f64 = 0.5
const SURPRISE_MAX: f64 = 12
const EVIDENCE_MAX: f64 = 8
const GOOD_SHARE: f64 = 0.25
const REACH: f64 = 128
const SUM_STEPS: f64 = 64
const CEILING: f64 = 12
const SCORE_STEPS: f64 = 256.0 / 12.0
const LOG10_E: f64 = 0.4342944819032518
const LOG10_2: f64 = 0.3010299956639812
const END_SHARE: f64 = 0.9
const LEAST: f64 = 1 - END_SHARE
const STRANGE_WEIGHT: f64 = 0.2
const STRANGE_UNITS: f64 = 20
const UNITS: u32 = 8

let endSurprise: f64 = 0

export function layoutTables(): usize { return LOG_TABLE }
export function layoutTablesEnd(): usize { return TABLES_END }
export function layoutBatch(): usize { return BATCH }
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

/** As `fuseThree` of a voice without an opinion and two that have one. */
// @ts-ignore: decorator
@inline function fuseLast(y: f64, z: f64): f32 {
  const best = z > y ? z : y
  return fused(best, 1 + relative(abs<f64>(y - z)), 2)
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
      store<f32>(i4 + OUT_SURPRISE, NaN)
      store<f32>(i4 + OUT_POINT, NaN)
      store<f32>(i4 + OUT_INCIDENT, NaN)
      store<f32>(i4 + OUT_PUBLIC, NaN)
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
      first = surpriseOf(first, pool, s)
      store<f32>(i4 + FIRST, first)
    }
    if (second == second) {
      spoke |= 2
      second = surpriseOf(second, pool + VOICE_BYTES, s + 1)
      store<f32>(i4 + SECOND, second)
    }
    if (third == third) {
      spoke |= 4
      third = surpriseOf(third, pool + 2 * VOICE_BYTES, s + 2)
      store<f32>(i4 + THIRD, third)
    }
    store<u8>(s, <u8>kind, S_KIND)
    store<u8>(s, spoke, S_SPOKE)
    if (spoke == 1) {
      // A series of less than a day has one voice, and there is nothing to fuse.
      store<f32>(i4 + OUT_SURPRISE, first)
      store<f32>(i4 + OUT_POINT, first)
      store<f32>(i4 + OUT_INCIDENT, NaN)
      store<f32>(i4 + OUT_PUBLIC, publicScore(first))
      continue
    }
    const isUsual = first != first && second >= 0 && third >= 0
    const surprise = isUsual ? fuseLast(second, third) : fuseThree(first, second, third)
    store<f32>(i4 + OUT_SURPRISE, surprise)
    store<f32>(i4 + OUT_POINT, isUsual ? second : fuseTwo(first, second))
    store<f32>(i4 + OUT_INCIDENT, third >= 0 ? third : NaN)
    store<f32>(i4 + OUT_PUBLIC, publicScore(surprise))
  }
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

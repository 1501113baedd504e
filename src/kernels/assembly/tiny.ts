// The phase-slot detector `tiny@1` over many series in one call; its twin is detectors/slot-kernel.ts, and the two agree to the bit: the
// same operations in the same order, float64 over float32 state, the same tables (written by the wrapper), and what needs exp, log and
// powers of two, which is rare, is asked of JavaScript. Names are the twin's.
//
// Memory: tables, the columns of one block of a batch, what `score` leaves for `learn`, then the state of ROWS series, one column a
// field. Columns begin SKEW bytes apart from where they would, or all of a row's fields would fall into one set of the cache.

// @ts-ignore: decorator
@external("env", "exp")
declare function exp(x: f64): f64
// @ts-ignore: decorator
@external("env", "log")
declare function log(x: f64): f64
// @ts-ignore: decorator
@external("env", "exp2")
declare function exp2(x: f64): f64

// ---- places; the wrapper asks for the first ones and knows the columns' order and widths
const LOG_TABLE: usize = 4096 // 257 f64
const ENVELOPES: usize = LOG_TABLE + 257 * 8 // 256 f64 by code
const DECODED: usize = ENVELOPES + 256 * 8 // 256 f64 by code + 128
const DECODED32: usize = DECODED + 256 * 8 // the same as f32
const EXP2: usize = DECODED32 + 256 * 4 // 64 f64: 2^(k/64)
const PAST: usize = EXP2 + 64 * 8 + 16 // 65 f32
const SUMS: usize = PAST + 65 * 4 + 12 // 52 f32
const CODES: usize = SUMS + 52 * 4 // 128 i8
const LEVELS_SEEN: usize = CODES + 128 // 48 f64
const SORTED: usize = LEVELS_SEEN + 48 * 8 // 28 u8
const BATCH: usize = 16384
const BLOCK: usize = 1024
const IN_ROW: usize = BATCH
const IN_VALUE: usize = IN_ROW + 4 * BLOCK
const IN_WEIGHT: usize = IN_VALUE + 8 * BLOCK
const OUT_SURPRISE: usize = IN_WEIGHT + 4 * BLOCK
const OUT_POINT: usize = OUT_SURPRISE + 4 * BLOCK
const OUT_INCIDENT: usize = OUT_POINT + 4 * BLOCK
const OUT_YOUNG: usize = OUT_INCIDENT + 4 * BLOCK
const OUT_EXPECTED: usize = OUT_YOUNG + 4 * BLOCK
const OUT_LOWER: usize = OUT_EXPECTED + 8 * BLOCK
const OUT_UPPER: usize = OUT_LOWER + 8 * BLOCK
const SCRATCH: usize = OUT_UPPER + 8 * BLOCK
const SCRATCH_ROWS: usize = 65536
// A row of the scratch: what score worked out.
const S_ROW: usize = 0 // u32, all ones when nothing was
const S_OPENS: usize = 4 // u8
const S_CODE: usize = 5 // i8
const S_VALUE: usize = 8
const S_RESIDUAL: usize = 16
const S_CORRECTED: usize = 24
const S_EXCESS: usize = 32
const S_SOFT: usize = 40
const S_JOINT: usize = 48
const S_SHAPE: usize = 56
const S_RATIO: usize = 64
const SCRATCH_BYTES: usize = 72
const NOTHING: u32 = 0xffffffff

const ROWS: usize = 1 << 20
const MASK: u32 = (1 << 20) - 1
const SKEW: usize = 192
const SLOTS: usize = 48
const BINS: usize = 16
const RING: usize = 64
const DAYS: usize = 28

const N: usize = SCRATCH + SCRATCH_ROWS * SCRATCH_BYTES
const FIRST_WINDOW: usize = N + 4 * ROWS + SKEW
const LAST_AGE: usize = FIRST_WINDOW + 8 * ROWS + SKEW
const LEVEL: usize = LAST_AGE + 4 * ROWS + SKEW
const MEAN: usize = LEVEL + 8 * ROWS + SKEW
const PREVIOUS: usize = MEAN + 8 * ROWS + SKEW
const SHAPE_MEAN: usize = PREVIOUS + 8 * ROWS + SKEW
const SHAPE_DEV: usize = SHAPE_MEAN + 8 * ROWS + SKEW
const DEVIATION: usize = SHAPE_DEV + 4 * ROWS + SKEW
const JUMP: usize = DEVIATION + 4 * ROWS + SKEW
const MAGNITUDE: usize = JUMP + 4 * ROWS + SKEW
const OFFSET: usize = MAGNITUDE + 4 * ROWS + SKEW
const SCALE1: usize = OFFSET + 4 * ROWS + SKEW
const SCALE2: usize = SCALE1 + 4 * ROWS + SKEW
const SCALE3: usize = SCALE2 + 4 * ROWS + SKEW
const SCALE4: usize = SCALE3 + 4 * ROWS + SKEW
const SCALE5: usize = SCALE4 + 4 * ROWS + SKEW
const SHORT_SQUARE: usize = SCALE5 + 4 * ROWS + SKEW
const LONG_SQUARE: usize = SHORT_SQUARE + 4 * ROWS + SKEW
const SHIFT: usize = LONG_SQUARE + 4 * ROWS + SKEW
const CODE_BASE: usize = SHIFT + 4 * ROWS + SKEW
const CODE_STEP: usize = CODE_BASE + 4 * ROWS + SKEW
const VISIT_MAX: usize = CODE_STEP + 4 * ROWS + SKEW
const VISIT_SUM: usize = VISIT_MAX + 4 * ROWS + SKEW
const VISIT_COUNT: usize = VISIT_SUM + 4 * ROWS + SKEW
const DAY_MAX: usize = VISIT_COUNT + 2 * ROWS + SKEW
const USUAL_MAX: usize = DAY_MAX + 4 * ROWS + SKEW
const POINT_USUAL: usize = USUAL_MAX + 4 * ROWS + SKEW
const SHAPE_USUAL: usize = POINT_USUAL + 4 * ROWS + SKEW
const SHAPE: usize = SHAPE_USUAL + 4 * ROWS + SKEW
const DAY_MAXIMA: usize = SHAPE + 4 * ROWS + SKEW
const LEVELS: usize = DAY_MAXIMA + DAYS * ROWS + SKEW
const ENVELOPE: usize = LEVELS + SLOTS * ROWS + SKEW
const POINT_TAIL: usize = ENVELOPE + SLOTS * ROWS + SKEW
const SHAPE_TAIL: usize = POINT_TAIL + 2 * BINS * ROWS + SKEW
const SHAPES: usize = SHAPE_TAIL + 2 * BINS * ROWS + SKEW
const END: usize = SHAPES + RING * ROWS + SKEW

// ---- constants of the twin
const LOUD_SCALES: f64 = 3
const LOUD_SHIFT: f64 = 1.5
const LOUD_SHAPE: f64 = 0.5
const TAIL_STRIDE: u32 = 8
const TAIL_OFTEN: u32 = 100
const QUIET_STRIDE: u32 = 4
const NOISE_REACH: f64 = 3
const SCALES_MAX: f64 = 1e6
const VALUE_MAX: f64 = 1e24
const EMPTY: i32 = -128
const LEVEL_MAX: f64 = 127
const ENVELOPE_GAIN: f64 = 46
const ENVELOPE_KNEE: f64 = 0.25
const CLIP_SCALES: f64 = 8
const SETTLING: u32 = 20
const SHORT_RATE: f64 = 2.0 / 15.0
const LONG_RATE: f64 = 2.0 / 121.0
const LONG_SHARE: f64 = 0.15
const SHIFT_SHARE: f64 = 1.5
const STRANGE_MAX: f64 = 1e3
const Z_CLIP: f64 = 30
const LOG_KNEE: f64 = 0.3
const SHAPE_GAIN: f64 = 27.0 * 0.6931471805599453
const SHAPE_WARM_UP: u32 = 69
const ERROR: f64 = 1.0 / 262144.0
const TAIL_LOWEST: f64 = 0.25
const USUAL_AT_FIRST: f64 = 1.5
/** Windows before the level's scale means anything: see plain-detector.ts. */
const YOUNG_WINDOWS: u32 = 20

export function layoutEnd(): usize { return END }
export function layoutState(): usize { return N }
export function layoutBatch(): usize { return BATCH }
export function layoutTables(): usize { return LOG_TABLE }

// ---- what follows from the step
let day: u32 = 1
let slots: i32 = 1
let width: f64 = 1
let rateLevel: f64 = 0
let rateScale3: f64 = 0
let rateScale7: f64 = 0
let rateSlow: f64 = 0

export function configure(days: u32, slotCount: i32, slotWidth: f64, level: f64, scale3: f64, scale7: f64, slow: f64): void {
  day = days
  slots = slotCount
  width = slotWidth
  rateLevel = level
  rateScale3 = scale3
  rateScale7 = scale7
  rateSlow = slow
}

// ---- what holds for all rows of a window
let windowNow: f64 = 0
let phaseNow: i32 = 0
let slotNow: i32 = 0
let slotLast: i32 = 0
let slotA: i32 = 0
let slotB: i32 = 0
let partB: f64 = 0

function enter(window: f64, phase: i32): void {
  windowNow = window
  phaseNow = phase
  slotNow = <i32>(<f64>phase / width)
  slotLast = slotSome(1)
  const u = (<f64>phase + 0.5) / width - 0.5
  const below = Math.floor(u)
  partB = u - below
  slotA = below < 0 ? slots - 1 : <i32>below
  slotB = slotA + 1 == slots ? 0 : slotA + 1
}

// @ts-ignore: decorator
@inline function f32At(at: usize, column: usize): f64 { return <f64>load<f32>(at + column) }
// @ts-ignore: decorator
@inline function put32(at: usize, column: usize, value: f64): void { store<f32>(at + column, <f32>value) }

/** log2 of a float32, as math/fast-log.ts has it. */
// @ts-ignore: decorator
@inline function fastLog2(value: f64): f64 {
  const bits = reinterpret<u32>(<f32>value)
  const at = LOG_TABLE + (((bits >> 15) & 255) << 3)
  const low = load<f64>(at)
  return <f64>(<i32>(bits >> 23) - 127) + low + (<f64>(bits & 0x7fff) / 32768.0) * (load<f64>(at, 8) - low)
}

/** Math.round of JavaScript: halves go up. */
// @ts-ignore: decorator
@inline function roundHalfUp(x: f64): f64 {
  const up = ceil<f64>(x)
  return up - 0.5 > x ? up - 1 : up
}

function hashUnit(value: f64, counter: u32): f64 {
  const words = reinterpret<u64>(value)
  let h = (<u32>words ^ 0x9e3779b9) * 0x85ebca6b ^ <u32>(words >> 32)
  h = (h ^ (h >> 15) ^ counter) * 0xc2b2ae35
  h = (h ^ (h >> 13)) * 0x27d4eb2f
  h = (h ^ (h >> 16)) * 0x85ebca6b
  h ^= h >> 13
  return <f64>h / 4294967296.0
}

function roundStochastic(value: f64, counter: u32): f64 {
  const down = floor<f64>(value)
  return hashUnit(value, counter) < value - down ? down + 1 : down
}

// @ts-ignore: decorator
@inline function levelOf(row: usize, code: i32): f64 {
  return f32At(row << 2, CODE_BASE) + <f64>code * f32At(row << 2, CODE_STEP)
}

function visitedLevel(row: usize, slot: i32): f64 {
  const mean = f32At(row << 2, VISIT_SUM) / <f64>load<u16>((row << 1) + VISIT_COUNT)
  const code = <i32>load<i8>(row * SLOTS + slot + LEVELS)
  if (code == EMPTY) return mean
  const days = <f64>(load<u32>((row << 2) + LAST_AGE) / day)
  return levelOf(row, code) + max<f64>(1.0 / (days + 1), 1.0 / 7.0) * mean
}

function visitedEnvelope(row: usize, slot: i32): f64 {
  const at = row * SLOTS + slot
  const visitMax = f32At(row << 2, VISIT_MAX)
  if (<i32>load<i8>(at + LEVELS) == EMPTY) return visitMax
  const known = load<f64>(ENVELOPES + (<usize>load<u8>(at + ENVELOPE) << 3))
  const change = min<f64>(visitMax - known, 4)
  const early = load<u32>((row << 2) + LAST_AGE) / day < 4
  if (change > 0) return known + change * (early ? 0.5 : 0.3)
  return known + change * (early ? 0.25 : 0.1)
}

function slotSome(back: i32): i32 {
  let last = phaseNow - <i32>(<u32>back % day)
  if (last < 0) last += day
  return <i32>(<f64>last / width)
}

// @ts-ignore: decorator
@inline function slotBefore(back: i32): i32 {
  return back == 1 ? slotLast : slotSome(back)
}

// @ts-ignore: decorator
@inline function backOf(row: usize): i32 {
  return <i32>max<f64>(0, windowNow - load<f64>((row << 3) + FIRST_WINDOW) - <f64>load<u32>((row << 2) + LAST_AGE))
}

/** Works `x` of a started row out into the scratch at `s` and place `i` of the outputs; changes nothing else. */
function scoreRow(row: usize, x: f64, s: usize, i: usize): void {
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
  const slotsAt = row * SLOTS
  const closing = opens && load<u16>((row << 1) + VISIT_COUNT) > 0 ? previousSlot : -1
  const codeA = <i32>load<i8>(slotsAt + a + LEVELS)
  const codeB = <i32>load<i8>(slotsAt + b + LEVELS)
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
  const envA = a == closing ? visitedEnvelope(row, a) : load<f64>(ENVELOPES + (<usize>load<u8>(slotsAt + a + ENVELOPE) << 3))
  const envB = b == closing ? visitedEnvelope(row, b) : load<f64>(ENVELOPES + (<usize>load<u8>(slotsAt + b + ENVELOPE) << 3))
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
  const isLoud = L >= LOUD_SCALES || G >= LOUD_SHIFT || shape >= LOUD_SHAPE * shapeUsual
  if (isLoud || n % QUIET_STRIDE == 0) shape = n < SHAPE_WARM_UP ? 0 : thirdNearest(row, n, code)
  const raw = joint / (f32At(p4, POINT_USUAL) + 1)

  if (warm) {
    const strange = min<f64>(P, STRANGE_MAX)
    const square = strange * strange
    const short = f32At(p4, SHORT_SQUARE)
    const long = f32At(p4, LONG_SQUARE)
    const nextShort = short + SHORT_RATE * (square - short)
    const nextLong = long + LONG_RATE * (square - long)
    const usual = f32At(p4, USUAL_MAX)
    put32(i << 2, OUT_SURPRISE, sqrt<f64>(nextShort) + LONG_SHARE * sqrt<f64>(nextLong) + SHIFT_SHARE * G)
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
  store<u32>(s, <u32>row, S_ROW)
  store<u8>(s, opens ? 1 : 0, S_OPENS)
  store<i8>(s, <i8>code, S_CODE)
  store<f64>(s, x, S_VALUE)
  store<f64>(s, r, S_RESIDUAL)
  store<f64>(s, corrected, S_CORRECTED)
  store<f64>(s, k, S_EXCESS)
  store<f64>(s, soft, S_SOFT)
  store<f64>(s, joint, S_JOINT)
  store<f64>(s, shape, S_SHAPE)
  store<f64>(s, P, S_RATIO)
}

/** No opinion of place `i`. */
function silence(i: usize): void {
  store<f32>((i << 2) + OUT_SURPRISE, NaN)
  store<f32>((i << 2) + OUT_POINT, NaN)
  store<f32>((i << 2) + OUT_INCIDENT, NaN)
  store<f32>((i << 2) + OUT_YOUNG, NaN)
  store<f64>((i << 3) + OUT_EXPECTED, NaN)
  store<f64>((i << 3) + OUT_LOWER, NaN)
  store<f64>((i << 3) + OUT_UPPER, NaN)
}

// @ts-ignore: decorator
@inline function shapeCode(row: usize, x: f64): i32 {
  const m = load<f64>((row << 3) + SHAPE_MEAN)
  let z = (x - m) / (f32At(row << 2, SHAPE_DEV) + 1e-6 * abs<f64>(m) + 1e-12)
  if (z > Z_CLIP) z = Z_CLIP
  else if (z < -Z_CLIP) z = -Z_CLIP
  const size = <i32>roundHalfUp(SHAPE_GAIN * fastLog2(1 + abs<f64>(z) / LOG_KNEE))
  return z < 0 ? -size : size
}

/**
 * Four lags at a time in float32, which says which sum is the third smallest but for a few that are too near to tell; those, as a rule
 * one, again as the twin adds them up. The bound of what float32 loses: values are at most 31, so differences are off by e = 2^-18 at
 * most and a sum of eight squares by 2e√(8·sum) + 8e² + 2^-20·sum.
 */
function thirdNearest(row: usize, n: u32, code: i32): f64 {
  // The ring twice, one after the other: from the oldest code on all are in a row, up to the newest, which is put at their end.
  const ring = row * RING + SHAPES
  for (let at: usize = 0; at < RING; at += 16) {
    const codes = v128.load(ring + at)
    v128.store(CODES + at, codes)
    v128.store(CODES + RING + at, codes)
  }
  const oldest = CODES + (n & 63)
  const newest = oldest + RING
  store<i8>(newest, <i8>code)
  for (let from = oldest, to = PAST; from < newest; from += 8, to += 32) {
    store<f32>(to, decoded32(load<i8>(from, 0)), 0)
    store<f32>(to, decoded32(load<i8>(from, 1)), 4)
    store<f32>(to, decoded32(load<i8>(from, 2)), 8)
    store<f32>(to, decoded32(load<i8>(from, 3)), 12)
    store<f32>(to, decoded32(load<i8>(from, 4)), 16)
    store<f32>(to, decoded32(load<i8>(from, 5)), 20)
    store<f32>(to, decoded32(load<i8>(from, 6)), 24)
    store<f32>(to, decoded32(load<i8>(from, 7)), 28)
  }
  const a0 = f32x4.splat(decoded32(<i8>code))
  const a1 = v128.load_splat<f32>(PAST, 252)
  const a2 = v128.load_splat<f32>(PAST, 248)
  const a3 = v128.load_splat<f32>(PAST, 244)
  const a4 = v128.load_splat<f32>(PAST, 240)
  const a5 = v128.load_splat<f32>(PAST, 236)
  const a6 = v128.load_splat<f32>(PAST, 232)
  const a7 = v128.load_splat<f32>(PAST, 228)
  let m1 = f32x4.splat(Infinity)
  let m2 = m1
  let m3 = m1
  // Lanes are lags 59, 58, 57, 56 … 11, 10, 9, 8; the first two are none.
  let at: usize = PAST - 8
  for (let sums: usize = SUMS; sums < SUMS + 208; sums += 16, at += 16) {
    let d = f32x4.sub(a0, v128.load(at, 28))
    let sum = f32x4.mul(d, d)
    d = f32x4.sub(a1, v128.load(at, 24))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a2, v128.load(at, 20))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a3, v128.load(at, 16))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a4, v128.load(at, 12))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a5, v128.load(at, 8))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a6, v128.load(at, 4))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    d = f32x4.sub(a7, v128.load(at, 0))
    sum = f32x4.add(sum, f32x4.mul(d, d))
    if (sums == SUMS) sum = v128.bitselect(f32x4.splat(Infinity), sum, i32x4(-1, -1, 0, 0))
    v128.store(sums, sum)
    const over = f32x4.pmax(m1, sum)
    m1 = f32x4.pmin(m1, sum)
    const next = f32x4.pmax(m2, over)
    m2 = f32x4.pmin(m2, over)
    m3 = f32x4.pmin(m3, next)
  }
  const about = <f64>thirdOf(m1, m2, m3)
  const loss = about * 4e-6 + 4 * ERROR * sqrt<f64>(8 * about) + 24 * ERROR * ERROR
  const most = f32x4.splat(<f32>(about + loss))
  const least = f32x4.splat(<f32>(about - loss))
  let near: u64 = 0
  let below: u64 = 0
  for (let group: u64 = 0; group < 52; group += 4) {
    const sum = v128.load(SUMS + (<usize>group << 2))
    near |= <u64>i32x4.bitmask(f32x4.le(sum, most)) << group
    below |= <u64>i32x4.bitmask(f32x4.lt(sum, least)) << group
  }
  // The rank of the third among those near it.
  let rank = 3 - <i32>popcnt<u64>(below)
  near &= ~below
  if (rank == 1 && (near & (near - 1)) == 0) return sqrt<f64>(distance(newest, 59 - <usize>ctz<u64>(near)))
  let first = Infinity
  let second = Infinity
  let third = Infinity
  for (; near != 0; near &= near - 1) {
    const sum = distance(newest, 59 - <usize>ctz<u64>(near))
    if (sum >= third) continue
    if (sum < first) {
      third = second
      second = first
      first = sum
    } else if (sum < second) {
      third = second
      second = sum
    } else third = sum
  }
  return sqrt<f64>(rank == 1 ? first : rank == 2 ? second : third)
}

// @ts-ignore: decorator
@inline function decoded32(code: i8): f32 { return load<f32>(DECODED32 + 512 + (<isize>code << 2)) }
// @ts-ignore: decorator
@inline function decoded(code: i8): f64 { return load<f64>(DECODED + 1024 + (<isize>code << 3)) }

/** The third smallest of what the lanes hold, each lane's in ascending order: lanes take in what their neighbours have. */
function thirdOf(m1: v128, m2: v128, m3: v128): f32 {
  for (let step = 0; step < 2; step++) {
    const other = step == 0 ? v128.shuffle<i32>(m1, m1, 2, 3, 0, 1) : v128.shuffle<i32>(m1, m1, 1, 0, 3, 2)
    const o2 = step == 0 ? v128.shuffle<i32>(m2, m2, 2, 3, 0, 1) : v128.shuffle<i32>(m2, m2, 1, 0, 3, 2)
    const o3 = step == 0 ? v128.shuffle<i32>(m3, m3, 2, 3, 0, 1) : v128.shuffle<i32>(m3, m3, 1, 0, 3, 2)
    let over = f32x4.pmax(m1, other)
    m1 = f32x4.pmin(m1, other)
    const next = f32x4.pmax(m2, over)
    m2 = f32x4.pmin(m2, over)
    m3 = f32x4.pmin(m3, next)
    // The neighbour's second and third are no smaller than its first.
    over = f32x4.pmax(m2, o2)
    m2 = f32x4.pmin(m2, o2)
    m3 = f32x4.pmin(m3, over)
    m3 = f32x4.pmin(m3, o3)
  }
  return f32x4.extract_lane(m3, 0)
}

/** The squared distance of the newest shingle from the one `lag` samples earlier, added up in the twin's order. */
function distance(newest: usize, lag: usize): f64 {
  const then = newest - lag
  let d = decoded(load<i8>(newest)) - decoded(load<i8>(then))
  let sum = d * d
  d = decoded(load<i8>(newest - 1)) - decoded(load<i8>(then - 1))
  sum += d * d
  d = decoded(load<i8>(newest - 2)) - decoded(load<i8>(then - 2))
  sum += d * d
  d = decoded(load<i8>(newest - 3)) - decoded(load<i8>(then - 3))
  sum += d * d
  d = decoded(load<i8>(newest - 4)) - decoded(load<i8>(then - 4))
  sum += d * d
  d = decoded(load<i8>(newest - 5)) - decoded(load<i8>(then - 5))
  sum += d * d
  d = decoded(load<i8>(newest - 6)) - decoded(load<i8>(then - 6))
  sum += d * d
  d = decoded(load<i8>(newest - 7)) - decoded(load<i8>(then - 7))
  return sum + d * d
}

// @ts-ignore: decorator
@inline function clampValue(x: f64): f64 {
  return max<f64>(-VALUE_MAX, min<f64>(VALUE_MAX, x))
}

/** Scores `length` rows of the block; what learn needs is left from row `from` of the scratch on. */
export function score(length: u32, from: u32, window: f64, phase: i32): void {
  enter(window, phase)
  let s = SCRATCH + <usize>from * SCRATCH_BYTES
  for (let i: usize = 0; i < length; i++, s += SCRATCH_BYTES) {
    const row = load<u32>((i << 2) + IN_ROW) & MASK
    const x = load<f64>((i << 3) + IN_VALUE)
    if (x != x || load<u32>((<usize>row << 2) + N) == 0) {
      silence(i)
      store<u32>(s, NOTHING, S_ROW)
    } else scoreRow(row, clampValue(x), s, i)
  }
}

/**
 * Learns `length` rows of the block; `isScored`: the scratch from row `from` on may hold what score worked out of them. Returns how many
 * of them are new.
 */
export function learn(length: u32, from: u32, isScored: bool, window: f64, phase: i32): u32 {
  enter(window, phase)
  let started: u32 = 0
  let s = SCRATCH + <usize>from * SCRATCH_BYTES
  for (let i: usize = 0; i < length; i++, s += SCRATCH_BYTES) {
    const observed = load<f64>((i << 3) + IN_VALUE)
    if (observed != observed) continue
    const row = load<u32>((i << 2) + IN_ROW) & MASK
    const x = clampValue(observed)
    const isNew = load<u32>((<usize>row << 2) + N) == 0
    if (isNew) {
      startRow(row, x)
      started++
    }
    if (!isScored || isNew || load<u32>(s, S_ROW) != row || load<f64>(s, S_VALUE) != x) scoreRow(row, x, s, i)
    // What was worked out holds only for the state it was worked out from.
    store<u32>(s, NOTHING, S_ROW)
    learnRow(row, x, <f64>load<f32>((i << 2) + IN_WEIGHT), s)
  }
  return started
}

function startRow(row: usize, x: f64): void {
  store<f64>((row << 3) + FIRST_WINDOW, windowNow)
  store<f64>((row << 3) + LEVEL, x)
  store<f64>((row << 3) + MEAN, x)
  store<f64>((row << 3) + PREVIOUS, x)
  put32(row << 2, MAGNITUDE, abs<f64>(x))
  memory.fill(row * SLOTS + LEVELS, <u8>EMPTY, SLOTS)
}

function learnRow(row: usize, x: f64, weight: f64, s: usize): void {
  const p4 = row << 2
  const p8 = row << 3
  const n = load<u32>(p4 + N)
  const back = backOf(row)
  const lastAge = load<u32>(p4 + LAST_AGE)
  const age = lastAge + back
  const floor = 0.05 * f32At(p4, JUMP) + 0.05 * f32At(p4, DEVIATION) + 1e-6 * f32At(p4, MAGNITUDE) + 1e-12
  const r = load<f64>(s, S_RESIDUAL)
  if (load<u8>(s, S_OPENS) == 1) {
    const previousSlot = slotBefore(back)
    closeVisit(row, previousSlot, n)
    if (slotNow <= previousSlot) tightenLevels(row, n)
  }
  const scale3 = f32At(p4, SCALE3)
  const reach: f64 = n <= day ? Infinity : 2 * (scale3 + floor)
  const clipped = max<f64>(-reach, min<f64>(reach, r))
  const isEmpty = <i32>load<i8>(row * SLOTS + slotNow + LEVELS) == EMPTY
  const visits = load<u16>((row << 1) + VISIT_COUNT)
  if (visits < 65535) {
    put32(p4, VISIT_SUM, f32At(p4, VISIT_SUM) + (isEmpty ? x : weight * clipped))
    store<u16>((row << 1) + VISIT_COUNT, visits + 1)
  }
  const corrected = load<f64>(s, S_CORRECTED)
  if (n >= 3 && corrected > f32At(p4, VISIT_MAX)) put32(p4, VISIT_MAX, corrected)

  const strange = min<f64>(load<f64>(s, S_RATIO), STRANGE_MAX)
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
  nextScale(p4, SCALE2, load<f64>(s, S_EXCESS), floor, rate3, settled)
  nextScale(p4, SCALE3, abs<f64>(r), floor, rate3, settled)
  nextScale(p4, SCALE4, abs<f64>(<f64>moved), floor, rate7, settled)
  nextScale(p4, SCALE5, load<f64>(s, S_SOFT), floor, rate3, settled)

  const joint = load<f64>(s, S_JOINT)
  const shape = load<f64>(s, S_SHAPE)
  const raw = joint / (f32At(p4, POINT_USUAL) + 1)
  const pointTail = (row << 5) + POINT_TAIL
  const shapeTail = (row << 5) + SHAPE_TAIL
  if (weight > 0.5) {
    countTail(pointTail, joint)
    if (n % QUIET_STRIDE == 0) countTail(shapeTail, shape)
  }
  if (n % TAIL_STRIDE == 0 || n < TAIL_OFTEN) {
    put32(p4, POINT_USUAL, tail99(pointTail))
    put32(p4, SHAPE_USUAL, tail99(shapeTail))
  }
  put32(p4, SHAPE, shape)
  store<i8>(row * RING + (n & 63) + SHAPES, load<i8>(s, S_CODE))
  const shapeMean = load<f64>(p8 + SHAPE_MEAN)
  const shapeDev = f32At(p4, SHAPE_DEV)
  const count = <f64>n + 1
  put32(p4, SHAPE_DEV, shapeDev + (abs<f64>(x - shapeMean) - shapeDev) / count)
  store<f64>(p8 + SHAPE_MEAN, shapeMean + (x - shapeMean) / count)

  const lastDay = lastAge / day
  if (age - lastDay * day >= day) {
    const dayMax = f32At(p4, DAY_MAX)
    if (lastDay > 0 && dayMax > 0) put32(p4, USUAL_MAX, closeDay(row, lastDay, dayMax))
    store<f32>(p4 + DAY_MAX, 0)
  }
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
@inline function nextScale(p4: usize, column: usize, value: f64, floor: f64, rate: f64, settled: bool): void {
  const scale = f32At(p4, column)
  put32(p4, column, scale + rate * (min<f64>(value, settled ? CLIP_SCALES * (scale + floor) : Infinity) - scale))
}

// @ts-ignore: decorator
@inline function countTail(tail: usize, value: f64): void {
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

function tail99(tail: usize): f64 {
  const sums = i32x4.add(i32x4.extadd_pairwise_i16x8_u(v128.load(tail)), i32x4.extadd_pairwise_i16x8_u(v128.load(tail + 16)))
  const total = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) + i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3)
  if (total == 0) return 0
  const wanted = <f64>total * 0.01
  let above: f64 = 0
  for (let b: usize = BINS - 1; b > 0; b--) {
    const count = <f64>load<u16>(tail + (b << 1))
    if (above + count >= wanted) return TAIL_LOWEST * power((<f64>b - (wanted - above) / count) / 2)
    above += count
  }
  return TAIL_LOWEST
}

/** 2^y, y ≥ 0, for a float32: by table and series, within 10^-15, unless the rounding to float32 could hang on that. */
function power(y: f64): f64 {
  const steps = floor<f64>(y * 64 + 0.5)
  const z = (y - steps / 64) * 0.6931471805599453
  const whole = <i32>steps
  const series = 1 + z * (1 + z * (0.5 + z * (1.0 / 6.0 + z * (1.0 / 24.0 + z * (1.0 / 120.0)))))
  const found = load<f64>(EXP2 + (<usize>(whole & 63) << 3)) * series * <f64>(1 << (whole >> 6))
  return <f32>(found * (1 - 1e-14)) == <f32>(found * (1 + 1e-14)) ? found : exp2(y)
}

/** Ends the visit of a slot: its level and envelope take what the visit saw. */
function closeVisit(row: usize, slot: i32, n: u32): void {
  const p4 = row << 2
  if (load<u16>((row << 1) + VISIT_COUNT) == 0) return
  const level = visitedLevel(row, slot)
  const envelope = visitedEnvelope(row, slot)
  const code = ENVELOPE_GAIN * log(1 + max<f64>(0, envelope) / ENVELOPE_KNEE)
  store<u8>(row * SLOTS + slot + ENVELOPE, <u8>min<f64>(255, roundStochastic(min<f64>(255, code), n)))
  storeLevel(row, slot, level, n)
  store<f32>(p4 + VISIT_MAX, 0)
  store<f32>(p4 + VISIT_SUM, 0)
  store<u16>((row << 1) + VISIT_COUNT, 0)
}

function storeLevel(row: usize, slot: i32, level: f64, n: u32): void {
  const step = f32At(row << 2, CODE_STEP)
  if (step > 0) {
    const code = roundStochastic((level - f32At(row << 2, CODE_BASE)) / step, n)
    if (abs<f64>(code) <= LEVEL_MAX) {
      store<i8>(row * SLOTS + slot + LEVELS, <i8>code)
      return
    }
  }
  recode(row, slot, level, n)
}

/** Gives the row's levels, `level` of `slot` among them, a base and a step that leave room on both sides. */
function recode(row: usize, slot: i32, level: f64, n: u32): void {
  const p4 = row << 2
  const slotsAt = row * SLOTS + LEVELS
  let low = level
  let high = level
  for (let k: i32 = 0; k < <i32>SLOTS; k++) {
    const code = <i32>load<i8>(slotsAt + k)
    if (code == EMPTY || k == slot) continue
    const value = levelOf(row, code)
    store<f64>(LEVELS_SEEN + (k << 3), value)
    if (value < low) low = value
    if (value > high) high = value
  }
  store<f64>(LEVELS_SEEN + (slot << 3), level)
  const floor = 0.05 * f32At(p4, JUMP) + 0.05 * f32At(p4, DEVIATION) + 1e-6 * f32At(p4, MAGNITUDE) + 1e-12
  put32(p4, CODE_BASE, low / 2 + high / 2)
  const spread = max<f64>((0.625 * (high - low)) / LEVEL_MAX, (2 * floor) / LEVEL_MAX)
  put32(p4, CODE_STEP, max<f64>(max<f64>(spread, (4e-7 * max<f64>(abs<f64>(low), abs<f64>(high))) / LEVEL_MAX), 1e-30))
  const base = f32At(p4, CODE_BASE)
  const step = f32At(p4, CODE_STEP)
  for (let k: i32 = 0; k < <i32>SLOTS; k++) {
    if (<i32>load<i8>(slotsAt + k) == EMPTY && k != slot) continue
    const code = roundStochastic((load<f64>(LEVELS_SEEN + (k << 3)) - base) / step, n + k)
    store<i8>(slotsAt + k, <i8>max<f64>(-LEVEL_MAX, min<f64>(LEVEL_MAX, code)))
  }
}

/** At the end of a day the code step shrinks again when the levels use less than .4 of the codes. */
function tightenLevels(row: usize, n: u32): void {
  const slotsAt = row * SLOTS + LEVELS
  let low: i32 = 127
  let high: i32 = -127
  let last: i32 = -1
  for (let k: i32 = 0; k < <i32>SLOTS; k++) {
    const code = <i32>load<i8>(slotsAt + k)
    if (code == EMPTY) continue
    last = k
    if (code < low) low = code
    if (code > high) high = code
  }
  if (last >= 0 && <f64>(high - low) < 0.8 * LEVEL_MAX) recode(row, last, levelOf(row, <i32>load<i8>(slotsAt + last)), n)
}

/** Puts the maximum of a day into the ring; returns the median (lower of two) of all days in it: see day-maxima.ts. */
function closeDay(row: usize, dayNumber: u32, maximum: f64): f64 {
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

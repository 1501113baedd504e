// Levels and envelopes of the phase slots of a row, and the visits that teach them.

import { CODE_BASE, CODE_STEP, DEVIATION, EMPTY, ENVELOPE, ENVELOPES, ENVELOPE_GAIN, ENVELOPE_KNEE, JUMP, LAST_AGE, LEVELS, LEVELS_SEEN, LEVEL_MAX, MAGNITUDE, SLOTS, VISIT_COUNT, VISIT_MAX, VISIT_SUM } from './_tiny-layout'
import { day, f32At, put32, roundStochastic, slotAt } from './_tiny-window'

// @ts-ignore: decorator
@external("env", "log")
declare function log(x: f64): f64

// @ts-ignore: decorator
@inline export function levelOf(row: usize, code: i32): f64 {
  return f32At(row << 2, CODE_BASE) + <f64>code * f32At(row << 2, CODE_STEP)
}

export function visitedLevel(row: usize, slot: i32): f64 {
  const mean = f32At(row << 2, VISIT_SUM) / <f64>load<u16>((row << 1) + VISIT_COUNT)
  const code = <i32>load<i8>(slotAt(row, slot) + LEVELS)
  if (code == EMPTY) return mean
  const days = <f64>(load<u32>((row << 2) + LAST_AGE) / day)
  return levelOf(row, code) + max<f64>(1.0 / (days + 1), 1.0 / 7.0) * mean
}

export function visitedEnvelope(row: usize, slot: i32): f64 {
  const at = slotAt(row, slot)
  const visitMax = f32At(row << 2, VISIT_MAX)
  if (<i32>load<i8>(at + LEVELS) == EMPTY) return visitMax
  const known = load<f64>(ENVELOPES + (<usize>load<u8>(at + ENVELOPE) << 3))
  const change = min<f64>(visitMax - known, 4)
  const early = load<u32>((row << 2) + LAST_AGE) / day < 4
  if (change > 0) return known + change * (early ? 0.5 : 0.3)
  return known + change * (early ? 0.25 : 0.1)
}

/** Ends the visit of a slot: its level and envelope take what the visit saw. */
export function closeVisit(row: usize, slot: i32, n: u32): void {
  const p4 = row << 2
  if (load<u16>((row << 1) + VISIT_COUNT) == 0) return
  const level = visitedLevel(row, slot)
  const envelope = visitedEnvelope(row, slot)
  const code = ENVELOPE_GAIN * log(1 + max<f64>(0, envelope) / ENVELOPE_KNEE)
  store<u8>(slotAt(row, slot) + ENVELOPE, <u8>min<f64>(255, roundStochastic(min<f64>(255, code), n)))
  storeLevel(row, slot, level, n)
  store<f32>(p4 + VISIT_MAX, 0)
  store<f32>(p4 + VISIT_SUM, 0)
  store<u16>((row << 1) + VISIT_COUNT, 0)
}

export function storeLevel(row: usize, slot: i32, level: f64, n: u32): void {
  const step = f32At(row << 2, CODE_STEP)
  if (step > 0) {
    const code = roundStochastic((level - f32At(row << 2, CODE_BASE)) / step, n)
    if (abs<f64>(code) <= LEVEL_MAX) {
      store<i8>(slotAt(row, slot) + LEVELS, <i8>code)
      return
    }
  }
  recode(row, slot, level, n)
}

/** Gives the row's levels, `level` of `slot` among them, a base and a step that leave room on both sides. */
export function recode(row: usize, slot: i32, level: f64, n: u32): void {
  const p4 = row << 2
  let low = level
  let high = level
  for (let k: i32 = 0; k < <i32>SLOTS; k++) {
    const code = <i32>load<i8>(slotAt(row, k) + LEVELS)
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
    if (<i32>load<i8>(slotAt(row, k) + LEVELS) == EMPTY && k != slot) continue
    const code = roundStochastic((load<f64>(LEVELS_SEEN + (k << 3)) - base) / step, n + k)
    store<i8>(slotAt(row, k) + LEVELS, <i8>max<f64>(-LEVEL_MAX, min<f64>(LEVEL_MAX, code)))
  }
}

/** At the end of a day the code step shrinks again when the levels use less than .4 of the codes. */
export function tightenLevels(row: usize, n: u32): void {
  let low: i32 = 127
  let high: i32 = -127
  let last: i32 = -1
  for (let k: i32 = 0; k < <i32>SLOTS; k++) {
    const code = <i32>load<i8>(slotAt(row, k) + LEVELS)
    if (code == EMPTY) continue
    last = k
    if (code < low) low = code
    if (code > high) high = code
  }
  if (last >= 0 && <f64>(high - low) < 0.8 * LEVEL_MAX) recode(row, last, levelOf(row, <i32>load<i8>(slotAt(row, last) + LEVELS)), n)
}

// What holds for all rows of a window, and the small arithmetic that all of the kernel `tiny` uses.

import { FIRST_WINDOW, LAST_AGE, LOG_TABLE, SLOTS, VALUE_MAX } from './_tiny-layout'

// ---- what follows from the step
export let day: u32 = 1
export let slots: i32 = 1
export let width: f64 = 1
export let rateLevel: f64 = 0
export let rateScale3: f64 = 0
export let rateScale7: f64 = 0
export let rateSlow: f64 = 0

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
export let windowNow: f64 = 0
export let phaseNow: i32 = 0
export let slotNow: i32 = 0
export let slotLast: i32 = 0
export let slotA: i32 = 0
export let slotB: i32 = 0
export let partB: f64 = 0

export function enter(window: f64, phase: i32): void {
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

export function slotSome(back: i32): i32 {
  let last = phaseNow - <i32>(<u32>back % day)
  if (last < 0) last += day
  return <i32>(<f64>last / width)
}

/** Where a row's phase slot lies in the columns of slots: a row's slots are side by side, see docs/adr/0018. */
// @ts-ignore: decorator
@inline export function slotAt(row: usize, slot: i32): usize { return row * SLOTS + slot }

// @ts-ignore: decorator
@inline export function slotBefore(back: i32): i32 {
  return back == 1 ? slotLast : slotSome(back)
}

// @ts-ignore: decorator
@inline export function backOf(row: usize): i32 {
  return <i32>max<f64>(0, windowNow - load<f64>((row << 3) + FIRST_WINDOW) - <f64>load<u32>((row << 2) + LAST_AGE))
}

// @ts-ignore: decorator
@inline export function f32At(at: usize, column: usize): f64 { return <f64>load<f32>(at + column) }
// @ts-ignore: decorator
@inline export function put32(at: usize, column: usize, value: f64): void { store<f32>(at + column, <f32>value) }

/** log2 of a float32, as math/fast-log.ts has it. */
// @ts-ignore: decorator
@inline export function fastLog2(value: f64): f64 {
  const bits = reinterpret<u32>(<f32>value)
  const at = LOG_TABLE + (((bits >> 15) & 255) << 3)
  const low = load<f64>(at)
  return <f64>(<i32>(bits >> 23) - 127) + low + (<f64>(bits & 0x7fff) / 32768.0) * (load<f64>(at, 8) - low)
}

/** Math.round of JavaScript: halves go up. */
// @ts-ignore: decorator
@inline export function roundHalfUp(x: f64): f64 {
  const up = ceil<f64>(x)
  return up - 0.5 > x ? up - 1 : up
}

export function hashUnit(value: f64, counter: u32): f64 {
  const words = reinterpret<u64>(value)
  let h = (<u32>words ^ 0x9e3779b9) * 0x85ebca6b ^ <u32>(words >> 32)
  h = (h ^ (h >> 15) ^ counter) * 0xc2b2ae35
  h = (h ^ (h >> 13)) * 0x27d4eb2f
  h = (h ^ (h >> 16)) * 0x85ebca6b
  h ^= h >> 13
  return <f64>h / 4294967296.0
}

export function roundStochastic(value: f64, counter: u32): f64 {
  const down = floor<f64>(value)
  return hashUnit(value, counter) < value - down ? down + 1 : down
}

// @ts-ignore: decorator
@inline export function clampValue(x: f64): f64 {
  return max<f64>(-VALUE_MAX, min<f64>(VALUE_MAX, x))
}

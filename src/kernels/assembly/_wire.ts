// Wires and the batch, as the kernels `columns` and `remote-write` know them: how a wire is found, and what becomes of a sample of one.
// Twins: ingest/wire-table.ts, and what ingest/convert.ts says of gauges and counters.
import {
  BATCH_SERIES,
  BATCH_TIME_MS,
  BATCH_VALUE,
  DEPTH,
  PLAN_COUNTER,
  PLAN_FREE,
  PLAN_GAUGE,
  PLAN_OUTPUT,
  SEGMENTS,
  SLOT_MASK,
  WIRE_CHECK,
  WIRE_CHUNKS,
  WIRE_KEPT,
  WIRE_KIND,
  WIRE_LAST,
  WIRE_LAST_MS,
  WIRE_MASK,
  WIRE_ROW,
  WIRE_SEEN_S,
  WIRE_SHIFT,
  WIRE_WORDS,
} from './_wire-layout'

/** Twelve words; never moves. */
// @ts-ignore: decorator
@inline
export function wireAt(wire: i32): u32 {
  return (load<u32>(WIRE_CHUNKS + ((wire >> WIRE_SHIFT) << 2)) + (wire & WIRE_MASK) * WIRE_WORDS) << 2
}

/** Whether a wire is of an identity: its first two words, the first the lower, and its third. */
// @ts-ignore: decorator
@inline
function isOf(at: u32, words: u64, check: u32): bool {
  return load<u64>(at) == words && load<u32>(at, WIRE_CHECK * 4) == check
}

/** Whether the wire at `at` is in use and of the identity, as a guess at where to look first may be. */
// @ts-ignore: decorator
@inline
export function isFound(at: u32, words: u64, check: u32): bool {
  if (!isOf(at, words, check)) return false
  const plan = load<u8>(at, WIRE_KIND * 4)
  return plan != PLAN_FREE && plan != PLAN_OUTPUT
}

/** The wire of an identity, or -1. */
export function search(words: u64, check: u32): i32 {
  const depth = load<u32>(DEPTH)
  const entry = depth == 0 ? 0 : <u32>words >> (32 - depth)
  const segment = load<u32>(SEGMENTS + (entry << 2)) << 2
  let slot = <u32>(words >> 32) & SLOT_MASK
  let wire = load<i32>(segment + (slot << 2)) - 1
  while (wire >= 0 && !isOf(wireAt(wire), words, check)) {
    slot = (slot + 1) & SLOT_MASK
    wire = load<i32>(segment + (slot << 2)) - 1
  }
  return wire
}

/** Puts a sample at a place of the batch. */
// @ts-ignore: decorator
@inline
export function put(place: u32, series: i32, timeMs: f64, value: f64): void {
  store<i32>(BATCH_SERIES + (place << 2), series)
  store<f64>(BATCH_TIME_MS + (place << 3), timeMs)
  store<f64>(BATCH_VALUE + (place << 3), value)
}

/** The sample is none of the kernel's, and nothing was done. */
export const LEFT: i32 = -1

/** Takes a sample of the wire at `at`: how many samples it put at `place` of the batch, 0 where a count begins; or LEFT. */
// @ts-ignore: decorator
@inline
export function takeSample(
  wire: i32,
  at: u32,
  timeMs: f64,
  value: f64,
  latestMs: f64,
  gapMs: f64,
  seenS: i32,
  place: u32,
): i32 {
  // What a cut still needs is copied by whoever is handed the sample; infinities and times that are refused are told of there.
  if (load<u8>(WIRE_KEPT + (wire >> WIRE_SHIFT)) != 0) return LEFT
  if (!(timeMs > 0) || timeMs > latestMs || abs(value) == Infinity) return LEFT
  const plan = load<u8>(at, WIRE_KIND * 4)
  const row = load<i32>(at, WIRE_ROW * 4)
  let sample = value
  if (plan == PLAN_COUNTER && value == value) {
    const lastMs = load<f64>(at, WIRE_LAST_MS * 4)
    const sinceMs = timeMs - lastMs
    const begins = lastMs <= 0 || sinceMs <= 0 || sinceMs > gapMs
    if (begins ? lastMs > 0 && sinceMs <= 0 && sinceMs > -gapMs : row < 0) return LEFT
    const last = load<f64>(at, WIRE_LAST * 4)
    store<f64>(at, value, WIRE_LAST * 4)
    store<f64>(at, timeMs, WIRE_LAST_MS * 4)
    if (begins) {
      store<i32>(at, seenS, WIRE_SEEN_S * 4)
      return 0
    }
    // A count that fell was set back to zero.
    const grown = value < last ? max<f64>(0, value) : value - last
    sample = (grown * 1000) / sinceMs
  } else if ((plan != PLAN_GAUGE && plan != PLAN_COUNTER) || row < 0) return LEFT
  store<i32>(at, seenS, WIRE_SEEN_S * 4)
  put(place, row, timeMs, sample)
  return 1
}

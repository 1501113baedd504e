// Columnar messages: samples of wires that are known and are gauges or counters, from the columns straight into the batch. Everything else
// is left to who called, sample by sample. Twins: ingest/columns-reader.ts, and what ingest/convert.ts says of gauges and counters.
import {
  ARRIVAL_S,
  BATCH_LENGTH,
  BATCH_ROWS,
  BATCH_SERIES,
  BATCH_TIME_MS,
  BATCH_VALUE,
  DEPTH,
  FOUND,
  GAP_MS,
  LATEST_MS,
  LENGTH,
  PLAN_COUNTER,
  PLAN_FREE,
  PLAN_GAUGE,
  PLAN_OUTPUT,
  SEGMENTS,
  SLOT_MASK,
  TAKEN,
  WIRE_A,
  WIRE_B,
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

/** Bytes of an identity. */
const IDENTITY_BYTES: u32 = 12
/** Varints of more bytes are left alone: their differences are no whole numbers of a double, or nobody's. */
const VARINT_BITS_MAX: u32 = 49

// @ts-ignore: decorator
@inline
function wireAt(wire: i32): u32 {
  return (load<u32>(WIRE_CHUNKS + ((wire >> WIRE_SHIFT) << 2)) + (wire & WIRE_MASK) * WIRE_WORDS) << 2
}

// @ts-ignore: decorator
@inline
function isOf(at: u32, id: u32): bool {
  return (
    load<u32>(at, WIRE_A * 4) == load<u32>(id) &&
    load<u32>(at, WIRE_B * 4) == load<u32>(id, 4) &&
    load<u32>(at, WIRE_CHECK * 4) == load<u32>(id, 8)
  )
}

/** The wire of an identity, or -1. */
function search(id: u32): i32 {
  const depth = load<u32>(DEPTH)
  const entry = depth == 0 ? 0 : load<u32>(id) >> (32 - depth)
  const segment = load<u32>(SEGMENTS + (entry << 2)) << 2
  let slot = load<u32>(id, 4) & SLOT_MASK
  let wire = load<i32>(segment + (slot << 2)) - 1
  while (wire >= 0 && !isOf(wireAt(wire), id)) {
    slot = (slot + 1) & SLOT_MASK
    wire = load<i32>(segment + (slot << 2)) - 1
  }
  return wire
}

/** Reads `count` times at [from, to), each the zigzag difference to the one before, to doubles at `out`; where they end, or 0. */
export function times(from: u32, to: u32, count: u32, firstMs: f64, out: u32): u32 {
  let at = from
  let ms = firstMs
  for (let i: u32 = 0; i < count; i++) {
    let bits: u64 = 0
    let shift: u32 = 0
    let byte: u32 = 0x80
    while (byte >= 0x80) {
      if (at >= to || shift >= VARINT_BITS_MAX) return 0
      byte = load<u8>(at++)
      bits |= <u64>(byte & 0x7f) << shift
      shift += 7
    }
    ms += <f64>(<i64>(bits >> 1) ^ -(<i64>(bits & 1)))
    store<f64>(out + (i << 3), ms)
  }
  return at
}

/**
 * Takes samples `from` to `to`, whose identities and values stand at `ids` and `values` and whose times at `times`, or are all `timeMs`
 * where that is 0. The first that was not taken: the batch is full, or it is none of ours; FOUND is then as if it had not been seen.
 */
export function take(ids: u32, values: u32, times: u32, timeMs: f64, from: u32, to: u32): u32 {
  const length = load<i32>(LENGTH)
  const latestMs = load<f64>(LATEST_MS)
  const gapMs = load<f64>(GAP_MS)
  const seenS = load<i32>(ARRIVAL_S)
  let found = load<i32>(FOUND)
  let rows = load<u32>(BATCH_LENGTH)
  let ms = timeMs
  let i = from
  for (; i < to && rows < <u32>BATCH_ROWS; i++) {
    const id = ids + i * IDENTITY_BYTES
    let wire = found + 1
    let at: u32 = 0
    // Senders repeat their order.
    if (wire < length) {
      at = wireAt(wire)
      const plan = load<u8>(at, WIRE_KIND * 4)
      if (!isOf(at, id) || plan == PLAN_FREE || plan == PLAN_OUTPUT) wire = -1
    } else wire = -1
    if (wire < 0) {
      wire = search(id)
      if (wire < 0) break
      at = wireAt(wire)
    }
    if (times != 0) ms = load<f64>(times + (i << 3))
    const value = load<f64>(values + (i << 3))
    // What a cut still needs is copied by whoever takes the sample; infinities and times that are refused are told by it.
    if (load<u8>(WIRE_KEPT + (wire >> WIRE_SHIFT)) != 0) break
    if (!(ms > 0) || ms > latestMs || abs(value) == Infinity) break
    const plan = load<u8>(at, WIRE_KIND * 4)
    const row = load<i32>(at, WIRE_ROW * 4)
    let sample = value
    let begins = false
    if (plan == PLAN_COUNTER && value == value) {
      const lastMs = load<f64>(at, WIRE_LAST_MS * 4)
      const sinceMs = ms - lastMs
      begins = lastMs <= 0 || sinceMs <= 0 || sinceMs > gapMs
      if (begins ? lastMs > 0 && sinceMs <= 0 && sinceMs > -gapMs : row < 0) break
      const last = load<f64>(at, WIRE_LAST * 4)
      store<f64>(at, value, WIRE_LAST * 4)
      store<f64>(at, ms, WIRE_LAST_MS * 4)
      // A count that fell was set back to zero.
      const grown = value < last ? max<f64>(0, value) : value - last
      sample = (grown * 1000) / sinceMs
    } else if ((plan != PLAN_GAUGE && plan != PLAN_COUNTER) || row < 0) break
    store<i32>(at, seenS, WIRE_SEEN_S * 4)
    found = wire
    if (begins) continue
    store<i32>(BATCH_SERIES + (rows << 2), row)
    store<f64>(BATCH_TIME_MS + (rows << 3), ms)
    store<f64>(BATCH_VALUE + (rows << 3), sample)
    rows++
  }
  store<i32>(FOUND, found)
  store<u32>(BATCH_LENGTH, rows)
  store<u32>(TAKEN, load<u32>(TAKEN) + i - from)
  return i
}

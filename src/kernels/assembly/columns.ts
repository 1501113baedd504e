// Columnar messages: samples of wires that are known and are gauges or counters, from the columns straight into the batch. Everything else
// is left to who called, sample by sample. Twin: ingest/columns-reader.ts.
import { ARRIVAL_S, BATCH_LENGTH, BATCH_ROWS, FOUND, GAP_MS, LATEST_MS, LENGTH, TAKEN } from './_wire-layout'
import { isFound, LEFT, search, takeSample, wireAt } from './_wire'

/** Bytes of an identity. */
const IDENTITY_BYTES: u32 = 12
/** Varints of more bytes are left alone: their differences are no whole numbers of a double, or nobody's. */
const VARINT_BITS_MAX: u32 = 49

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
    const words = load<u64>(id)
    const check = load<u32>(id, 8)
    // Senders repeat their order.
    let wire = found + 1
    let at: u32 = wire < length ? wireAt(wire) : 0
    if (at == 0 || !isFound(at, words, check)) {
      wire = search(words, check)
      if (wire < 0) break
      at = wireAt(wire)
    }
    if (times != 0) ms = load<f64>(times + (i << 3))
    const value = load<f64>(values + (i << 3))
    const put = takeSample(wire, at, ms, value, latestMs, gapMs, seenS, rows)
    if (put == LEFT) break
    found = wire
    rows += put
  }
  store<i32>(FOUND, found)
  store<u32>(BATCH_LENGTH, rows)
  store<u32>(TAKEN, load<u32>(TAKEN) + i - from)
  return i
}

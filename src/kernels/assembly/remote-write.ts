// Prometheus remote write 1.0 and 2.0: bytes → samples of wires that are known and are gauges or counters, straight into the batch.
// Everything else is handed back as it stands, before any of it took effect, and the walk goes on behind it. Twins: math/snappy.ts,
// ingest/remote-write-1.ts and -2.ts.
import {
  ARRIVAL_S,
  AT,
  BATCH_LENGTH,
  BATCH_ROWS,
  FOUND,
  FRAME,
  FRAME_BAD,
  FRAME_FIRST_SYMBOL,
  FRAME_METADATA,
  GAP_MS,
  IO_TIME_MS,
  IO_VALUE,
  LABELS_END,
  LATEST_MS,
  LENGTH,
  NEW_ID,
  SAMPLE_WIRE,
  SEED,
  SEED_CHECK,
  SERIES_AT,
  SERIES_END,
  SYMBOLS,
  SYMBOL_HASHES,
  TAKEN,
  WALK_END,
  WALK_FULL,
  WALK_NEW,
  WALK_SAMPLE,
  WALK_SERIES,
  WIRE,
} from './_wire-layout'
import { beginIdentity, endIdentity, foldSymbol, hashRange, idA, idB, idCheck } from './_identity'
import { next, skipField, varint } from './_protobuf'
import { snappyElements } from './_snappy'
import { isFound, LEFT, put, search, takeSample, wireAt } from './_wire'

export { hashKey, numberLabels, writeKey } from './_labels'

/** References to symbols of one series, at most. */
const REFS_MAX: u32 = 1024

/** The wire of the identity in idA, idB and idCheck, or -1. */
// @ts-ignore: decorator
@inline
function find(): i32 {
  const words = (<u64>idB << 32) | <u64>idA
  let wire = load<i32>(FOUND) + 1
  if (wire >= load<i32>(LENGTH) || !isFound(wireAt(wire), words, idCheck)) wire = search(words, idCheck)
  if (wire >= 0) store<i32>(FOUND, wire)
  return wire
}

/** Elements of a snappy block → bytes; the length or -1. */
export function inflate(from: u32, to: u32, out: u32, length: u32): i32 {
  return snappyElements(from, to, out, length)
}

/**
 * Whether [from, to) is a clean sequence of fields; how many there are of the tag `symbol`, or FRAME_BAD. FRAME says whether there are
 * metadata of 1.0 and whether the first symbol is empty.
 */
export function frame(from: u32, to: u32, symbol: u32): i32 {
  let at = from
  let symbols = 0
  let flags = 0
  while (at < to) {
    // The usual series: a tag of one byte and a length of two.
    if (to - at > 3) {
      const tag = load<u8>(at)
      const low = <u32>load<u8>(at, 1)
      const high = <u32>load<u8>(at, 2)
      const length = (low & 0x7f) | (high << 7)
      if ((tag == 0x0a || tag == 0x2a) && low >= 0x80 && high < 0x80 && length <= to - at - 3) {
        at += 3 + length
        continue
      }
    }
    const tag = varint(at, to)
    if (next == 0 || tag < 8 || tag > 0xffffffff) return FRAME_BAD
    const body = next
    at = skipField(tag, body, to)
    if (at == 0) return FRAME_BAD
    if (tag == symbol) {
      if (symbols++ == 0 && varint(body, to) != 0) flags |= FRAME_FIRST_SYMBOL
    } else if (tag == 0x1a) flags |= FRAME_METADATA
  }
  store<i32>(FRAME, flags)
  return symbols
}

/** Hashes all symbols of a 2.0 body, three words each from SYMBOL_HASHES on. */
export function hashSymbols(from: u32, to: u32): void {
  let at = from
  let out = load<u32>(SYMBOL_HASHES)
  while (at < to) {
    const tag = varint(at, to)
    const body = next
    at = skipField(tag, body, to)
    if (tag != 0x22) continue
    varint(body, to)
    hashRange(next, at, load<u32>(SEED), load<u32>(SEED_CHECK))
    store<u32>(out, idA)
    store<u32>(out, idB, 4)
    store<u32>(out, idCheck, 8)
    out += 12
  }
}

// The sample that was read last.
let timeMs: f64 = 0
let value: f64 = 0

/** Reads the sample whose tag stands at `at`; where it ends, or 0 when it is none of the plain kind within `end`. */
// @ts-ignore: decorator
@inline
function readSample(at: u32, end: u32): u32 {
  if (end - at < 2 || load<u8>(at) != 0x12) return 0
  const size = <u32>load<u8>(at, 1)
  if (size >= 0x80 || size > end - at - 2) return 0
  let i = at + 2
  const stop = i + size
  timeMs = 0
  value = 0
  while (i < stop) {
    const tag = load<u8>(i++)
    if (tag == 0x09) {
      if (stop - i < 8) return 0
      value = load<f64>(i)
      i += 8
    } else if (tag == 0x10) {
      const bits = varint(i, stop)
      if (next == 0) return 0
      timeMs = <f64>(<i64>bits)
      i = next
    } else return 0
  }
  return stop
}

/**
 * What stands behind the first sample: 1 when there is no further sample, 2 when there are, all plain; 0 when something is there that the
 * kernel does not read. Metadata and the time of creation of 2.0 say nothing of a series that is known.
 */
function rest(from: u32, end: u32, version: i32): i32 {
  const firstMs = timeMs
  const first = value
  let at = from
  let more = 1
  while (at < end) {
    const tag = load<u8>(at)
    if (tag == 0x12) {
      at = readSample(at, end)
      more = 2
    } else if (version == 2 && (tag == 0x2a || tag == 0x30)) at = skipField(tag, at + 1, end)
    else at = 0
    if (at == 0) return 0
  }
  timeMs = firstMs
  value = first
  return more
}

/** Puts a sample of a row into the batch; true when that is full by it. */
// @ts-ignore: decorator
@inline
function emit(row: i32, sample: f64): bool {
  const rows = load<u32>(BATCH_LENGTH)
  put(rows, row, timeMs, sample)
  store<u32>(BATCH_LENGTH, rows + 1)
  return rows + 1 == BATCH_ROWS
}

/** Takes the sample that was read last; WALK_END when that was all. */
// @ts-ignore: decorator
@inline
function take(wire: i32): i32 {
  const rows = load<u32>(BATCH_LENGTH)
  const latestMs = load<f64>(LATEST_MS)
  const gapMs = load<f64>(GAP_MS)
  const more = takeSample(wire, wireAt(wire), timeMs, value, latestMs, gapMs, load<i32>(ARRIVAL_S), rows)
  if (more == LEFT) return WALK_SAMPLE
  store<u32>(TAKEN, load<u32>(TAKEN) + 1)
  store<u32>(BATCH_LENGTH, rows + more)
  return rows + more == BATCH_ROWS ? WALK_FULL : WALK_END
}

/** Remembers where to go on: within a series that is read in part, or behind it. */
// @ts-ignore: decorator
@inline
function pause(code: i32, at: u32, end: u32, wire: i32): i32 {
  store<u32>(AT, at)
  store<u32>(SERIES_END, end)
  store<i32>(WIRE, at < end ? wire : -1)
  store<i32>(SAMPLE_WIRE, wire)
  store<f64>(IO_TIME_MS, timeMs)
  store<f64>(IO_VALUE, value)
  store<u32>(LABELS_END, 0)
  return code
}

/** The same at a series' first sample, with where its labels are. */
// @ts-ignore: decorator
@inline
function pauseFirst(code: i32, at: u32, end: u32, wire: i32, from: u32, labelsEnd: u32): i32 {
  pause(code, at, end, wire)
  store<u32>(SERIES_AT, from)
  store<u32>(LABELS_END, labelsEnd)
  return code
}

/** All samples of a series from `from` on, each known to be plain. */
function samples(from: u32, end: u32, wire: i32, convert: bool): i32 {
  let at = from
  while (at < end) {
    const tag = load<u8>(at)
    if (tag != 0x12) {
      at = skipField(tag, at + 1, end)
      continue
    }
    at = readSample(at, end)
    const code = convert ? take(wire) : emit(wire, value) ? WALK_FULL : WALK_END
    if (code != WALK_END) return pause(code, at, end, wire)
  }
  return WALK_END
}

/** Where the labels of a 1.0 series end, or 0 when they are not plain. */
// @ts-ignore: decorator
@inline
function labels1(from: u32, end: u32): u32 {
  let at = from
  while (at < end && load<u8>(at) == 0x0a) {
    const length = varint(at + 1, end)
    if (next == 0 || length > <u64>(end - next)) return 0
    at = next + <u32>length
  }
  hashRange(from, at, load<u32>(SEED), load<u32>(SEED_CHECK))
  return at
}

/** The same of a 2.0 series: one packed run of references. */
// @ts-ignore: decorator
@inline
function labels2(from: u32, end: u32): u32 {
  if (from >= end || load<u8>(from) != 0x0a) return 0
  const length = varint(from + 1, end)
  if (next == 0 || length > <u64>(end - next)) return 0
  let at = next
  const stop = at + <u32>length
  const symbols = load<u32>(SYMBOLS)
  const hashes = load<u32>(SYMBOL_HASHES)
  let count: u32 = 0
  beginIdentity(load<u32>(SEED), load<u32>(SEED_CHECK))
  while (at < stop) {
    const ref = varint(at, stop)
    if (next == 0 || ref >= <u64>symbols) return 0
    at = next
    foldSymbol(hashes + <u32>ref * 12)
    count++
  }
  if (count == 0 || (count & 1) == 1 || count > REFS_MAX) return 0
  if (stop < end && load<u8>(stop) >> 3 == 1) return 0
  endIdentity(count)
  return stop
}

const UNUSUAL = -1
/** Bytes of a sample with a value and a time of this century. */
const USUAL_BYTES: u32 = 18
let seriesEnd: u32 = 0
let usualWire: i32 = 0

/**
 * The usual series of 1.0: a known wire and one sample of a value that is not zero at a time of this century, which is 18 bytes at its
 * end. That its labels are what was walked when the wire was defined is what its identity says, so they are not walked again. UNUSUAL
 * when it is anything else, and nothing was done; else what became of the sample.
 */
// @ts-ignore: decorator
@inline
function usual1(at: u32, to: u32): i32 {
  if (load<u8>(at) != 0x0a) return UNUSUAL
  let length = <u32>load<u8>(at, 1)
  let from = at + 2
  if (length >= 0x80) {
    const more = <u32>load<u8>(at, 2)
    if (more >= 0x80) return UNUSUAL
    length = (length & 0x7f) | (more << 7)
    from++
  }
  if (length < USUAL_BYTES) return UNUSUAL
  const end = from + length
  const body = end - USUAL_BYTES
  // Tag, 16, tag of the value; tag of the time.
  if ((load<u32>(body) & 0xffffff) != 0x091012 || load<u8>(body, 11) != 0x10) return UNUSUAL
  const time = load<u64>(body, 10) >> 16
  if ((time & 0x808080808080) != 0x008080808080) return UNUSUAL
  hashRange(from, body, load<u32>(SEED), load<u32>(SEED_CHECK))
  const wire = find()
  if (wire < 0) return UNUSUAL
  // Six groups of seven bits, the least first.
  const pairs = (time & 0x007f007f007f) | ((time & 0x7f007f007f00) >> 1)
  timeMs = <f64>((pairs & 0x3fff) | ((pairs >> 2) & 0xfffc000) | ((pairs >> 4) & 0x3fff0000000))
  value = load<f64>(body, 3)
  seriesEnd = end
  usualWire = wire
  return take(wire)
}

/**
 * Walks the series of a body of either version, which is well framed, from AT to `to`; what it came to is one of WALK_. WIRE is the wire
 * of a series that was left within, whose rest ends at SERIES_END, and -1 elsewhere. Without `convert` wires stand in the batch instead of rows, and every
 * sample of a known wire is in it.
 */
export function walk(to: u32, version: i32, convert: bool): i32 {
  let at = load<u32>(AT)
  let wire = load<i32>(WIRE)
  if (wire >= 0) {
    const end = load<u32>(SERIES_END)
    const code = samples(at, end, wire, convert)
    if (code != WALK_END) return code
    at = end
  }
  const seriesTag = version == 1 ? 0x0a : 0x2a
  while (at < to) {
    if (version == 1 && convert) {
      const code = usual1(at, to)
      if (code == WALK_END) {
        at = seriesEnd
        continue
      }
      if (code != UNUSUAL) {
        const from = at + (load<u8>(at, 1) < 0x80 ? 2 : 3)
        return pauseFirst(code, seriesEnd, seriesEnd, usualWire, from, seriesEnd - USUAL_BYTES)
      }
    }
    const tag = varint(at, to)
    if (tag != seriesTag) {
      at = skipField(tag, next, to)
      continue
    }
    const length = <u32>varint(next, to)
    const from = next
    const end = from + length
    at = end
    const body = version == 1 ? labels1(from, end) : labels2(from, end)
    if (body == end && version == 1) continue
    wire = body == 0 ? -1 : find()
    if (wire < 0 && body != 0 && convert && version == 1 && readSample(body, end) == end) {
      store<u32>(NEW_ID, idA)
      store<u32>(NEW_ID, idB, 4)
      store<u32>(NEW_ID, idCheck, 8)
      return pauseFirst(WALK_NEW, end, end, -1, from, body)
    }
    const first = wire < 0 ? 0 : readSample(body, end)
    const more = first == 0 ? 0 : first == end ? 1 : rest(first, end, version)
    if (more == 0) {
      store<u32>(SERIES_AT, from)
      return pause(WALK_SERIES, end, end, -1)
    }
    const code = convert ? take(wire) : emit(wire, value) ? WALK_FULL : WALK_END
    if (code != WALK_END) return pauseFirst(code, first, end, wire, from, version == 1 ? body : 0)
    if (more == 2) {
      const code = samples(first, end, wire, convert)
      if (code != WALK_END) return code
    }
  }
  store<u32>(AT, at)
  store<i32>(WIRE, -1)
  return WALK_END
}

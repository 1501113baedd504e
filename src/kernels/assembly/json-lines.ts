// JSON lines of samples → the identity of what stands around a line's numbers, and the numbers. Whoever has read such a line once knows
// its series, so what stands around is not parsed again: equal pieces around other numbers are the same JSON. The plain reader is
// ingest/json-lines.ts; it reads every line that is not known, or not of the plain kind, in its place among the others.
import { beginIdentity, endIdentity, foldSymbol, hashRange, idA, idB, idCheck } from './_identity'
import {
  AT,
  ENTRY_BYTES,
  FRAMED,
  ID,
  LINE,
  LINE_FROM,
  LINE_TO,
  NAMED,
  NUMBERS,
  NUMBERS_MAX,
  PIECES,
  RECORD_AT,
  RECORD_BYTES,
  RECORDS,
  RECORDS_MAX,
  SEED,
  SEED_CHECK,
  TABLE,
  TABLE_MASK,
  TIMES_AT,
  VALUES_AT,
  WALK_END,
  WALK_FULL,
  WALK_LINE,
} from './_json-layout'
import { number, numberEnd } from './_json-number'

const NEWLINE = 0x0a
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const NULL: u32 = 0x6c6c756e

const ONES: u64 = 0x0101010101010101
const HIGHS: u64 = 0x8080808080808080

/** Below this a number is Unix seconds; core/time.ts. */
const SECONDS_MAX: f64 = 1e11

// What a line was.
const BLANK = 0
const KNOWN = 1
const PLAIN = 2
const FULL = 3

// The keys whose values are read, as bits.
const TIME = 1
const VALUE = 2
const TIMES = 4
const VALUES = 8

// @ts-ignore: decorator
@inline
function skipSpace(from: u32): u32 {
  let at = from
  let byte = load<u8>(at)
  while (byte == 0x20 || byte == 0x09 || byte == 0x0d) byte = load<u8>(++at)
  return at
}

let escaped = false

/** Behind the string whose first byte stands at `from`; 0 when it does not end before `end`. */
function skipString(from: u32, end: u32): u32 {
  let at = from
  escaped = false
  while (at < end) {
    const word = load<u64>(at)
    const quotes = word ^ (ONES * QUOTE)
    const slashes = word ^ (ONES * BACKSLASH)
    const found = (((quotes - ONES) & ~quotes) | ((slashes - ONES) & ~slashes)) & HIGHS
    if (found == 0) {
      at += 8
      continue
    }
    at += <u32>(ctz(found) >> 3)
    if (load<u8>(at) == QUOTE) return at < end ? at + 1 : 0
    escaped = true
    at += 2
  }
  return 0
}

/** Behind the value at `from`, whatever it is, or 0. */
function skipValue(from: u32, end: u32): u32 {
  let at = from
  const first = load<u8>(at)
  if (first == QUOTE) return skipString(at + 1, end)
  if (first == OPEN_OBJECT || first == OPEN_LIST) {
    let depth = 0
    while (at < end) {
      const byte = load<u8>(at++)
      if (byte == QUOTE) {
        at = skipString(at, end)
        if (at == 0) return 0
      } else if (byte == OPEN_OBJECT || byte == OPEN_LIST) depth++
      else if (byte == CLOSE_OBJECT || byte == CLOSE_LIST) {
        if (--depth == 0) return at
      }
    }
    return 0
  }
  while (at < end) {
    const byte = load<u8>(at)
    if (byte == COMMA || byte == CLOSE_OBJECT || byte <= 0x20) return at
    at++
  }
  return 0
}

/** Which of the keys stands in [from, to). */
// @ts-ignore: decorator
@inline
function keyOf(from: u32, to: u32): i32 {
  const length = to - from
  if (length < 4 || length > 6) return 0
  const word = load<u32>(from)
  if (word == 0x656d6974) return length == 4 ? TIME : length == 5 && load<u8>(from, 4) == 0x73 ? TIMES : 0
  if (word != 0x756c6176 || load<u8>(from, 4) != 0x65) return 0
  return length == 5 ? VALUE : length == 6 && load<u8>(from, 5) == 0x73 ? VALUES : 0
}

// @ts-ignore: decorator
@inline
function begins(byte: u32): bool {
  return byte == 0x2d || byte - 48 <= 9
}

// @ts-ignore: decorator
@inline
function millis(time: f64): f64 {
  return abs(time) < SECONDS_MAX ? time * 1000 : time
}

/** Where the value at `from` ends, a number or null, and what it is; 0 when it is neither. */
let read: f64 = 0
// @ts-ignore: decorator
@inline
function readValue(from: u32): u32 {
  if (begins(load<u8>(from))) {
    read = number(from)
    return numberEnd
  }
  read = NaN
  return load<u32>(from) == NULL ? from + 4 : 0
}

/** Numbers of a list, up to its closing bracket, of which it returns the place; 0 when they are not of the plain kind. */
let listed: u32 = 0
function readList(from: u32, column: u32, room: u32, isTimes: bool): u32 {
  listed = 0
  let at = skipSpace(from)
  if (load<u8>(at) == CLOSE_LIST) return at
  while (true) {
    if (isTimes && !begins(load<u8>(at))) return 0
    at = readValue(at)
    if (at == 0) return 0
    if (listed < room) store<f64>(column + (listed << 3), isTimes ? millis(read) : read)
    listed++
    at = skipSpace(at)
    const byte = load<u8>(at)
    if (byte == CLOSE_LIST) return at
    if (byte != COMMA) return 0
    at = skipSpace(at + 1)
  }
}

// @ts-ignore: decorator
@inline
function endPiece(piece: u32, from: u32, to: u32): void {
  hashRange(from, to, load<u32>(SEED), load<u32>(SEED_CHECK))
  store<u32>(PIECES + piece * 12, idA)
  store<u32>(PIECES + piece * 12, idB, 4)
  store<u32>(PIECES + piece * 12, idCheck, 8)
}

/** Byte address of the entry of the identity at hand, or of the free one where it belongs. */
function entryOf(): u32 {
  const table = load<u32>(TABLE)
  const mask = load<u32>(TABLE_MASK)
  const check = idCheck | 0x80000000
  let slot = idB & mask
  while (true) {
    const at = table + slot * ENTRY_BYTES
    const held = load<u32>(at, 8)
    if (held == 0 || (held == check && load<u32>(at) == idA && load<u32>(at, 4) == idB)) return at
    slot = (slot + 1) & mask
  }
}

/** Reads the line [from, end); its numbers stand behind those in the columns. */
function readLine(from: u32, end: u32): i32 {
  store<u32>(FRAMED, 0)
  let at = skipSpace(from)
  if (at >= end) return BLANK
  if (load<u8>(at) != OPEN_OBJECT) return PLAIN
  const before = load<u32>(NUMBERS)
  const room = NUMBERS_MAX - before
  const times = TIMES_AT + (before << 3)
  const values = VALUES_AT + (before << 3)
  let seen = 0
  let piece: u32 = 0
  let pieceFrom = from
  let timesListed: u32 = 0
  let valuesListed: u32 = 0
  at = skipSpace(at + 1)
  while (true) {
    if (load<u8>(at) != QUOTE) return PLAIN
    const keyFrom = at + 1
    at = skipString(keyFrom, end)
    // A key that is spelled otherwise could be one of ours.
    if (at == 0 || escaped) return PLAIN
    const key = keyOf(keyFrom, at - 1)
    at = skipSpace(at)
    if (load<u8>(at) != COLON) return PLAIN
    at = skipSpace(at + 1)
    if (key == 0) {
      at = skipValue(at, end)
      if (at == 0) return PLAIN
    } else {
      if ((seen & key) != 0 || piece == 2) return PLAIN
      seen |= key
      if (key >= TIMES) {
        if (load<u8>(at) != OPEN_LIST) return PLAIN
        endPiece(piece++, pieceFrom, ++at)
        at = key == TIMES ? readList(at, times, room, true) : readList(at, values, room, false)
        if (at == 0) return PLAIN
        if (key == TIMES) timesListed = listed
        else valuesListed = listed
        pieceFrom = at++
      } else {
        if (key == TIME && !begins(load<u8>(at))) return PLAIN
        endPiece(piece++, pieceFrom, at)
        at = readValue(at)
        if (at == 0) return PLAIN
        if (room > 0) {
          if (key == TIME) store<f64>(times, millis(read))
          else store<f64>(values, read)
        }
        pieceFrom = at
      }
    }
    at = skipSpace(at)
    if (at >= end) return PLAIN
    const byte = load<u8>(at)
    at = skipSpace(at + 1)
    if (byte == COMMA) continue
    if (byte != CLOSE_OBJECT || at < end) return PLAIN
    break
  }
  const isRow = seen == (TIME | VALUE)
  if (!isRow && (seen != (TIMES | VALUES) || timesListed != valuesListed)) return PLAIN
  const count = isRow ? 1 : timesListed
  if (count > room) return before > 0 ? FULL : PLAIN
  endPiece(piece++, pieceFrom, end)
  beginIdentity(load<u32>(SEED), load<u32>(SEED_CHECK))
  for (let p: u32 = 0; p < piece; p++) foldSymbol(PIECES + p * 12)
  endIdentity(isRow ? 2 : 3)
  const entry = entryOf()
  if (load<u32>(entry, 8) == 0) {
    store<u32>(FRAMED, 1)
    store<u32>(ID, idA)
    store<u32>(ID, idB, 4)
    store<u32>(ID, idCheck, 8)
    return PLAIN
  }
  const records = load<u32>(RECORDS)
  const record = RECORD_AT + records * RECORD_BYTES
  store<u32>(record, entry)
  store<u32>(record, from, 4)
  store<u32>(record, end, 8)
  store<u32>(record, load<u32>(LINE), 12)
  store<u32>(record, before + count, 16)
  store<u32>(RECORDS, records + 1)
  store<u32>(NUMBERS, before + count)
  return KNOWN
}

/** The newline at or behind `from`; one stands at the end of all. */
// @ts-ignore: decorator
@inline
function lineEnd(from: u32): u32 {
  let at = from
  while (true) {
    const word = load<u64>(at) ^ (ONES * NEWLINE)
    const found = (word - ONES) & ~word & HIGHS
    if (found != 0) return at + <u32>(ctz(found) >> 3)
    at += 8
  }
}

/** Reads lines from AT to `to`, where a newline stands; what it came to is one of WALK_. */
export function walk(to: u32): i32 {
  let at = load<u32>(AT)
  while (at < to) {
    if (load<u32>(RECORDS) == RECORDS_MAX) {
      store<u32>(AT, at)
      return WALK_FULL
    }
    const end = lineEnd(at)
    store<u32>(LINE, load<u32>(LINE) + 1)
    const what = readLine(at, end)
    if (what == FULL) {
      store<u32>(LINE, load<u32>(LINE) - 1)
      store<u32>(AT, at)
      return WALK_FULL
    }
    if (what == PLAIN) {
      store<u32>(LINE_FROM, at)
      store<u32>(LINE_TO, end)
      store<u32>(AT, end + 1)
      return WALK_LINE
    }
    at = end + 1
  }
  store<u32>(AT, at)
  return WALK_END
}

/** Remembers NAMED by the identity in ID; true when it is new. */
export function learn(): bool {
  idA = load<u32>(ID)
  idB = load<u32>(ID, 4)
  idCheck = load<u32>(ID, 8)
  const entry = entryOf()
  const isNew = load<u32>(entry, 8) == 0
  store<u32>(entry, idA)
  store<u32>(entry, idB, 4)
  store<u32>(entry, idCheck | 0x80000000, 8)
  memory.copy(entry + 12, NAMED, 12)
  return isNew
}

/** The number at TEXT, for tests. */
export function numberAt(at: u32): f64 {
  return number(at)
}

export function numberEnds(): u32 {
  return numberEnd
}

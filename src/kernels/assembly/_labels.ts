// Labels of series that are seen for the first time. Most of a label set is what others have as well, so each label is numbered by its
// bytes, and what follows from it is worked out once; the canonical key of a series is put together from them, and hashed, here. Twins:
// ingest/labels.ts, and seriesKey and textHash in core.
import { hashRange, idA, idB, idCheck } from './_identity'
import {
  KEY,
  KEY_ORDER,
  KEY_PREFIX,
  LABEL_COUNT,
  LABEL_IDS,
  LABEL_NUMBERS,
  LABEL_PLACES,
  LABEL_SLOT_MASK,
  LABEL_SLOTS,
  LABELS_FULL,
  LABELS_MAX,
  LABELS_NUMBERED,
  LABELS_ODD,
} from './_wire-layout'

/** The number of the label with the identity in idA, idB and idCheck, a new one where it is not known; -1 when there is none left. */
// @ts-ignore: decorator
@inline
function numberOf(): i32 {
  const slots = load<u32>(LABEL_SLOTS)
  const ids = load<u32>(LABEL_IDS)
  let slot = idB & LABEL_SLOT_MASK
  let number = load<i32>(slots + (slot << 2)) - 1
  while (number >= 0) {
    const at = ids + (number << 4)
    if (load<u32>(at) == idA && load<u32>(at, 4) == idB && load<u32>(at, 8) == idCheck) return number
    slot = (slot + 1) & LABEL_SLOT_MASK
    number = load<i32>(slots + (slot << 2)) - 1
  }
  number = load<i32>(LABEL_COUNT)
  if (number == LABELS_NUMBERED) return -1
  store<i32>(LABEL_COUNT, number + 1)
  store<i32>(slots + (slot << 2), number + 1)
  const at = ids + (number << 4)
  store<u32>(at, idA)
  store<u32>(at, idB, 4)
  store<u32>(at, idCheck, 8)
  return number
}

/**
 * Numbers the labels of the 1.0 series whose labels are [from, to): their numbers from LABEL_NUMBERS on, and where name and value are from
 * LABEL_PLACES on (address of the name; bytes of the name, and of the value in the upper half; address of the value). How many there are,
 * LABELS_ODD where one is not name and value in this order and of usual lengths, or LABELS_FULL.
 */
export function numberLabels(from: u32, to: u32): i32 {
  let at = from
  let count = 0
  let place: u32 = LABEL_PLACES
  while (at < to) {
    if (count == LABELS_MAX || load<u8>(at) != 0x0a) return LABELS_ODD
    let length = <u32>load<u8>(at, 1)
    let body = at + 2
    if (length >= 0x80) {
      const more = <u32>load<u8>(at, 2)
      if (more >= 0x80) return LABELS_ODD
      length = (length & 0x7f) | (more << 7)
      body++
    }
    const end = body + length
    if (length < 4 || end > to || load<u8>(body) != 0x0a) return LABELS_ODD
    const nameBytes = <u32>load<u8>(body, 1)
    let value = body + 2 + nameBytes
    if (nameBytes >= 0x80 || value + 2 > end || load<u8>(value) != 0x12) return LABELS_ODD
    let valueBytes = <u32>load<u8>(value, 1)
    value += 2
    if (valueBytes >= 0x80) {
      const more = <u32>load<u8>(value)
      if (more >= 0x80) return LABELS_ODD
      valueBytes = (valueBytes & 0x7f) | (more << 7)
      value++
    }
    if (value + valueBytes != end) return LABELS_ODD
    hashRange(body, end, 0, 0)
    const number = numberOf()
    if (number < 0) return LABELS_FULL
    store<i32>(LABEL_NUMBERS + (count << 2), number)
    store<u32>(place, body + 2)
    store<u32>(place, nameBytes | (valueBytes << 16), 4)
    store<u32>(place, value, 8)
    place += 12
    count++
    at = end
  }
  return count
}

/** Copies bytes in steps of eight: up to seven behind the end are overwritten, and read. */
// @ts-ignore: decorator
@inline
function copy(from: u32, length: u32, out: u32): u32 {
  for (let i: u32 = 0; i < length; i += 8) store<u64>(out + i, load<u64>(from + i))
  return out + length
}

/**
 * The canonical key of the series numbered last, behind the KEY_PREFIX bytes at KEY: of the metric whose place stands first in KEY_ORDER and
 * of the `labels` whose places follow. `isRate`: of its rate. Returns its length, prefix and all.
 */
export function writeKey(labels: u32, isRate: bool): u32 {
  const metric = LABEL_PLACES + <u32>load<u8>(KEY_ORDER) * 12
  let out = copy(load<u32>(metric, 8), load<u32>(metric, 4) >> 16, KEY + load<u32>(KEY_PREFIX))
  if (isRate) {
    // ":rat", "e".
    store<u32>(out, 0x7461723a)
    store<u8>(out, 0x65, 4)
    out += 5
  }
  if (labels == 0) return out - KEY
  let opener: u32 = 0x7b
  for (let i: u32 = 1; i <= labels; i++) {
    const place = LABEL_PLACES + <u32>load<u8>(KEY_ORDER + i) * 12
    const lengths = load<u32>(place, 4)
    store<u8>(out, opener)
    out = copy(load<u32>(place), lengths & 0xffff, out + 1)
    // '="'
    store<u16>(out, 0x223d)
    out = copy(load<u32>(place, 8), lengths >> 16, out + 2)
    // '",' as the next one begins.
    store<u8>(out++, 0x22)
    opener = 0x2c
  }
  store<u8>(out++, 0x7d)
  return out - KEY
}

/** `textHash` of the first `length` bytes at KEY. */
export function hashKey(length: u32): u32 {
  let h: u32 = 0
  for (let i: u32 = 0; i < length; i++) h = (rotl<u32>(h, 5) ^ <u32>load<u8>(KEY + i)) * 0x27220a95
  h ^= length
  h = (h ^ (h >> 16)) * 0x85ebca6b
  h = (h ^ (h >> 13)) * 0xc2b2ae35
  return h ^ (h >> 16)
}

// What Kafka's record batches need: CRC-32C, and frames of LZ4 blocks (lz4_Frame_format.md). Their twins are math/crc32c.ts and the
// unframing of bus/kafka-codecs.ts.
import { lz4Decompress } from './_lz4'

export { crc32c } from './_crc32c'

const MAGIC: u32 = 0x184d2204
const STORED: u32 = 0x80000000
const SMALLEST_BLOCK: u32 = 65536
/** A block of n bytes becomes at most so many times n. */
const RATIO_MAX: u64 = 255

/** Where the first block of the frame [from, to) begins, or 0 when it is no frame that is read here. */
function firstBlock(from: u32, to: u32): u32 {
  if (to - from < 11 || load<u32>(from) != MAGIC) return 0
  const flags = <u32>load<u8>(from + 4)
  if (flags >> 6 != 1 || blockMax(from) < SMALLEST_BLOCK) return 0
  return from + 7 + ((flags & 0x08) != 0 ? 8 : 0) + ((flags & 0x01) != 0 ? 4 : 0)
}

function blockMax(from: u32): u32 {
  return 1 << (8 + 2 * ((<u32>load<u8>(from + 5) >> 4) & 7))
}

function checksumBytes(from: u32): u32 {
  return (load<u8>(from + 4) & 0x10) != 0 ? 4 : 0
}

/** The most bytes that the frame [from, to) can become, a whole number; -1 when it cannot be read. */
export function lz4FrameRoom(from: u32, to: u32): f64 {
  let at = firstBlock(from, to)
  if (at == 0) return -1
  const most = <u64>blockMax(from)
  const behind = checksumBytes(from)
  let room: u64 = 0
  while (at <= to && to - at >= 4) {
    const word = load<u32>(at)
    at += 4
    if (word == 0) return <f64>room
    const size = word & ~STORED
    if (size > to - at) return -1
    room += word >= STORED ? <u64>size : min(most, RATIO_MAX * <u64>size)
    at += size + behind
  }
  return -1
}

/** What the frame [from, to) becomes, into memory at `base`; its length, or -1 when it cannot be read or `room` is too little. */
export function lz4Frame(from: u32, to: u32, base: u32, room: u32): i32 {
  let at = firstBlock(from, to)
  if (at == 0) return -1
  const most = blockMax(from)
  const behind = checksumBytes(from)
  let length: u32 = 0
  while (at <= to && to - at >= 4) {
    const word = load<u32>(at)
    at += 4
    if (word == 0) return length
    const size = word & ~STORED
    if (size > to - at) return -1
    if (word >= STORED) {
      if (size > room - length) return -1
      memory.copy(base + length, at, size)
      length += size
    } else {
      const limit = room - length > most ? length + most : room
      const end = lz4Decompress(at, at + size, base, length, limit)
      if (end < 0) return -1
      length = end
    }
    at += size + behind
  }
  return -1
}

const MIN_MATCH: u32 = 4
/** Rules of the format: where the last match may begin, and how many bytes at the end are literals. */
const MATCH_LIMIT: u32 = 12
const LAST_LITERALS: u32 = 5
const OFFSET_MAX: u32 = 65535
const HASH_BITS: u32 = 14
const TABLE_BYTES: u32 = 65536

/** A frame of [from, to) at `out`, as Kafka's Java clients write it; its end. `table` is scratch of 64 KiB. What is compressed stands before `out`. */
export function lz4FrameWrite(from: u32, to: u32, table: u32, out: u32): u32 {
  store<u32>(out, MAGIC)
  // Version 1 with independent blocks, blocks of 64 KiB, and the second byte of the xxHash of these two.
  store<u16>(out + 4, 0x4060)
  store<u8>(out + 6, 0x82)
  let end = out + 7
  for (let at = from; at < to; at += SMALLEST_BLOCK) {
    const till = to - at > SMALLEST_BLOCK ? at + SMALLEST_BLOCK : to
    const size = compressBlock(at, till, table, end + 4) - end - 4
    if (size >= till - at) {
      store<u32>(end, (till - at) | STORED)
      memory.copy(end + 4, at, till - at)
      end += 4 + till - at
    } else {
      store<u32>(end, size)
      end += 4 + size
    }
  }
  store<u32>(end, 0)
  return end + 4
}

/** As `lz4Compress` of math/lz4.ts, byte for byte. */
function compressBlock(from: u32, to: u32, table: u32, start: u32): u32 {
  let out = start
  let anchor = from
  if (to - from > MATCH_LIMIT) {
    memory.fill(table, 0, TABLE_BYTES)
    const matchEnd = to - LAST_LITERALS
    const last = to - MATCH_LIMIT
    let at = from
    let misses: u32 = 1 << 6
    while (at < last) {
      const word = load<u32>(at)
      const slot = table + (((word * 2654435761) >> (32 - HASH_BITS)) << 2)
      const seen = load<u32>(slot)
      store<u32>(slot, at)
      if (seen == 0 || at - seen > OFFSET_MAX || load<u32>(seen) != word) {
        at += misses++ >> 6
        continue
      }
      misses = 1 << 6
      const end = matched(at + MIN_MATCH, seen + MIN_MATCH, matchEnd)
      const length = end - at - MIN_MATCH
      out = writeLiterals(anchor, at, out, length < 15 ? length : 15)
      store<u16>(out, <u16>(at - seen))
      out += 2
      if (length >= 15) out = writeLength(length - 15, out)
      at = end
      anchor = end
    }
  }
  return writeLiterals(anchor, to, out, 0)
}

/** Where [at, limit) and what stands at `other` part. */
function matched(at: u32, other: u32, limit: u32): u32 {
  while (at + 8 <= limit) {
    const difference = load<u64>(at) ^ load<u64>(other)
    if (difference != 0) return at + <u32>(ctz(difference) >> 3)
    at += 8
    other += 8
  }
  while (at < limit && load<u8>(at) == load<u8>(other)) {
    at++
    other++
  }
  return at
}

function writeLiterals(from: u32, to: u32, at: u32, match: u32): u32 {
  const length = to - from
  let out = at
  store<u8>(out++, ((length < 15 ? length : 15) << 4) | match)
  if (length >= 15) out = writeLength(length - 15, out)
  memory.copy(out, from, length)
  return out + length
}

function writeLength(length: u32, at: u32): u32 {
  let out = at
  let left = length
  for (; left >= 255; left -= 255) store<u8>(out++, 255)
  store<u8>(out++, left)
  return out
}

/**
 * Snappy block format (google/snappy format_description.txt): decoding, and literals alone the other way. The output buffer is the caller's,
 * so nothing is allocated a block; the declared length is checked before a byte is written, and every element
 * against it while inflating, so a small body can never become a large one.
 */

/** Bytes that `snappyDecode` may write past the decoded length: it copies in steps of four. */
export const SNAPPY_SLACK = 8

/** The declared decoded length of a block, or −1 when the header is not a varint of at most 32 bits. */
export function snappyLength(input: Uint8Array): number {
  let length = 0
  for (let i = 0; i < 5; i++) {
    if (i >= input.length) return -1
    const byte = input[i]
    length += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return length < 2 ** 32 ? length : -1
  }
  return -1
}

/**
 * Decodes a block into `out`, which holds at least `snappyLength(input) + SNAPPY_SLACK` bytes.
 * Returns the decoded length, or −1 when the block is malformed or does not have exactly its declared length.
 */
export function snappyDecode(input: Uint8Array, out: Uint8Array): number {
  const length = snappyLength(input)
  if (length < 0 || length + SNAPPY_SLACK > out.length) return -1
  const from = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const to = new DataView(out.buffer, out.byteOffset, out.byteLength)
  const end = input.length
  let pos = 0
  while (input[pos++] >= 0x80) {
    // The header was checked by snappyLength.
  }
  let at = 0
  while (pos < end) {
    const tag = input[pos++]
    const type = tag & 3
    if (type === 0) {
      let size = (tag >> 2) + 1
      if (size > 60) {
        const extra = size - 60
        if (pos + extra > end) return -1
        size = input[pos]
        if (extra > 1) size += input[pos + 1] * 256
        if (extra > 2) size += input[pos + 2] * 65_536
        if (extra > 3) size += input[pos + 3] * 16_777_216
        size += 1
        pos += extra
      }
      if (size > end - pos || size > length - at) return -1
      if (size > 256) {
        out.set(input.subarray(pos, pos + size), at)
      } else {
        let i = 0
        const whole = Math.min((size + 3) & ~3, (end - pos) & ~3)
        for (; i < whole; i += 4) to.setInt32(at + i, from.getInt32(pos + i))
        for (; i < size; i++) out[at + i] = input[pos + i]
      }
      pos += size
      at += size
      continue
    }
    let size: number
    let offset: number
    if (type === 1) {
      if (pos >= end) return -1
      size = ((tag >> 2) & 7) + 4
      offset = ((tag >> 5) << 8) | input[pos]
      pos += 1
    } else if (type === 2) {
      if (pos + 2 > end) return -1
      size = (tag >> 2) + 1
      offset = input[pos] | (input[pos + 1] << 8)
      pos += 2
    } else {
      if (pos + 4 > end) return -1
      size = (tag >> 2) + 1
      offset = from.getUint32(pos, true)
      pos += 4
    }
    if (offset === 0 || offset > at || size > length - at) return -1
    if (offset >= 4) {
      // Steps of four never read a byte that this copy has yet to write, since the offset is at least four.
      for (let i = 0; i < size; i += 4) to.setInt32(at + i, to.getInt32(at + i - offset))
    } else {
      for (let i = 0; i < size; i++) out[at + i] = out[at + i - offset]
    }
    at += size
  }
  return at === length ? length : -1
}

/** Longest literal with a length of two bytes. */
const LITERAL_MAX = 65_536

/** A valid block that is not compressed: the input as literals. For requests, which are short. */
export function snappyLiterals(input: Uint8Array): Uint8Array {
  const out = new Uint8Array(input.length + 5 + 3 * Math.ceil(input.length / LITERAL_MAX))
  let at = 0
  let rest = input.length
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) out[at++] = (rest % 128) | 0x80
  out[at++] = rest
  for (let from = 0; from < input.length; from += LITERAL_MAX) {
    const size = Math.min(LITERAL_MAX, input.length - from)
    out[at++] = 61 << 2
    out[at++] = (size - 1) & 0xff
    out[at++] = (size - 1) >> 8
    out.set(input.subarray(from, from + size), at)
    at += size
  }
  return out.subarray(0, at)
}

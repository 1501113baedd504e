/**
 * LZ4 blocks (Yann Collet's block format, lz4_Block_format.md): a greedy compressor with one hash table, and a decompressor
 * that trusts nothing it reads.
 */

const MIN_MATCH = 4
/** A match begins at least this far before a block's end, and the last bytes are literals: rules of the format. */
const MATCH_LIMIT = 12
const LAST_LITERALS = 5
const OFFSET_MAX = 65_535
const HASH_BITS = 14
const table = new Int32Array(1 << HASH_BITS)
/** Copies shorter than this go byte by byte, which is quicker than a call. */
const SHORT = 32

/** Room that `n` bytes need in the worst case. */
export const lz4Bound = (n: number): number => n + Math.ceil(n / 255) + 16

/** Compresses `src[from, to)` into `dst` at 0; the bytes written. `dst` holds `lz4Bound` bytes. */
export function lz4Compress(src: Uint8Array, from: number, to: number, dst: Uint8Array): number {
  table.fill(-1)
  const matchEnd = to - LAST_LITERALS
  const last = to - MATCH_LIMIT
  let anchor = from
  let at = from
  let out = 0
  let misses = 1 << 6
  while (at < last) {
    const word = src[at] | (src[at + 1] << 8) | (src[at + 2] << 16) | (src[at + 3] << 24)
    const slot = Math.imul(word, -1640531535) >>> (32 - HASH_BITS)
    const seen = table[slot]
    table[slot] = at
    if (
      seen < 0 ||
      at - seen > OFFSET_MAX ||
      word !== (src[seen] | (src[seen + 1] << 8) | (src[seen + 2] << 16) | (src[seen + 3] << 24))
    ) {
      at += misses++ >> 6
      continue
    }
    misses = 1 << 6
    let end = at + MIN_MATCH
    let other = seen + MIN_MATCH
    while (end < matchEnd && src[end] === src[other]) {
      end++
      other++
    }
    const length = end - at - MIN_MATCH
    out = writeLiterals(src, anchor, at, dst, out, length < 15 ? length : 15)
    const offset = at - seen
    dst[out++] = offset
    dst[out++] = offset >>> 8
    if (length >= 15) out = writeLength(length - 15, dst, out)
    at = end
    anchor = end
  }
  return writeLiterals(src, anchor, to, dst, out, 0)
}

/** A token, and the literals before its match. */
function writeLiterals(
  src: Uint8Array,
  from: number,
  to: number,
  dst: Uint8Array,
  at: number,
  match: number,
): number {
  const length = to - from
  let out = at
  dst[out++] = ((length < 15 ? length : 15) << 4) | match
  if (length >= 15) out = writeLength(length - 15, dst, out)
  if (length < SHORT) for (let i = from; i < to; i++) dst[out++] = src[i]
  else {
    dst.set(src.subarray(from, to), out)
    out += length
  }
  return out
}

function writeLength(length: number, dst: Uint8Array, at: number): number {
  let out = at
  let left = length
  for (; left >= 255; left -= 255) dst[out++] = 255
  dst[out++] = left
  return out
}

/**
 * Decompresses the block `src[from, to)` into `dst` from `start` on; where it ends in `dst`, or -1 when the block is no LZ4
 * or `dst` has too little room. Matches may reach back before `start`, as in frames of linked blocks.
 */
export function lz4Decompress(
  src: Uint8Array,
  from: number,
  to: number,
  dst: Uint8Array,
  start: number,
): number {
  const room = dst.length
  let at = from
  let out = start
  while (at < to) {
    const token = src[at++]
    let literals = token >>> 4
    if (literals === 15) {
      let more = 255
      while (more === 255) {
        if (at >= to) return -1
        more = src[at++]
        literals += more
      }
    }
    if (at + literals > to || out + literals > room) return -1
    if (literals < SHORT) for (const end = at + literals; at < end; ) dst[out++] = src[at++]
    else {
      dst.set(src.subarray(at, at + literals), out)
      at += literals
      out += literals
    }
    if (at === to) return out
    if (at + 2 > to) return -1
    const offset = src[at] | (src[at + 1] << 8)
    at += 2
    let length = token & 15
    if (length === 15) {
      let more = 255
      while (more === 255) {
        if (at >= to) return -1
        more = src[at++]
        length += more
      }
    }
    length += MIN_MATCH
    if (offset === 0 || offset > out || out + length > room) return -1
    let seen = out - offset
    if (length >= SHORT && offset >= length) {
      dst.copyWithin(out, seen, seen + length)
      out += length
    } else for (const end = out + length; out < end; ) dst[out++] = dst[seen++]
  }
  return -1
}

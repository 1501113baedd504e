// LZ4 blocks, decompressed (Yann Collet's block format, lz4_Block_format.md); its twin is math/lz4.ts, and what is not LZ4 is -1 in both.
// Copies run by steps of 8 or 16 bytes where there is room behind them, so up to 15 bytes past what is written may change: never past `room`.

const MIN_MATCH: u32 = 4
/** Literals up to so many are copied by steps of 16. */
const STEPS_MAX: u32 = 128

/** The block [from, to) into memory at `base` + `start`; where it ends, from `base`, or -1. Matches may reach back to `base`. */
export function lz4Decompress(from: u32, to: u32, base: u32, start: u32, room: u32): i32 {
  let at = from
  let out = base + start
  const limit = base + room
  while (at < to) {
    const token = <u32>load<u8>(at++)
    let literals = token >> 4
    if (literals == 15) {
      let more: u32 = 255
      while (more == 255) {
        if (at >= to) return -1
        more = <u32>load<u8>(at++)
        literals += more
      }
    }
    if (literals > to - at || literals > limit - out) return -1
    // A call to copy costs more than some steps.
    if (literals <= STEPS_MAX && to - at >= literals + 16 && limit - out >= literals + 16) {
      for (let i: u32 = 0; i < literals; i += 16) v128.store(out + i, v128.load(at + i))
    } else memory.copy(out, at, literals)
    at += literals
    out += literals
    if (at == to) return out - base
    if (to - at < 2) return -1
    const offset = <u32>load<u16>(at)
    at += 2
    let length = token & 15
    if (length == 15) {
      let more: u32 = 255
      while (more == 255) {
        if (at >= to) return -1
        more = <u32>load<u8>(at++)
        length += more
      }
    }
    length += MIN_MATCH
    if (offset == 0 || offset > out - base || length > limit - out) return -1
    let seen = out - offset
    const end = out + length
    if (offset >= 16 && limit - end >= 16) {
      for (; out < end; out += 16, seen += 16) v128.store(out, v128.load(seen))
      out = end
    } else if (offset >= 8 && limit - end >= 8) {
      for (; out < end; out += 8, seen += 8) store<u64>(out, load<u64>(seen))
      out = end
    } else for (; out < end; out++, seen++) store<u8>(out, load<u8>(seen))
  }
  return -1
}

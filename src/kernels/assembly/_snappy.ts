// Snappy blocks, decompressed (google/snappy format_description.txt); the twin is math/snappy.ts, and what is malformed is -1 in both.
// Copies run 16 bytes at a time where there is room: up to 15 bytes past what is written may change, and 15 past the input are read.

/** The elements [at, to) into `out`; `length` when that is what they make, else -1. */
export function snappyElements(from: u32, to: u32, base: u32, length: u32): i32 {
  let at = from
  let out = base
  const end = base + length
  while (at < to) {
    const tag = <u32>load<u8>(at++)
    const type = tag & 3
    if (type == 0) {
      let size = (tag >> 2) + 1
      if (size <= 16 && size <= to - at && size <= end - out) {
        v128.store(out, v128.load(at))
        at += size
        out += size
        continue
      }
      if (size > 60) {
        const extra = size - 60
        if (extra > to - at) return -1
        // Up to four bytes, little-endian; what is loaded beyond them is cut off.
        const more = load<u32>(at) & (0xffffffff >> ((4 - extra) << 3))
        if (more == 0xffffffff) return -1
        size = more + 1
        at += extra
      }
      if (size > to - at || size > end - out) return -1
      memory.copy(out, at, size)
      at += size
      out += size
      continue
    }
    let size: u32
    let offset: u32
    if (type == 1) {
      if (at >= to) return -1
      size = ((tag >> 2) & 7) + 4
      offset = ((tag >> 5) << 8) | <u32>load<u8>(at)
      at += 1
    } else if (type == 2) {
      if (to - at < 2) return -1
      size = (tag >> 2) + 1
      offset = <u32>load<u16>(at)
      at += 2
    } else {
      if (to - at < 4) return -1
      size = (tag >> 2) + 1
      offset = load<u32>(at)
      at += 4
    }
    if (offset == 0 || offset > out - base || size > end - out) return -1
    let seen = out - offset
    const stop = out + size
    if (offset >= 16) {
      for (; out < stop; out += 16, seen += 16) v128.store(out, v128.load(seen))
    } else if (offset >= 8) {
      for (; out < stop; out += 8, seen += 8) store<u64>(out, load<u64>(seen))
    } else for (; out < stop; out++, seen++) store<u8>(out, load<u8>(seen))
    out = stop
  }
  return out == end ? <i32>length : -1
}

// Snappy blocks, decompressed (google/snappy format_description.txt); the twin is math/snappy.ts, and what is malformed is -1 in both.
// Copies are four steps of 16 bytes, however long they are, so that no branch depends on their length: up to 63 bytes past the output may
// change, and 63 past the input are read.

/** No step reads what a later one writes, as long as `from` lies 16 bytes before `to` or behind it. */
// @ts-ignore: decorator
@inline
function copy64(to: u32, from: u32): void {
  v128.store(to, v128.load(from))
  v128.store(to, v128.load(from, 16), 16)
  v128.store(to, v128.load(from, 32), 32)
  v128.store(to, v128.load(from, 48), 48)
}

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
      if (size <= 60 && size <= to - at && size <= end - out) {
        copy64(out, at)
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
    if (offset >= 16) copy64(out, seen)
    else if (offset >= 8) {
      for (; out < stop; out += 8, seen += 8) store<u64>(out, load<u64>(seen))
    } else for (; out < stop; out++, seen++) store<u8>(out, load<u8>(seen))
    out = stop
  }
  return out == end ? <i32>length : -1
}

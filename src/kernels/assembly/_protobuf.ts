// Protobuf's wire format; the twin is ingest/protobuf.ts.

/** Where the last varint ended; 0 when it did not end before its limit. */
export let next: u32 = 0

/** A varint of at most ten bytes that ends before `limit`. */
// @ts-ignore: decorator
@inline
export function varint(at: u32, limit: u32): u64 {
  if (at < limit) {
    const first = <u64>load<u8>(at)
    if (first < 0x80) {
      next = at + 1
      return first
    }
  }
  return longVarint(at, limit)
}

function longVarint(from: u32, limit: u32): u64 {
  let at = from
  let value: u64 = 0
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= limit) break
    const byte = <u64>load<u8>(at++)
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      next = at
      return value
    }
  }
  next = 0
  return 0
}

/** Past the field of a tag that was read; 0 when it is cut short or of no known type. */
export function skipField(tag: u64, at: u32, limit: u32): u32 {
  const type = <u32>tag & 7
  if (type == 0) {
    longVarint(at, limit)
    return next
  }
  if (type == 2) {
    const length = varint(at, limit)
    return next == 0 || length > <u64>(limit - next) ? 0 : next + <u32>length
  }
  const bytes: u32 = type == 1 ? 8 : type == 5 ? 4 : 0
  return bytes == 0 || bytes > limit - at ? 0 : at + bytes
}

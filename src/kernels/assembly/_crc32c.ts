// CRC-32C. WebAssembly has neither the instruction for it nor products without carry, so long runs are made short by additions alone
// first (the idea is that of Russell, "Chorba: a novel CRC32 implementation", 2024), and tables do what is left. Twin: math/crc32c.ts.

/**
 * Modulo Castagnoli's polynomial x^(128·55) is the sum of x^(128·(55 − s)) for s of 9, 28, 31, 33, 37, 39, 42, 49 and 55 (found by search:
 * the least degree for ten terms a multiple of 128 bits apart). So 16 bytes may be taken out where they are added to those that stand
 * s steps of 16 bytes further on.
 */
const REACH: u32 = 55 * 16
/** Bytes that are folded into scratch before it begins anew: with what stands around them they stay in the nearest cache. */
const CHUNK: u32 = 4096
/** What is shorter is left to the tables: folding costs the tables of REACH bytes and a clean scratch. */
const FOLDED_MIN: u32 = 3 * REACH

/** CRC-32C of [from, to). Eight tables of 256 words stand at `tables`; at `scratch` up to 6 KiB are written over. */
export function crc32c(tables: u32, from: u32, to: u32, scratch: u32): u32 {
  if (to - from < FOLDED_MIN) return ~byTables(tables, from, to, 0xffffffff)
  const rest = scratch + REACH + CHUNK
  fold(from, to, scratch, rest)
  return ~byTables(tables, rest, rest + REACH + ((to - from) & 15), 0)
}

/** What came before by REACH bytes and added up is to be added at `out` + REACH. */
// @ts-ignore: decorator
@inline
function before(out: u32): v128 {
  const a = v128.xor(v128.load(out, 46 * 16), v128.load(out, 27 * 16))
  const b = v128.xor(v128.load(out, 24 * 16), v128.load(out, 22 * 16))
  const c = v128.xor(v128.load(out, 18 * 16), v128.load(out, 16 * 16))
  const d = v128.xor(v128.load(out, 13 * 16), v128.load(out, 6 * 16))
  return v128.xor(v128.xor(a, b), v128.xor(v128.xor(c, d), v128.load(out)))
}

/** [from, to) → REACH and up to 15 bytes at `rest` whose remainder is the same, and is begun with 0. */
function fold(from: u32, to: u32, scratch: u32, rest: u32): void {
  const stop = to - REACH - ((to - from) & 15)
  const start = scratch + REACH
  memory.fill(scratch, 0, REACH)
  // Nothing comes before the first bytes but what the checksum begins with.
  v128.store(start, v128.xor(v128.load(from), i32x4(-1, 0, 0, 0)))
  let at = from + 16
  let out = scratch + 16
  for (;;) {
    const end = min(out + (stop - at), scratch + CHUNK)
    for (; out < end; out += 16, at += 16) v128.store(out, v128.xor(v128.load(at), before(out)), REACH)
    memory.copy(scratch, out, REACH)
    if (at == stop) break
    out = scratch
  }
  memory.fill(start, 0, REACH)
  memory.copy(rest, stop, to - stop)
  for (let i: u32 = 0; i < REACH; i += 16)
    v128.store(rest + i, v128.xor(v128.load(rest + i), before(scratch + i)))
}

/** Goes on with `crc` over [from, to), eight bytes at a time. */
function byTables(tables: u32, from: u32, to: u32, crc: u32): u32 {
  let at = from
  for (; at + 8 <= to; at += 8) {
    const low = load<u32>(at) ^ crc
    const high = load<u32>(at + 4)
    crc =
      load<u32>(tables + ((low & 0xff) << 2), 7168) ^
      load<u32>(tables + (((low >> 8) & 0xff) << 2), 6144) ^
      load<u32>(tables + (((low >> 16) & 0xff) << 2), 5120) ^
      load<u32>(tables + ((low >> 24) << 2), 4096) ^
      load<u32>(tables + ((high & 0xff) << 2), 3072) ^
      load<u32>(tables + (((high >> 8) & 0xff) << 2), 2048) ^
      load<u32>(tables + (((high >> 16) & 0xff) << 2), 1024) ^
      load<u32>(tables + ((high >> 24) << 2))
  }
  for (; at < to; at++) crc = (crc >> 8) ^ load<u32>(tables + (((crc ^ load<u8>(at)) & 0xff) << 2))
  return crc
}

// The identity of a byte range in three words; math/hash.ts is the twin, and says what it is made of.

const K_1: u64 = 0x9e3779b10000ca6b
const K_2: u64 = 0x85ebca770000d1b5
const SECOND: u32 = 0x6a09e667

export let idA: u32 = 0
export let idB: u32 = 0
export let idCheck: u32 = 0

// @ts-ignore: decorator
@inline
export function mix32(value: u32): u32 {
  let h = value ^ (value >> 16)
  h *= 0x85ebca6b
  h ^= h >> 13
  h *= 0xc2b2ae35
  return h ^ (h >> 16)
}

/** Reads up to seven bytes past the range. */
// @ts-ignore: decorator
@inline
export function hashRange(from: u32, to: u32, seed: u32, seedCheck: u32): void {
  let lane = begin(seed)
  let lane2 = begin(seed) ^ ((<u64>SECOND << 32) | <u64>SECOND)
  let c = seedCheck
  let i = from
  for (; to - i >= 16; i += 16) {
    lane = (rotl<u64>(lane, 29) ^ load<u64>(i)) * K_1
    lane2 = (rotl<u64>(lane2, 29) ^ load<u64>(i, 8)) * K_2
    c = rotl<u32>(c, 13) + (<u32>(lane >> 32) ^ rotl<u32>(<u32>(lane2 >> 32), 7))
  }
  for (; i < to; i += 8) {
    const rest = to - i
    let word = load<u64>(i)
    if (rest < 8) word &= (<u64>1 << (<u64>rest << 3)) - 1
    lane = (rotl<u64>(lane, 29) ^ word) * K_1
    c = rotl<u32>(c, 13) + <u32>(lane >> 32)
  }
  lane = (rotl<u64>(lane, 29) ^ lane2) * K_1
  const length = to - from
  idA = mix32(<u32>(lane >> 32) ^ length)
  idB = mix32(<u32>lane)
  idCheck = mix32(c ^ length) & 0x7fffffff
}

// @ts-ignore: decorator
@inline
function begin(seed: u32): u64 {
  return (<u64>~seed << 32) | <u64>seed
}

/** The identity under way: 64 bits, and idCheck. */
let folded: u64 = 0

/** An identity under way, folded with that of the symbol whose three words stand at `symbol`. */
// @ts-ignore: decorator
@inline
export function foldSymbol(symbol: u32): void {
  const word = (<u64>load<u32>(symbol) << 32) | <u64>load<u32>(symbol, 4)
  folded = (rotl<u64>(folded, 29) ^ word) * K_1
  idCheck = rotl<u32>(idCheck, 13) + load<u32>(symbol, 8)
}

// @ts-ignore: decorator
@inline
export function beginIdentity(seed: u32, seedCheck: u32): void {
  folded = begin(seed)
  idCheck = seedCheck
}

// @ts-ignore: decorator
@inline
export function endIdentity(count: u32): void {
  idA = mix32(<u32>(folded >> 32) ^ count)
  idB = mix32(<u32>folded)
  idCheck = mix32(idCheck ^ count) & 0x7fffffff
}

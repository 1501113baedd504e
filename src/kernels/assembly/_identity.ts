// The identity of a byte range in three words; math/hash.ts is the twin, and says what it is made of.

const K_A: u32 = 0x27220a95
const K_B: u32 = 0x9e3779b1
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
  let a = seed
  let b = ~seed
  let a2 = seed ^ SECOND
  let b2 = ~seed ^ SECOND
  let c = seedCheck
  let i = from
  for (; to - i >= 16; i += 16) {
    a = (rotl<u32>(a, 5) ^ load<u32>(i)) * K_A + b
    b = (rotl<u32>(b, 11) ^ load<u32>(i, 4)) * K_B + a
    a2 = (rotl<u32>(a2, 5) ^ load<u32>(i, 8)) * K_A + b2
    b2 = (rotl<u32>(b2, 11) ^ load<u32>(i, 12)) * K_B + a2
    c = rotl<u32>(c, 13) + (a ^ rotl<u32>(b, 7)) + (a2 ^ rotl<u32>(b2, 3))
  }
  for (; i < to; i += 8) {
    const rest = to - i
    let word = load<u64>(i)
    if (rest < 8) word &= (<u64>1 << (<u64>rest << 3)) - 1
    a = (rotl<u32>(a, 5) ^ <u32>word) * K_A + b
    b = (rotl<u32>(b, 11) ^ <u32>(word >> 32)) * K_B + a
    c = rotl<u32>(c, 13) + (a ^ rotl<u32>(b, 7))
  }
  a = (rotl<u32>(a, 5) ^ a2) * K_A + b
  b = (rotl<u32>(b, 11) ^ b2) * K_B + a
  const length = to - from
  idA = mix32(a ^ length)
  idB = mix32(b)
  idCheck = mix32(c ^ length) & 0x7fffffff
}

/** An identity under way, folded with that of the symbol whose three words stand at `symbol`. */
// @ts-ignore: decorator
@inline
export function foldSymbol(symbol: u32): void {
  idA = (rotl<u32>(idA, 5) ^ load<u32>(symbol)) * K_A + idB
  idB = (rotl<u32>(idB, 11) ^ load<u32>(symbol, 4)) * K_B + idA
  idCheck = rotl<u32>(idCheck, 13) + load<u32>(symbol, 8)
}

// @ts-ignore: decorator
@inline
export function beginIdentity(seed: u32, seedCheck: u32): void {
  idA = seed
  idB = ~seed
  idCheck = seedCheck
}

// @ts-ignore: decorator
@inline
export function endIdentity(count: u32): void {
  idA = mix32(idA ^ count)
  idB = mix32(idB)
  idCheck = mix32(idCheck ^ count) & 0x7fffffff
}

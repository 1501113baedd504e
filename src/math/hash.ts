/** Multipliers of the two words (FxHash's, cut to 32 bits; the golden ratio) and of a second pair's seeds. */
const K_A = 0x27220a95
const K_B = -1640531535
const SECOND = 0x6a09e667

/**
 * The identity of a byte range in three words, `out[0..2]`: 64 bits of a multiply-rotate hash (mixing as in FxHash, the
 * finaliser of MurmurHash3) and a check of 31 bits that is made of all states between, so that ranges which end in the
 * same 64 bits by chance still differ in it. Two pairs of words take 16 bytes a step, side by side; each step of eight
 * bytes is a bijection of its pair, so two ranges that differ in one step only never collide. The kernel `remote-write`
 * computes the same.
 */
export function hashRange(
  view: DataView,
  from: number,
  to: number,
  seed: number,
  seedCheck: number,
  out: Int32Array,
): void {
  let a = seed | 0
  let b = ~seed
  let a2 = seed ^ SECOND
  let b2 = ~seed ^ SECOND
  let c = seedCheck | 0
  let i = from
  for (; to - i >= 16; i += 16) {
    a = (Math.imul(((a << 5) | (a >>> 27)) ^ view.getInt32(i, true), K_A) + b) | 0
    b = (Math.imul(((b << 11) | (b >>> 21)) ^ view.getInt32(i + 4, true), K_B) + a) | 0
    a2 = (Math.imul(((a2 << 5) | (a2 >>> 27)) ^ view.getInt32(i + 8, true), K_A) + b2) | 0
    b2 = (Math.imul(((b2 << 11) | (b2 >>> 21)) ^ view.getInt32(i + 12, true), K_B) + a2) | 0
    c = (((c << 13) | (c >>> 19)) + (a ^ ((b << 7) | (b >>> 25))) + (a2 ^ ((b2 << 3) | (b2 >>> 29)))) | 0
  }
  // What is left is taken as one or two steps of eight bytes, with zeros behind its end: the length tells them apart.
  for (; i < to; i += 8) {
    const rest = to - i
    const low = rest >= 4 ? view.getInt32(i, true) : word(view, i, rest)
    const high = rest >= 8 ? view.getInt32(i + 4, true) : rest > 4 ? word(view, i + 4, rest - 4) : 0
    a = (Math.imul(((a << 5) | (a >>> 27)) ^ low, K_A) + b) | 0
    b = (Math.imul(((b << 11) | (b >>> 21)) ^ high, K_B) + a) | 0
    c = (((c << 13) | (c >>> 19)) + (a ^ ((b << 7) | (b >>> 25)))) | 0
  }
  a = (Math.imul(((a << 5) | (a >>> 27)) ^ a2, K_A) + b) | 0
  b = (Math.imul(((b << 11) | (b >>> 21)) ^ b2, K_B) + a) | 0
  const length = to - from
  out[0] = mix32(a ^ length)
  out[1] = mix32(b)
  out[2] = mix32(c ^ length) & CHECK_MASK
}

/** The check leaves a bit to those who keep identities. */
export const CHECK_MASK = 0x7fff_ffff

/** Up to three bytes, little-endian. */
function word(view: DataView, at: number, length: number): number {
  let bits = 0
  for (let i = 0; i < length; i++) bits |= view.getUint8(at + i) << (8 * i)
  return bits
}

/** Folds an identity into one under way, order-dependent: one step of the same hash. */
export function foldIdentity(out: Int32Array, a: number, b: number, check: number): void {
  const a0 = out[0]
  const b0 = out[1]
  const c0 = out[2]
  const a1 = (Math.imul(((a0 << 5) | (a0 >>> 27)) ^ a, K_A) + b0) | 0
  out[0] = a1
  out[1] = (Math.imul(((b0 << 11) | (b0 >>> 21)) ^ b, K_B) + a1) | 0
  out[2] = (((c0 << 13) | (c0 >>> 19)) + check) | 0
}

/** Ends an identity made of `count` others. */
export function endIdentity(out: Int32Array, count: number): void {
  out[0] = mix32(out[0] ^ count)
  out[1] = mix32(out[1])
  out[2] = mix32(out[2] ^ count) & CHECK_MASK
}

/** The check of a text whose 64 bits are made by `hashText`: a hash of its own over the same units. */
export function checkText(text: string, seed: number): number {
  let c = seed | 0
  for (let i = 0; i < text.length; i++) {
    c = Math.imul(((c << 9) | (c >>> 23)) ^ text.charCodeAt(i), 0x2c1b3c6d)
  }
  return mix32(c ^ text.length) & CHECK_MASK
}

/** 64 bits over the UTF-16 units of a text, as two words. */
export function hashText(text: string, seed: number, out: Int32Array): void {
  let a = seed | 0
  let b = ~seed
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(((a << 5) | (a >>> 27)) ^ unit, 0x27220a95)
    b = Math.imul(((b << 11) | (b >>> 21)) ^ unit, -1640531535)
  }
  out[0] = mix32(a ^ text.length)
  out[1] = mix32(b)
}

/** MurmurHash3's finaliser: every input bit reaches every output bit. */
export function mix32(value: number): number {
  let h = value ^ (value >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

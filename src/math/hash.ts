/**
 * Multipliers of the two lanes: 64 bits whose low word has 16, so that their products are cheap where there are no integers
 * of 64 bits; and what the second lane begins with.
 */
const HIGH_1 = 0x9e3779b1 | 0
const LOW_1 = 0xca6b
const HIGH_2 = 0x85ebca77 | 0
const LOW_2 = 0xd1b5
const SECOND = 0x6a09e667

/**
 * The identity of a byte range in three words, `out[0..2]`: 64 bits of a multiply-rotate hash (as FxHash, with the finaliser
 * of MurmurHash3) and a check of 31 bits that is made of all states between, so that ranges which end in the same 64 bits
 * by chance still differ in it. Two lanes of 64 bits take eight bytes a step each, `lane = (rotl(lane, 29) ^ word) × K`: a
 * bijection, so two ranges that differ in one step only never collide. The kernel `remote-write` computes the same.
 */
export function hashRange(
  view: DataView,
  from: number,
  to: number,
  seed: number,
  seedCheck: number,
  out: Int32Array,
): void {
  let low = seed | 0
  let high = ~seed
  let low2 = seed ^ SECOND
  let high2 = ~seed ^ SECOND
  let c = seedCheck | 0
  let i = from
  for (; to - i >= 16; i += 16) {
    let xl = ((low << 29) | (high >>> 3)) ^ view.getInt32(i, true)
    let xh = ((high << 29) | (low >>> 3)) ^ view.getInt32(i + 4, true)
    let t = Math.imul(xl & 0xffff, LOW_1)
    let u = (Math.imul(xl >>> 16, LOW_1) + (t >>> 16)) | 0
    low = (u << 16) | (t & 0xffff)
    high = (Math.imul(xl, HIGH_1) + Math.imul(xh, LOW_1) + (u >>> 16)) | 0
    xl = ((low2 << 29) | (high2 >>> 3)) ^ view.getInt32(i + 8, true)
    xh = ((high2 << 29) | (low2 >>> 3)) ^ view.getInt32(i + 12, true)
    t = Math.imul(xl & 0xffff, LOW_2)
    u = (Math.imul(xl >>> 16, LOW_2) + (t >>> 16)) | 0
    low2 = (u << 16) | (t & 0xffff)
    high2 = (Math.imul(xl, HIGH_2) + Math.imul(xh, LOW_2) + (u >>> 16)) | 0
    c = (((c << 13) | (c >>> 19)) + (high ^ ((high2 << 7) | (high2 >>> 25)))) | 0
  }
  out[0] = high
  out[1] = low
  // What is left is taken as one or two steps, with zeros behind its end: the length tells them apart.
  for (; i < to; i += 8) {
    const rest = to - i
    const wordLow = rest >= 4 ? view.getInt32(i, true) : word(view, i, rest)
    const wordHigh = rest >= 8 ? view.getInt32(i + 4, true) : rest > 4 ? word(view, i + 4, rest - 4) : 0
    step(out, wordHigh, wordLow)
    c = (((c << 13) | (c >>> 19)) + out[0]) | 0
  }
  step(out, high2, low2)
  out[2] = c
  endIdentity(out, to - from)
}

/** One step of the first lane, which is `out`: high word, low word. */
function step(out: Int32Array, wordHigh: number, wordLow: number): void {
  const high = out[0]
  const low = out[1]
  const xl = ((low << 29) | (high >>> 3)) ^ wordLow
  const xh = ((high << 29) | (low >>> 3)) ^ wordHigh
  const t = Math.imul(xl & 0xffff, LOW_1)
  const u = (Math.imul(xl >>> 16, LOW_1) + (t >>> 16)) | 0
  out[0] = (Math.imul(xl, HIGH_1) + Math.imul(xh, LOW_1) + (u >>> 16)) | 0
  out[1] = (u << 16) | (t & 0xffff)
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
  step(out, a, b)
  const c = out[2]
  out[2] = ((c << 13) | (c >>> 19)) + check
}

/** Ends an identity of so many bytes, or made of so many others. */
export function endIdentity(out: Int32Array, length: number): void {
  out[0] = mix32(out[0] ^ length)
  out[1] = mix32(out[1])
  out[2] = mix32(out[2] ^ length) & CHECK_MASK
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

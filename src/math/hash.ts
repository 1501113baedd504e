/**
 * A 64-bit multiply-rotate hash of a byte range as two words, `out[0]` and `out[1]` (mixing as in FxHash, the
 * finaliser of MurmurHash3). Each step of eight bytes is a bijection of both words, so two ranges that differ in
 * one step only never collide, and any two of a million ranges do with a chance of about 3e-8.
 */
export function hashRange(view: DataView, from: number, to: number, seed: number, out: Int32Array): void {
  let a = seed | 0
  let b = ~seed
  let i = from
  for (const stop = to - 7; i < stop; i += 8) {
    a = (Math.imul(((a << 5) | (a >>> 27)) ^ view.getInt32(i, true), 0x27220a95) + b) | 0
    b = (Math.imul(((b << 11) | (b >>> 21)) ^ view.getInt32(i + 4, true), -1640531535) + a) | 0
  }
  for (; i < to; i++) {
    a = (Math.imul(((a << 5) | (a >>> 27)) ^ view.getUint8(i), 0x27220a95) + b) | 0
    b = (Math.imul((b << 11) | (b >>> 21), -1640531535) + a) | 0
  }
  out[0] = mix32(a ^ (to - from))
  out[1] = mix32(b)
}

/** The same over the UTF-16 units of a text. */
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

/** Folds a second pair of hashes into the first, order-dependent. */
export function foldHash(out: Int32Array, a: number, b: number): void {
  out[0] = mix32(Math.imul(out[0], 0x27220a95) ^ a)
  out[1] = mix32(Math.imul(out[1], -1640531535) ^ b)
}

/** MurmurHash3's finaliser: every input bit reaches every output bit. */
export function mix32(value: number): number {
  let h = value ^ (value >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

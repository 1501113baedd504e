/**
 * Two independent 32-bit multiply-rotate hashes of a byte range (the mixing of FxHash, the finaliser of
 * MurmurHash3), written to `out[0]` and `out[1]`. Together with the length they identify a range; the chance
 * that any two of a million ranges share both is about 3e-8.
 */
export function hashRange(view: DataView, from: number, to: number, seed: number, out: Int32Array): void {
  let a = seed | 0
  let b = ~seed
  let i = from
  for (const stop = to - 3; i < stop; i += 4) {
    const word = view.getInt32(i, true)
    a = Math.imul(((a << 5) | (a >>> 27)) ^ word, 0x27220a95)
    b = Math.imul(((b << 11) | (b >>> 21)) ^ word, 0x9e3779b1 | 0)
  }
  let rest = to - i
  for (; i < to; i++) rest = (rest << 8) | view.getUint8(i)
  a = Math.imul(((a << 5) | (a >>> 27)) ^ rest, 0x27220a95)
  b = Math.imul(((b << 11) | (b >>> 21)) ^ rest, 0x9e3779b1 | 0)
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
    b = Math.imul(((b << 11) | (b >>> 21)) ^ unit, 0x9e3779b1 | 0)
  }
  out[0] = mix32(a ^ text.length)
  out[1] = mix32(b)
}

/** Folds a second pair of hashes into the first, order-dependent. */
export function foldHash(out: Int32Array, a: number, b: number): void {
  out[0] = mix32(Math.imul(out[0], 0x27220a95) ^ a)
  out[1] = mix32(Math.imul(out[1], 0x9e3779b1 | 0) ^ b)
}

/** MurmurHash3's finaliser: every input bit reaches every output bit. */
export function mix32(value: number): number {
  let h = value ^ (value >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

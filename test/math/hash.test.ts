// Shows that ranges which differ anywhere, by a bit or in length, get different hashes, and that a million similar
// label sets share neither the 64-bit identity nor the low bits that choose a slot more than chance does.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashRange, hashText } from '../../src/math/hash.ts'

const out = new Int32Array(3)

function hash(bytes: Uint8Array, from = 0, to = bytes.length): string {
  hashRange(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), from, to, 7, 8, out)
  return `${out[0]},${out[1]},${out[2]}`
}

describe('hashRange', () => {
  it('changes with any bit, and does not depend on where the range stands', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.nat(),
        fc.nat(20),
        (bytes, bit, shift) => {
          const changed = Uint8Array.from(bytes)
          changed[(bit >> 3) % bytes.length] ^= 1 << (bit & 7)
          expect(hash(changed)).not.toBe(hash(bytes))
          const moved = new Uint8Array(bytes.length + shift)
          moved.set(bytes, shift)
          expect(hash(moved, shift)).toBe(hash(bytes))
        },
      ),
    )
  })

  it('spreads similar texts: no collision of 200,000 in 64 bits, slots as full as chance', () => {
    const seen = new Set<string>()
    const slots = new Uint32Array(1 << 16)
    const count = 200_000
    for (let i = 0; i < count; i++) {
      const text = `job service-${i % 97} pod web-${i} instance 10.0.${i >> 8}.${i & 255}:9090`
      hash(new TextEncoder().encode(text))
      seen.add(`${out[0]},${out[1]}`)
      slots[out[0] & 0xffff]++
    }
    expect(seen.size).toBe(count)
    // Poisson: mean 3.05, variance the same.
    const mean = count / slots.length
    const variance = slots.reduce((sum, n) => sum + (n - mean) ** 2, 0) / slots.length
    expect(variance / mean).toBeGreaterThan(0.9)
    expect(variance / mean).toBeLessThan(1.1)
    const texts = new Set<string>()
    for (let i = 0; i < count; i++) {
      hashText(`m{pod="web-${i}"}`, 3, out)
      texts.add(`${out[0]},${out[1]}`)
    }
    expect(texts.size).toBe(count)
  })
})

// Shows that blocks made by snappyjs decode to what went in, and that changed or cut blocks never write beyond the
// buffer or throw.
import fc from 'fast-check'
import { compress } from 'snappyjs'
import { describe, expect, it } from 'vitest'
import { SNAPPY_SLACK, snappyDecode, snappyLength } from '../../src/math/snappy.ts'

const text = fc.array(fc.constantFrom('abc', 'x', 'metric_name', '\u0000', '12345678901234567890'), {
  maxLength: 200,
})

describe('snappyDecode', () => {
  it('inverts compression', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          text.map(parts => new TextEncoder().encode(parts.join(''))),
          fc.uint8Array({ maxLength: 2000 }),
        ),
        plain => {
          const block = compress(plain)
          const out = new Uint8Array(snappyLength(block) + SNAPPY_SLACK)
          expect(snappyDecode(block, out)).toBe(plain.length)
          expect(out.subarray(0, plain.length)).toEqual(Uint8Array.from(plain))
        },
      ),
      { numRuns: 300 },
    )
    const long = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 7)
    const out = new Uint8Array(long.length + SNAPPY_SLACK)
    expect(snappyDecode(compress(long), out)).toBe(long.length)
    expect(Buffer.compare(out.subarray(0, long.length), long)).toBe(0)
  })

  it('gives −1 for what is no block, and keeps to its buffer', () => {
    fc.assert(
      fc.property(
        text,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(),
        (parts, edits, cut) => {
          const block = compress(new TextEncoder().encode(parts.join('-')))
          for (const [at, byte] of edits) block[at % block.length] = byte
          const bytes = block.subarray(0, cut % (block.length + 1))
          const length = snappyLength(bytes)
          const out = new Uint8Array(Math.min(Math.max(0, length), 1 << 16) + SNAPPY_SLACK)
          const decoded = snappyDecode(bytes, out)
          expect(decoded === -1 || decoded === length).toBe(true)
        },
      ),
      { numRuns: 2000 },
    )
    expect(snappyDecode(Uint8Array.from([5, 0xfe, 0xff, 0xff, 0xff, 0xff]), new Uint8Array(64))).toBe(-1)
    expect(snappyDecode(Uint8Array.from([4, 0x01, 0x00]), new Uint8Array(64))).toBe(-1)
  })
})

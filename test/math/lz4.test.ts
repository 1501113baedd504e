// Shows that LZ4 blocks read back as what was written, that the format's rules on a block's end are kept, and that no bytes
// at all make the reader write past its room or run away.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lz4Bound, lz4Compress, lz4Decompress } from '../../src/math/lz4.ts'

function packed(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(lz4Bound(bytes.length))
  return out.subarray(0, lz4Compress(bytes, 0, bytes.length, out))
}

describe('lz4', () => {
  it('reads what it wrote, from the middle of a buffer too', () => {
    const few = fc.array(fc.nat(3), { maxLength: 3000 }).map(list => Uint8Array.from(list))
    fc.assert(
      fc.property(fc.oneof(few, fc.uint8Array({ maxLength: 500 })), fc.nat(20), (bytes, before) => {
        const src = new Uint8Array(before + bytes.length + 3)
        src.set(bytes, before)
        const block = new Uint8Array(lz4Bound(bytes.length))
        const size = lz4Compress(src, before, before + bytes.length, block)
        const out = new Uint8Array(before + bytes.length)
        expect(lz4Decompress(block, 0, size, out, before)).toBe(out.length)
        expect([...out.subarray(before)]).toEqual([...bytes])
      }),
    )
  })

  it('ends a block with five literals at least, and begins no match in its last twelve bytes', () => {
    const block = packed(new Uint8Array(1000))
    // Token of no literals but one, a match, and a last token of literals alone.
    const literals = block[block.length - 6] >> 4
    expect(literals).toBe(5)
    expect(packed(new Uint8Array(12)).length).toBe(13)
  })

  it('reads a block that was written by another compressor', () => {
    // From the format's description: 'abc' three times and an end, with a match that overlaps itself.
    const block = Uint8Array.from([0x32, 97, 98, 99, 3, 0, 0x50, 100, 101, 102, 103, 104])
    const out = new Uint8Array(14)
    expect(lz4Decompress(block, 0, block.length, out, 0)).toBe(14)
    expect(Buffer.from(out).toString()).toBe('abcabcabcdefgh')
  })

  it('refuses what is no block, and what has no room', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(300), (bytes, room) => {
        const out = new Uint8Array(room)
        const end = lz4Decompress(bytes, 0, bytes.length, out, 0)
        expect(end).toBeLessThanOrEqual(room)
      }),
      { numRuns: 2000 },
    )
    const block = packed(new Uint8Array(1000))
    expect(lz4Decompress(block, 0, block.length, new Uint8Array(999), 0)).toBe(-1)
    expect(lz4Decompress(block, 0, block.length - 1, new Uint8Array(1000), 0)).toBe(-1)
  })
})

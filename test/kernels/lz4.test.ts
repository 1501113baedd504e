// The kernel and its plain twin say the same of every block: of good ones, of blocks cut short or changed, and of pure noise.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Lz4Kernel } from '../../src/kernels/lz4.ts'
import { lz4Bound, lz4Compress, lz4Decompress } from '../../src/math/lz4.ts'

const kernel = new Lz4Kernel()

function same(block: Uint8Array, room: number, start: number): number {
  const [plain, fast] = [new Uint8Array(room).fill(7), new Uint8Array(room).fill(7)]
  const end = lz4Decompress(block, 0, block.length, plain, start)
  expect(kernel.decompress(block, 0, block.length, fast, start)).toBe(end)
  if (end >= 0) expect(Buffer.compare(fast.subarray(0, end), plain.subarray(0, end))).toBe(0)
  return end
}

/** Bytes with repeats, as bodies have. */
const text = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 30 })), {
    maxLength: 20,
  })
  .map(parts => Buffer.concat(parts.flatMap(([bytes, times]) => Array.from({ length: times }, () => bytes))))

describe('LZ4 kernel', () => {
  it('inflates what was deflated, as the twin does', () => {
    fc.assert(
      fc.property(
        text,
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 0, max: 50 }),
        (bytes, slack, start) => {
          const block = new Uint8Array(lz4Bound(bytes.length))
          const size = lz4Compress(bytes, 0, bytes.length, block)
          const end = same(block.subarray(0, size), start + bytes.length + slack, start)
          expect(end).toBe(start + bytes.length)
        },
      ),
    )
  })

  it('refuses what the twin refuses: changed, cut short, too little room', () => {
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(255), fc.nat(), fc.nat(), (bytes, place, byte, cut, room) => {
        const block = new Uint8Array(lz4Bound(bytes.length))
        const size = lz4Compress(bytes, 0, bytes.length, block)
        block[place % size] = byte
        same(block.subarray(0, size - (cut % size)), room % (bytes.length + 8), 0)
      }),
    )
  })

  it('refuses noise as the twin does', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(2000),
        (noise, room) => void same(noise, room, 0),
      ),
    )
  })
})

// The kernel and its plain twins say the same of every batch: its checksum, and what an LZ4 frame in it becomes; of good frames, of
// frames changed or cut short, and of noise.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lz4Frame, lz4Unframe } from '../../src/bus/kafka-codecs.ts'
import { RecordsKernel } from '../../src/kernels/records.ts'
import { crc32c, crc32cTables } from '../../src/math/crc32c.ts'

const kernel = new RecordsKernel(crc32cTables())
/** A header before the frame, as batches have. */
const BEFORE = 5

function plainly(frame: Uint8Array, limit: number): Buffer | undefined {
  try {
    return lz4Unframe(Buffer.from(frame), limit)
  } catch {
    return undefined
  }
}

function same(frame: Uint8Array, limit = 1 << 20): Uint8Array | undefined {
  kernel.load(Buffer.concat([Buffer.alloc(BEFORE, 1), frame]))
  const fast = kernel.lz4(BEFORE, limit)
  const plain = plainly(frame, limit)
  expect(fast === undefined).toBe(plain === undefined)
  if (fast && plain) expect(Buffer.compare(fast, plain)).toBe(0)
  return fast
}

/** Bytes with repeats, over the borders of blocks too. */
const text = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 3000 })), {
    maxLength: 6,
  })
  .map(parts => Buffer.concat(parts.flatMap(([bytes, times]) => Array.from({ length: times }, () => bytes))))

describe('records kernel', () => {
  it('has the checksum of RFC 3720, and that of the twin', () => {
    const digits = Buffer.from('123456789')
    expect(crc32c(digits, 0, digits.length)).toBe(0xe3069283)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(20), (bytes, from) => {
        fc.pre(from <= bytes.length)
        kernel.load(bytes)
        expect(kernel.crc32c(from)).toBe(crc32c(bytes, from, bytes.length))
      }),
    )
  })

  it('has the checksum of the twin of bytes of every length around those that are folded, and of many times as many', () => {
    const bytes = new Uint8Array(40_000)
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i + 1, 2654435761) >>> 24
    for (let length = 2600; length < 10_000; length += length < 2700 ? 1 : 37) {
      kernel.load(bytes.subarray(length, 2 * length))
      expect(kernel.crc32c(0)).toBe(crc32c(bytes, length, 2 * length))
    }
    kernel.load(bytes)
    for (let from = 0; from < 32; from++) expect(kernel.crc32c(from)).toBe(crc32c(bytes, from, bytes.length))
    // A bit anywhere counts.
    for (let at = 0; at < bytes.length; at += 331) {
      bytes[at] ^= 1 << (at % 8)
      kernel.load(bytes)
      expect(kernel.crc32c(0)).toBe(crc32c(bytes, 0, bytes.length))
    }
  })

  it('inflates what was framed, as the twin does', () => {
    fc.assert(
      fc.property(text, bytes => {
        expect(Buffer.compare(same(lz4Frame(bytes)) ?? Buffer.alloc(1), bytes)).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  it('frames as the twin does, byte for byte', () => {
    fc.assert(
      fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 200_000 })), fc.nat(10), (bytes, from) => {
        fc.pre(from <= bytes.length)
        kernel.load(bytes)
        expect(Buffer.compare(kernel.frameLz4(from), lz4Frame(bytes.subarray(from)))).toBe(0)
      }),
      { numRuns: 150 },
    )
  })

  it('refuses what the twin refuses: changed, cut short, too large', () => {
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(255), fc.nat(200_000), fc.nat(40), (bytes, at, byte, limit, cut) => {
        const frame = lz4Frame(bytes)
        frame[at % frame.length] = byte
        same(frame.subarray(0, frame.length - (cut % frame.length)), limit)
      }),
      { numRuns: 300 },
    )
  })

  it('refuses noise as the twin does', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), noise => void same(noise)))
  })
})

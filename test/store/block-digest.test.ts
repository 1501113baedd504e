// The digest of a checkpoint file is what its definition says, however the bytes come, and every flipped bit changes it: contents of up to three blocks,
// cut at random places.
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { BlockDigest } from '../../src/store/block-digest.ts'

const BLOCK = 4_194_304

function content(length: number, seed: number): Buffer {
  const out = Buffer.alloc(length)
  let x = seed | 1
  for (let i = 0; i + 4 <= length; i += 4) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0
    out.writeInt32LE(x, i)
  }
  return out
}

function defined(bytes: Buffer): Buffer {
  const sums = createHash('sha256')
  for (let from = 0; from < bytes.length; from += BLOCK) {
    const sum = Buffer.alloc(4)
    sum.writeUInt32LE(crc32(bytes.subarray(from, from + BLOCK)))
    sums.update(sum)
  }
  return sums.digest()
}

function digestOf(bytes: Buffer, cuts: readonly number[]): Buffer {
  const digest = new BlockDigest()
  const places = [...cuts.map(cut => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  let from = 0
  for (const to of places) {
    digest.update(bytes.subarray(from, to))
    from = to
  }
  return digest.digest()
}

const lengths = fc.oneof(
  fc.nat(100),
  fc.constantFrom(BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK),
  fc.nat(3 * BLOCK),
)

it('is what it is defined to be, however the bytes come, and another when a bit is', () => {
  fc.assert(
    fc.property(
      lengths,
      fc.nat(),
      fc.array(fc.nat(3 * BLOCK), { maxLength: 6 }),
      fc.nat(),
      (length, seed, cuts, at) => {
        const bytes = content(length, seed)
        const expected = defined(bytes)
        expect(digestOf(bytes, cuts)).toEqual(expected)
        if (length === 0) return
        bytes[at % length] ^= 1 << (at % 8)
        expect(digestOf(bytes, cuts)).not.toEqual(expected)
      },
    ),
    { numRuns: 20 },
  )
})

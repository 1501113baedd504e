// The kernel inflates every block as the plain twin does, good, changed or pure noise, within its room; and frames messages as the plain
// reader does. What it makes of bodies is shown in test/ingest/kernel-bodies.test.ts.
import fc from 'fast-check'
import { compress } from 'snappyjs'
import { describe, expect, it } from 'vitest'
import { ProtoReader, wellFramed } from '../../src/ingest/protobuf.ts'
import { FRAME_BAD } from '../../src/kernels/assembly/_wire-layout.ts'
import { PAGE_BYTES } from '../../src/kernels/load.ts'
import { remoteWriteKernel } from '../../src/kernels/remote-write.ts'
import { SNAPPY_SLACK, snappyDecode, snappyLength } from '../../src/math/snappy.ts'

const memory = new WebAssembly.Memory({ initial: 24 })
const kernel = remoteWriteKernel(memory) as NonNullable<ReturnType<typeof remoteWriteKernel>>
const bytes = new Uint8Array(memory.buffer)
const FROM = 6 * PAGE_BYTES
const OUT = 10 * PAGE_BYTES
const ROOM = 8 * PAGE_BYTES

function same(block: Uint8Array): number {
  const length = snappyLength(block)
  if (length < 0 || length > ROOM) return -1
  const plain = new Uint8Array(length + SNAPPY_SLACK)
  const made = snappyDecode(block, plain)
  bytes.set(block, FROM)
  bytes.fill(7, OUT + length + 64, OUT + ROOM + 192)
  let head = 0
  while (block[head++] >= 0x80);
  expect(kernel.inflate(FROM + head, FROM + block.length, OUT, length)).toBe(made)
  if (made >= 0) expect(Buffer.compare(bytes.subarray(OUT, OUT + made), plain.subarray(0, made))).toBe(0)
  // An element is written as 64 bytes: at most 63 past the end change.
  expect(bytes.subarray(OUT + length + 64, OUT + length + 128).every(byte => byte === 7)).toBe(true)
  return made
}

/** Bytes with repeats near and far, as bodies have. */
const text = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 70 }), fc.integer({ min: 1, max: 30 })), {
    maxLength: 20,
  })
  .map(parts => Buffer.concat(parts.flatMap(([piece, times]) => Array.from({ length: times }, () => piece))))

describe('the kernel of remote write', () => {
  it('inflates what was deflated', () => {
    fc.assert(fc.property(text, whole => void expect(same(compress(whole))).toBe(whole.length)))
    const long = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 7)
    expect(same(compress(long))).toBe(long.length)
  })

  it('inflates elements of every kind, with offsets and lengths of any size, as the twin', () => {
    const element = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 60 }).map(b => [(b.length - 1) << 2, ...b]),
      fc.uint8Array({ minLength: 1, maxLength: 90 }).map(b => [60 << 2, b.length - 1, ...b]),
      fc.uint8Array({ minLength: 1, maxLength: 20 }).map(b => [63 << 2, b.length - 1, 0, 0, 0, ...b]),
      fc
        .tuple(fc.nat(7), fc.nat(7), fc.nat(255))
        .map(([size, high, low]) => [1 | (size << 2) | (high << 5), low]),
      fc.tuple(fc.nat(63), fc.nat(80)).map(([size, offset]) => [2 | (size << 2), offset, 0]),
      fc.tuple(fc.nat(63), fc.nat(80)).map(([size, offset]) => [3 | (size << 2), offset, 0, 0, 0]),
    )
    fc.assert(
      fc.property(fc.array(element, { maxLength: 12 }), fc.nat(600), (elements, guess) => {
        const flat = elements.flat()
        for (const length of [guess, 64]) same(Uint8Array.of((length & 127) | 128, length >> 7, ...flat))
        // The length that the elements have if all are good: what is made then is looked at as well.
        let sum = 0
        for (const [tag, more] of elements) {
          const size = tag >> 2
          sum += (tag & 3) === 1 ? (size & 7) + 4 : (tag & 3) > 0 || size < 60 ? size + 1 : more + 1
        }
        same(Uint8Array.of((sum & 127) | 128, sum >> 7, ...flat))
      }),
      { numRuns: 500 },
    )
  })

  it('refuses what the twin refuses: changed, cut short, noise', () => {
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(255), fc.nat(), (whole, place, byte, cut) => {
        const block = Uint8Array.from(compress(whole))
        block[place % block.length] = byte
        same(block.subarray(0, block.length - (cut % block.length)))
      }),
      { numRuns: 300 },
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), noise => void same(noise)))
  })

  it('frames messages as the plain reader', () => {
    const reader = new ProtoReader()
    const field = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.uint8Array({ maxLength: 9 }).map(b => Uint8Array.of(0x0a, b.length, ...b)),
      fc.uint8Array({ minLength: 8, maxLength: 8 }).map(b => Uint8Array.of(0x09, ...b)),
      fc.uint8Array({ minLength: 8, maxLength: 8 }).map(b => Uint8Array.of(...b.map(x => x | 0x80), 0, 0)),
      fc.constant(Uint8Array.of(0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)),
    )
    fc.assert(
      fc.property(fc.array(field, { maxLength: 5 }), fields => {
        const message = Buffer.concat(fields)
        bytes.set(message, FROM)
        reader.reset(message, message.length)
        const good = kernel.frame(FROM, FROM + message.length, 0x0a) !== FRAME_BAD
        expect(good).toBe(wellFramed(reader))
      }),
      { numRuns: 500 },
    )
  })
})

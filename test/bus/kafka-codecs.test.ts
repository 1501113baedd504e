// Shows that what the codecs write they read again, whatever the bytes (fast-check), and that broken or lying input is
// refused with a reason and without much memory. That Java reads and writes the same is shown in kafka-streams.test.ts.
import { init as initZstd, compress as zstdCompress } from '@bokuweb/zstd-wasm'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  lz4Frame,
  lz4Unframe,
  snappyFrame,
  snappyUnframe,
  zstdContentSize,
  zstdUnframe,
} from '../../src/bus/kafka-codecs.ts'

const codecs = [
  ['snappy', snappyFrame, snappyUnframe],
  ['lz4', lz4Frame, lz4Unframe],
  ['zstd', (bytes: Uint8Array) => Buffer.from(zstdCompress(Buffer.from(bytes))), zstdUnframe],
] as const

/** Bytes as they come, and bytes that repeat, over block borders too. */
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(9000), fc.uint8Array({ maxLength: 20 }))
    .map(([unit, times, tail]) => {
      const length = Math.min(unit.length * times, 200_000)
      const bytes = new Uint8Array(length + tail.length)
      for (let i = 0; i < length; i++) bytes[i] = unit[i % unit.length]
      bytes.set(tail, length)
      return bytes
    }),
)

beforeAll(() => initZstd())

describe.each(codecs)('%s', (name, frame, unframe) => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(anyBytes, bytes => {
        fc.pre(name !== 'zstd' || bytes.length > 0)
        expect(Buffer.compare(unframe(frame(bytes)), Buffer.from(bytes))).toBe(0)
      }),
      { numRuns: 150 },
    )
  })

  it('makes text small', () => {
    const text = Buffer.from('{"metric":"http_requests_total","value":12.5}\n'.repeat(2000))
    expect(frame(text).length).toBeLessThan(text.length / 10)
  })

  it('refuses what is cut short or turned, or gives other bytes, but never crashes', () => {
    const whole = frame(Buffer.from('foreshock '.repeat(500)))
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        const bad = cut ? Buffer.from(whole.subarray(0, at)) : Buffer.from(whole)
        if (!cut) bad[at] = byte
        try {
          expect(unframe(bad, 100_000).length).toBeLessThanOrEqual(100_000)
        } catch (error) {
          expect(String(error)).not.toMatch(/TypeError|ReferenceError|RuntimeError: unreachable/)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('gives up where it becomes too large', () => {
    const bomb = frame(new Uint8Array(1_000_000))
    expect(() => unframe(bomb, 200_000)).toThrow()
    expect(unframe(bomb, 1_000_000).length).toBe(1_000_000)
  })
})

it('reads the size that a zstd frame says it has', () => {
  for (const size of [1, 100, 255, 256, 1000, 65_791, 65_792, 100_000])
    expect(zstdContentSize(zstdCompress(Buffer.alloc(size, 7)))).toBe(size)
})

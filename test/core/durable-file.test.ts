// Shows that a file written in whole blocks, beside the system's cache, holds what one written by way of it holds: byte for byte after
// appends of any sizes, reopenings and rooms of any length (property); that only zeros stand behind the good bytes meanwhile, and
// nothing after `trim` and `close`; and that a file whose room begins at no page's edge is written by way of the cache.
import { mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { DurableFile, writeRoom } from '../../src/core/durable-file.ts'

const root = mkdtempSync(join(tmpdir(), 'foreshock-durable-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let made = 0
const path = () => join(root, String(made++))
/** Bytes of which no two that lie a block apart are the same. */
const bytes = (length: number, from: number) =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => 1 + ((7 * (from + i) + ((from + i) >> 12)) % 255)))

describe('a durable file with a room', () => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.array(fc.nat(9000), { minLength: 1, maxLength: 4 }) },
    { weight: 1, arbitrary: fc.constant('trim' as const) },
    { weight: 2, arbitrary: fc.constant('reopen' as const) },
  )

  it('holds what was appended, to the byte, and zeros behind it until it is trimmed or closed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, blocks) => {
          const room = writeRoom()?.subarray(0, 4096 * blocks)
          const at = path()
          let file = await DurableFile.open(at, 0, room)
          let good = Buffer.alloc(0)
          for (const one of steps) {
            if (one === 'trim') {
              await file.trim()
              expect(readFileSync(at).equals(good)).toBe(true)
            } else if (one === 'reopen') {
              await file.close()
              expect(readFileSync(at).equals(good)).toBe(true)
              file = await DurableFile.open(at, good.length, room)
            } else {
              const pieces: Buffer[] = []
              for (const length of one) {
                pieces.push(bytes(length, good.length))
                good = Buffer.concat([good, pieces[pieces.length - 1]])
              }
              await file.append(pieces)
            }
            const held = readFileSync(at)
            expect(file.size).toBe(good.length)
            expect(held.subarray(0, good.length).equals(good)).toBe(true)
            expect(held.length - good.length).toBeLessThan(4096)
            expect(held.subarray(good.length).every(byte => byte === 0)).toBe(true)
          }
          await file.close()
          expect(readFileSync(at).equals(good)).toBe(true)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('cuts off what a writer that was killed left behind the good bytes', async () => {
    const at = path()
    const killed = await DurableFile.open(at, 0, writeRoom())
    await killed.append([bytes(5000, 0)])
    const file = await DurableFile.open(at, 4500, writeRoom())
    await file.append([bytes(1000, 4500)])
    await file.close()
    expect(readFileSync(at).equals(bytes(5500, 0))).toBe(true)
    await killed.close()
  })

  it('is written by way of the cache where its room cannot be written from', async () => {
    const at = path()
    const file = await DurableFile.open(at, 0, writeRoom()?.subarray(1))
    await file.append([bytes(5000, 0)])
    await file.append([bytes(70_000, 5000)])
    expect(file.size).toBe(75_000)
    await file.close()
    expect(readFileSync(at).equals(bytes(75_000, 0))).toBe(true)
    // Nor can what stands in its last block be read into such a room.
    const again = await DurableFile.open(at, 75_000, writeRoom()?.subarray(1))
    await again.append([bytes(5000, 75_000)])
    await again.close()
    expect(readFileSync(at).equals(bytes(80_000, 0))).toBe(true)
  })
})

// Memory of bodies: what is lent is never lent twice at a time, has the length asked for, and what is kept is bounded.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BodyMemory } from '../../src/serve/body-memory.ts'

describe('memory of bodies', () => {
  it('lends each piece to one at a time, whatever is given back when', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.nat(2_000_000), fc.constantFrom(-1, 0, 1, 4096, 4097, 1 << 20, (1 << 20) + 1))),
        steps => {
          const memory = new BodyMemory()
          const held: Buffer[] = []
          for (const step of steps) {
            if (step < 0) {
              const back = held.shift()
              if (back) memory.give(back)
              continue
            }
            const lent = memory.lend(step)
            expect(lent.length).toBe(step)
            for (const other of held) expect(other.buffer).not.toBe(lent.buffer)
            held.push(lent)
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  it('lends again what it was given, and keeps neither what is foreign, large nor too much', () => {
    const memory = new BodyMemory()
    const first = memory.lend(60_000)
    memory.give(first)
    expect(memory.idleBytes).toBe(65_536)
    expect(memory.lend(40_000).buffer).toBe(first.buffer)
    expect(memory.idleBytes).toBe(0)
    memory.give(Buffer.alloc(10))
    memory.give(Buffer.from(new ArrayBuffer(8192), 8, 100))
    memory.give(memory.lend(5_000_000))
    // A small body that came in pieces lies in memory that Node goes on making small buffers of.
    for (let found = false; !found; ) {
      const small = Buffer.concat([Buffer.alloc(60), Buffer.alloc(40)])
      found = small.byteOffset === 0 && small.buffer.byteLength === Buffer.poolSize
      memory.give(small)
    }
    expect(memory.idleBytes).toBe(0)
    const many = Array.from({ length: 40 }, () => memory.lend(1 << 20))
    for (const one of many) memory.give(one)
    expect(memory.idleBytes).toBe(32 << 20)
  })
})

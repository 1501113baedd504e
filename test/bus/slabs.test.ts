// Shows that what is lent at one time never overlaps, whatever is asked for and given back between, that slabs come back, and that what
// lies idle is bounded.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Lease, Slabs } from '../../src/bus/slabs.ts'

describe('slabs', () => {
  it('give rooms of the size asked for, of which no two overlap', () => {
    const size = fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 3_000_000 }))
    const step = fc.record({ lease: fc.nat(3), size, ends: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const slabs = new Slabs()
        const leases = Array.from({ length: 4 }, () => new Lease(slabs))
        const rooms: Buffer[][] = leases.map(() => [])
        for (const { lease, size, ends } of steps) {
          const room = leases[lease].room(size)
          expect(room.length).toBe(size)
          rooms[lease].push(room)
          if (!ends) continue
          leases[lease].giveBack()
          rooms[lease] = []
        }
        const all = rooms.flat()
        for (const [i, room] of all.entries()) room.fill(i)
        for (const [i, room] of all.entries()) {
          if (room.length === 0) continue
          expect(room[0]).toBe(i)
          expect(room[room.length - 1]).toBe(i)
          expect(room.indexOf(i === 0 ? 1 : 0)).toBe(-1)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('come back to the next who asks', () => {
    const slabs = new Slabs()
    const first = new Lease(slabs)
    const { buffer } = first.room(1000)
    expect(new Lease(slabs).room(1000).buffer).not.toBe(buffer)
    first.giveBack()
    expect(new Lease(slabs).room(400_000).buffer).toBe(buffer)
    // Given back twice is given back once.
    first.giveBack()
    expect(slabs.bytes).toBe(0)
  })

  it('lie idle up to 32 MiB, and none that is very large', () => {
    const slabs = new Slabs()
    const leases = Array.from({ length: 100 }, () => new Lease(slabs))
    for (const lease of leases) lease.room(1_000_000)
    for (const lease of leases) lease.giveBack()
    expect(slabs.bytes).toBe(32 * 1024 * 1024)
    const large = new Lease(new Slabs())
    const { buffer } = large.room(20_000_000)
    expect(buffer.byteLength).toBe(20_000_000)
    large.giveBack()
    expect(large.room(20_000_000).buffer).not.toBe(buffer)
  })
})

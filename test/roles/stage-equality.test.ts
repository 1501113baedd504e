// Shows that a fleet finds what one process finds: examples/fleet.csv through the pipeline of one process, and through
// scorers and a disruption stage with 1, 3 and 8 samples partitions over a log in memory.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { embeddedEvents, FleetWorld, gist } from './fleet-world.ts'

let world: FleetWorld | undefined
// On a busy machine the scorers' own ticks, every five seconds of wall time, would come between.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval'] }))
afterEach(async () => {
  await world?.close()
  vi.useRealTimers()
})

describe('a fleet against one process', () => {
  it('finds the same', { timeout: 60_000 }, async () => {
    const alone = (await embeddedEvents()).sort((a, b) => (a.id < b.id ? -1 : 1))
    for (const samples of [1, 3, 8]) {
      world = new FleetWorld({ samples })
      const [scorer, stage] = [await world.scorer(), await world.stage()]
      await world.feed()
      await world.settle([scorer], [stage])
      expect(world.failures).toEqual([])
      const told = world.told()
      expect(told.map(gist)).toEqual(alone.map(gist))
      expect(told).toEqual(
        JSON.parse(JSON.stringify(alone.map(({ id, type, disruption }) => ({ id, type, disruption })))),
      )
      await world.close()
    }
  })
})

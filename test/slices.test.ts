// Shows that windows scored in slices, while bodies of the next window are decoded, say and learn what windows scored at once
// do: every event, every anomaly and every byte of what is learned, however the slices fall (property over pauses); that series
// which expire and rows used again change nothing with the slices' timing; that what comes in between is answered before a
// window is through; that small windows are through before their body is answered; and that a sink that fails is heard of.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SLICES, type SliceOptions } from '../src/slices.ts'
import { fleetEnvelopes, settings } from './shards/shard-world.ts'
import { expectSame, World } from './window-world.ts'

/** Every window is sliced, as finely as can be. */
const FINE: SliceOptions = { above: 0, ms: 0 }

const TIERED = settings('1d', 12)
const RICH = settings('1d', 1_000_000)
const CHURNING = settings('6m', 12)
const TIERED_MANY = { ...TIERED, ingest: { ...TIERED.ingest, maxSeries: 10_000 } }

describe('slices', () => {
  for (const [name, config] of [
    ['with tiers', TIERED],
    ['where all are rich', RICH],
  ] as const)
    it(`say and learn what windows scored at once do, to the byte, ${name}`, async () => {
      const envelopes = fleetEnvelopes({}, 0, 80)
      const atOnce = new World(config)
      await atOnce.take(envelopes)
      await atOnce.finish()
      expect(atOnce.told.some(line => line.includes('"opened"'))).toBe(true)
      const expected = await atOnce.state()
      const pauses = fc.array(fc.nat(6), { minLength: 5, maxLength: 20 })
      await fc.assert(
        fc.asyncProperty(pauses, async turns => {
          const sliced = new World(config, FINE)
          await sliced.take(envelopes, i => turns[i % turns.length])
          await sliced.finish()
          expectSame(sliced.told, atOnce.told)
          expectSame(await sliced.state(), expected)
        }),
        { numRuns: 2 },
      )
    })

  it('say the same of windows of many stretches and blocks', async () => {
    const envelopes = fleetEnvelopes({ services: 1000, strange: [2, 700, 999] }, 0, 20)
    const [atOnce, sliced] = [new World(TIERED_MANY), new World(TIERED_MANY, FINE)]
    await atOnce.take(envelopes)
    await sliced.take(envelopes, i => i % 3)
    await atOnce.finish()
    await sliced.finish()
    expect(atOnce.parts.series.size).toBeGreaterThan(5000)
    expect(atOnce.told.length).toBeGreaterThan(0)
    expectSame(sliced.told, atOnce.told)
    expectSame(await sliced.state(), await atOnce.state())
  })

  it('do not show in what becomes of series that expire and of their rows', async () => {
    const envelopes = fleetEnvelopes({ churn: true }, 0, 60)
    const once = new World(CHURNING, FINE)
    await once.take(envelopes)
    await once.finish()
    const expected = await once.state()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(5), { minLength: 3, maxLength: 15 }), async turns => {
        const other = new World(CHURNING, FINE)
        await other.take(envelopes, i => turns[i % turns.length])
        await other.finish()
        expectSame(other.told, once.told)
        expectSame(await other.state(), expected)
      }),
      { numRuns: 2 },
    )
  })

  it('let bodies be answered while a window is on its way, and questions of the moment wait for it', async () => {
    const world = new World(TIERED, FINE)
    const envelopes = fleetEnvelopes({}, 0, 12)
    let windows = 0
    world.pipeline.afterWindow = () => windows++
    await world.take(envelopes)
    await world.pipeline.settle()
    const before = windows
    // The first body of the next minute completes a window.
    await world.take(fleetEnvelopes({}, 12, 13).slice(0, 1))
    expect(windows).toBe(before)
    await world.take(fleetEnvelopes({}, 12, 13).slice(1, 3))
    expect(windows).toBe(before)
    await world.pipeline.settle()
    expect(windows).toBe(before + 1)
  })

  it('are not made of small windows: they are through when their body is answered', async () => {
    const world = new World(TIERED, SLICES)
    let windows = 0
    world.pipeline.afterWindow = () => windows++
    await world.take(fleetEnvelopes({}, 0, 12))
    const before = windows
    await world.take(fleetEnvelopes({}, 12, 13).slice(0, 1))
    expect(windows).toBe(before + 1)
  })

  it('tell whoever settles of a sink that fails', async () => {
    const world = new World(TIERED, FINE)
    world.failure = new Error('the sink is gone')
    const all = world.take(fleetEnvelopes({}, 0, 60)).then(() => world.finish())
    await expect(all).rejects.toThrow('the sink is gone')
  })
})

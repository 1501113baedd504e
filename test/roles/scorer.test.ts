// Shows that a scorer is a function of its partition's log: what it tells of windows equals what one process scores, and
// stays the same byte for byte when it is killed at any message, hands over, or goes on as a zombie beside its successor.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { WindowReader } from '../../src/bus/window-report-reader.ts'
import type { FeatureBatch, OpinionBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { TOPICS } from '../../src/core/stream.ts'
import { fleetBodies } from '../e2e/fleet.ts'
import { PipelineWorld } from '../pipeline-world.ts'
import { FROM_MS, Puppet, reportsOf, ScorerWorld, STEP_MS, takenBy, worldConfig } from './scorer-world.ts'

const STEPS = 60

// Ticks are written when a test says so.
beforeAll(() => void vi.useFakeTimers({ toFake: ['setInterval'] }))
afterAll(() => void vi.useRealTimers())

/** Services, ticks and a late body in one partition. */
function filled(): ScorerWorld {
  const world = new ScorerWorld(1, 2, worldConfig({ checkpoint: { every: '40s' } }))
  let at = FROM_MS
  const fault = { service: 'payments', fromStep: 35, toStep: STEPS, extraLatencyS: 0.4 }
  for (const body of fleetBodies({ fromMs: FROM_MS, stepMs: STEP_MS, steps: STEPS, seed: 3, fault })) {
    world.body(body, at + 1000, at % 30_000 === 0 ? 'acme' : 'default')
    if (at % 40_000 === 0) world.tick(0, at + 5000)
    at += STEP_MS
  }
  for (let i = 1; i < 12; i++) world.tick(0, at + i * STEP_MS)
  return world
}

/** All that is said of a row. */
const saidOf = (batch: FeatureBatch, opinions: OpinionBatch, i: number) => [
  batch.observed[i],
  batch.coverage[i],
  opinions.expected[i],
  opinions.lower[i],
  opinions.upper[i],
  opinions.surprise[i],
  opinions.point[i],
  opinions.incident[i],
  opinions.score[i],
  opinions.evidence[i],
  opinions.direction[i],
]

/** What is told when nothing disturbs. */
async function undisturbed(): Promise<[string, string][][]> {
  const world = filled()
  const puppet = new Puppet(world)
  await puppet.start()
  while (await puppet.take(100)) {}
  await puppet.revoke(true)
  expect(world.problems).toEqual([])
  return [0, 1].map(q => takenBy(world.messages(TOPICS.anomalies, q)))
}

describe('a scorer', () => {
  it('tells the disruption stage what one process scores', async () => {
    const seen = new Map<string, unknown[]>()
    const alone = new PipelineWorld({}, (batch, opinions) => {
      for (let i = 0; i < batch.length; i++) {
        const { key } = alone.parts.series.meta(batch.series[i])
        seen.set(`${key} ${batch.windowEndMs[i]}`, saidOf(batch, opinions, i))
      }
    })
    const world = new ScorerWorld(1, 1)
    let at = FROM_MS
    for (const body of fleetBodies({ fromMs: FROM_MS, stepMs: STEP_MS, steps: STEPS, seed: 3 })) {
      const lines = body.trim().split('\n')
      await alone.send(
        at,
        lines.map(line => JSON.parse(line)),
        at + 1000,
      )
      world.body(body, at + 1000)
      at += STEP_MS
    }
    const puppet = new Puppet(world)
    await puppet.start()
    while (await puppet.take(7)) {}
    await puppet.revoke(true)

    const table = new SeriesTable()
    const reader = new WindowReader(table, row => table.evict(row))
    const told = new Map<string, unknown[]>()
    for (const { message } of reportsOf(world.messages(TOPICS.anomalies))) {
      const report = reader.read(message.value)
      if (typeof report === 'string') throw new Error(report)
      const { batch, opinions } = report
      for (let i = 0; i < batch.length; i++) {
        told.set(`${table.meta(batch.series[i]).key} ${batch.windowEndMs[i]}`, saidOf(batch, opinions, i))
      }
    }
    expect(told.size).toBeGreaterThan(1000)
    expect(told).toEqual(seen)
  })

  it('killed at any message and restored tells the same windows, with the same bytes', async () => {
    const expected = await undisturbed()
    expect(expected[0].length).toBeGreaterThan(STEPS)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ after: fc.integer({ min: 1, max: 40 }), arrives: fc.nat({ max: 3 }) }), {
          maxLength: 6,
        }),
        async deaths => {
          const world = filled()
          for (const { after, arrives } of deaths) {
            const puppet = new Puppet(world)
            await puppet.start()
            await puppet.take(after)
            // Killed: of what it was about to write, some arrives.
            puppet.isCutOff = true
            const last = puppet.take(2)
            await puppet.release(arrives)
            await last
            await new Promise(done => setImmediate(done))
          }
          const last = new Puppet(world)
          await last.start()
          while (await last.take(9)) {}
          await last.revoke(true)
          expect([0, 1].map(q => takenBy(world.messages(TOPICS.anomalies, q)))).toEqual(expected)
          expect(world.problems).toEqual([])
        },
      ),
      { numRuns: 8 },
    )
  })

  it('that is to let go in the middle of a batch begins with no further message, and is gone on with from there', async () => {
    const expected = await undisturbed()
    const world = filled()
    const old = new Puppet(world)
    await old.start()
    await old.take(4)
    const taking = old.take(30)
    old.leave()
    await taking
    await old.revoke(true)
    const heir = new Puppet(world)
    await heir.start()
    // At most the one that it was about.
    expect(heir.position).toBeGreaterThanOrEqual(4)
    expect(heir.position).toBeLessThanOrEqual(5)
    while (await heir.take(20)) {}
    await heir.revoke(true)
    expect([0, 1].map(q => takenBy(world.messages(TOPICS.anomalies, q)))).toEqual(expected)
  })

  it('handed over tells the same, and a zombie beside its successor does no harm', async () => {
    const expected = await undisturbed()
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 3, max: 50 }),
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 12 })), { minLength: 2, maxLength: 12 }),
        fc.boolean(),
        async (before, turns, orderly) => {
          const world = filled()
          const old = new Puppet(world)
          await old.start()
          await old.take(before)
          if (orderly) await old.revoke(true)
          const heir = new Puppet(world)
          await heir.start()
          if (orderly) expect(heir.position).toBe(before)
          // The old one does not know that it is one no longer.
          for (const [isOld, count] of turns) {
            if (!isOld) await heir.take(count)
            else if (!orderly) await old.take(count)
          }
          while (await heir.take(20)) {}
          while (!orderly && (await old.take(20))) {}
          await heir.revoke(true)
          await old.revoke(true)
          expect([0, 1].map(q => takenBy(world.messages(TOPICS.anomalies, q)))).toEqual(expected)
          // What the zombie learned has not replaced what its successor did.
          const third = new Puppet(world)
          await third.start()
          expect(third.position).toBe(world.messages(TOPICS.samples).length)
        },
      ),
      { numRuns: 8 },
    )
  })

  it('says which partitions it cannot begin and why, until it can', async () => {
    const world = filled()
    const { checkpoints } = world
    let full = true
    world.checkpoints = {
      claim: async name => {
        if (full) throw new Error(`claim ${name}: it is full`)
        return checkpoints.claim(name)
      },
      close: async () => {},
    }
    const scorer = world.scorer()
    onTestFinished(() => scorer.close())
    await scorer.start()
    await vi.waitFor(() =>
      expect(scorer.problems).toEqual(['samples/0 cannot be begun: claim samples-0: it is full']),
    )
    full = false
    await vi.waitFor(() => expect(scorer.partitions).toHaveLength(1), 10_000)
    expect(scorer.problems).toEqual([])
  })
})

// Shows that what is due is judged by time that only passes: a stage whose wall clock steps an hour ahead gives no samples partition up
// for it, and a scorer whose wall clock steps back goes on saving. On the log in memory.
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { CONTENT, HEADERS, TOPICS } from '../../src/core/stream.ts'
import { until } from '../bus/streams-contract.ts'
import { FleetWorld } from './fleet-world.ts'
import { Puppet, ScorerWorld, STEP_MS, watchedStores, worldConfig } from './scorer-world.ts'

const HOUR_MS = 3_600_000

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval'] }))
afterEach(() => void vi.useRealTimers())

it('a stage whose clock steps ahead waits as long as it would have', async () => {
  const source = new FleetWorld({ samples: 3 })
  const scorer = await source.scorer()
  await source.feed(0, 60, false)
  await source.settle([scorer], [])
  const told = source.messages(TOPICS.anomalies).filter(({ headers, value }) => {
    // The third samples partition says nothing.
    return headers[HEADERS.content] === CONTENT.window && value[1] !== 2
  })
  await source.close()

  const world = new FleetWorld({ samples: 3, patienceMs: 60_000 })
  let passedMs = 0
  const stage = await world.stage('stage-1', { elapsed: () => passedMs })
  world.log.append(told.map(({ topic, ...message }) => ({ topic, message })))
  const length = () => world.messages(TOPICS.anomalies).length
  await until('all is read', () => stage.partitions[0]?.position === length())
  const seals = () =>
    world.messages(TOPICS.anomalies).filter(({ headers }) => headers[HEADERS.content] === CONTENT.seal).length

  await stage.tick()
  world.nowMs += HOUR_MS
  await stage.tick()
  await stage.tick()
  expect(seals()).toBe(0)
  passedMs += 61_000
  await stage.tick()
  expect(seals()).toBe(1)
  expect(world.failures).toEqual([])
  await world.close()
})

it('a scorer whose clock steps back goes on saving', async () => {
  const world = new ScorerWorld(1, 1, worldConfig({ checkpoint: { every: '20s' } }))
  world.fill(20)
  const { saved, stores } = watchedStores()
  world.checkpoints = stores
  let passedMs = 0
  const clock = () => world.nowMs - HOUR_MS * Math.min(1, Math.floor(passedMs / 60_000))
  const puppet = new Puppet(world, { clock, elapsed: () => passedMs })
  await puppet.start()
  for (let step = 0; step < 18; step++) {
    await puppet.take(1)
    passedMs += STEP_MS
    await new Promise(done => setImmediate(done))
  }
  expect(saved.length).toBeGreaterThanOrEqual(7)
})

// Shows what the order of messages may change and what not: bodies that come twice and halves of windows that change places give,
// number for number, the windows of the same input in order, but for counters. A count that is overtaken by a later one of its own series
// is refused (out of order), since its growth is already part of the rate of the later one; so the windows are those of an input that
// never had the overtaken counts. The input is that of the fault suite.
import { expect, it } from 'vitest'
import { inOrderWithoutOvertaken, twiceAndCrossed } from '../../bench/faults/crossed.ts'
import { halfOf, type Input, inputOf } from '../../bench/faults/input.ts'
import { windowTeller } from '../../bench/faults/outcome.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { TOPICS } from '../../src/core/stream.ts'
import { FROM_MS, Puppet, ScorerWorld, worldConfig } from './scorer-world.ts'

const STEP_MS = 1000
const HALF_MS = 50
const features = { step: '1s', lateness: '5s', idle: '10d', retention: '10d' }
const plan = { seed: 3, entities: 8, windows: 90, baseMs: FROM_MS, stepMs: STEP_MS }

async function scored(
  input: Input,
  bodies: (input: Input, window: number, half: number) => readonly string[],
) {
  const world = new ScorerWorld(1, 1, worldConfig({ features }))
  let arrivalMs = FROM_MS + 3_600_000
  for (let window = 0; window < input.windows; window++)
    for (let half = 0; half < 2; half++, arrivalMs += HALF_MS)
      for (const body of bodies(input, window, half)) world.body(body, arrivalMs)
  const rejects = new Rejects()
  const puppet = new Puppet(world, { rejects })
  await puppet.start()
  await puppet.take(Number.POSITIVE_INFINITY)
  const told = new Map<string, string[]>()
  const tell = windowTeller(0, told)
  for (const message of world.messages(TOPICS.anomalies)) tell(message)
  await puppet.revoke(true)
  return { told, refused: rejects.counts() }
}

it('of everything but counters, nothing; of counters, what was overtaken', async () => {
  const input = inputOf(plan)
  const other = await scored(input, twiceAndCrossed)
  const expected = await scored(input, inOrderWithoutOvertaken)
  expect(expected.refused).toEqual({})
  expect(Object.keys(other.refused)).toEqual(['out-of-order'])
  expect(other.told.size).toBeGreaterThan(80)
  expect([...other.told]).toEqual([...expected.told])

  const inOrder = await scored(input, (...at) => [halfOf(...at)])
  expect([...inOrder.told]).not.toEqual([...expected.told])
})

it('without counters, nothing at all', async () => {
  const input = inputOf(plan)
  const gauges = (body: string) => body.replaceAll(/.*requests_total.*\n/g, '')
  const [other, inOrder] = [
    await scored(input, (...at) => twiceAndCrossed(...at).map(gauges)),
    await scored(input, (...at) => [gauges(halfOf(...at))]),
  ]
  expect(other.refused).toEqual({})
  expect([...other.told]).toEqual([...inOrder.told])
})

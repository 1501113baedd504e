// Shows that a fleet loses nothing and doubles nothing when it is hurt: a quick part of `npm run faults`, with real
// Kafka, Redis, PostgreSQL and processes. A scorer is killed in the middle of a window; Redis is killed and comes back
// empty. Each is compared with an undisturbed run of the same input, which must have found something.
import { expect, it } from 'vitest'
import { CASES } from '../../bench/faults/cases.ts'
import { runSuite } from '../../bench/faults/suite.ts'
import { faultsOf } from '../../bench/faults/table.ts'
import { kafkaSoftware } from '../peers/kafka-software.ts'
import { peerPath } from '../peers/peers.ts'

const QUICK = ['scorer-killed', 'redis-emptied']

it('a killed scorer and an emptied Redis cost nothing', { timeout: 240_000 }, async context => {
  // Skips, loudly, where one of them cannot be had.
  await kafkaSoftware(context)
  await peerPath('redis', context)
  await peerPath('postgres', context)
  const { rows, undisturbed } = await runSuite({
    seed: 1,
    entities: 24,
    windows: 115,
    windowsPerSecond: 12,
    awayMs: 5000,
    only: QUICK,
  })
  expect(undisturbed.disruptions).toBeGreaterThan(0)
  expect(undisturbed.windows).toBeGreaterThan(800)
  expect(rows.map(row => row.name)).toEqual(QUICK)
  expect(rows.flatMap(row => faultsOf(row).map(text => `${row.name}: ${text}`))).toEqual([])
})

it('every case of the suite has a name of its own', () => {
  const names = CASES.map(one => one.name)
  expect(new Set(names).size).toBe(names.length)
  expect(QUICK.filter(name => !names.includes(name))).toEqual([])
})

// The in-memory twins of what a fleet shares keep the contracts of their ports, and forget what is over.
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryBoard } from '../../src/store/memory-board.ts'
import { MemoryChannel } from '../../src/store/memory-channel.ts'
import { MemoryCheckpointStores } from '../../src/store/memory-checkpoint-stores.ts'
import { MemoryDirectory } from '../../src/store/memory-directory.ts'
import { MemoryQuota } from '../../src/store/memory-quota.ts'
import { MemoryRates } from '../../src/store/memory-rates.ts'
import { MemorySilences } from '../../src/store/memory-silences.ts'
import { boardContract } from './board-contract.ts'
import { channelContract } from './channel-contract.ts'
import { checkpointStoresContract } from './checkpoint-stores-contract.ts'
import { directoryContract } from './directory-contract.ts'
import { quotaContract, rateContract } from './quota-contract.ts'
import { disruption } from './samples.ts'
import { silencesContract } from './silences-contract.ts'

const pair = <T>(one: T): [T, T] => [one, one]

checkpointStoresContract('memory', () => pair(new MemoryCheckpointStores()))
boardContract('memory', async () => pair(new MemoryBoard()))
directoryContract('memory', () => pair(new MemoryDirectory()))
channelContract('memory', () => pair(new MemoryChannel()))
quotaContract('memory', () => pair(new MemoryQuota()))
rateContract('memory', () => pair(new MemoryRates()))
silencesContract('memory', () => pair(new MemorySilences()))

describe('memory twins over time', () => {
  it('a shard without news becomes stale and then vanishes', async () => {
    let nowMs = 1_000_000
    const board = new MemoryBoard({ clock: () => nowMs })
    await board.publish('stage-0', [disruption('a')])
    nowMs += 121_000
    expect(await board.shards()).toEqual([{ shard: 'stage-0', ageMs: 121_000, isStale: true }])
    expect(await board.list()).toHaveLength(1)
    nowMs += 3_600_000
    expect(await board.shards()).toEqual([])
    expect(await board.list()).toEqual([])
  })

  it('series that are not seen again make room after two hours at most', async () => {
    let nowMs = 10 * 3_600_000
    const quota = new MemoryQuota({ clock: () => nowMs })
    const one = (n: bigint) => BigUint64Array.of(n)
    expect(await quota.countSeries('t', one(1n), 1)).toEqual([])
    nowMs += 3_600_000
    expect(await quota.countSeries('t', one(2n), 1)).toEqual([0])
    nowMs += 3_600_000
    expect(await quota.countSeries('t', one(2n), 1)).toEqual([])
    nowMs += 3_600_000
    expect(await quota.countSeries('t', one(2n), 1)).toEqual([])
    nowMs += 3_600_000
    expect(await quota.countSeries('t', one(3n), 1)).toEqual([0])
  })

  it('rates and quotas go by time that passes, also when the clock is set back', async () => {
    const { now } = Date
    onTestFinished(() => {
      Date.now = now
    })
    const [rates, quota] = [new MemoryRates(), new MemoryQuota()]
    await rates.count('a', 20)
    await quota.takeSamples('t', 1010, 100)
    Date.now = () => now() - 3_600_000
    expect(await quota.takeSamples('t', 1, 100)).toBeLessThanOrEqual(100)
    await wait(150)
    expect((await rates.count('a', 20)).count).toBe(1)
    expect(await quota.takeSamples('t', 1, 100)).toBe(0)
  })

  it('silences of a source without news lapse', async () => {
    let nowMs = 0
    const silences = new MemorySilences({ clock: () => nowMs })
    await silences.publish('http://one', [{ id: 'x', matchers: [] }])
    nowMs = 301_000
    expect(await silences.list()).toEqual([])
  })
})

// The same through Sentinels, whose master dies in the middle of saves, and on a Cluster of three masters, whose slot moves in
// the middle of saves: whatever was acknowledged last is what the next owner finds, and everything shared goes on working.
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import type { CheckpointStore } from '../../src/core/ports.ts'
import { RedisBoard } from '../../src/store/redis-board.ts'
import { RedisChannel } from '../../src/store/redis-channel.ts'
import { RedisCheckpointStores } from '../../src/store/redis-checkpoints.ts'
import { RedisConnection, type RedisSettings } from '../../src/store/redis-connection.ts'
import { RedisDirectory } from '../../src/store/redis-directory.ts'
import { RedisQuota } from '../../src/store/redis-quota.ts'
import { RedisRates } from '../../src/store/redis-rates.ts'
import { RedisSilences } from '../../src/store/redis-silences.ts'
import { redisCluster, redisSentinel } from '../peers/redis.ts'
import { checkpointOf } from './checkpoint-contract.ts'
import { disruption } from './samples.ts'

const LIMIT_MS = 120_000

/** Everything that is shared works between two processes. */
async function shared(settings: RedisSettings): Promise<void> {
  const [a, b] = [new RedisConnection(settings), new RedisConnection(settings)]
  try {
    const heard: string[] = []
    await new RedisChannel({ connection: b }).subscribe('models', text => heard.push(text))
    await new RedisBoard({ connection: a }).publish('stage-0', [disruption('x', { tenant: 'acme' })])
    await new RedisBoard({ connection: a }).publish('stage-1', [disruption('y')])
    const board = new RedisBoard({ connection: b })
    expect((await board.list()).map(({ id }) => id)).toEqual(['x', 'y'])
    expect((await board.list('acme')).map(({ id }) => id)).toEqual(['x'])
    expect(await board.shards()).toHaveLength(2)
    await new RedisDirectory({ connection: a }).announce('stage/0', 'http://a', 5000)
    expect(await new RedisDirectory({ connection: b }).find('stage/0')).toBe('http://a')
    expect(await new RedisQuota({ connection: a }).countSeries('acme', BigUint64Array.of(1n), 1)).toEqual([])
    expect(await new RedisQuota({ connection: b }).countSeries('acme', BigUint64Array.of(2n), 1)).toEqual([0])
    expect(await new RedisQuota({ connection: a }).takeSamples('acme', 1e6, 10)).toBe(0)
    expect(await new RedisQuota({ connection: b }).takeSamples('acme', 1, 10)).toBeGreaterThan(1000)
    expect(await new RedisRates({ connection: a }).count('k', 9000)).toMatchObject({ count: 1 })
    expect(await new RedisRates({ connection: b }).count('k', 9000)).toMatchObject({ count: 2 })
    await new RedisSilences({ connection: a }).publish('http://one', [{ id: 's', matchers: [] }])
    expect(await new RedisSilences({ connection: b }).list()).toHaveLength(1)
    await new RedisChannel({ connection: a }).publish('models', 'flip')
    await vi.waitFor(() => expect(heard).toEqual(['flip']))
  } finally {
    await a.close()
    await b.close()
  }
}

/** Saves one position after another while `trouble` goes on and a while longer; gives the last that was acknowledged. */
async function savesThrough(store: CheckpointStore, trouble: () => Promise<void>): Promise<number> {
  for (const position of [1, 2]) await store.save(checkpointOf(5000, position))
  let isOver = false
  const over = trouble().finally(() => {
    isOver = true
  })
  let position = 2
  let refused = 0
  for (let after = 0; after < 3; ) {
    try {
      await store.save(checkpointOf(5000, position + 1))
      position++
      if (isOver) after++
    } catch (cause) {
      expect(cause).toMatchObject({ code: 'FS_IO' })
      if (++refused > 2000) throw cause
      await wait(10)
    }
  }
  await over
  return position
}

describe('redis in other shapes', () => {
  it('Sentinels: a master that dies in the middle of saves costs none that follow', {
    timeout: LIMIT_MS,
  }, async context => {
    const { sentinels, master, failOver } = await redisSentinel(context)
    const settings = { sentinels, master, prefix: 'fs:' }
    const connection = new RedisConnection(settings)
    const stores = new RedisCheckpointStores({ connection })
    try {
      const zombie = await stores.claim('samples-0')
      const store = await stores.claim('samples-0')
      const last = await savesThrough(store, failOver)
      expect(last).toBeGreaterThan(4)
      await expect(zombie.save(checkpointOf(1, 1))).rejects.toMatchObject({ code: 'FS_FENCED' })
      expect(await (await stores.claim('samples-0')).load()).toEqual(checkpointOf(5000, last))
      await shared({ ...settings, prefix: 'shared:' })
    } finally {
      await connection.close()
    }
  })

  it('a Cluster: a slot that moves in the middle of saves costs nothing', {
    timeout: LIMIT_MS,
  }, async context => {
    const { nodes, moveSlotOf } = await redisCluster(context)
    const settings = { nodes, prefix: 'fs:' }
    const connection = new RedisConnection(settings)
    const stores = new RedisCheckpointStores({ connection })
    try {
      await Promise.all(
        Array.from({ length: 12 }, async (_, i) => {
          const store = await stores.claim(`samples-${i}`)
          for (const position of [1, 2, 3]) await store.save(checkpointOf(100, position))
        }),
      )
      const store = await stores.claim('samples-0')
      const last = await savesThrough(store, () => moveSlotOf('{samples-0}'))
      for (let i = 0; i < 12; i++) {
        const loaded = await (await stores.claim(`samples-${i}`)).load()
        expect(loaded?.position, `samples-${i}`).toBe(i === 0 ? last : 3)
      }
      await expect(store.save(checkpointOf(1, 1))).rejects.toMatchObject({ code: 'FS_FENCED' })
      await shared({ ...settings, prefix: 'shared:' })
    } finally {
      await connection.close()
    }
  })
})

// What a fleet shares in Redis keeps the contracts of its ports on a real server, and goes on through its absence: the board
// heals after an empty restart, listeners come back, quotas and rates fall back to each gateway's own count.
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { RedisBoard } from '../../src/store/redis-board.ts'
import { RedisChannel } from '../../src/store/redis-channel.ts'
import { RedisConnection, type RedisSettings } from '../../src/store/redis-connection.ts'
import { RedisDirectory } from '../../src/store/redis-directory.ts'
import { RedisQuota } from '../../src/store/redis-quota.ts'
import { RedisRates } from '../../src/store/redis-rates.ts'
import { RedisSilences } from '../../src/store/redis-silences.ts'
import { type RedisPeer, redis, redisOfFile } from '../peers/redis.ts'
import { boardContract } from './board-contract.ts'
import { channelContract } from './channel-contract.ts'
import { directoryContract } from './directory-contract.ts'
import { quotaContract, rateContract } from './quota-contract.ts'
import { disruption } from './samples.ts'
import { silencesContract } from './silences-contract.ts'

const server = await redisOfFile('redis-shared')
const opened: RedisConnection[] = []
afterAll(async () => {
  for (const connection of opened) await connection.close()
  await server?.remove()
})

/** Two processes' connections under a prefix of their own, ready. */
async function connections(peer: RedisPeer, settings: Partial<RedisSettings> = {}) {
  const prefix = `${randomUUID()}:`
  const pair = [0, 1].map(() => new RedisConnection({ url: peer.url, prefix, ...settings }))
  opened.push(...pair)
  await Promise.all(pair.map(connection => connection.check()))
  return pair as [RedisConnection, RedisConnection]
}

describe.skipIf(!server)('on one server', async () => {
  const peer = server as RedisPeer
  // One pair of connections for all; what must be apart has names of its own.
  const [a, b] = server ? await connections(peer) : ([] as unknown as [RedisConnection, RedisConnection])
  const both = <T>(make: (options: { connection: RedisConnection }) => T): [T, T] => [
    make({ connection: a }),
    make({ connection: b }),
  ]

  boardContract('redis', async () => {
    await Promise.all(
      [a, b].map(one => one.run('clear', async client => client.del(`${one.prefix}board:shards`))),
    )
    for (const shard of ['stage-0', 'stage-1'])
      for (const part of ['state', 'rank', 'bodies'])
        await a.run('clear', client => client.del(`${a.prefix}board:{${shard}}:${part}`))
    return both(options => new RedisBoard(options))
  })
  directoryContract('redis', () => both(options => new RedisDirectory(options)))
  channelContract('redis', () => both(options => new RedisChannel(options)))
  quotaContract('redis', () => both(options => new RedisQuota(options)))
  rateContract('redis', () => both(options => new RedisRates(options)))
  silencesContract('redis', () => both(options => new RedisSilences({ ...options, freshMs: 0 })))

  it('sends of a board only what changed', async () => {
    const connection = a
    const board = new RedisBoard({ connection })
    const many = Array.from({ length: 200 }, (_, i) => disruption(`d${i}`, { score: i / 2 }))
    const received = async () =>
      Number(/total_net_input_bytes:(\d+)/.exec(String(await peer.ask('INFO', 'stats')))?.[1])
    await board.publish('stage-9', many)
    const before = await received()
    await board.publish('stage-9', [disruption('new'), ...many.slice(1)])
    const sent = (await received()) - before
    expect(sent).toBeLessThan(0.15 * JSON.stringify(many).length)
    const list = await new RedisBoard({ connection: b }).list()
    expect(list.filter(({ id }) => id === 'new' || id.startsWith('d1'))).toHaveLength(1 + 111)
    expect(list.some(({ id }) => id === 'd0')).toBe(false)
  })

  it('a shard whose owner died vanishes', async () => {
    const board = new RedisBoard({ connection: a, goneMs: 80 })
    await board.publish('stage-8', [disruption('dead')])
    expect((await board.list()).some(({ id }) => id === 'dead')).toBe(true)
    await wait(120)
    expect((await board.list()).some(({ id }) => id === 'dead')).toBe(false)
    expect((await board.shards()).some(({ shard }) => shard === 'stage-8')).toBe(false)
  })

  it('series that are not seen again make room after two spans at most', async () => {
    const spanMs = 500
    const quota = new RedisQuota({ connection: a, spanMs })
    const count = (...some: bigint[]) => quota.countSeries('spans', BigUint64Array.from(some), 2)
    const nextSpan = () => wait(spanMs - (Date.now() % spanMs) + 10)
    await nextSpan()
    expect(await count(1n, 2n)).toEqual([])
    await nextSpan()
    expect(await count(3n, 2n)).toEqual([0])
    await nextSpan()
    expect(await count(3n, 4n, 2n)).toEqual([1])
    await wait(3 * spanMs)
    expect(await count(5n, 6n)).toEqual([])
  })

  it('series of a million cost Redis some ten bytes each', async () => {
    const quota = new RedisQuota({ connection: a })
    const used = async () => Number(/used_memory:(\d+)/.exec(String(await peer.ask('INFO', 'memory')))?.[1])
    const before = await used()
    const some = BigUint64Array.from({ length: 50_000 }, (_, i) =>
      BigInt.asUintN(64, BigInt(i) * 0x9e3779b97f4a7c15n),
    )
    expect(await quota.countSeries('large', some, 50_000)).toEqual([])
    expect(((await used()) - before) / some.length).toBeLessThan(16)
  })
})

describe('through faults', () => {
  it('the board heals after an empty restart, and says that it is away before', async context => {
    const peer = await redis(context)
    const [a, b] = await connections(peer)
    const [stage, gateway] = [new RedisBoard({ connection: a }), new RedisBoard({ connection: b })]
    const list = [disruption('a'), disruption('b')]
    await stage.publish('stage-0', list)
    expect(await gateway.list()).toEqual(list)
    await peer.kill()
    await expect(stage.publish('stage-0', list)).rejects.toMatchObject({ code: 'FS_IO' })
    await expect(gateway.list()).rejects.toMatchObject({ code: 'FS_IO' })
    await peer.start('empty')
    await vi.waitFor(() => stage.publish('stage-0', list), 10_000)
    await vi.waitFor(async () => expect(await gateway.list()).toEqual(list), 10_000)
    // And when it lost everything between two words of a stage that did not notice.
    await peer.ask('FLUSHALL')
    await stage.publish('stage-0', list.slice(1))
    expect(await gateway.list()).toEqual(list.slice(1))
  })

  it('listeners hear again after a restart, also those that came while it was away', async context => {
    const peer = await redis(context)
    const [a, b] = await connections(peer)
    const [speaker, listener] = [new RedisChannel({ connection: a }), new RedisChannel({ connection: b })]
    const heard: string[] = []
    await listener.subscribe('early', text => heard.push(text))
    await peer.kill()
    await listener.subscribe('late', text => heard.push(text))
    await expect(speaker.publish('early', 'lost')).rejects.toMatchObject({ code: 'FS_IO' })
    await peer.start('empty')
    await vi.waitFor(
      async () => {
        await speaker.publish('early', 'e')
        await speaker.publish('late', 'l')
        expect(new Set(heard)).toEqual(new Set(['e', 'l']))
      },
      { timeout: 10_000, interval: 100 },
    )
  })

  it('gateways count for themselves while it is away or hangs, and together again after', async context => {
    const peer = await redis(context)
    const [connection] = await connections(peer, { silentMs: 1000 })
    const quota = new RedisQuota({ connection })
    const rates = new RedisRates({ connection })
    const silences = new RedisSilences({ connection })
    await silences.publish('http://one', [{ id: 'x', matchers: [] }])
    expect(await silences.list()).toHaveLength(1)
    const works = async (limitMs: number) => {
      const startMs = performance.now()
      expect(await quota.takeSamples('t', 1_000_000, 10)).toBe(0)
      expect(await quota.takeSamples('t', 1, 10)).toBeGreaterThan(0)
      expect(await quota.countSeries('s', BigUint64Array.of(1n, 2n), 1)).toEqual([1])
      expect((await rates.count('key', 60_000)).count).toBeGreaterThan(0)
      expect(await silences.list()).toHaveLength(1)
      expect(performance.now() - startMs).toBeLessThan(limitMs)
    }
    peer.pause()
    await works(1500)
    peer.resume()
    await peer.kill()
    await vi.waitFor(() => expect(connection.isReady).toBe(false))
    expect((await quota.takeSamples('t', 1, 10)) > 0).toBe(true)
    expect(await quota.takeSamples('t2', 1, 10)).toBe(0)
    await peer.start('empty')
    await vi.waitFor(() => connection.check(), 10_000)
    const { count } = await rates.count('fresh', 60_000)
    expect(count).toBe(1)
    expect(await peer.ask('DBSIZE')).toBeGreaterThan(0)
  })
})

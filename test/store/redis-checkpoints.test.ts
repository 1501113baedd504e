// The checkpoints in Redis keep the contracts of both ports on a real server, and through what happens to one: damaged or
// missing chunks, a claim in the middle of a save, stopped, hanging, killed while saving, restarted empty, full.
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { CheckpointStore } from '../../src/core/ports.ts'
import { Health } from '../../src/roles/health.ts'
import { RedisCheckpointStores } from '../../src/store/redis-checkpoints.ts'
import { RedisConnection, type RedisSettings } from '../../src/store/redis-connection.ts'
import { type RedisPeer, redis, redisOfFile } from '../peers/redis.ts'
import { checkpointContract, checkpointOf } from './checkpoint-contract.ts'
import { checkpointStoresContract } from './checkpoint-stores-contract.ts'

const server = await redisOfFile('redis-checkpoints')
const opened: RedisConnection[] = []
const connect = (settings: RedisSettings) => {
  const connection = new RedisConnection(settings)
  opened.push(connection)
  return connection
}
afterAll(async () => {
  for (const connection of opened) await connection.close()
  await server?.remove()
})

/** Stores under a prefix of their own, and what they warned of. */
function storesOn(peer: RedisPeer, settings: Partial<RedisSettings> = {}) {
  const prefix = `${randomUUID()}:`
  const warnings: string[] = []
  const connection = connect({ url: peer.url, prefix, ...settings })
  const stores = new RedisCheckpointStores({ connection, onWarning: text => warnings.push(text) })
  /** Keys beside the head, with the ms that they last: -1 those that stay. */
  const chunks = async (): Promise<[string, number][]> => {
    const keys = (await peer.ask('KEYS', `${prefix}*`)) as string[]
    const found = keys.filter(key => !key.endsWith(':head')).sort()
    return Promise.all(found.map(async key => [key, Number(await peer.ask('PTTL', key))] as [string, number]))
  }
  return { prefix, stores, warnings, chunks }
}

/** Of about `megabytes` that no compression shrinks. */
function large(megabytes: number, position: number) {
  const noise = new Uint32Array(megabytes * 262_144)
  for (let i = 0, x = position; i < noise.length; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0
    noise[i] = x ^ (x >>> 15)
  }
  const part = { id: 'noise', version: 1, keys: [], columns: { noise }, meta: null }
  return { position, savedMs: 0, parts: [part] }
}

describe.skipIf(!server)('on one server', () => {
  const peer = server as RedisPeer

  checkpointContract('redis', () => {
    const claimed = storesOn(peer).stores.claim('one')
    const store: CheckpointStore = {
      save: async checkpoint => (await claimed).save(checkpoint),
      load: async () => (await claimed).load(),
    }
    return store
  })
  checkpointStoresContract('redis', () => {
    const { prefix, stores } = storesOn(peer)
    return [stores, storesOn(peer, { prefix }).stores]
  })

  it('keeps two, and lets go of what came before', async () => {
    const { stores, chunks } = storesOn(peer)
    const store = await stores.claim('samples-0')
    for (let position = 1; position <= 4; position++) await store.save(large(2, position))
    const held = await chunks()
    expect(held).toHaveLength(6) // two of two megabytes and a little
    expect(held.every(([, ttl]) => ttl === -1)).toBe(true)
    expect((await store.load())?.position).toBe(4)
  })

  it('falls back to the one before when the newest is damaged, cut or gone', async () => {
    const { prefix, stores, chunks, warnings } = storesOn(peer)
    const store = await stores.claim('samples-0')
    await store.save(large(2, 1))
    const before = (await chunks()).map(([key]) => key)
    await store.save(large(2, 2))
    const newest = (await chunks()).map(([key]) => key).filter(key => !before.includes(key))
    const head = `${prefix}checkpoint:{samples-0}:head`
    const manifest = String(await peer.ask('HGET', head, 'newest'))
    const damages: (() => Promise<unknown>)[] = [
      () => peer.ask('SETRANGE', newest[0], 1000, 'x'),
      () => peer.ask('APPEND', newest[2], 'x'),
      () => peer.ask('DEL', newest[1]),
      () => peer.ask('HSET', head, 'newest', manifest.slice(0, 50)),
      () => peer.ask('HSET', head, 'newest', manifest.replace('"version":1', '"version":9')),
      () => peer.ask('HSET', head, 'newest', '{"version":1}'),
    ]
    for (const [i, damage] of damages.entries()) {
      warnings.length = 0
      await damage()
      expect((await store.load())?.position, `damage ${i}`).toBe(1)
      expect(warnings).toEqual([expect.stringContaining('samples-0 cannot be read and is passed over')])
      if (i >= 2) continue
      for (const key of newest) await peer.ask('DEL', key)
      await peer.ask('HSET', head, 'newest', manifest)
    }
    await store.save(checkpointOf(5, 3))
    expect((await store.load())?.position).toBe(3)
  })

  it('a claim in the middle of a save refuses it, and it leaves nothing', async () => {
    const { prefix, stores, chunks } = storesOn(peer)
    const other = storesOn(peer, { prefix }).stores
    const first = await stores.claim('stage-0')
    await first.save(checkpointOf(5, 1))
    const before = await chunks()
    const saving = first.save(large(12, 2))
    const refused = expect(saving).rejects.toMatchObject({ code: 'FS_FENCED' })
    while ((await chunks()).length < 3) await wait(1)
    const second = await other.claim('stage-0')
    await refused
    expect(await chunks()).toEqual(before)
    expect((await second.load())?.position).toBe(1)
    // A zombie that wakes much later sends nothing at all, and is not told that there is no checkpoint.
    await expect(first.save(large(2, 3))).rejects.toMatchObject({ code: 'FS_FENCED' })
    for (const position of [4, 5]) await second.save(checkpointOf(5, position))
    await peer.ask('DEL', (await chunks())[0][0], (await chunks())[1][0])
    await expect(first.load()).rejects.toMatchObject({ code: 'FS_FENCED' })
  })

  it('does once what a Cluster client asks twice because an answer was lost', async () => {
    class Repeating extends RedisConnection {
      override async script(...args: Parameters<RedisConnection['script']>): Promise<unknown> {
        await super.script(...args)
        return super.script(...args)
      }
    }
    const { prefix, chunks } = storesOn(peer)
    const connection = new Repeating({ url: peer.url, prefix })
    opened.push(connection)
    const store = await new RedisCheckpointStores({ connection }).claim('samples-0')
    for (const position of [1, 2, 3]) await store.save(checkpointOf(5, position))
    expect(await chunks()).toHaveLength(2)
    const head = `${prefix}checkpoint:{samples-0}:head`
    await peer.ask('HSET', head, 'newest', 'damaged')
    expect((await store.load())?.position).toBe(2)
  })

  it('streams: saving and loading take a small part of the memory of what is saved', async () => {
    const { stores } = storesOn(peer)
    const columns = { a: new Float64Array(8_000_000) }
    const store = await stores.claim('samples-0')
    const peakOf = async (work: () => Promise<unknown>) => {
      let peak = 0
      const watch = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage().arrayBuffers)
      }, 1)
      const before = process.memoryUsage().arrayBuffers
      await work()
      clearInterval(watch)
      expect(peak).toBeGreaterThan(0)
      return peak - before
    }
    const parts = [{ id: 'a', version: 1, keys: ['k'], columns, meta: null }]
    expect(await peakOf(() => store.save({ position: 1, savedMs: 0, parts }))).toBeLessThan(32_000_000)
    expect(await peakOf(() => store.load())).toBeLessThan(1.9 * columns.a.byteLength)
  })
})

describe('through faults', () => {
  it('stopped: fails at once, and works again when it is back', async context => {
    const peer = await redis(context)
    const said: string[] = []
    const { stores } = storesOn(peer, { onWarning: text => said.push(text) })
    const store = await stores.claim('samples-0')
    await store.save(checkpointOf(10, 1))
    await peer.stop()
    for (let i = 0; i < 2; i++) {
      const startMs = performance.now()
      await expect(store.save(checkpointOf(10, 2))).rejects.toMatchObject({ code: 'FS_IO' })
      await expect(store.load()).rejects.toMatchObject({ code: 'FS_IO' })
      await expect(stores.claim('samples-1')).rejects.toMatchObject({ code: 'FS_IO' })
      expect(performance.now() - startMs).toBeLessThan(2000)
    }
    await peer.start('kept')
    await retried(() => store.save(checkpointOf(10, 3)))
    expect((await store.load())?.position).toBe(3)
    expect(said).toEqual([expect.stringContaining('Redis is away'), 'Redis is back'])
  })

  it('warns of a server that may throw checkpoints away', async context => {
    const peer = await redis(context, ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'])
    const said: string[] = []
    await storesOn(peer, { onWarning: text => said.push(text) }).stores.claim('samples-0')
    await vi.waitFor(() => expect(said).toEqual([expect.stringContaining('set it to noeviction')]))
  })

  it('restarted empty: the newest claim goes on, an older one stays out whoever comes first', async context => {
    const peer = await redis(context)
    const { prefix, stores } = storesOn(peer)
    const zombie = await storesOn(peer, { prefix }).stores.claim('samples-0')
    const owner = await stores.claim('samples-0')
    await owner.save(checkpointOf(10, 1))
    await peer.kill()
    await peer.start('empty')
    // Nothing is left that says that the zombie is one; its save counts until the owner's.
    await retried(() => zombie.save(checkpointOf(10, 99)))
    await retried(() => owner.save(checkpointOf(10, 2)))
    await expect(zombie.save(checkpointOf(10, 100))).rejects.toMatchObject({ code: 'FS_FENCED' })
    expect((await owner.load())?.position).toBe(2)
    await peer.kill()
    await peer.start('empty')
    const next = await retried(() => stores.claim('samples-0'))
    expect(await next.load()).toBeUndefined()
    for (const old of [zombie, owner])
      await expect(old.save(checkpointOf(10, 3))).rejects.toMatchObject({ code: 'FS_FENCED' })
    await next.save(checkpointOf(10, 4))
  })

  it('killed while it is saved to: the one before is whole, the next save succeeds', async context => {
    const peer = await redis(context, ['--appendfsync', 'always'])
    const { stores, chunks } = storesOn(peer)
    const store = await stores.claim('samples-0')
    await store.save(checkpointOf(50, 1))
    const refused = expect(store.save(large(16, 2))).rejects.toMatchObject({ code: 'FS_IO' })
    while ((await chunks()).length < 4) await wait(1)
    await peer.kill()
    await refused
    await peer.start('kept')
    expect(await retried(() => store.load())).toEqual(checkpointOf(50, 1))
    const stray = (await chunks()).filter(([, ttl]) => ttl !== -1)
    expect(stray.length).toBeGreaterThan(0)
    expect(stray.every(([, ttl]) => ttl > 0 && ttl <= 900_000)).toBe(true)
    await store.save(checkpointOf(50, 3))
    expect((await store.load())?.position).toBe(3)
    expect((await chunks()).filter(([, ttl]) => ttl !== -1)).toEqual([])
  })

  it('full: says so, keeps what it has and leaves nothing', async context => {
    const peer = await redis(context)
    const { stores, chunks } = storesOn(peer)
    const store = await stores.claim('samples-0')
    await store.save(large(1, 1))
    const before = await chunks()
    const used = Number(/used_memory:(\d+)/.exec(String(await peer.ask('INFO', 'memory')))?.[1])
    await peer.ask('CONFIG', 'SET', 'maxmemory', used + 6_000_000)
    for (let i = 0; i < 2; i++) {
      await expect(store.save(large(24, 2))).rejects.toMatchObject({
        code: 'FS_IO',
        message: expect.stringContaining('it is full: raise maxmemory'),
      })
      expect(await chunks()).toEqual(before)
    }
    expect((await store.load())?.position).toBe(1)
    await peer.ask('CONFIG', 'SET', 'maxmemory', 0)
    await store.save(large(24, 3))
    expect((await store.load())?.position).toBe(3)
  })

  it('of another fleet: refused, and nothing of it is touched', async context => {
    const peer = await redis(context)
    const connection = connect({ url: peer.url, prefix: 'shared:' })
    const storesOf = (fleet?: string) =>
      new RedisCheckpointStores({ connection, ...(fleet === undefined ? {} : { fleet }) })
    // As a version before left it, which did not say whose it is.
    await (await storesOf().claim('samples-0')).save(checkpointOf(10, 1))
    const own = await storesOf('one.').claim('samples-0')
    expect((await own.load())?.position).toBe(1)
    await expect(storesOf('two.').claim('samples-0')).rejects.toMatchObject({
      code: 'FS_CONFIG_INVALID',
      message: expect.stringMatching(
        /samples-0 below shared: .* topics one\.…, and this one's are two\.…: set another/,
      ),
    })
    await own.save(checkpointOf(10, 2))
    expect((await (await storesOf('one.').claim('samples-0')).load())?.position).toBe(2)
  })

  it('full to the last byte: whoever is given a partition begins it, and fences the one before', async context => {
    const peer = await redis(context)
    const { stores } = storesOn(peer)
    const before = await stores.claim('samples-0')
    await before.save(checkpointOf(50, 1))
    await peer.ask('CONFIG', 'SET', 'maxmemory', '1mb')
    const store = await stores.claim('samples-0')
    expect((await store.load())?.position).toBe(1)
    expect(await (await stores.claim('samples-9')).load()).toBeUndefined()
    await expect(before.save(checkpointOf(50, 2))).rejects.toMatchObject({ code: 'FS_FENCED' })
    await expect(store.save(checkpointOf(50, 3))).rejects.toThrow(/it is full: raise maxmemory/)
    await peer.ask('CONFIG', 'SET', 'maxmemory', 0)
    await store.save(checkpointOf(50, 4))
    expect((await store.load())?.position).toBe(4)
  })

  it('that wants a password: whoever asks whether this process is ready hears of it', async context => {
    const peer = await redis(context, ['--requirepass', 'secret'])
    const connection = connect({ url: peer.url })
    const health = new Health({ Redis: () => connection.check() }, () => {})
    context.onTestFinished(() => health.stop())
    await vi.waitFor(async () => {
      await health.ask()
      expect(health.ready().why.join()).toMatch(/NOAUTH/)
    }, 30_000)
  })

  it('hanging: given up after the time set, and found again', async context => {
    const peer = await redis(context)
    const { stores } = storesOn(peer, { silentMs: 300 })
    const store = await stores.claim('samples-0')
    await store.save(checkpointOf(10, 1))
    peer.pause()
    const startMs = performance.now()
    for (let i = 0; i < 3; i++)
      await expect(store.save(checkpointOf(10, 2))).rejects.toMatchObject({ code: 'FS_IO' })
    expect(performance.now() - startMs).toBeLessThan(3000)
    peer.resume()
    await retried(() => store.save(checkpointOf(10, 3)))
    expect((await store.load())?.position).toBe(3)
  })

  it('never there: says where it was looked for', async () => {
    const connection = connect({ url: 'redis://user:secret@127.0.0.1:1/0', silentMs: 400 })
    const refused = new RedisCheckpointStores({ connection }).claim('samples-0')
    await expect(refused).rejects.toMatchObject({
      code: 'FS_IO',
      message: expect.stringMatching(/ECONNREFUSED 127\.0\.0\.1:1$/),
    })
    await expect(refused).rejects.not.toThrow('secret')
  })
})

/** As the owners of checkpoints do: again until it works. */
async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + 10_000; ; await wait(50)) {
    try {
      return await work()
    } catch (cause) {
      if ((cause as { code?: string }).code !== 'FS_IO' || performance.now() > end) throw cause
    }
  }
}

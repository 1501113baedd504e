// Shows that the Redis of tests is real: it keeps its data over a restart or loses it, as asked. Sentinels and the Cluster show
// themselves in test/store/redis-topologies.test.ts.
import { describe, expect, it } from 'vitest'
import { redis } from './redis.ts'

const INSTALL_MS = 900_000

describe('redis peers', () => {
  it('one keeps its data or loses it, as asked', { timeout: INSTALL_MS }, async context => {
    const peer = await redis(context)
    await peer.ask('SET', 'a', '1')
    await peer.stop()
    await expect(peer.ask('GET', 'a')).rejects.toThrow()
    await peer.start('kept')
    expect(await peer.ask('GET', 'a')).toBe('1')
    await peer.kill()
    await peer.start('empty')
    expect(await peer.ask('GET', 'a')).toBeNull()
  })
})

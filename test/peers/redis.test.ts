// Shows that the Redis peers are real: one keeps its data over a restart or loses it as asked, Sentinels promote a replica,
// and a Cluster moves a slot with what it holds.
import { Cluster, Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { redis, redisCluster, redisSentinel } from './redis.ts'

const INSTALL_MS = 900_000
const addresses = (texts: readonly string[]) =>
  texts.map(text => ({ host: text.split(':')[0], port: Number(text.split(':')[1]) }))

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

  it('Sentinels promote the replica', { timeout: INSTALL_MS }, async context => {
    const peer = await redisSentinel(context)
    const client = new Redis({ sentinels: addresses(peer.sentinels), name: peer.master })
    client.on('error', () => {})
    try {
      await client.set('a', '1')
      await client.wait(1, 1000)
      await peer.failOver()
      expect(await client.get('a')).toBe('1')
    } finally {
      client.disconnect()
    }
  })

  it('a Cluster moves a slot', { timeout: INSTALL_MS }, async context => {
    const peer = await redisCluster(context)
    const client = new Cluster(addresses(peer.nodes))
    try {
      for (let i = 0; i < 30; i++) await client.set(`{k}${i}`, String(i))
      await peer.moveSlotOf('{k}')
      for (let i = 0; i < 30; i++) expect(await client.get(`{k}${i}`)).toBe(String(i))
    } finally {
      client.disconnect()
    }
  })
})

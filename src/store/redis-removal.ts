import { Cluster } from 'ioredis'
import { ForeshockError } from '../core/errors.ts'
import { RedisConnection, type RedisSettings } from './redis-connection.ts'

/** Keys asked for at once. */
const SCAN_COUNT = 1000

/** Removes every key under a prefix, for fleets that live for one run; how many there were. */
export async function removeRedisKeys(
  settings: RedisSettings & { readonly prefix: string },
): Promise<number> {
  if (settings.prefix === '') throw new ForeshockError('FS_ASSERTION', 'a prefix is needed, or all would go')
  const connection = new RedisConnection(settings)
  try {
    return await connection.run('removal', async client => {
      const nodes = client instanceof Cluster ? client.nodes('master') : [client]
      let removed = 0
      for (const node of nodes) {
        // In a Cluster the braces of a hash tag are part of the key; everything else is matched as it stands.
        const match = `${settings.prefix.replaceAll(/[*?[\]\\]/g, '\\$&')}*`
        let cursor = '0'
        do {
          const [next, keys] = await node.scan(cursor, 'MATCH', match, 'COUNT', SCAN_COUNT)
          cursor = next
          for (const key of keys) removed += await node.unlink(key)
        } while (cursor !== '0')
      }
      return removed
    })
  } finally {
    await connection.close()
  }
}

import { ForeshockError } from '../core/errors.ts'
import { hash64 } from './index-rows.ts'
import { inTransaction, openPool, type Pool, storeError } from './postgres-client.ts'
import { PostgresIndex, type PostgresIndexOptions } from './postgres-index.ts'

const SWAP_MS = 120_000

/** An index that is built beside the one in use, and takes its place when it is done. */
export interface Rebuild {
  readonly index: PostgresIndex
  /** It has lines of an earlier attempt already. */
  readonly isResumed: boolean
  /** Takes the place of the one in use, all at once; who queries waits for a moment. */
  finish(): Promise<void>
  /** Stops here; what was built stays, to be resumed. */
  close(): Promise<void>
}

/**
 * Begins to build the schema anew in `<schema>_rebuild`, or goes on with it. With `fresh` what an earlier attempt left is
 * dropped. Rejects with FS_CONFLICT while another process is at it.
 */
export async function beginRebuild(options: PostgresIndexOptions, fresh: boolean): Promise<Rebuild> {
  const shadow = `${options.schema}_rebuild`
  const pool = openPool({ url: options.url, max: 2, statementMs: SWAP_MS })
  try {
    const unlock = await lockRebuild(pool, options.schema)
    if (fresh) await pool.query(`DROP SCHEMA IF EXISTS ${shadow} CASCADE`)
    const index = new PostgresIndex({ ...options, schema: shadow, connections: 2 })
    const isResumed = (await index.position()).size > 0
    const close = async () => {
      await index.close()
      unlock()
      await pool.end()
    }
    return {
      index,
      isResumed,
      close,
      finish: async () => {
        await index.close()
        await inTransaction(pool, async client => {
          await client.query(`DROP SCHEMA IF EXISTS ${options.schema} CASCADE`)
          await client.query(`ALTER SCHEMA ${shadow} RENAME TO ${options.schema}`)
        }).catch(error => {
          throw storeError(error)
        })
        unlock()
        await pool.end()
      },
    }
  } catch (error) {
    await pool.end()
    throw storeError(error)
  }
}

/** Held by a connection of its own until it is unlocked. */
async function lockRebuild(pool: Pool, schema: string): Promise<() => void> {
  const client = await pool.connect()
  client.on('error', () => {}) // the next statement hears of it
  const key = String(hash64('rebuild', schema))
  const locked = await client.query('SELECT pg_try_advisory_lock($1) AS locked', [key])
  if (locked.rows[0].locked) return () => client.release(true)
  client.release(true)
  throw new ForeshockError('FS_CONFLICT', `the index in schema ${schema} is being rebuilt by another process`)
}

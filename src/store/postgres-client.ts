import pg from 'pg'
import { ForeshockError } from '../core/errors.ts'

export type Client = pg.PoolClient
export type Pool = pg.Pool

export interface PoolOptions {
  readonly url: string
  readonly max: number
  /** A statement that takes longer is given up, ms. */
  readonly statementMs: number
  /** More statements for every connection. */
  readonly settings?: string
}

/** Waiting for a connection longer than this is an engine that cannot be reached, ms. */
const CONNECT_MS = 5000
/** A connection that nobody uses is closed, ms. */
const IDLE_MS = 30_000
/** A lock that somebody holds for longer is not waited for, ms. */
const LOCK_MS = 30_000

/** What is asked when a pool is closed is waited for so long, ms: a process has some seconds to stop. */
const CLOSE_MS = 3000

/** Connections of a pool that somebody has. */
const busy = new WeakMap<Pool, Set<Client>>()

export function openPool({ url, max, statementMs, settings = '' }: PoolOptions): Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'foreshock',
    max,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: IDLE_MS,
    keepAlive: true,
    // The server's own limit comes first; this one is for a server that does not answer at all.
    query_timeout: statementMs + CONNECT_MS,
    onConnect: async client => {
      // A plan over many partitions looks dear enough to be compiled, which takes longer than running it.
      await client.query(
        `SET jit = off; SET statement_timeout = ${statementMs}; SET lock_timeout = ${LOCK_MS}; SET client_encoding = 'UTF8'; ${settings}`,
      )
    },
  })
  const lent = new Set<Client>()
  busy.set(pool, lent)
  pool.on('acquire', client => lent.add(client))
  pool.on('release', (_, client) => lent.delete(client))
  // A connection that breaks while idle is replaced; whoever asks next hears of it if the server is away.
  pool.on('error', () => {})
  return pool
}

/**
 * Closes a pool: what is being asked is waited for, but not for a server that answers nothing. Whoever still waits then hears
 * that the connection was closed; a transaction that was not committed did not happen.
 */
export async function closePool(pool: Pool): Promise<void> {
  const timer = setTimeout(() => {
    for (const client of busy.get(pool) ?? []) void client.end().catch(() => {})
  }, CLOSE_MS)
  await pool.end().finally(() => clearTimeout(timer))
}

/** Data that PostgreSQL does not take: classes data exception, integrity constraint, program limit. */
const REFUSED = /^(22|23|54)/
/** A table was replaced between the plan and its execution. */
const REPLACED = /^(42P01|3F000|XX000)$/

/** FS_INPUT_INVALID for values that are not taken, FS_IO for everything else. */
export function storeError(cause: unknown): ForeshockError {
  if (cause instanceof ForeshockError) return cause
  const { code, message } = cause as { code?: string; message?: string }
  const text = `PostgreSQL: ${message || code || String(cause)}`
  return new ForeshockError(REFUSED.test(code ?? '') ? 'FS_INPUT_INVALID' : 'FS_IO', text, { cause })
}

export function isReplaced(cause: unknown): boolean {
  return REPLACED.test((cause as { code?: string }).code ?? '')
}

/** Runs `work` in one transaction on a connection of its own; a connection that failed is not used again. */
export async function inTransaction<T>(pool: Pool, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  // Without a listener, a connection that breaks between two queries would end the process.
  const broken = () => {}
  client.on('error', broken)
  let failed: Error | undefined
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    failed = error as Error
    throw error
  } finally {
    client.removeListener('error', broken)
    client.release(failed)
  }
}

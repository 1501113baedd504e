import { ForeshockError } from '../core/errors.ts'
import { openPool, storeError } from './postgres-client.ts'
import { packagesSchema } from './postgres-packages.ts'

/** Dropping thousands of partitions takes a while, ms. */
const STATEMENT_MS = 60_000

/** Removes a schema and that of its packages with all they hold, for fleets that live for one run. */
export async function removePostgresSchema(url: string, schema: string): Promise<void> {
  if (!/^[a-z_][a-z0-9_]*$/.test(schema))
    throw new ForeshockError('FS_ASSERTION', `${schema} is no name of a schema`)
  const pool = openPool({ url, max: 1, statementMs: STATEMENT_MS })
  try {
    await pool.query(`DROP SCHEMA IF EXISTS ${schema}, ${packagesSchema(schema)} CASCADE`)
  } catch (error) {
    throw storeError(error)
  } finally {
    await pool.end()
  }
}

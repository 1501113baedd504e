import { hash64 } from './index-rows.ts'
import { type Client, inTransaction, type Pool } from './postgres-client.ts'
import { MIGRATIONS } from './postgres-migrations.ts'

/** Tables in partitions of a month each, and one for what lies outside of the months kept. */
export const TABLES = ['disruptions', 'traits', 'anomalies', 'changes', 'audit'] as const

const DAY_MS = 86_400_000
/** Months so far ahead of the clock are made; what lies beyond is kept among the others. */
const AHEAD_MS = 62 * DAY_MS

const lockOf = (schema: string, what: string) => `hashtextextended('foreshock ${schema} ${what}', 0)`

/** Makes or brings up to date what the schema holds; one process at a time, nothing when it is up to date. */
export async function migrate(pool: Pool, schema: string, steps = MIGRATIONS): Promise<void> {
  await inTransaction(pool, async client => {
    if ((await versionOf(client, schema)) >= steps.length) return
    await client.query(`SELECT pg_advisory_xact_lock(${lockOf(schema, 'schema')})`)
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`)
    await client.query(
      `CREATE TABLE IF NOT EXISTS ${schema}.versions (version int PRIMARY KEY, made timestamptz NOT NULL DEFAULT now())`,
    )
    // Another process may have been here while this one waited.
    for (let version = await versionOf(client, schema); version < steps.length; version++) {
      await client.query(steps[version].replaceAll('{schema}', schema))
      await client.query(`INSERT INTO ${schema}.versions (version) VALUES ($1)`, [version + 1])
    }
  })
}

async function versionOf(client: Client, schema: string): Promise<number> {
  const there = await client.query('SELECT to_regclass($1) IS NOT NULL AS there', [`${schema}.versions`])
  if (!there.rows[0].there) return 0
  const found = await client.query(`SELECT coalesce(max(version), 0) AS version FROM ${schema}.versions`)
  return found.rows[0].version
}

/** First moment of a month (`2026-11`) and of the next, Unix ms. */
function span(month: string): { fromMs: number; toMs: number } {
  const [year, number] = month.split('-').map(Number)
  return { fromMs: Date.UTC(year, number - 1), toMs: Date.UTC(year, number) }
}

export function monthOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 7)
}

/** Whether a month has a partition of its own: not when it is long over, nor when it is far ahead. */
export function isMonthKept(timeMs: number, nowMs: number, retentionMs: number): boolean {
  return timeMs >= nowMs - retentionMs - 31 * DAY_MS && timeMs < nowMs + AHEAD_MS
}

/** Makes the partitions of a month where they are missing; what was kept among the others goes into them. */
export async function makeMonth(pool: Pool, schema: string, month: string): Promise<void> {
  const { fromMs, toMs } = span(month)
  const suffix = month.replace('-', '_')
  await inTransaction(pool, async client => {
    await client.query(`SELECT pg_advisory_xact_lock(${lockOf(schema, 'schema')})`)
    for (const table of TABLES) {
      const [parent, part] = [`${schema}.${table}`, `${schema}.${table}_${suffix}`]
      const there = await client.query('SELECT to_regclass($1) IS NOT NULL AS there', [part])
      if (there.rows[0].there) continue
      await client.query(`CREATE TABLE ${part} (LIKE ${parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`)
      await client.query(
        `WITH moved AS (DELETE FROM ${parent}_other WHERE detected_ms >= ${fromMs} AND detected_ms < ${toMs} RETURNING *)
         INSERT INTO ${part} SELECT * FROM moved`,
      )
      await client.query(
        `ALTER TABLE ${parent} ATTACH PARTITION ${part} FOR VALUES FROM (${fromMs}) TO (${toMs})`,
      )
    }
  })
}

/** Drops the months that ended before `beforeMs`, and what is older than that among the others. Returns the months. */
export async function prune(pool: Pool, schema: string, beforeMs: number): Promise<string[]> {
  return inTransaction(pool, async client => {
    await client.query(`SELECT pg_advisory_xact_lock(${lockOf(schema, 'schema')})`)
    const found = await client.query(
      `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       WHERE i.inhparent = ANY($1::regclass[])`,
      [TABLES.map(table => `${schema}.${table}`)],
    )
    const months = new Set<string>()
    for (const { name } of found.rows as { name: string }[]) {
      const match = /_(\d{4})_(\d\d)$/.exec(name)
      if (!match || span(`${match[1]}-${match[2]}`).toMs > beforeMs) continue
      await client.query(`DROP TABLE ${schema}.${name}`)
      months.add(`${match[1]}-${match[2]}`)
    }
    for (const table of TABLES)
      await client.query(`DELETE FROM ${schema}.${table}_other WHERE detected_ms < $1`, [
        Math.floor(beforeMs),
      ])
    return [...months].sort()
  })
}

/** Only one writer of a partition of the record at a time; until the transaction ends. */
export async function lockPartition(client: Client, schema: string, partition: number): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [String(hash64('partition', schema, partition))])
}

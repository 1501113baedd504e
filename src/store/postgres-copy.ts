import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import { COLUMNS, type Row, type TableName, type Tables } from './index-rows.ts'
import type { Client } from './postgres-client.ts'

/** Text handed to the connection at once, characters. */
const CHUNK = 262_144

/**
 * Puts rows into the tables: COPY into staging tables of the session, then one statement a table, so that a repeated or
 * older row changes nothing. In the caller's transaction.
 */
export async function mergeRows(client: Client, schema: string, tables: Tables): Promise<void> {
  for (const name of Object.keys(COLUMNS) as TableName[]) {
    if (tables[name].length > 0) await stage(client, schema, name, tables[name])
  }
  if (tables.disruptions.length > 0) await mergeDisruptions(client, schema, tables)
  if (tables.anomalies.length > 0)
    await merge(client, schema, 'anomalies', "known.status <> 'closed' OR EXCLUDED.status = 'closed'")
  if (tables.changes.length > 0) await merge(client, schema, 'changes', 'true')
  if (tables.audit.length > 0) await merge(client, schema, 'audit', 'false')
}

async function stage(client: Client, schema: string, name: TableName, rows: readonly Row[]): Promise<void> {
  const columns = COLUMNS[name].join(', ')
  const session = `staged_${name}`
  await client.query(
    `CREATE TEMP TABLE IF NOT EXISTS ${session} ON COMMIT DELETE ROWS AS SELECT ${columns} FROM ${schema}.${name} LIMIT 0`,
  )
  const copy = client.query(copyFrom(`COPY ${session} (${columns}) FROM STDIN`))
  await pipeline(Readable.from(chunks(rows)), copy)
}

async function merge(client: Client, schema: string, name: TableName, when: string): Promise<void> {
  const columns = COLUMNS[name]
  const sets = columns.slice(2).map(column => `${column} = EXCLUDED.${column}`)
  const list = columns.join(', ')
  await client.query(
    `INSERT INTO ${schema}.${name} AS known (${list}) SELECT ${list} FROM staged_${name}
     ON CONFLICT (id, detected_ms) DO UPDATE SET ${sets.join(', ')} WHERE ${when}`,
  )
}

/** Traits follow their disruption: only those of a revision that was taken replace what was there. */
async function mergeDisruptions(
  client: Client,
  schema: string,
  { disruptions, traits }: Tables,
): Promise<void> {
  // Said in numbers, so that only the partitions of these months are looked into.
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const { detectedMs } of disruptions) {
    from = Math.min(from, detectedMs)
    to = Math.max(to, detectedMs)
  }
  const columns = COLUMNS.disruptions
  const sets = columns.slice(2).map(column => `${column} = EXCLUDED.${column}`)
  const list = columns.join(', ')
  await client.query(
    'CREATE TEMP TABLE IF NOT EXISTS staged_taken (id text, detected_ms bigint) ON COMMIT DELETE ROWS',
  )
  await client.query(
    `WITH taken AS (
       INSERT INTO ${schema}.disruptions AS known (${list}) SELECT ${list} FROM staged_disruptions
       ON CONFLICT (id, detected_ms) DO UPDATE SET ${sets.join(', ')} WHERE known.revision <= EXCLUDED.revision
       RETURNING id, detected_ms
     ),
     gone AS (
       DELETE FROM ${schema}.traits t USING taken
       WHERE t.id = taken.id AND t.detected_ms = taken.detected_ms AND t.detected_ms BETWEEN ${from} AND ${to}
     )
     INSERT INTO staged_taken SELECT id, detected_ms FROM taken`,
  )
  if (traits.length === 0) return
  const names = COLUMNS.traits.join(', ')
  await client.query(
    `INSERT INTO ${schema}.traits (${names}) SELECT ${COLUMNS.traits.map(one => `s.${one}`).join(', ')}
     FROM staged_traits s JOIN staged_taken USING (id, detected_ms)`,
  )
}

function* chunks(rows: readonly Row[]): Generator<string> {
  let text = ''
  for (const { id, detectedMs, values } of rows) {
    text += `${escaped(id)}\t${detectedMs}`
    for (const value of values) text += `\t${value === null ? '\\N' : escaped(String(value))}`
    text += '\n'
    if (text.length < CHUNK) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}

const SPECIAL = /[\\\t\n\r]/
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

function escaped(text: string): string {
  return SPECIAL.test(text) ? text.replace(/[\\\t\n\r]/g, one => ESCAPES[one]) : text
}

import type { DuckDBAppender, DuckDBConnection } from '@duckdb/node-api'
import { COLUMNS, type Row, type TableName, type Tables } from './index-rows.ts'

/**
 * The tables. There is no key and no index: the engine finds rows by passing over blocks whose least and greatest values
 * rule them out, and keys would have to be held in memory. A file of another layout has another version in its name.
 */
const TYPES: Readonly<Record<string, string>> = {
  detected_ms: 'BIGINT',
  started_ms: 'BIGINT',
  ended_ms: 'BIGINT',
  tenant_hash: 'BIGINT',
  entity_hash: 'BIGINT',
  series_hash: 'BIGINT',
  trait: 'BIGINT',
  revision: 'INTEGER',
  size: 'INTEGER',
  kind: 'VARCHAR',
}
const typeOf = (table: TableName, column: string) =>
  table === 'traits' && column === 'kind' ? 'INTEGER' : (TYPES[column] ?? 'VARCHAR')
const columnsOf = (table: TableName) =>
  COLUMNS[table].map(column => `${column} ${typeOf(table, column)}`).join(', ')

const TABLES = Object.keys(COLUMNS) as TableName[]

export const DUCKDB_SCHEMA = [
  'CREATE TABLE IF NOT EXISTS positions (partition INTEGER PRIMARY KEY, seq BIGINT, next_offset BIGINT, last_id VARCHAR)',
  ...TABLES.map(table => `CREATE TABLE IF NOT EXISTS ${table} (${columnsOf(table)})`),
  ...TABLES.map(table => `CREATE OR REPLACE TEMP TABLE staged_${table} (${columnsOf(table)})`),
].join(';\n')

/** Puts rows into the tables; a repeated or older one changes nothing. In the caller's transaction. */
export async function mergeRows(connection: DuckDBConnection, tables: Tables): Promise<void> {
  for (const table of TABLES) {
    if (tables[table].length === 0) continue
    await connection.run(`DELETE FROM staged_${table}`)
    await stage(connection, table, tables[table])
  }
  if (tables.disruptions.length > 0) {
    const newer = known('disruptions', tables.disruptions, 'k.revision > s.revision')
    await connection.run(`DELETE FROM staged_disruptions s WHERE ${newer}`)
    const taken = '(id, detected_ms) IN (SELECT (id, detected_ms) FROM staged_disruptions)'
    await connection.run(`DELETE FROM traits WHERE ${within(tables.disruptions)} AND ${taken}`)
    await replace(connection, 'disruptions', tables.disruptions)
    if (tables.traits.length > 0)
      await connection.run(`INSERT INTO traits SELECT * FROM staged_traits WHERE ${taken}`)
  }
  if (tables.anomalies.length > 0) {
    const final = known('anomalies', tables.anomalies, "k.status = 'closed' AND s.status <> 'closed'")
    await connection.run(`DELETE FROM staged_anomalies s WHERE ${final}`)
    await replace(connection, 'anomalies', tables.anomalies)
  }
  if (tables.changes.length > 0) await replace(connection, 'changes', tables.changes)
  if (tables.audit.length > 0) await replace(connection, 'audit', tables.audit)
}

/** Rows of a table that match staged ones and are of these times: few blocks have to be looked at. */
function known(table: TableName, rows: readonly Row[], when: string): string {
  return `EXISTS (SELECT 1 FROM ${table} k
    WHERE ${within(rows, 'k.')} AND k.id = s.id AND k.detected_ms = s.detected_ms AND ${when})`
}

async function replace(connection: DuckDBConnection, table: TableName, rows: readonly Row[]): Promise<void> {
  await connection.run(
    `DELETE FROM ${table} WHERE ${within(rows)} AND (id, detected_ms) IN (SELECT (id, detected_ms) FROM staged_${table})`,
  )
  await connection.run(`INSERT INTO ${table} SELECT * FROM staged_${table}`)
}

function within(rows: readonly Row[], prefix = ''): string {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const { detectedMs } of rows) {
    from = Math.min(from, detectedMs)
    to = Math.max(to, detectedMs)
  }
  return `${prefix}detected_ms BETWEEN ${from} AND ${to}`
}

async function stage(connection: DuckDBConnection, table: TableName, rows: readonly Row[]): Promise<void> {
  const appender = await connection.createAppender(`staged_${table}`, 'main', 'temp')
  try {
    const isWhole = COLUMNS[table].map(column => typeOf(table, column) === 'BIGINT')
    for (const { id, detectedMs, values } of rows) {
      appender.appendVarchar(id)
      appender.appendBigInt(BigInt(detectedMs))
      for (let i = 0; i < values.length; i++) append(appender, values[i], isWhole[i + 2])
      appender.endRow()
    }
    appender.flushSync()
  } finally {
    appender.closeSync()
  }
}

function append(appender: DuckDBAppender, value: Row['values'][number], isBig: boolean): void {
  if (value === null) appender.appendNull()
  else if (typeof value === 'string') appender.appendVarchar(value)
  else if (isBig) appender.appendBigInt(BigInt(value))
  else appender.appendInteger(Number(value))
}

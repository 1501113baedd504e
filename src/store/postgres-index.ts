import type { Clock } from '../core/clock.ts'
import type { IndexPosition, RecordIndex, RecordLine, RecordSource } from '../core/ports.ts'
import { Turns } from '../core/turns.ts'
import { unapplied } from './applied.ts'
import { rowsOf, type Tables } from './index-rows.ts'
import type { Statement } from './index-sql.ts'
import { closePool, inTransaction, isReplaced, openPool, type Pool, storeError } from './postgres-client.ts'
import { mergeRows } from './postgres-copy.ts'
import { isMonthKept, lockPartition, makeMonth, migrate, monthOf, prune } from './postgres-schema.ts'
import { type BodyRow, SqlIndex } from './sql-index.ts'

export interface PostgresIndexOptions {
  readonly url: string
  readonly schema: string
  /** What was detected longer ago is dropped. */
  readonly retentionMs: number
  readonly clock: Clock
  /** A query that takes longer is given up, ms. */
  readonly queryMs?: number
  /** Connections for queries; those that apply lines have one beside them. */
  readonly connections?: number
}

const QUERY_MS = 10_000
/** Lines of an hour, or a partition that is made or dropped. */
const WRITE_MS = 120_000
const CONNECTIONS = 8

/**
 * Every query finds few rows by an index: a planner that does not know how few, as of names that are not in its statistics,
 * must not read whole tables to join them. Similar disruptions are counted in memory.
 */
const READER_SETTINGS =
  "SET enable_hashjoin = off; SET enable_mergejoin = off; SET random_page_cost = 1.1; SET work_mem = '32MB'"

/**
 * The record in PostgreSQL, one schema a fleet. Nothing is asked of the server before the first call, and each call tries
 * anew: a server that is away is one that answers FS_IO. Processes share it; a line is applied once whoever brings it.
 */
export class PostgresIndex extends SqlIndex implements RecordIndex {
  readonly #options: PostgresIndexOptions
  readonly #readers: Pool
  readonly #writer: Pool
  #migrated: Promise<void> | undefined
  readonly #months = new Set<string>()
  /** They share a connection, and none gives up because another takes long. */
  readonly #writes = new Turns()

  constructor(options: PostgresIndexOptions) {
    super(options.schema, 'postgres')
    const { url } = options
    this.#options = options
    this.#readers = openPool({
      url,
      max: options.connections ?? CONNECTIONS,
      statementMs: options.queryMs ?? QUERY_MS,
      settings: READER_SETTINGS,
    })
    this.#writer = openPool({ url, max: 1, statementMs: WRITE_MS })
  }

  async apply(lines: readonly RecordLine[], source?: RecordSource): Promise<void> {
    const { schema, retentionMs, clock } = this.#options
    const nowMs = clock()
    // Made into rows before anything is locked: of lines that turn out to be known, that was for nothing.
    const tables = rowsOf(lines, nowMs - retentionMs)
    await this.#write(async () => {
      for (const month of monthsOf(tables, nowMs, retentionMs)) {
        if (this.#months.has(month)) continue
        await makeMonth(this.#writer, schema, month)
        this.#months.add(month)
      }
      await inTransaction(this.#writer, async client => {
        const partition = source?.partition ?? 0
        await lockPartition(client, schema, partition)
        const known = await client.query(
          `SELECT seq, next_offset FROM ${schema}.positions WHERE partition = $1`,
          [partition],
        )
        const lastSeq = known.rows.length === 0 ? undefined : Number(known.rows[0].seq)
        const fresh = unapplied(lines, lastSeq, source)
        const last = fresh.at(-1)
        if (!last) return
        const own = fresh.length === lines.length ? tables : rowsOf(fresh, nowMs - retentionMs)
        await mergeRows(client, schema, own)
        await client.query(
          `INSERT INTO ${schema}.positions (partition, seq, next_offset) VALUES ($1, $2, $3)
           ON CONFLICT (partition) DO UPDATE SET seq = EXCLUDED.seq, next_offset = EXCLUDED.next_offset`,
          [partition, last.seq, source?.offset ?? 0],
        )
      })
    })
  }

  async position(): Promise<ReadonlyMap<number, IndexPosition>> {
    const { schema } = this.#options
    const text = `SELECT partition, seq, next_offset FROM ${schema}.positions ORDER BY partition`
    const found = await this.#query<{ partition: number; seq: string; next_offset: string }>({
      text,
      values: [],
    })
    return new Map(
      found.map(row => [row.partition, { seq: Number(row.seq), offset: Number(row.next_offset) }]),
    )
  }

  /** Drops what is older than is kept; returns the months that went. */
  async prune(): Promise<string[]> {
    const { schema, retentionMs, clock } = this.#options
    let gone: string[] = []
    await this.#write(async () => {
      gone = await prune(this.#writer, schema, clock() - retentionMs)
    })
    for (const month of gone) this.#months.delete(month)
    return gone
  }

  async close(): Promise<void> {
    await Promise.all([closePool(this.#readers), closePool(this.#writer)])
  }

  protected read<T>(statement: Statement): Promise<BodyRow<T>[]> {
    return this.#query<BodyRow<T>>(statement)
  }

  async #query<R extends object>({ text, values }: Statement): Promise<R[]> {
    const ask = async () => {
      await this.#ready()
      return (await this.#readers.query<R>(text, [...values])).rows
    }
    try {
      return await ask()
    } catch (error) {
      if (!isReplaced(error)) throw storeError(error)
      this.#forget()
      return ask().catch(again => {
        throw storeError(again)
      })
    }
  }

  #write(work: () => Promise<void>): Promise<void> {
    return this.#writes.take(() => this.#attempt(work))
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await this.#ready()
      await work()
    } catch (error) {
      if (isReplaced(error)) this.#forget()
      throw storeError(error)
    }
  }

  /** Whoever comes first makes the tables; a failure is tried again by the next call. */
  #ready(): Promise<void> {
    this.#migrated ??= migrate(this.#writer, this.#options.schema).catch(error => {
      this.#migrated = undefined
      throw error
    })
    return this.#migrated
  }

  /** The schema was replaced or dropped under this process. */
  #forget(): void {
    this.#migrated = undefined
    this.#months.clear()
  }
}

function monthsOf(tables: Tables, nowMs: number, retentionMs: number): Set<string> {
  const months = new Set<string>()
  for (const rows of Object.values(tables))
    for (const { detectedMs } of rows)
      if (isMonthKept(detectedMs, nowMs, retentionMs)) months.add(monthOf(detectedMs))
  return months
}

import { existsSync, renameSync, rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { ForeshockError } from '../core/errors.ts'
import type { IndexPosition, RecordIndex, RecordLine, RecordSource } from '../core/ports.ts'
import { Turns } from '../core/turns.ts'
import { unapplied } from './applied.ts'
import { DUCKDB_SCHEMA, mergeRows } from './duckdb-rows.ts'
import { rowsOf } from './index-rows.ts'
import type { Statement } from './index-sql.ts'
import { type BodyRow, SqlIndex } from './sql-index.ts'

export interface DuckDbIndexOptions {
  /** The file; what cannot be read as one of this version is moved aside and built anew. */
  readonly path: string
  /** What was detected so long before the newest line, changes aside, is dropped. */
  readonly retentionMs: number
  readonly onWarning: (text: string) => void
  /** Most memory of the engine beside its file, bytes. */
  readonly memoryBytes?: number
}

/** Pages of the file held and work of queries; the engine's own default is most of the machine. */
const MEMORY_BYTES = 256 * 1_048_576
/** Rows of a query or a batch are few: more threads would only take the cores of scoring. */
const THREADS = 2
const SCHEMA = 'main'
/** Old rows are looked for once the record has gone on by so much, ms. */
const PRUNE_EVERY_MS = 86_400_000

type Engine = typeof import('@duckdb/node-api')

/**
 * The record in a DuckDB file beside it: all of it, where the index in memory holds the newest, and there at a start. The
 * file is no more than a view: whatever is wrong with it, it is built anew from the record.
 */
export class DuckDbIndex extends SqlIndex implements RecordIndex {
  readonly #options: DuckDbIndexOptions
  readonly #instance: DuckDBInstance
  readonly #writer: DuckDBConnection
  #position: ReadonlyMap<number, IndexPosition>
  #lastId: string | undefined
  readonly #writes = new Turns()
  #newestMs = Number.NEGATIVE_INFINITY
  #prunedMs = Number.NEGATIVE_INFINITY

  private constructor(
    options: DuckDbIndexOptions,
    instance: DuckDBInstance,
    writer: DuckDBConnection,
    state: State,
  ) {
    super(SCHEMA, 'duckdb')
    this.#options = options
    this.#instance = instance
    this.#writer = writer
    this.#position = state.position
    this.#lastId = state.lastId
  }

  /** Rejects with FS_CONFIG_INVALID where the engine is not installed, and for nothing else. */
  static async open(options: DuckDbIndexOptions): Promise<DuckDbIndex> {
    const engine = await engineOf()
    const { path, onWarning } = options
    await mkdir(dirname(path), { recursive: true })
    const attempt = async (file: string) => {
      const instance = await engine.DuckDBInstance.create(file, settings(options))
      try {
        const writer = await instance.connect()
        await writer.run(DUCKDB_SCHEMA)
        return new DuckDbIndex(options, instance, writer, await stateOf(writer))
      } catch (error) {
        instance.closeSync()
        throw error
      }
    }
    try {
      return await attempt(path)
    } catch (error) {
      onWarning(`${path} cannot be used (${firstLine(error)}); it is built anew from the record`)
    }
    try {
      moveAside(path)
      return await attempt(path)
    } catch (error) {
      onWarning(`${path} cannot be made (${firstLine(error)}); the index is kept in memory this time`)
      return attempt(':memory:')
    }
  }

  /** Id of the last line applied: by it a record is known to be the one that this was built from. */
  get lastId(): string | undefined {
    return this.#lastId
  }

  apply(lines: readonly RecordLine[], source?: RecordSource): Promise<void> {
    return this.#write(async () => {
      const partition = source?.partition ?? 0
      const fresh = unapplied(lines, this.#position.get(partition)?.seq, source)
      const last = fresh.at(-1)
      if (!last) return
      // A change may be announced long before its time, which says nothing of how old the rest is.
      for (const { timeMs, entry } of fresh)
        if (entry.type !== 'change') this.#newestMs = Math.max(this.#newestMs, timeMs)
      const fromMs = this.#newestMs - this.#options.retentionMs
      const tables = rowsOf(fresh, fromMs)
      const prunes = this.#newestMs - this.#prunedMs >= PRUNE_EVERY_MS
      const place = { seq: last.seq, offset: source?.offset ?? 0 }
      await this.#writer.run('BEGIN')
      try {
        await mergeRows(this.#writer, tables)
        if (prunes) await pruneRows(this.#writer, fromMs)
        await this.#writer.run(
          'INSERT OR REPLACE INTO positions VALUES ($1::INTEGER, $2::BIGINT, $3::BIGINT, $4)',
          [partition, BigInt(place.seq), BigInt(place.offset), last.id],
        )
        await this.#writer.run('COMMIT')
      } catch (error) {
        await this.#writer.run('ROLLBACK').catch(() => {})
        throw error
      }
      if (prunes) this.#prunedMs = this.#newestMs
      this.#position = new Map(this.#position).set(partition, place)
      this.#lastId = last.id
    })
  }

  async position(): Promise<ReadonlyMap<number, IndexPosition>> {
    return this.#position
  }

  /** Forgets everything, to be built anew. */
  clear(): Promise<void> {
    return this.#write(async () => {
      for (const table of [...PRUNED, 'positions']) await this.#writer.run(`DELETE FROM ${table}`)
      this.#position = new Map()
      this.#lastId = undefined
    })
  }

  async close(): Promise<void> {
    await this.#writes.rest()
    this.#writer.closeSync()
    this.#instance.closeSync()
  }

  protected async read<T>({ text, values }: Statement): Promise<BodyRow<T>[]> {
    const connection = await this.#instance.connect()
    try {
      // Whole numbers as such: compared as fractions, they would keep the engine from skipping what cannot match.
      const bound = values.map(value => (typeof value === 'number' ? BigInt(value) : value))
      const result = await connection.runAndReadAll(text, bound)
      const found = result.getRowObjects() as unknown as BodyRow<string>[]
      return found.map(row => ({ ...row, body: JSON.parse(row.body) as T }))
    } catch (error) {
      throw new ForeshockError('FS_IO', `DuckDB: ${firstLine(error)}`, { cause: error })
    } finally {
      connection.closeSync()
    }
  }

  #write(work: () => Promise<void>): Promise<void> {
    return this.#writes.take(work).catch(error => {
      if (error instanceof ForeshockError) throw error
      throw new ForeshockError('FS_IO', `DuckDB: ${firstLine(error)}`, { cause: error })
    })
  }
}

interface State {
  readonly position: ReadonlyMap<number, IndexPosition>
  readonly lastId: string | undefined
}

const PRUNED = ['disruptions', 'anomalies', 'traits', 'changes', 'audit'] as const

async function pruneRows(writer: DuckDBConnection, beforeMs: number): Promise<void> {
  for (const table of PRUNED)
    await writer.run(`DELETE FROM ${table} WHERE detected_ms < ${Math.floor(beforeMs)}`)
}

async function stateOf(writer: DuckDBConnection): Promise<State> {
  const result = await writer.runAndReadAll('SELECT partition, seq, next_offset, last_id FROM positions')
  const position = new Map<number, IndexPosition>()
  let lastId: string | undefined
  for (const [partition, seq, offset, id] of result.getRows()) {
    position.set(Number(partition), { seq: Number(seq), offset: Number(offset) })
    lastId = String(id)
  }
  return { position, lastId }
}

function settings({ memoryBytes = MEMORY_BYTES }: DuckDbIndexOptions): Record<string, string> {
  return {
    memory_limit: `${Math.ceil(memoryBytes / 1e6)}MB`,
    threads: String(THREADS),
    // Nothing is fetched at run time, and nothing but the file is touched.
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    preserve_insertion_order: 'false',
  }
}

async function engineOf(): Promise<Engine> {
  try {
    return await import('@duckdb/node-api')
  } catch (cause) {
    throw new ForeshockError(
      'FS_CONFIG_INVALID',
      `data.index is duckdb, but the optional package @duckdb/node-api cannot be loaded (${firstLine(cause)}); install it, or set data.index to memory`,
      { cause },
    )
  }
}

/** The file may be held by another program: that one keeps what it has open, under another name. */
function moveAside(path: string): void {
  rmSync(`${path}.wal`, { force: true })
  if (existsSync(path)) renameSync(path, `${path}.unusable`)
}

function firstLine(error: unknown): string {
  return String((error as Error).message ?? error).split('\n')[0]
}

import { existsSync, renameSync, rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { Anomaly } from '../core/anomaly.ts'
import type { Change } from '../core/change.ts'
import type { Disruption } from '../core/disruption.ts'
import { ForeshockError } from '../core/errors.ts'
import type {
  AnomalyQuery,
  DisruptionQuery,
  IndexPosition,
  Page,
  RecordIndex,
  RecordLine,
  RecordSource,
  Similar,
} from '../core/ports.ts'
import { unapplied } from './applied.ts'
import { DUCKDB_SCHEMA, mergeRows } from './duckdb-rows.ts'
import { cursorOf, pageSize } from './index-cursor.ts'
import { rowsOf } from './index-rows.ts'
import {
  anomaliesStatement,
  changesStatement,
  disruptionStatement,
  disruptionsStatement,
  type Statement,
  similarStatement,
} from './index-sql.ts'
import { compareSimilar, similarity } from './similarity.ts'

export interface DuckDbIndexOptions {
  /** The file; what cannot be read as one of this version is moved aside and built anew. */
  readonly path: string
  /** What was detected so long before the newest line is dropped. */
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
export class DuckDbIndex implements RecordIndex {
  readonly #options: DuckDbIndexOptions
  readonly #instance: DuckDBInstance
  readonly #writer: DuckDBConnection
  #position: ReadonlyMap<number, IndexPosition>
  #lastId: string | undefined
  #queue: Promise<unknown> = Promise.resolve()
  #newestMs = Number.NEGATIVE_INFINITY
  #prunedMs = Number.NEGATIVE_INFINITY

  private constructor(
    options: DuckDbIndexOptions,
    instance: DuckDBInstance,
    writer: DuckDBConnection,
    state: State,
  ) {
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

  async disruption(id: string): Promise<Disruption | undefined> {
    const [found] = await this.#read(disruptionStatement(id, SCHEMA))
    return found && JSON.parse(found.body)
  }

  async disruptions(query: DisruptionQuery): Promise<Page<Disruption>> {
    return paged(await this.#read(disruptionsStatement(query, SCHEMA, 'duckdb')), query.limit)
  }

  async anomalies(query: AnomalyQuery): Promise<Page<Anomaly>> {
    return paged(await this.#read(anomaliesStatement(query, SCHEMA, 'duckdb')), query.limit)
  }

  async similar(id: string, limit: number): Promise<Similar[]> {
    const one = await this.disruption(id)
    const statement = one && similarStatement(one, limit, SCHEMA)
    if (!statement) return []
    const found = await this.#read(statement)
    return found
      .map(({ body }) => similarity(one, JSON.parse(body)))
      .filter(similar => similar.similarity > 0)
      .sort(compareSimilar)
  }

  async changes(limit: number, tenant?: string): Promise<Change[]> {
    return (await this.#read(changesStatement(limit, SCHEMA, tenant))).map(({ body }) => JSON.parse(body))
  }

  apply(lines: readonly RecordLine[], source?: RecordSource): Promise<void> {
    return this.#write(async () => {
      const partition = source?.partition ?? 0
      const fresh = unapplied(lines, this.#position.get(partition)?.seq, source)
      const last = fresh.at(-1)
      if (!last) return
      for (const { timeMs } of fresh) this.#newestMs = Math.max(this.#newestMs, timeMs)
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
    await this.#queue
    this.#writer.closeSync()
    this.#instance.closeSync()
  }

  async #read({ text, values }: Statement): Promise<Found[]> {
    const connection = await this.#instance.connect()
    try {
      // Whole numbers as such: compared as fractions, they would keep the engine from skipping what cannot match.
      const bound = values.map(value => (typeof value === 'number' ? BigInt(value) : value))
      const result = await connection.runAndReadAll(text, bound)
      return result.getRowObjects() as unknown as Found[]
    } catch (error) {
      throw new ForeshockError('FS_IO', `DuckDB: ${firstLine(error)}`, { cause: error })
    } finally {
      connection.closeSync()
    }
  }

  #write(work: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(work).catch(error => {
      if (error instanceof ForeshockError) throw error
      throw new ForeshockError('FS_IO', `DuckDB: ${firstLine(error)}`, { cause: error })
    })
    this.#queue = done.catch(() => {})
    return done
  }
}

interface Found {
  readonly body: string
  readonly id: string
  readonly detected_ms: bigint
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

function paged<T>(rows: readonly Found[], limit: number): Page<T> {
  const most = pageSize(limit)
  const items = rows.slice(0, most).map(({ body }) => JSON.parse(body) as T)
  if (rows.length <= most) return { items, next: null }
  const { id, detected_ms } = rows[most - 1]
  return { items, next: cursorOf({ detectedMs: Number(detected_ms), id }) }
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

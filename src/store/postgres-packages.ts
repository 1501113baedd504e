import { ForeshockError } from '../core/errors.ts'
import type { KeptPackage, ListedPackage, PackageStore } from '../core/ports.ts'
import { assertRoom, assertSame } from './package-room.ts'
import { type Client, closePool, inTransaction, openPool, type Pool, storeError } from './postgres-client.ts'
import { migrate } from './postgres-schema.ts'

/** Bytes of a package in one row: a row is held in memory as a whole, on both sides. */
const CHUNK_BYTES = 1_048_576
/** A push holds up to 80 MB. */
const STATEMENT_MS = 60_000
const CONNECTIONS = 3

/**
 * Tables of packages. They are no index: nothing else can make them again, so they have a schema of their own, which
 * `foreshock index rebuild` leaves alone.
 */
const MIGRATIONS: readonly string[] = [
  `
CREATE SEQUENCE {schema}.changes;
CREATE TABLE {schema}.packages (
  model text COLLATE "C" NOT NULL,
  version int NOT NULL,
  package_digest text NOT NULL,
  tenant text NOT NULL,
  bytes bigint NOT NULL,
  chunks int NOT NULL,
  about jsonb NOT NULL,
  removed boolean NOT NULL DEFAULT false,
  change bigint NOT NULL,
  PRIMARY KEY (model, version)
);
CREATE INDEX ON {schema}.packages (change);
CREATE TABLE {schema}.chunks (
  model text COLLATE "C" NOT NULL,
  version int NOT NULL,
  n int NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (model, version, n)
);
`,
]

/** Packages lie in a schema beside that of the index. */
export const packagesSchema = (schema: string): string => `${schema}_models`

interface Row {
  readonly about: KeptPackage
  readonly removed: boolean
  readonly change: string
}

/** Model packages in PostgreSQL, in rows of a megabyte; one writer at a time, so that changes are seen in their order. */
export class PostgresPackages implements PackageStore {
  readonly #schema: string
  readonly #pool: Pool
  #migrated: Promise<void> | undefined

  /** `schema`: that of the index. */
  constructor({ url, schema }: { readonly url: string; readonly schema: string }) {
    this.#schema = packagesSchema(schema)
    this.#pool = openPool({ url, max: CONNECTIONS, statementMs: STATEMENT_MS })
  }

  async list(afterChange: number): Promise<readonly ListedPackage[]> {
    const text = `SELECT about, removed, change FROM ${this.#schema}.packages WHERE change > $1 ORDER BY change`
    const { rows } = await this.#ask(() => this.#pool.query<Row>(text, [afterChange]))
    return rows.map(({ about, removed, change }) => ({
      ...about,
      isRemoved: removed,
      change: Number(change),
    }))
  }

  put(one: KeptPackage, tar: AsyncIterable<Uint8Array>, modelsMax?: number): Promise<boolean> {
    const { model, version } = one
    return this.#write(async client => {
      const known = await client.query<{ package_digest: string; removed: boolean }>(
        `SELECT package_digest, removed FROM ${this.#schema}.packages WHERE model = $1 AND version = $2`,
        [model, version],
      )
      const [row] = known.rows
      assertSame(one, row && { packageDigest: row.package_digest })
      if (row?.removed === false) return false
      assertRoom(one, await this.#room(client, one), modelsMax)
      let n = 0
      for await (const bytes of chunked(tar))
        await client.query(
          `INSERT INTO ${this.#schema}.chunks (model, version, n, bytes) VALUES ($1, $2, $3, $4)`,
          [model, version, n++, bytes],
        )
      await client.query(
        `INSERT INTO ${this.#schema}.packages (model, version, package_digest, tenant, bytes, chunks, about, change)
         VALUES ($1, $2, $3, $4, $5, $6, $7, nextval('${this.#schema}.changes'))
         ON CONFLICT (model, version) DO UPDATE SET tenant = EXCLUDED.tenant, bytes = EXCLUDED.bytes,
           chunks = EXCLUDED.chunks, about = EXCLUDED.about, removed = false, change = EXCLUDED.change`,
        [model, version, one.packageDigest, one.tenant, one.bytes, n, JSON.stringify(one)],
      )
      return true
    })
  }

  async *fetch(model: string, version: number): AsyncGenerator<Uint8Array> {
    const found = await this.#ask(() =>
      this.#pool.query<{ chunks: number }>(
        `SELECT chunks FROM ${this.#schema}.packages WHERE model = $1 AND version = $2 AND NOT removed`,
        [model, version],
      ),
    )
    if (found.rows.length === 0)
      throw new ForeshockError('FS_NOT_FOUND', `there is no package of ${model} ${version}`)
    for (let n = 0; n < found.rows[0].chunks; n++) {
      const { rows } = await this.#ask(() =>
        this.#pool.query<{ bytes: Buffer }>(
          `SELECT bytes FROM ${this.#schema}.chunks WHERE model = $1 AND version = $2 AND n = $3`,
          [model, version, n],
        ),
      )
      if (rows.length === 0)
        throw new ForeshockError('FS_NOT_FOUND', `the package of ${model} ${version} was removed meanwhile`)
      yield rows[0].bytes
    }
  }

  async remove(model: string, version: number): Promise<void> {
    await this.#write(async client => {
      const { rowCount } = await client.query(
        `UPDATE ${this.#schema}.packages SET removed = true, change = nextval('${this.#schema}.changes')
         WHERE model = $1 AND version = $2 AND NOT removed`,
        [model, version],
      )
      if (rowCount === 0) return
      await client.query(`DELETE FROM ${this.#schema}.chunks WHERE model = $1 AND version = $2`, [
        model,
        version,
      ])
    })
  }

  async close(): Promise<void> {
    await closePool(this.#pool)
  }

  async #room(client: Client, { model, tenant }: KeptPackage) {
    const { rows } = await client.query<Record<'models' | 'versions' | 'bytes' | 'of_tenant', string>>(
      `SELECT count(DISTINCT model) AS models, count(*) FILTER (WHERE model = $1) AS versions,
         coalesce(sum(bytes), 0) AS bytes,
         count(DISTINCT model) FILTER (WHERE tenant = $2 AND model <> $1) AS of_tenant
       FROM ${this.#schema}.packages WHERE NOT removed`,
      [model, tenant],
    )
    const [{ models, versions, bytes, of_tenant }] = rows
    return {
      models: Number(models),
      versions: Number(versions),
      bytes: Number(bytes),
      ofTenant: Number(of_tenant),
    }
  }

  #write<T>(work: (client: Client) => Promise<T>): Promise<T> {
    return this.#ask(() =>
      inTransaction(this.#pool, async client => {
        await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('foreshock ${this.#schema}', 1))`)
        return work(client)
      }),
    )
  }

  /** Whoever comes first makes the tables; a failure is tried again by the next call. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      this.#migrated ??= migrate(this.#pool, this.#schema, MIGRATIONS).catch(error => {
        this.#migrated = undefined
        throw error
      })
      await this.#migrated
      return await work()
    } catch (error) {
      throw storeError(error)
    }
  }
}

async function* chunked(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let waiting: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of tar) {
    waiting.push(chunk)
    bytes += chunk.length
    if (bytes < CHUNK_BYTES) continue
    yield Buffer.concat(waiting)
    waiting = []
    bytes = 0
  }
  if (bytes > 0) yield Buffer.concat(waiting)
}

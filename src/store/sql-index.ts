import type { Anomaly } from '../core/anomaly.ts'
import type { Change } from '../core/change.ts'
import type { Disruption } from '../core/disruption.ts'
import type { AnomalyQuery, DisruptionQuery, Page, Similar } from '../core/ports.ts'
import { cursorOf, pageSize } from './index-cursor.ts'
import {
  anomaliesStatement,
  changesStatement,
  disruptionStatement,
  disruptionsStatement,
  type Engine,
  type Statement,
  similarStatement,
} from './index-sql.ts'
import { compareSimilar, similarity } from './similarity.ts'

export interface BodyRow<T> {
  readonly body: T
  readonly id: string
  readonly detected_ms: string | bigint
}

/** The queries of an index that an engine of SQL answers; how it is asked and filled is the engine's own. */
export abstract class SqlIndex {
  readonly #schema: string
  readonly #engine: Engine

  constructor(schema: string, engine: Engine) {
    this.#schema = schema
    this.#engine = engine
  }

  /** Rejects with FS_IO where the engine does not answer. */
  protected abstract read<T>(statement: Statement): Promise<readonly BodyRow<T>[]>

  async disruption(id: string): Promise<Disruption | undefined> {
    const [found] = await this.read<Disruption>(disruptionStatement(id, this.#schema))
    return found?.body
  }

  async disruptions(query: DisruptionQuery): Promise<Page<Disruption>> {
    return paged(await this.read(disruptionsStatement(query, this.#schema, this.#engine)), query.limit)
  }

  async anomalies(query: AnomalyQuery): Promise<Page<Anomaly>> {
    return paged(await this.read(anomaliesStatement(query, this.#schema, this.#engine)), query.limit)
  }

  async similar(id: string, limit: number): Promise<Similar[]> {
    const one = await this.disruption(id)
    const statement = one && similarStatement(one, limit, this.#schema)
    if (!statement) return []
    const found = await this.read<Disruption>(statement)
    return found
      .map(({ body }) => similarity(one, body))
      .filter(similar => similar.similarity > 0)
      .sort(compareSimilar)
  }

  async changes(limit: number, tenant?: string): Promise<Change[]> {
    const found = await this.read<Change>(changesStatement(limit, this.#schema, tenant))
    return found.map(({ body }) => body)
  }
}

/** Of a page's rows and the one after, which says whether there are more. */
function paged<T>(rows: readonly BodyRow<T>[], limit: number): Page<T> {
  const most = pageSize(limit)
  const items = rows.slice(0, most).map(({ body }) => body)
  if (rows.length <= most) return { items, next: null }
  const { id, detected_ms } = rows[most - 1]
  return { items, next: cursorOf({ detectedMs: Number(detected_ms), id }) }
}

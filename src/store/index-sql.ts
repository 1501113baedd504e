import type { Disruption } from '../core/disruption.ts'
import type { AnomalyQuery, DisruptionQuery } from '../core/ports.ts'
import { pageSize, placeOf } from './index-cursor.ts'
import { entityTrait, hash64, textOf, traitsOf } from './index-rows.ts'
import { TRAIT_KINDS, WEIGHTS } from './similarity.ts'

/** The queries of an index, in the SQL that PostgreSQL and DuckDB have in common. Each gives `body` as JSON text. */

export interface Statement {
  readonly text: string
  readonly values: readonly (string | number | bigint)[]
}

/** Which one is asked: they have not the same indexes. */
export type Engine = 'postgres' | 'duckdb'

/** Conditions and their values, collected. */
class Wanted {
  readonly values: (string | number | bigint)[] = []
  readonly #all: string[] = []

  add(condition: (value: string) => string, value: string | number | bigint | undefined): void {
    if (value === undefined) return
    this.values.push(value)
    this.#all.push(condition(`$${this.values.length}`))
  }

  also(condition: string): void {
    this.#all.push(condition)
  }

  get where(): string {
    return this.#all.length === 0 ? '' : ` WHERE ${this.#all.join(' AND ')}`
  }
}

/** The rows of a page and one more, to know whether another follows. Throws FS_INPUT_INVALID for a wrong cursor. */
export function disruptionsStatement(query: DisruptionQuery, schema: string, engine: Engine): Statement {
  const { tenant, status, severity, entity } = query
  const wanted = new Wanted()
  tenantIs(wanted, tenant)
  wanted.add(value => `d.status = ${value}`, status)
  wanted.add(value => `d.severity = ${value}`, severity)
  lasted(wanted, query, engine)
  const table = `${schema}.disruptions d`
  if (entity === undefined) return page(table, wanted, query, 'd')
  // Not as a value: a planner that knows the trait knows how many there are.
  wanted.also(`t.trait = ${entityTrait(entity, tenant)}`)
  const joined = `${schema}.traits t JOIN ${table} ON d.id = t.id AND d.detected_ms = t.detected_ms`
  return page(joined, wanted, query, 't')
}

/** As `disruptionsStatement`. */
export function anomaliesStatement(query: AnomalyQuery, schema: string, engine: Engine): Statement {
  const { tenant, status, entity, series } = query
  const wanted = new Wanted()
  tenantIs(wanted, tenant)
  wanted.add(value => `d.status = ${value}`, status)
  if (entity !== undefined) {
    wanted.also(`d.entity_hash = ${hash64(entity)}`)
    wanted.add(value => `d.entity = ${value}`, textOf(entity))
  }
  if (series !== undefined) {
    wanted.also(`d.series_hash = ${hash64(series)}`)
    wanted.add(value => `d.series = ${value}`, textOf(series))
  }
  lasted(wanted, query, engine)
  return page(`${schema}.anomalies d`, wanted, query, 'd')
}

/** The newest first. */
export function changesStatement(limit: number, schema: string, tenant: string | undefined): Statement {
  const wanted = new Wanted()
  tenantIs(wanted, tenant)
  const order = 'd.detected_ms DESC, d.id DESC'
  const text = `SELECT d.body FROM ${schema}.changes d${wanted.where} ORDER BY ${order} LIMIT ${pageSize(limit)}`
  return { text, values: wanted.values }
}

export function disruptionStatement(id: string, schema: string): Statement {
  const text = `SELECT body FROM ${schema}.disruptions WHERE id = $1 ORDER BY revision DESC LIMIT 1`
  return { text, values: [textOf(id)] }
}

/** Digits to which likenesses are compared: sums of the same parts differ by the order they were added in. */
const DIGITS = 9

/** Bodies of those most like one, its own left out; undefined when it has nothing to be like by. */
export function similarStatement(one: Disruption, limit: number, schema: string): Statement | undefined {
  const asked = traitsOf(one).filter(({ kind }) => kind < TRAIT_KINDS.length)
  if (asked.length === 0) return undefined
  const rows = asked.map(({ trait }) => `(${trait})`).join(', ')
  const parts = TRAIT_KINDS.map((name, kind) => {
    const ours = asked.filter(one => one.kind === kind).length
    const common = `count(*) FILTER (WHERE t.kind = ${kind})`
    const theirs = `coalesce(max(t.size) FILTER (WHERE t.kind = ${kind}), 0)`
    return ours === 0 ? '0' : `${WEIGHTS[name]} * ${common} / (${ours} + ${theirs} - ${common})`
  })
  const text = `
WITH asked (trait) AS (VALUES ${rows}),
alike AS (
  SELECT t.id, t.detected_ms, round(CAST(${parts.join(' + ')} AS numeric(20, 12)), ${DIGITS}) AS likeness
  FROM ${schema}.traits t JOIN asked ON asked.trait = t.trait
  WHERE t.id <> $1
  GROUP BY t.id, t.detected_ms
  ORDER BY likeness DESC, t.detected_ms DESC, t.id DESC LIMIT ${pageSize(limit)}
)
SELECT d.body FROM alike JOIN ${schema}.disruptions d ON d.id = alike.id AND d.detected_ms = alike.detected_ms
WHERE d.tenant = $2
ORDER BY alike.likeness DESC, alike.detected_ms DESC, alike.id DESC`
  return { text, values: [textOf(one.id), textOf(one.tenant)] }
}

function tenantIs(wanted: Wanted, tenant: string | undefined): void {
  if (tenant === undefined) return
  wanted.also(`d.tenant_hash = ${hash64(tenant)}`)
  wanted.add(value => `d.tenant = ${value}`, textOf(tenant))
}

/** How long a row lasted, open ones to the end of time, as PostgreSQL indexes it. */
export const LASTING = `int8range(started_ms, CASE WHEN ended_ms IS NULL THEN NULL ELSE greatest(started_ms, ended_ms) END, '[]')`

/** What lasted at any moment of [fromMs, toMs). */
function lasted(wanted: Wanted, { fromMs, toMs }: { fromMs?: number; toMs?: number }, engine: Engine): void {
  // A range of PostgreSQL must not end before it begins.
  if (engine === 'postgres' && fromMs !== undefined && toMs !== undefined && fromMs < toMs)
    wanted.also(`${LASTING} && int8range(${wholeMs(fromMs)}, ${wholeMs(toMs)})`)
  wanted.add(value => `d.started_ms < ${value}`, toMs === undefined ? undefined : wholeMs(toMs))
  wanted.add(
    value => `(d.ended_ms IS NULL OR d.ended_ms >= ${value})`,
    fromMs === undefined ? undefined : wholeMs(fromMs),
  )
}

/** Times are held in whole ms, within what 64 bits can be. */
function wholeMs(timeMs: number): number {
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(timeMs)))
}

/** `order` is the table whose own order the rows come in. */
function page(
  from: string,
  wanted: Wanted,
  { cursor, limit }: { cursor?: string; limit: number },
  order: 'd' | 't',
): Statement {
  if (cursor !== undefined) {
    const { detectedMs, id } = placeOf(cursor)
    const values = wanted.values
    values.push(detectedMs, id)
    const [ms, name] = [`$${values.length - 1}`, `$${values.length}`]
    // The first half alone says where an index is entered.
    wanted.also(`${order}.detected_ms <= ${ms}`)
    wanted.also(`(${order}.detected_ms < ${ms} OR ${order}.id < ${name})`)
  }
  const text =
    `SELECT d.body, d.id, d.detected_ms FROM ${from}${wanted.where} ` +
    `ORDER BY ${order}.detected_ms DESC, ${order}.id DESC LIMIT ${pageSize(limit) + 1}`
  return { text, values: wanted.values }
}

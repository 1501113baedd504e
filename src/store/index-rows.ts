import { createHash } from 'node:crypto'
import type { Anomaly } from '../core/anomaly.ts'
import { type Change, keyOfChange, tenantOfChange } from '../core/change.ts'
import type { Disruption } from '../core/disruption.ts'
import type { RecordLine } from '../core/ports.ts'
import { TRAIT_KINDS, traits } from './similarity.ts'

/**
 * What a database holds of lines of the record: a body as JSON, the columns that are asked for, and traits, one a row, by
 * which disruptions of an entity and similar ones are found. Names are looked up by 64 bits of SHA-256, as no engine indexes
 * text of any length.
 */

/** A row and its values by column; times are Unix ms. */
export interface Row {
  readonly id: string
  readonly detectedMs: number
  readonly values: readonly (string | number | bigint | null)[]
}

export const DISRUPTION_COLUMNS = [
  'id',
  'detected_ms',
  'tenant',
  'tenant_hash',
  'revision',
  'status',
  'severity',
  'entity',
  'started_ms',
  'ended_ms',
  'body',
] as const
export const ANOMALY_COLUMNS = [
  'id',
  'detected_ms',
  'tenant',
  'tenant_hash',
  'status',
  'severity',
  'entity',
  'entity_hash',
  'series',
  'series_hash',
  'started_ms',
  'ended_ms',
  'body',
] as const
export const TRAIT_COLUMNS = ['id', 'detected_ms', 'trait', 'kind', 'size'] as const
export const CHANGE_COLUMNS = [
  'id',
  'detected_ms',
  'tenant',
  'tenant_hash',
  'entity',
  'kind',
  'body',
] as const
export const AUDIT_COLUMNS = ['id', 'detected_ms', 'who', 'action', 'body'] as const

/** Columns of a table, which all begin with `id` and `detected_ms`. */
export const COLUMNS = {
  disruptions: DISRUPTION_COLUMNS,
  anomalies: ANOMALY_COLUMNS,
  traits: TRAIT_COLUMNS,
  changes: CHANGE_COLUMNS,
  audit: AUDIT_COLUMNS,
} as const
export type TableName = keyof typeof COLUMNS

/** Kinds of traits: those of similarity in their order, and entities whoever the tenant is. */
const ENTITY_OF_TENANT = TRAIT_KINDS.indexOf('entities')
const ENTITY_OF_ANY = TRAIT_KINDS.length

/** 64 bits of SHA-256, signed as databases have them. */
export function hash64(...parts: readonly (string | number)[]): bigint {
  return createHash('sha256').update(JSON.stringify(parts)).digest().readBigInt64BE(0)
}

/** The trait that all disruptions of an entity have, in a tenant or in any. */
export function entityTrait(entity: string, tenant: string | undefined): bigint {
  const trait = `entity ${entity}`
  return tenant === undefined ? hash64(ENTITY_OF_ANY, trait) : hash64(ENTITY_OF_TENANT, tenant, trait)
}

export interface Trait {
  readonly trait: bigint
  readonly kind: number
  /** Traits of that kind that the disruption has. */
  readonly size: number
}

/** The traits by which a disruption is found. */
export function traitsOf(one: Disruption): Trait[] {
  const all = traits(one)
  const found = TRAIT_KINDS.flatMap((name, kind) =>
    [...all[name]].map(trait => ({ trait: hash64(kind, one.tenant, trait), kind, size: all[name].size })),
  )
  const size = one.entities.length
  for (const entity of new Set([one.entity, ...one.entities])) {
    found.push({ trait: entityTrait(entity, undefined), kind: ENTITY_OF_ANY, size })
    if (!all.entities.has(`entity ${entity}`))
      found.push({ trait: entityTrait(entity, one.tenant), kind: ENTITY_OF_TENANT, size })
  }
  return found
}

export type Tables = Record<TableName, Row[]>

/** Rows of lines, of each thing the newest only; `fromMs`: what was detected before is not kept. */
export function rowsOf(lines: readonly RecordLine[], fromMs: number): Tables {
  const disruptions = new Map<string, Disruption>()
  const anomalies = new Map<string, Anomaly>()
  const changes = new Map<string, Change>()
  const audit: Row[] = []
  for (const { id, timeMs, entry } of lines) {
    if (entry.type === 'disruption') {
      const { disruption } = entry.event
      const known = disruptions.get(disruption.id)
      if (!known || known.revision <= disruption.revision) disruptions.set(disruption.id, disruption)
    } else if (entry.type === 'anomaly') {
      const { anomaly } = entry
      if (anomalies.get(anomaly.id)?.status !== 'closed' || anomaly.status === 'closed')
        anomalies.set(anomaly.id, anomaly)
    } else if (entry.type === 'change') {
      changes.set(keyOfChange(entry.change), entry.change)
    } else if (timeMs >= fromMs) {
      const { who, action, detail } = entry
      const values = [who, action, JSON.stringify(detail ?? null)].map(textOf)
      audit.push({ id: textOf(id), detectedMs: Math.floor(timeMs), values })
    }
  }
  const tables: Tables = { disruptions: [], anomalies: [], traits: [], changes: [], audit }
  for (const one of disruptions.values()) {
    const row = disruptionRow(one)
    if (!(row.detectedMs >= fromMs)) continue
    tables.disruptions.push(row)
    for (const { trait, kind, size } of traitsOf(one))
      tables.traits.push({ id: row.id, detectedMs: row.detectedMs, values: [trait, kind, size] })
  }
  for (const one of anomalies.values()) {
    const row = anomalyRow(one)
    if (row.detectedMs >= fromMs) tables.anomalies.push(row)
  }
  for (const [id, one] of changes) {
    if (!(one.timeMs >= fromMs)) continue
    const tenant = tenantOfChange(one)
    const values = [
      textOf(tenant),
      hash64(tenant),
      ...[one.entity, one.kind, JSON.stringify(one)].map(textOf),
    ]
    tables.changes.push({ id, detectedMs: Math.floor(one.timeMs), values })
  }
  return tables
}

function disruptionRow(one: Disruption): Row {
  const { id, tenant, revision, status, severity, entity, startedAt, detectedAt, resolvedAt } = one
  const detectedMs = Date.parse(detectedAt)
  return {
    id: textOf(id),
    detectedMs,
    values: [
      textOf(tenant),
      hash64(tenant),
      revision,
      status,
      severity,
      textOf(entity),
      whole(Date.parse(startedAt), detectedMs),
      resolvedAt === null ? null : whole(Date.parse(resolvedAt), detectedMs),
      textOf(JSON.stringify(one)),
    ],
  }
}

function anomalyRow(one: Anomaly): Row {
  const { id, tenant, status, severity, entity, key, startMs, endMs, detectedMs } = one
  return {
    id: textOf(id),
    detectedMs: Math.floor(detectedMs),
    values: [
      textOf(tenant),
      hash64(tenant),
      status,
      severity,
      textOf(entity),
      hash64(entity),
      textOf(key),
      hash64(key),
      whole(startMs, detectedMs),
      status === 'open' ? null : whole(endMs, detectedMs),
      textOf(JSON.stringify(one)),
    ],
  }
}

function whole(timeMs: number, otherwise: number): number {
  return Math.floor(Number.isFinite(timeMs) ? timeMs : otherwise)
}

/** What no database takes as text, plain or in JSON: the character 0, and halves of characters. */
const UNSTORABLE = /\0|\p{Surrogate}|\\u0000|\\ud[89a-f]/iu
const ESCAPED = /(\\\\)|\\u0000|\\ud[89a-f][0-9a-f]{2}/gi
const PLAIN = /\0|\p{Surrogate}/gu

/** A text as databases take it: what they cannot store is the replacement character. JSON stays JSON. */
export function textOf(text: string): string {
  if (!UNSTORABLE.test(text)) return text
  return text.replace(PLAIN, '\ufffd').replace(ESCAPED, (all, pair) => (pair === undefined ? '\ufffd' : all))
}

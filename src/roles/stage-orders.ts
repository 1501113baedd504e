import { type Change, changeLine, parseChanges } from '../core/change.ts'
import { contentId } from '../core/identity.ts'
import type { MaintenanceOrder, MaintenanceWindow } from '../core/maintenance.ts'
import { CONTENT, HEADERS, type StoredMessage, type StreamMessage } from '../core/stream.ts'
import { isDate } from '../core/time.ts'
import type { Line } from '../effects.ts'

/**
 * What is said to a disruption stage besides window reports, each a message in its partition of the topic `anomalies`:
 * what the owner decided by the wall clock, changes, maintenance windows, and what people did.
 */

/** From here on nobody waits for partitions that have not told of the window. */
export interface SealOrder {
  readonly windowEndMs: number
  /** Samples partitions. */
  readonly partitions: readonly number[]
}

/** Something that people or programs did, for the record. */
export interface AuditNote {
  readonly timeMs: number
  readonly who: string
  readonly action: string
  readonly detail: unknown
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function sealMessage(order: SealOrder, partition: number, nowMs: number): StreamMessage {
  return {
    key: null,
    value: encoder.encode(JSON.stringify(order)),
    headers: { [HEADERS.content]: CONTENT.seal },
    timestampMs: nowMs,
    partition,
  }
}

/** Changes of one tenant; `origin` as HEADERS says, so that telling them again is dropped. */
export function changeMessage(
  changes: readonly Change[],
  tenant: string,
  partition: number,
  timestampMs: number,
  origin: string,
): StreamMessage {
  return {
    key: tenant,
    value: encoder.encode(changes.map(changeLine).join('\n')),
    headers: {
      [HEADERS.content]: CONTENT.change,
      [HEADERS.tenant]: tenant,
      [HEADERS.origin]: origin,
    },
    timestampMs,
    partition,
  }
}

/** To every anomalies partition. */
export function maintenanceMessage(order: MaintenanceOrder, partition: number, nowMs: number): StreamMessage {
  return {
    key: null,
    value: encoder.encode(JSON.stringify(order)),
    headers: { [HEADERS.content]: CONTENT.maintenance },
    timestampMs: nowMs,
    partition,
  }
}

/** To the partition of a tenant. */
export function auditMessage(note: AuditNote, tenant: string): StreamMessage {
  return {
    key: tenant,
    value: encoder.encode(JSON.stringify(note)),
    headers: { [HEADERS.content]: CONTENT.audit, [HEADERS.tenant]: tenant },
    timestampMs: note.timeMs,
  }
}

/** The order, or the reason why there is none. */
export function sealOf({ value }: StoredMessage): SealOrder | string {
  const read = json(value)
  if (typeof read === 'string') return read
  const { windowEndMs, partitions } = read
  const isList = Array.isArray(partitions) && partitions.every(one => Number.isInteger(one) && one >= 0)
  return typeof windowEndMs === 'number' && isList ? { windowEndMs, partitions } : 'not a seal'
}

export function maintenanceOf({ value }: StoredMessage): MaintenanceOrder | string {
  const read = json(value)
  if (typeof read === 'string') return read
  const window = read.op === 'add' ? (read.window as Partial<MaintenanceWindow> | null) : undefined
  const { id, tenant } = (read.op === 'remove' ? read : window) ?? {}
  const isNamed = typeof id === 'string' && typeof tenant === 'string'
  const isWhole = read.op === 'remove' || (typeof window?.times === 'object' && window.times !== null)
  return isNamed && isWhole ? (read as unknown as MaintenanceOrder) : 'not a maintenance order'
}

export function changesOf({ value, headers }: StoredMessage): readonly Change[] | string {
  const { changes, reasons } = parseChanges(value, headers[HEADERS.tenant] ?? 'default')
  return reasons.length > 0 ? reasons.join('; ').slice(0, 300) : changes
}

/** The line of the record. */
export function auditOf({ value }: StoredMessage): Line | string {
  const read = json(value)
  if (typeof read === 'string') return read
  const { timeMs, who, action, detail = null } = read
  if (typeof timeMs !== 'number' || !isDate(timeMs) || typeof who !== 'string' || typeof action !== 'string')
    return 'not a note for the record'
  const id = contentId('aud', timeMs, who, action, JSON.stringify(detail))
  return { id, timeMs, entry: { type: 'audit', who, action, detail } }
}

function json(bytes: Uint8Array): Record<string, unknown> | string {
  try {
    const read: unknown = JSON.parse(decoder.decode(bytes))
    return typeof read === 'object' && read !== null && !Array.isArray(read)
      ? (read as Record<string, unknown>)
      : 'not a JSON object'
  } catch (error) {
    return `not JSON: ${(error as Error).message}`.slice(0, 300)
  }
}

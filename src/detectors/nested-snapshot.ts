import { ForeshockError } from '../core/errors.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'

/** Between the name of a part inside and its column: no detector's own column has one. */
const MARK = '/'

/** One snapshot of a part that holds another: the inner columns beside its own, under `prefix`. */
export function nestSnapshot(own: Snapshot, prefix: string, inner: Snapshot): Snapshot {
  const columns: Record<string, ColumnData> = { ...own.columns }
  for (const [name, column] of Object.entries(inner.columns)) columns[prefix + MARK + name] = column
  return { ...own, columns, meta: { [prefix]: { id: inner.id, version: inner.version, meta: inner.meta } } }
}

/** The other way round. Throws FS_SNAPSHOT_INVALID when nothing was nested under `prefix`. */
export function unnestSnapshot(from: Snapshot, prefix: string): { own: Snapshot; inner: Snapshot } {
  const kept = (from.meta as Record<string, unknown> | null)?.[prefix]
  const { id, version, meta } = (kept ?? {}) as { id?: unknown; version?: unknown; meta?: unknown }
  if (typeof id !== 'string' || typeof version !== 'number')
    throw new ForeshockError('FS_SNAPSHOT_INVALID', `${from.id}: nothing is kept of its ${prefix}`)
  const own: Record<string, ColumnData> = {}
  const inner: Record<string, ColumnData> = {}
  for (const [name, column] of Object.entries(from.columns))
    if (name.startsWith(prefix + MARK)) inner[name.slice(prefix.length + MARK.length)] = column
    else own[name] = column
  return {
    own: { ...from, columns: own },
    inner: { id, version, meta, keys: from.keys, columns: inner },
  }
}

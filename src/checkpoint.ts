import { ForeshockError } from './core/errors.ts'
import type { Checkpoint, CheckpointStore, Position } from './core/ports.ts'
import type { SeriesMeta, SeriesTable } from './core/series.ts'
import type { Snapshot } from './core/snapshot.ts'

/** Anything whose learned state survives a restart. */
export interface Stateful {
  snapshot(): Snapshot[]
  restore(parts: readonly Snapshot[]): void
}

const SERIES_PART = { id: 'series', version: 1 } as const

/** A copy of all learned state as it stands after `position`; call it only while the pipeline stands still. */
export function capture(
  position: Position,
  nowMs: number,
  series: SeriesTable,
  parts: readonly Stateful[],
): Checkpoint {
  const table: Snapshot = { ...SERIES_PART, keys: series.keys(), columns: {}, meta: series.snapshot() }
  return { position, savedMs: nowMs, parts: [table, ...parts.flatMap(part => part.snapshot())] }
}

/** Puts a checkpoint back into empty parts. Throws FS_SNAPSHOT_INVALID when a part cannot read it. */
export function restore(checkpoint: Checkpoint, series: SeriesTable, parts: readonly Stateful[]): void {
  const table = checkpoint.parts.find(part => part.id === SERIES_PART.id)
  if (table?.version !== SERIES_PART.version) {
    throw new ForeshockError('FS_SNAPSHOT_INVALID', 'the checkpoint holds no series table of this version')
  }
  series.restore(table.meta as { metas: (SeriesMeta | null)[]; free: number[] })
  for (const part of parts) part.restore(checkpoint.parts)
}

/** Restores from the newest checkpoint; returns the position to read the journal after, 0 without one. */
export async function resume(
  store: CheckpointStore,
  series: SeriesTable,
  parts: readonly Stateful[],
): Promise<Position> {
  const checkpoint = await store.load()
  if (!checkpoint) return 0
  restore(checkpoint, series, parts)
  return checkpoint.position
}

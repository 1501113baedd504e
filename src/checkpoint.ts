import { ForeshockError } from './core/errors.ts'
import type { Checkpoint, CheckpointStore, Position } from './core/ports.ts'
import type { SeriesTable } from './core/series.ts'
import type { Snapshot } from './core/snapshot.ts'

/** Anything whose learned state survives a restart. */
export interface Stateful {
  snapshot(): Snapshot[]
  restore(parts: readonly Snapshot[]): void
}

/** A copy of all learned state as it stands after `position`; call it only while the pipeline stands still. */
export function capture(
  position: Position,
  nowMs: number,
  series: SeriesTable,
  parts: readonly Stateful[],
): Checkpoint {
  return { position, savedMs: nowMs, parts: [series.snapshot(), ...parts.flatMap(part => part.snapshot())] }
}

/** Puts a checkpoint back into empty parts. Throws FS_SNAPSHOT_INVALID when a part cannot read it. */
export function restore(checkpoint: Checkpoint, series: SeriesTable, parts: readonly Stateful[]): void {
  const table = checkpoint.parts.find(part => part.id === 'series')
  if (!table) throw new ForeshockError('FS_SNAPSHOT_INVALID', 'the checkpoint holds no series table')
  series.restore(table)
  for (const part of parts) part.restore(checkpoint.parts)
}

/**
 * Builds the parts anew and gives them what the newest checkpoint holds. A checkpoint of another layout (an upgrade, or
 * another window step in the configuration) is passed over with a warning and learning begins again: stale state never
 * stays behind. Returns the position to read the journal after, 0 without a checkpoint.
 */
export async function resume<P extends { readonly series: SeriesTable }>(
  store: CheckpointStore,
  build: () => P,
  statefulOf: (parts: P) => readonly Stateful[],
  onWarning: (text: string) => void,
  /** Makes a checkpoint fit what the configuration says now. */
  adapt: (checkpoint: Checkpoint) => Checkpoint = checkpoint => checkpoint,
): Promise<{ readonly parts: P; readonly position: Position }> {
  const checkpoint = await store.load()
  const parts = build()
  if (!checkpoint) return { parts, position: 0 }
  const { position } = checkpoint
  try {
    restore(adapt(checkpoint), parts.series, statefulOf(parts))
    return { parts, position }
  } catch (error) {
    if (!(error instanceof ForeshockError) || error.code !== 'FS_SNAPSHOT_INVALID') throw error
    onWarning(`what was learned cannot be used and is learned anew: ${error.message}`)
    return { parts: build(), position }
  }
}

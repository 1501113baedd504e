import { Cut, type CutSnapshot, HELD_BYTES_MAX } from './core/cut.ts'
import { ForeshockError } from './core/errors.ts'
import type { Checkpoint, CheckpointCut, CheckpointStore, Position } from './core/ports.ts'
import { type SeriesTable, savedMetas } from './core/series.ts'
import type { Snapshot } from './core/snapshot.ts'

/** Anything whose learned state survives a restart. */
export interface Stateful {
  snapshot(): Snapshot[]
  /** The same without copying what is large: see `Cut`. Whoever has none is copied at once. */
  cut?(cut: Cut): CutSnapshot[]
  restore(parts: readonly Snapshot[]): void
}

const SERIES_PART = 'series'

/** A copy of all learned state as it stands after `position`; call it only while the pipeline stands still. */
export function capture(
  position: Position,
  nowMs: number,
  series: SeriesTable,
  parts: readonly Stateful[],
): Checkpoint {
  return { position, savedMs: nowMs, parts: [series.snapshot(), ...parts.flatMap(part => part.snapshot())] }
}

/**
 * As `capture`, in milliseconds however much is learned: the state stays where it is until a store takes it, which must
 * follow. `cut`: one with another bound.
 */
export function cutAt(
  position: Position,
  nowMs: number,
  series: SeriesTable,
  parts: readonly Stateful[],
  cut = new Cut(HELD_BYTES_MAX, series.capacity),
): CheckpointCut {
  const table = series.cut(cut)
  const rest = parts.flatMap(part => part.cut?.(cut) ?? part.snapshot().map(one => byRow(one, series)))
  return { position, savedMs: nowMs, parts: [table, ...rest], cut }
}

/** A part that repeats the keys of the whole table need not. */
function byRow(part: Snapshot, series: SeriesTable): CutSnapshot {
  const { length } = part.keys
  if (length === 0 || length !== series.capacity || part.keys !== series.keys()) return part
  return { ...part, keys: [], rows: length }
}

/**
 * Puts a checkpoint back into empty parts; `isGiven`: they may keep its columns, which nobody else has. Throws
 * FS_SNAPSHOT_INVALID when a part cannot read it.
 */
export function restore(
  checkpoint: Checkpoint,
  series: SeriesTable,
  parts: readonly Stateful[],
  isGiven = false,
): void {
  const given = isGiven ? GIVEN : {}
  const table = checkpoint.parts.find(part => part.id === SERIES_PART)
  if (!table) throw new ForeshockError('FS_SNAPSHOT_INVALID', 'the checkpoint holds no series table')
  series.restore({ ...table, ...given })
  const saved = checkpoint.parts.map(part => withKeys(part, () => series.keys(), given))
  for (const part of parts) part.restore(saved)
}

const GIVEN = { isGiven: true } as const

/** A part that names its rows by those of the series table, with their keys for whoever asks for them. */
function withKeys(
  part: Snapshot,
  tableKeys: () => readonly string[],
  given: Pick<Snapshot, 'isGiven'>,
): Snapshot {
  const { id, version, columns, meta, rows } = part
  if (rows === undefined) return { ...part, ...given }
  let keys: readonly string[] | undefined
  return {
    ...given,
    id,
    version,
    rows,
    columns,
    meta,
    get keys() {
      keys ??=
        typeof rows === 'number' ? tableKeys().slice(0, rows) : Array.from(rows, r => tableKeys()[r] ?? '')
      return keys
    },
  }
}

/** A checkpoint whose parts name their rows by key alone, for whoever changes the series table in it. */
export function keyed(checkpoint: Checkpoint): Checkpoint {
  const table = checkpoint.parts.find(part => part.id === SERIES_PART)
  const all = table ? savedMetas(table).metas.map(meta => meta?.key ?? '') : []
  const parts = checkpoint.parts.map(part => {
    const { rows: _, ...rest } = part
    return part.rows === undefined ? part : { ...rest, keys: withKeys(part, () => all, {}).keys }
  })
  return { ...checkpoint, parts }
}

/** What `resume` puts a checkpoint into. */
interface Resumable {
  readonly series: SeriesTable
  /** Closed where it is of no use: it may have threads of its own. */
  readonly scoring?: { close?(): Promise<void> }
}

/**
 * Builds the parts anew and gives them what the newest checkpoint holds. A checkpoint of another layout (an upgrade, or
 * another window step in the configuration) is passed over with a warning and learning begins again: stale state never
 * stays behind. Returns the position to read the journal after, 0 without a checkpoint.
 */
export async function resume<P extends Resumable>(
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
    restore(adapt(checkpoint), parts.series, statefulOf(parts), true)
    return { parts, position }
  } catch (error) {
    await parts.scoring?.close?.()
    if (!(error instanceof ForeshockError) || error.code !== 'FS_SNAPSHOT_INVALID') throw error
    onWarning(`what was learned cannot be used and is learned anew: ${error.message}`)
    return { parts: build(), position }
  }
}

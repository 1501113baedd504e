import type { Snapshot } from '../core/snapshot.ts'
import type { SentPart } from './words.ts'

// What a checkpoint has of scoring: parts of one thread or one worker have their own names, those of several the number of
// theirs before it.

export const HISTORY_ID = 'history'

/** The names of a worker's parts among those of `count`. */
export function prefixOf(shard: number, count: number): string {
  return count === 1 ? '' : `shard${shard}/${count}:`
}

/** How many workers saved these parts; undefined when it was one thread or one worker. */
export function savedBy(parts: readonly Snapshot[]): number | undefined {
  for (const { id } of parts) {
    const count = /^shard\d+\/(\d+):/.exec(id)?.[1]
    if (count !== undefined) return Number(count)
  }
  return undefined
}

/** Why so many workers, 0 for none, cannot go on with what was saved; undefined where they can. */
export function undivided(parts: readonly Snapshot[], workers: number): string | undefined {
  const by = savedBy(parts)
  if (by === undefined || by === workers) return undefined
  const whom = workers === 0 ? 'put together for one thread' : `divided among ${workers}`
  return `what ${by} workers had learned cannot be ${whom}: detectors learn anew`
}

/** The parts that a worker of `count` is to put back; `listed`: the names of parts of scoring in one thread. */
export function partsFor(
  shard: number,
  count: number,
  parts: readonly Snapshot[],
  listed: ReadonlySet<string>,
): readonly Snapshot[] {
  const past = parts.filter(({ id }) => id === HISTORY_ID)
  const by = savedBy(parts)
  if (by === undefined) return [...past, ...parts.filter(({ id }) => id !== HISTORY_ID && listed.has(id))]
  if (by !== count) return past
  const prefix = prefixOf(shard, count)
  const saved = parts.filter(({ id }) => id.startsWith(prefix))
  return [...past, ...saved.map(part => renamed(part, part.id.slice(prefix.length)))]
}

/** Memory of parts that nobody else has, nor wants: history is wanted by two. */
export function buffersOf(parts: readonly Snapshot[]): ArrayBuffer[] {
  const buffers = parts
    .filter(({ id, isGiven }) => isGiven && id !== HISTORY_ID)
    .flatMap(({ columns }) => Object.values(columns))
    .filter(({ byteLength, buffer }) => byteLength === buffer.byteLength && buffer instanceof ArrayBuffer)
    .map(({ buffer }) => buffer as ArrayBuffer)
  return [...new Set(buffers)]
}

/** A part as it crosses: keys are made only where nothing else names the rows. */
export function sent(part: Snapshot): SentPart {
  const { id, version, rows, columns, meta } = part
  return rows === undefined
    ? { id, version, keys: part.keys, columns, meta }
    : { id, version, keys: [], rows, columns, meta }
}

function renamed(part: Snapshot, id: string): Snapshot {
  return Object.defineProperties({ ...sent(part), id }, { keys: { get: () => part.keys } }) as Snapshot
}

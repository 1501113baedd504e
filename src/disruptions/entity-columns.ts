import type { ColumnData } from '../core/snapshot.ts'
import type { EntityMemory } from './entities.ts'

/** What never changes of an entity is told as lists of texts, which a checkpoint may share with the fleet. */
export interface SavedEntities {
  readonly tenants: readonly string[]
  readonly names: readonly string[]
  readonly namespaces: readonly string[]
}

/** First seen, evidence of three windows, onset, last strange, traffic; NaN for null. */
const WIDTH = 7

/** Memories of entities as a column of numbers and lists of texts. */
export function entityColumnsOf(entities: readonly EntityMemory[]): {
  readonly memory: Float64Array
  readonly names: SavedEntities
} {
  const { length } = entities
  const memory = new Float64Array(WIDTH * length)
  const tenants = new Array<string>(length)
  const names = new Array<string>(length)
  const namespaces = new Array<string>(length)
  for (let i = 0, at = 0; i < length; i++, at += WIDTH) {
    const entity = entities[i]
    tenants[i] = entity.tenant
    names[i] = entity.name
    namespaces[i] = entity.namespace
    memory[at] = entity.firstSeenMs
    memory[at + 1] = entity.recent[0]
    memory[at + 2] = entity.recent[1]
    memory[at + 3] = entity.recent[2]
    memory[at + 4] = entity.onsetMs ?? Number.NaN
    memory[at + 5] = entity.lastStrangeMs
    memory[at + 6] = entity.traffic
  }
  return { memory, names: { tenants, names, namespaces } }
}

/** The memories again; undefined when the column is missing or of another shape. */
export function savedEntities(
  { tenants, names, namespaces }: SavedEntities,
  memory: ColumnData | undefined,
): EntityMemory[] | undefined {
  if (!(memory instanceof Float64Array) || memory.length !== WIDTH * names.length) return undefined
  return names.map((name, i) => {
    const at = WIDTH * i
    const [onsetMs, lastStrangeMs, traffic] = memory.subarray(at + 4, at + WIDTH)
    return {
      tenant: tenants[i],
      name,
      namespace: namespaces[i],
      firstSeenMs: memory[at],
      recent: [memory[at + 1], memory[at + 2], memory[at + 3]],
      onsetMs: Number.isNaN(onsetMs) ? null : onsetMs,
      lastStrangeMs,
      traffic,
    }
  })
}

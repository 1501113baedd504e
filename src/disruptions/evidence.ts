import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk } from '../core/columns.ts'
import { F, FAMILY_SLOTS } from './families.ts'

/** What is kept per series row: where it belongs, worked out once, and when it was last heard. 22 bytes. */
export const ROW_COLUMNS = {
  /** Entity + 1; 0 is not worked out yet. */
  entity: 'u32',
  family: 'u8',
  /** Instance + 1; 0 is none. */
  instance: 'u32',
  /** Edge + 1; 0 is none: the row measures no call. */
  edge: 'u32',
  lastLiveMs: 'f64',
  /** Whether it is a share with a limit, as `Ceilings` knows it. */
  ceiling: 'u8',
} as const
export type RowChunk = Chunk<typeof ROW_COLUMNS>

/** Sums of one window per entity; slots are `entity × FAMILY_SLOTS + family`. */
export interface EntityColumns {
  /** Largest evidence of the family, 0..8. */
  strength: Float64Array
  /** Observed / expected of that largest series; 0 unknown. */
  ratio: Float64Array
  direction: Int8Array
  trafficObserved: Float64Array
  trafficExpected: Float64Array
  /** Own rows (calls measured by others do not count) heard lately, heard now, and found absent now. */
  recent: Uint32Array
  live: Uint32Array
  absent: Uint32Array
}

export interface InstanceColumns {
  recent: Uint32Array
  live: Uint32Array
  absent: Uint32Array
}

/** Evidence that the detectors give a series found absent. */
export const ABSENT_EVIDENCE = 8

/**
 * The hot loop: every row of every window once. Rows must have been placed. Ties between equally strong series
 * of one family go to the larger ratio, so that the order of rows does not matter.
 */
export function gather(
  batch: FeatureBatch,
  opinions: OpinionBatch,
  chunks: readonly RowChunk[],
  entities: EntityColumns,
  instances: InstanceColumns,
  edgeSeenMs: Float64Array,
  forgetAfterMs: number,
): void {
  const { series, windowEndMs, observed } = batch
  const { evidence, expected, direction } = opinions
  for (let i = 0; i < batch.length; i++) {
    const rows = chunks[series[i] >> CHUNK_SHIFT]
    const row = series[i] & CHUNK_MASK
    const entity = rows.entity[row] - 1
    const value = observed[i]
    const live = !Number.isNaN(value)
    const end = windowEndMs[i]
    const edge = rows.edge[row]
    const a = evidence[i]
    if (live) {
      rows.lastLiveMs[row] = end
      if (edge > 0) edgeSeenMs[edge - 1] = end
    }
    if (edge === 0 && end - rows.lastLiveMs[row] <= forgetAfterMs) {
      const instance = rows.instance[row]
      const gone = !live && a >= ABSENT_EVIDENCE ? 1 : 0
      entities.recent[entity]++
      entities.absent[entity] += gone
      if (live) entities.live[entity]++
      if (instance > 0) {
        instances.recent[instance - 1]++
        instances.absent[instance - 1] += gone
        if (live) instances.live[instance - 1]++
      }
    }
    if (!live) continue
    const family = rows.family[row]
    const usual = expected[i]
    if (family === F.load && !Number.isNaN(usual)) {
      entities.trafficObserved[entity] += value
      entities.trafficExpected[entity] += usual
    }
    if (a > 0) {
      const slot = entity * FAMILY_SLOTS + family
      const ratio = usual > 0 ? value / usual : 0
      if (a > entities.strength[slot] || (a === entities.strength[slot] && ratio > entities.ratio[slot])) {
        entities.strength[slot] = a
        entities.ratio[slot] = ratio
        entities.direction[slot] = direction[i]
      }
    }
  }
}

/** Sums live for one window only, so growing between windows copies nothing; within one it copies all. */
export function entityColumns(entities: number, from?: EntityColumns): EntityColumns {
  const out: EntityColumns = {
    strength: new Float64Array(entities * FAMILY_SLOTS),
    ratio: new Float64Array(entities * FAMILY_SLOTS),
    direction: new Int8Array(entities * FAMILY_SLOTS),
    trafficObserved: new Float64Array(entities),
    trafficExpected: new Float64Array(entities),
    recent: new Uint32Array(entities),
    live: new Uint32Array(entities),
    absent: new Uint32Array(entities),
  }
  if (from) {
    out.strength.set(from.strength)
    out.ratio.set(from.ratio)
    out.direction.set(from.direction)
    out.trafficObserved.set(from.trafficObserved)
    out.trafficExpected.set(from.trafficExpected)
    out.recent.set(from.recent)
    out.live.set(from.live)
    out.absent.set(from.absent)
  }
  return out
}

export function clearEntities(columns: EntityColumns): void {
  columns.strength.fill(0)
  columns.ratio.fill(0)
  columns.direction.fill(0)
  columns.trafficObserved.fill(0)
  columns.trafficExpected.fill(0)
  columns.recent.fill(0)
  columns.live.fill(0)
  columns.absent.fill(0)
}

export function instanceColumns(instances: number, from?: InstanceColumns): InstanceColumns {
  const out: InstanceColumns = {
    recent: new Uint32Array(instances),
    live: new Uint32Array(instances),
    absent: new Uint32Array(instances),
  }
  if (from) {
    out.recent.set(from.recent)
    out.live.set(from.live)
    out.absent.set(from.absent)
  }
  return out
}

export function clearInstances(columns: InstanceColumns): void {
  columns.recent.fill(0)
  columns.live.fill(0)
  columns.absent.fill(0)
}

/** Power-of-two growth, so that growing costs little in the long run. */
export function grown(needed: number, have: number): number {
  let size = Math.max(have, 64)
  while (size < needed) size *= 2
  return size
}

import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk } from '../core/columns.ts'
import { F, FAMILY_SLOTS } from './families.ts'

/** What is kept per series row: where it belongs, worked out once, and when it was last heard. 24 bytes. */
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
  /** Its place among the shares of the chunk. */
  share: 'u16',
} as const
export type RowChunk = Chunk<typeof ROW_COLUMNS>

/** Sums of one window per entity; slots are `entity × FAMILY_SLOTS + family`. */
export interface EntityColumns extends InstanceColumns {
  /** Largest evidence of the family, 0..8. */
  strength: Float64Array
  /** Observed / expected of that largest series; 0 unknown. */
  ratio: Float64Array
  direction: Int8Array
  trafficObserved: Float64Array
  trafficExpected: Float64Array
}

/** Own rows (calls measured by others do not count) heard lately, heard now, and found absent now. */
export interface InstanceColumns {
  recent: Uint32Array
  live: Uint32Array
  absent: Uint32Array
}

/** What `ceiling` says of a row that is no share with a limit. */
export const NO_CEILING = 1

/** Evidence that the detectors give a series found absent. */
export const ABSENT_EVIDENCE = 8

/** Where the sums of a window go, and what they are made with. */
export interface Gathering {
  readonly chunks: readonly RowChunk[]
  readonly entities: EntityColumns
  readonly instances: InstanceColumns
  /** By number of the edge. */
  readonly edgeSeenMs: Float64Array
  readonly forgetAfterMs: number
  /** Positions in the batch of rows that `Ceilings` wants to see; as long as what is gathered at once. */
  readonly watched: Uint32Array
  watchedCount: number
}

/**
 * The hot loop: every row of every window once, from position `from` on up to `end`. Stops at a row that is not placed yet;
 * returns its position, or `end`. Ties between equally strong series of one family go to the larger ratio, then to the one that
 * fell, so that the order of rows does not matter.
 */
export function gather(
  batch: FeatureBatch,
  opinions: OpinionBatch,
  into: Gathering,
  from: number,
  end: number,
): number {
  const { series } = batch
  let at = from
  while (at < end) {
    const chunk = series[at] >> CHUNK_SHIFT
    const to = endOfChunk(series, at, end)
    at = gatherChunk(batch, opinions, into, into.chunks[chunk], at, to)
    if (at < to) break
  }
  return at
}

/** Position after the last row that lies in the same chunk as the one at `from`; rows ascend. */
function endOfChunk(series: Uint32Array, from: number, length: number): number {
  const chunk = series[from] >> CHUNK_SHIFT
  if (series[length - 1] >> CHUNK_SHIFT === chunk) return length
  let low = from
  let high = length - 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (series[middle] >> CHUNK_SHIFT === chunk) low = middle
    else high = middle
  }
  return high
}

/** Positions [from, to). Signs of life are summed while rows are of one instance, which is nearly always the next one's too. */
function gatherChunk(
  { series, observed, windowEndMs }: FeatureBatch,
  { evidence, expected, direction }: OpinionBatch,
  into: Gathering,
  rows: RowChunk,
  from: number,
  to: number,
): number {
  const { entities, instances, edgeSeenMs, forgetAfterMs, watched } = into
  const { strength, ratio } = entities
  const { entity: entityOf, instance: instanceOf, ceiling, edge: edgeOf, family: familyOf, lastLiveMs } = rows
  // All rows of a batch end at one time.
  const end = windowEndMs[0]
  // What other modules hold is read again for every row unless it is held here.
  const [mask, slots, load, none, absent] = [CHUNK_MASK, FAMILY_SLOTS, F.load, NO_CEILING, ABSENT_EVIDENCE]
  let { watchedCount } = into
  let entity = 0
  let instance = 0
  let recent = 0
  let live = 0
  let gone = 0
  let i = from
  for (; i < to; i++) {
    const at = series[i] & mask
    const own = entityOf[at]
    if (own === 0) break
    const copy = instanceOf[at]
    if (own !== entity || copy !== instance) {
      if (recent > 0) note(entities, instances, entity, instance, recent, live, gone)
      entity = own
      instance = copy
      recent = 0
      live = 0
      gone = 0
    }
    if (ceiling[at] !== none) watched[watchedCount++] = i
    const value = observed[i]
    const edge = edgeOf[at]
    const a = evidence[i]
    if (Number.isNaN(value)) {
      if (edge === 0 && end - lastLiveMs[at] <= forgetAfterMs) {
        recent++
        if (a >= absent) gone++
      }
      continue
    }
    lastLiveMs[at] = end
    if (edge > 0) edgeSeenMs[edge - 1] = end
    else {
      recent++
      live++
    }
    const family = familyOf[at]
    if (family === load) {
      const usual = expected[i]
      if (!Number.isNaN(usual)) {
        entities.trafficObserved[own - 1] += value
        entities.trafficExpected[own - 1] += usual
      }
    }
    if (a > 0) {
      const slot = (own - 1) * slots + family
      if (a >= strength[slot]) {
        const usual = expected[i]
        const times = usual > 0 ? value / usual : 0
        const way = direction[i]
        if (
          a > strength[slot] ||
          times > ratio[slot] ||
          (times === ratio[slot] && way < entities.direction[slot])
        ) {
          strength[slot] = a
          ratio[slot] = times
          entities.direction[slot] = way
        }
      }
    }
  }
  if (recent > 0) note(entities, instances, entity, instance, recent, live, gone)
  into.watchedCount = watchedCount
  return i
}

function note(
  entities: EntityColumns,
  instances: InstanceColumns,
  entity: number,
  instance: number,
  recent: number,
  live: number,
  gone: number,
): void {
  entities.recent[entity - 1] += recent
  entities.live[entity - 1] += live
  entities.absent[entity - 1] += gone
  if (instance === 0) return
  instances.recent[instance - 1] += recent
  instances.live[instance - 1] += live
  instances.absent[instance - 1] += gone
}

/** Weight of each row from..to of a batch: `weight` of entities that `disrupted` is 1 of, by index, else 1. */
export function weighRows(
  batch: FeatureBatch,
  chunks: readonly RowChunk[],
  disrupted: Uint8Array,
  weight: number,
  out: Float32Array,
  from: number,
  to: number,
): void {
  const { series } = batch
  const [shift, mask] = [CHUNK_SHIFT, CHUNK_MASK]
  let chunk = -1
  let entity: Uint32Array | undefined
  for (let i = from; i < to; i++) {
    const row = series[i]
    if (row >> shift !== chunk) {
      chunk = row >> shift
      entity = chunks[chunk]?.entity
    }
    const e = entity === undefined ? 0 : entity[row & mask]
    out[i] = e > 0 && e <= disrupted.length && disrupted[e - 1] === 1 ? weight : 1
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
    ...instanceColumns(entities),
  }
  if (from) copySums(from, out)
  return out
}

export function instanceColumns(instances: number, from?: InstanceColumns): InstanceColumns {
  const out: InstanceColumns = {
    recent: new Uint32Array(instances),
    live: new Uint32Array(instances),
    absent: new Uint32Array(instances),
  }
  if (from) copySums(from, out)
  return out
}

function copySums<T extends EntityColumns | InstanceColumns>(from: T, to: T): void {
  for (const name of Object.keys(from) as (keyof T)[])
    (to[name] as Uint32Array).set(from[name] as Uint32Array)
}

export function clearSums(columns: EntityColumns | InstanceColumns): void {
  for (const sums of Object.values(columns)) sums.fill(0)
}

/** Power-of-two growth, so that growing costs little in the long run. */
export function grown(needed: number, have: number): number {
  let size = Math.max(have, 64)
  while (size < needed) size *= 2
  return size
}

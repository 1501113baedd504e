import type { FeatureBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type ColumnStore } from '../core/columns.ts'
import { unitFloor } from '../core/metric-kind.ts'
import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import type { EntityColumns, ROW_COLUMNS } from './evidence.ts'
import { FAMILY_SLOTS } from './families.ts'

/**
 * Shares of success that are always full, and of failure that are always none: to leave that limit for some
 * windows is strange however little it is, and strangest where an earlier disaster has widened the usual spread,
 * which is what the detectors divide by. Evidence is the distance from the limit in half floors (half a point of
 * a share: what `sigma` of the change scores grants a constant series), 0..8, as the detectors grade. A series
 * that often leaves its limit without anybody being told is left to the detectors alone.
 * Source: own; chosen on Online Boutique of Nezha, where every fall below 98 % within a day lies in a fault.
 */

/** Windows at the limit before leaving it means anything: as many as the detectors need to speak. */
const CLEAN_WINDOWS = 12
const EVIDENCE_MAX = 8
/** Each time that the limit was left and nothing came of it takes this much off what the next time says. */
const UNTOLD_WEIGHT = 0.5
/** Windows in which half of that is forgotten: the half-life of the detectors' tails. */
const UNTOLD_HALF_LIFE = 720
const UNTOLD_KEEP = 2 ** (-1 / UNTOLD_HALF_LIFE)
const CLEAN_MAX = 65_535

/** What a row is: not looked at yet, no share, or a share whose slot the map knows. */
const UNSEEN = 0
const FREE = 1
const SHARE = 2

/** What was learned of one share, by the place of its row among the keys of a snapshot. */
export type SavedCeiling = readonly [row: number, clean: number, away: number, untold: number]
const SAVED_WIDTH = 4

/** Few series are shares, so their state has slots of its own instead of a place in every row. */
interface Slot {
  readonly limit: number
  /** Half a floor, the series' unit: what is nearer to the limit is at it. */
  readonly step: number
  readonly direction: -1 | 1
  /** Windows at the limit so far, saturating. */
  clean: number
  isAway: boolean
  /** Times it was left and came back untold, slowly forgotten. */
  untold: number
}

export class Ceilings {
  readonly #table: SeriesTable
  readonly #slots = new Map<number, Slot>()
  readonly #rows: ColumnStore<typeof ROW_COLUMNS>

  /** What a row is stands in its column `ceiling`. */
  constructor(table: SeriesTable, rows: ColumnStore<typeof ROW_COLUMNS>) {
    this.#table = table
    this.#rows = rows
  }

  /**
   * Raises the evidence of entities whose shares left their limit. To be called once for every batch, after the
   * evidence of the detectors was gathered; `disrupted` is 1 for entities (by index) of which a disruption is told
   * already.
   */
  raise(batch: FeatureBatch, entities: EntityColumns, disrupted: Uint8Array): void {
    const { chunks } = this.#rows
    const { length, series, observed } = batch
    for (let i = 0; i < length; i++) {
      const row = series[i]
      const rows = chunks[row >> CHUNK_SHIFT]
      const place = row & CHUNK_MASK
      const kind = rows.ceiling[place]
      if (kind === FREE) continue
      const slot = kind === UNSEEN ? this.#learn(row) : this.#slots.get(row)
      if (!slot || Number.isNaN(observed[i])) continue
      const entity = rows.entity[place] - 1
      const told = entity < disrupted.length && disrupted[entity] === 1
      const strength = away(slot, observed[i], told)
      const at = entity * FAMILY_SLOTS + rows.family[place]
      if (!(strength > entities.strength[at])) continue
      entities.strength[at] = strength
      entities.ratio[at] = 0
      entities.direction[at] = slot.direction
    }
  }

  forget(row: number): void {
    this.#mark(row, UNSEEN)
    this.#slots.delete(row)
  }

  /** Four numbers a share: see SavedCeiling. */
  saved(): Float64Array {
    const out = new Float64Array(SAVED_WIDTH * this.#slots.size)
    let at = 0
    for (const [row, { clean, isAway, untold }] of this.#slots) {
      out[at] = row
      out[at + 1] = clean
      out[at + 2] = isAway ? 1 : 0
      out[at + 3] = untold
      at += SAVED_WIDTH
    }
    return out
  }

  /** Takes over what a snapshot knew of the series that are here; `rowOf` gives the row of a place in it, or −1. */
  restore(saved: ArrayLike<number>, rowOf: (place: number) => number): void {
    this.#slots.clear()
    for (const { ceiling } of this.#rows.chunks) ceiling.fill(UNSEEN)
    for (let at = 0; at + SAVED_WIDTH <= saved.length; at += SAVED_WIDTH) {
      const row = rowOf(saved[at])
      const slot = row < 0 || !this.#table.has(row) ? undefined : this.#learn(row)
      if (slot === undefined) continue
      slot.clean = saved[at + 1]
      slot.isAway = saved[at + 2] === 1
      slot.untold = saved[at + 3]
    }
  }

  bytes(): number {
    return 120 * this.#slots.size
  }

  #learn(row: number): Slot | undefined {
    const slot = slotOf(this.#table.meta(row))
    this.#mark(row, slot ? SHARE : FREE)
    if (slot) this.#slots.set(row, slot)
    return slot
  }

  #mark(row: number, kind: number): void {
    const chunk = this.#rows.chunks[row >> CHUNK_SHIFT]
    if (chunk) chunk.ceiling[row & CHUNK_MASK] = kind
  }
}

/** One window of one share. Returns how strange it is, 0..8. */
function away(slot: Slot, value: number, told: boolean): number {
  const distance = Math.abs(value - slot.limit)
  slot.untold *= UNTOLD_KEEP
  if (distance <= slot.step) {
    if (slot.isAway && !told) slot.untold++
    slot.isAway = false
    if (slot.clean < CLEAN_MAX) slot.clean++
    return 0
  }
  slot.isAway = true
  if (slot.clean < CLEAN_WINDOWS) return 0
  return Math.min(EVIDENCE_MAX, distance / slot.step) / (1 + UNTOLD_WEIGHT * slot.untold)
}

/** A share that is full or none when all is well; undefined for others. Counts have no limit: what is much is not known. */
function slotOf({ kind, unit, bad }: SeriesMeta): Slot | undefined {
  if (unit !== 'ratio' && unit !== 'percent') return undefined
  const state = { step: unitFloor(kind, unit) / 2, clean: 0, isAway: false, untold: 0 }
  if (kind === 'availability' && bad === 'down')
    return { limit: unit === 'percent' ? 100 : 1, direction: -1, ...state }
  if (kind === 'error' && bad === 'up') return { limit: 0, direction: 1, ...state }
  return undefined
}

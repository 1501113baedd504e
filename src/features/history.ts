import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { rowsIn, rowsOf } from '../core/columns.ts'
import { type Cut, CutColumn, type CutSnapshot } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { HistoryColumns, SeriesHistory, WindowsAt } from '../core/history.ts'
import { RowStretches, ranksBy } from '../core/row-stretches.ts'
import type { SeriesRows } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { HistoryPlaces, NO_ROW, NO_SLOT, REFUSED } from './history-places.ts'
import {
  blankSince,
  FIELDS,
  HistoryRings,
  modulo,
  SLAB_SHIFT,
  SLAB_SLOTS,
  splitObserved,
  writeWindow,
} from './history-rings.ts'

export interface HistoryOptions {
  readonly stepMs: number
  /** Windows kept per series; an hour at 10 s. */
  readonly depth?: number | undefined
  /** Bytes for all series; those that come when it is spent get no history. */
  readonly budgetBytes?: number | undefined
  /**
   * The first place of a batch's rows, from `from` on, of a series that is kept, and `length` where none is; all are when left out.
   * One that joins begins with `fill`, one that leaves ends with `forget`.
   */
  readonly nextKept?: ((series: Uint32Array, from: number, length: number) => number) | undefined
}

/** As `nextKept`, asking of each series. */
export function nextWhere(isKept: (series: number) => boolean): NonNullable<HistoryOptions['nextKept']> {
  return (series, from, length) => {
    let i = from
    while (i < length && !isKept(series[i])) i++
    return i
  }
}

export const HISTORY_DEFAULTS = { depth: 360, budgetBytes: 268_435_456 } as const

/** Version 1 had all fields window by window. */
const VERSION = 2
const ID = 'history'
/** What is known of series without their windows. */
const OUTLINE_ID = 'history-outline'

/**
 * The last windows of each series: which series has which slot of memory, and a ring of windows in each. Each slot knows its
 * newest window, and what lies between is filled with NaN when the series comes back.
 */
export class WindowHistory implements SeriesHistory {
  readonly depth: number
  readonly stepMs: number
  /** Bytes that all series may take together. */
  readonly budgetBytes: number
  readonly #table: SeriesRows
  readonly #places: HistoryPlaces
  readonly #rings: HistoryRings
  readonly #nextKept: HistoryOptions['nextKept']
  #window = Number.NaN
  /** What a cut that is being written still needs of the slabs. */
  #cut: RowStretches | undefined

  constructor(options: HistoryOptions, context: { readonly series: SeriesRows }) {
    this.depth = options.depth ?? HISTORY_DEFAULTS.depth
    this.stepMs = options.stepMs
    this.budgetBytes = options.budgetBytes ?? HISTORY_DEFAULTS.budgetBytes
    this.#places = new HistoryPlaces(Math.floor(this.budgetBytes / (this.depth * FIELDS * 4 + 8)))
    this.#rings = new HistoryRings(this.depth)
    this.#table = context.series
    this.#nextKept = options.nextKept
  }

  get newestEndMs(): number {
    return this.#window * this.stepMs
  }

  /** Series held. */
  get size(): number {
    return this.#places.held
  }

  held(): Uint32Array {
    const rows = new Uint32Array(this.#places.used)
    let length = 0
    for (let slot = 0; slot < this.#places.used; slot++) {
      const series = this.#places.seriesOf[slot]
      if (series !== NO_ROW && this.#table.has(series)) rows[length++] = series
    }
    return rows.subarray(0, length)
  }

  /** Series that have no history because the budget is spent. */
  get refused(): number {
    return this.#places.refused
  }

  /** Takes the rows from..to of one window; windows come in ascending order. */
  record(batch: FeatureBatch, opinions: OpinionBatch, from = 0, to = batch.length): void {
    if (from >= to) return
    if (this.#cut?.isOpen !== true) this.#cut = undefined
    const cut = this.#cut
    const window = Math.round(batch.windowEndMs[0] / this.stepMs)
    this.#window = Number.isNaN(this.#window) ? window : Math.max(this.#window, window)
    const { depth } = this
    const places = this.#places
    const { slabs } = this.#rings
    const nextKept = this.#nextKept
    const place = modulo(window, depth)
    // Shifted and masked: a row's place is worked out every window, and what other modules hold is not known to be a power of two.
    const [shift, mask, slotWidth] = [SLAB_SHIFT, SLAB_SLOTS - 1, FIELDS * depth]
    let { newest } = places
    for (let i = from; i < to; i++) {
      if (nextKept !== undefined) i = nextKept(batch.series, i, to)
      if (i === to) return
      let slot = places.at(batch.series[i])
      if (slot < 0) {
        if (slot === REFUSED && places.isSpent) continue
        slot = this.#claim(batch.series[i], window)
        if (slot < 0) continue
        newest = places.newest
      }
      cut?.touch(slot)
      const slab = slabs[slot >> shift]
      const base = (slot & mask) * slotWidth
      if (newest[slot] < window - 1) blankSince(slab, base, depth, newest, slot, window)
      newest[slot] = window
      writeWindow(slab, base, depth, place, batch, opinions, i)
    }
  }

  /**
   * Takes the rows of a window again that the series held when they were recorded; in any order, before anything new is
   * recorded. Rows of series without a place, and of those that came to it later, change nothing.
   */
  refill(batch: FeatureBatch, opinions: OpinionBatch): void {
    if (batch.length === 0) return
    const window = Math.round(batch.windowEndMs[0] / this.stepMs)
    const { depth } = this
    const places = this.#places
    const place = modulo(window, depth)
    const [shift, mask, slotWidth] = [SLAB_SHIFT, SLAB_SLOTS - 1, FIELDS * depth]
    for (let i = 0; i < batch.length; i++) {
      const slot = places.at(batch.series[i])
      if (slot < 0 || window < places.first[slot]) continue
      if (window > places.newest[slot] || window <= places.newest[slot] - depth) continue
      const base = (slot & mask) * slotWidth
      writeWindow(this.#rings.slabs[slot >> shift], base, depth, place, batch, opinions, i)
    }
  }

  read(series: number, out: HistoryColumns): number {
    const slot = this.#places.at(series)
    if (slot < 0) return 0
    const newest = this.#places.newest[slot]
    const count = Math.min(out.observed.length, this.depth)
    const fields = [out.observed, out.expected, out.lower, out.upper, out.surprise]
    for (let f = 0; f < FIELDS; f++)
      this.#rings.copy(slot, f, newest, this.#window - count + 1, count, fields[f])
    return count
  }

  observed(series: number, fromMs: number, toMs: number, out: Float64Array): number {
    const slot = this.#places.at(series)
    if (slot < 0) return 0
    const first = Math.max(Math.floor(fromMs / this.stepMs) + 1, this.#window - this.depth + 1)
    const last = Math.min(Math.floor(toMs / this.stepMs), this.#window)
    const count = Math.min(Math.max(last - first + 1, 0), out.length)
    this.#rings.copy(slot, 0, this.#places.newest[slot], first, count, out)
    return count
  }

  knownWithin(fromMs: number, toMs: number): (series: number) => number {
    const places = this.#places
    const rings = this.#rings
    const last = Math.min(Math.floor(toMs / this.stepMs), this.#window)
    const first = Math.max(Math.floor(fromMs / this.stepMs) + 1, this.#window - this.depth + 1)
    return series => {
      const slot = places.at(series)
      if (slot < 0) return 0
      const written = Math.min(last, places.newest[slot])
      const known = rings.firstFinite(slot, Math.max(first, places.first[slot]), written)
      // A whole number for certain, which need not lie on the heap.
      return known > written ? 0 : (last - known + 1) | 0
    }
  }

  windowsAt(endsMs: Float64Array): WindowsAt {
    const at = this.#rings.places(endsMs.map(end => Math.floor(end / this.stepMs)))
    const oldest = this.#window - this.depth
    return {
      read: (series, out) => {
        const slot = this.#places.at(series)
        if (slot < 0) return false
        this.#rings.pick(slot, at, oldest, this.#places.newest[slot], out)
        return true
      },
    }
  }

  /**
   * Gives a series that is kept from here on a past: windows with these values, the last of which ends at `endMs`. What
   * was expected of them is not known. Nothing happens when it has one, or when the budget is spent.
   */
  fill(series: number, endMs: number, values: Float64Array): void {
    const last = Math.round(endMs / this.stepMs)
    if (values.length === 0 || this.#places.at(series) >= 0) return
    const count = Math.min(values.length, this.depth)
    const slot = this.#claim(series, last - count + 1)
    if (slot < 0) return
    this.#places.newest[slot] = last
    if (!(this.#window >= last)) this.#window = last
    const ring = this.#rings.slot(slot)
    for (let back = 0; back < count; back++)
      ring[modulo(last - back, this.depth)] = values[values.length - 1 - back]
  }

  forget(series: number): void {
    this.#places.release(series)
  }

  bytes(): number {
    return this.#rings.bytes() + this.#places.bytes()
  }

  snapshot(): Snapshot {
    return this.#whole(this.#heldRows())
  }

  /**
   * A snapshot without the windows, for whoever can tell them again (`refill`). `toldFromMs`: end of the first window of a
   * series that can be told again, Unix ms; the windows of series that hold older ones are in it all the same.
   */
  outline(toldFromMs: (series: number) => number): Snapshot[] {
    const held = this.#heldRows()
    const { newest, first, keys } = this.#columnsOf(held)
    const old: number[] = []
    for (let i = 0; i < held.length; i++) {
      const oldest = Math.max(first[i], newest[i] - this.depth + 1)
      if (oldest * this.stepMs < toldFromMs(held[i])) old.push(held[i])
    }
    const meta = this.#meta()
    return [{ id: OUTLINE_ID, version: VERSION, keys, columns: { first, newest }, meta }, this.#whole(old)]
  }

  /** As `snapshot`, but slot by slot and without copying the rings. */
  cut(cut: Cut): CutSnapshot {
    const { width, slabs } = this.#rings
    const { used } = this.#places
    const rows = this.#places.seriesOf.slice(0, used)
    const rings = new CutColumn(Float32Array, used * width)
    this.#cut?.touchAll()
    const piecesOf = (from: number, to: number) => {
      const values = slabs[from >> SLAB_SHIFT].subarray(0, (to - from) * width)
      return [{ column: rings, at: from * width, values }]
    }
    this.#cut = new RowStretches(cut, used, SLAB_SHIFT, piecesOf, ranksBy(cut, used, SLAB_SHIFT, rows))
    const newest = this.#places.newest.slice(0, used)
    return { id: ID, version: VERSION, keys: [], rows, columns: { rings, newest }, meta: this.#meta() }
  }

  /** Takes its own parts back; another depth or step starts empty, since charts are no learned state. */
  restore(parts: readonly Snapshot[]): void {
    for (const id of [OUTLINE_ID, ID]) {
      const from = parts.find(part => part.id === id)
      if (!from) continue
      const { newest, first, rings } = from.columns
      const isReadable =
        (from.version === VERSION || from.version === 1) &&
        newest?.length === rowsOf(from) &&
        (id === ID ? rings instanceof Float32Array : first?.length === rowsOf(from))
      if (!isReadable)
        throw new ForeshockError('FS_SNAPSHOT_INVALID', `${id} v${from.version}: of another layout`)
      const meta = from.meta as { depth: number; stepMs: number; window: number | null }
      if (meta.depth !== this.depth || meta.stepMs !== this.stepMs) continue
      this.#window = meta.window ?? Number.NaN
      if (from.isGiven === true && rings instanceof Float32Array && this.#adopt(from, rings)) continue
      this.#takePlaces(from)
      if (rings instanceof Float32Array) this.#takeRings(from, rings)
    }
  }

  /** Takes rings as they lie, since nobody else has them; false when they do not fit, or some are here already. */
  #adopt(from: Snapshot, rings: Float32Array): boolean {
    const { newest } = from.columns
    const { used, slotsMax } = this.#places
    if (used > 0 || newest.length > slotsMax || rings.length !== newest.length * this.#rings.width)
      return false
    this.#rings.adopt(rings)
    for (let slot = 0; from.version === 1 && slot < newest.length; slot++)
      splitObserved(this.#rings.slot(slot))
    this.#places.adopt(newest, rowsIn(from, this.#table), this.depth)
    return true
  }

  #takePlaces(from: Snapshot): void {
    const { newest, first } = from.columns
    const rowOf = rowsIn(from, this.#table)
    for (let i = 0; i < newest.length; i++) {
      const series = rowOf(i)
      if (series < 0) continue
      const known = this.#places.at(series)
      // Without an outline nobody says since when: since the oldest window that there can be.
      const slot = known >= 0 ? known : this.#claim(series, first ? first[i] : newest[i] - this.depth + 1)
      if (slot >= 0) this.#places.newest[slot] = newest[i]
    }
  }

  #takeRings(from: Snapshot, rings: Float32Array): void {
    const { width } = this.#rings
    const rowOf = rowsIn(from, this.#table)
    for (let i = 0; i < rowsOf(from); i++) {
      const series = rowOf(i)
      const slot = series < 0 ? NO_SLOT : this.#places.at(series)
      if (slot < 0) continue
      this.#rings.slot(slot).set(rings.subarray(i * width, (i + 1) * width))
      if (from.version === 1) splitObserved(this.#rings.slot(slot))
    }
  }

  #whole(held: readonly number[]): Snapshot {
    const { newest, keys } = this.#columnsOf(held)
    const { width } = this.#rings
    const rings = new Float32Array(held.length * width)
    for (let i = 0; i < held.length; i++) rings.set(this.#rings.slot(this.#places.at(held[i])), i * width)
    return { id: ID, version: VERSION, keys, columns: { rings, newest }, meta: this.#meta() }
  }

  /** Series that have a place, ascending. */
  #heldRows(): number[] {
    const out: number[] = []
    for (let series = 0; series < this.#places.seriesEnd; series++)
      if (this.#places.at(series) >= 0 && this.#table.has(series)) out.push(series)
    return out
  }

  #columnsOf(held: readonly number[]): { keys: string[]; newest: Float64Array; first: Float64Array } {
    const keys: string[] = []
    const newest = new Float64Array(held.length)
    const first = new Float64Array(held.length)
    for (let i = 0; i < held.length; i++) {
      const slot = this.#places.at(held[i])
      keys.push(this.#table.meta(held[i]).key)
      newest[i] = this.#places.newest[slot]
      first[i] = this.#places.first[slot]
    }
    return { keys, newest, first }
  }

  #meta(): { depth: number; stepMs: number; window: number | null } {
    const window = Number.isFinite(this.#window) ? this.#window : null
    return { depth: this.depth, stepMs: this.stepMs, window }
  }

  /** Gives a series an empty ring from `window` on; negative when there is no room. */
  #claim(series: number, window: number): number {
    const slot = this.#places.claim(series, window)
    if (slot < 0) return slot
    this.#rings.ensure(slot + 1)
    this.#cut?.touch(slot)
    this.#rings.slot(slot).fill(Number.NaN)
    return slot
  }
}

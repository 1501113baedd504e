import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_ROWS, CHUNK_SHIFT, rowsIn, rowsOf } from '../core/columns.ts'
import { type Cut, CutColumn, type CutSnapshot, RowStretches, ranksBy } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { HistoryColumns, SeriesHistory } from '../core/history.ts'
import type { SeriesRows } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'

export interface HistoryOptions {
  readonly stepMs: number
  /** Windows kept per series; an hour at 10 s. */
  readonly depth?: number | undefined
  /** Bytes for all series; those that come when it is spent get no history. */
  readonly budgetBytes?: number | undefined
  /** Whether a series is kept; all are when left out. One that joins begins with `fill`, one that leaves ends with `forget`. */
  readonly keeps?: ((series: number) => boolean) | undefined
}

export const HISTORY_DEFAULTS = { depth: 360, budgetBytes: 268_435_456 } as const

/** Observed, expected, lower, upper, surprise. */
const FIELDS = 5
/** Series per slab of memory: 1.8 MB at the usual depth, so that a small fleet stays small. */
const SLAB_SHIFT = 8
const SLAB_SLOTS = 2 ** SLAB_SHIFT
/** The row of a slot that no series has. */
const NO_ROW = 0xffff_ffff
const NO_SLOT = -1
/** No slot, because the budget was spent when it asked. */
const REFUSED = -2
const VERSION = 1
const ID = 'history'
/** What is known of series without their windows. */
const OUTLINE_ID = 'history-outline'

/**
 * Rings of the last windows of each series: a slot of depth × FIELDS Float32 per series, contiguous, so that a
 * chart reads one stretch of memory and a window is written to one cache line. A window's place is its number modulo depth, the same for all series; each
 * slot knows its newest window, and what lies between is filled with NaN when the series comes back.
 */
export class WindowHistory implements SeriesHistory {
  readonly depth: number
  readonly stepMs: number
  /** Bytes that all series may take together. */
  readonly budgetBytes: number
  readonly slotsMax: number
  readonly #table: SeriesRows
  readonly #slabs: Float32Array[] = []
  /** Slot of each series. */
  readonly #slots = new SlotColumn()
  readonly #keeps: ((series: number) => boolean) | undefined
  /** Number of the newest window written, per slot. */
  #newest: Float64Array
  /** Number of the first window that belongs to who holds the slot. */
  #first: Float64Array
  /** Series of each slot. */
  #seriesOf = new Uint32Array(SLAB_SLOTS).fill(NO_ROW)
  readonly #free: number[] = []
  #used = 0
  #window = Number.NaN
  #refused = 0
  /** What a cut that is being written still needs of the slabs. */
  #cut: RowStretches | undefined

  constructor(options: HistoryOptions, context: { readonly series: SeriesRows }) {
    this.depth = options.depth ?? HISTORY_DEFAULTS.depth
    this.stepMs = options.stepMs
    this.budgetBytes = options.budgetBytes ?? HISTORY_DEFAULTS.budgetBytes
    this.slotsMax = Math.floor(this.budgetBytes / (this.depth * FIELDS * 4 + 8))
    this.#table = context.series
    this.#keeps = options.keeps
    this.#newest = new Float64Array(SLAB_SLOTS)
    this.#first = new Float64Array(SLAB_SLOTS)
  }

  get newestEndMs(): number {
    return this.#window * this.stepMs
  }

  /** Series held. */
  get size(): number {
    return this.#used - this.#free.length
  }

  *held(): IterableIterator<number> {
    for (let slot = 0; slot < this.#used; slot++) {
      const series = this.#seriesOf[slot]
      if (series !== NO_ROW && this.#table.has(series)) yield series
    }
  }

  /** Series that have no history because the budget is spent. */
  get refused(): number {
    return this.#refused
  }

  /** Takes the rows of one window; windows come in ascending order. */
  record(batch: FeatureBatch, opinions: OpinionBatch): void {
    if (batch.length === 0) return
    if (this.#cut?.isOpen !== true) this.#cut = undefined
    const cut = this.#cut
    const window = Math.round(batch.windowEndMs[0] / this.stepMs)
    this.#window = Number.isNaN(this.#window) ? window : Math.max(this.#window, window)
    const { depth } = this
    const slots = this.#slots
    const keeps = this.#keeps
    const place = modulo(window, depth)
    let newest = this.#newest
    for (let i = 0; i < batch.length; i++) {
      let slot = slots.at(batch.series[i])
      if (slot < 0) {
        if (slot === REFUSED && this.#free.length === 0) continue
        if (keeps !== undefined && !keeps(batch.series[i])) continue
        slot = this.#claim(batch.series[i], window)
        if (slot < 0) continue
        newest = this.#newest
      }
      cut?.touch(slot)
      const slab = this.#slabs[Math.floor(slot / SLAB_SLOTS)]
      const base = (slot % SLAB_SLOTS) * FIELDS * depth
      if (newest[slot] < window - 1) blankSince(slab, base, depth, newest, slot, window)
      newest[slot] = window
      write(slab, base + place * FIELDS, batch, opinions, i)
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
    const place = modulo(window, depth)
    for (let i = 0; i < batch.length; i++) {
      const slot = this.#slots.at(batch.series[i])
      if (slot < 0 || window < this.#first[slot]) continue
      if (window > this.#newest[slot] || window <= this.#newest[slot] - depth) continue
      const at = ((slot % SLAB_SLOTS) * depth + place) * FIELDS
      write(this.#slabs[Math.floor(slot / SLAB_SLOTS)], at, batch, opinions, i)
    }
  }

  read(series: number, out: HistoryColumns): number {
    const slot = this.#slots.at(series)
    if (slot < 0) return 0
    const count = Math.min(out.observed.length, this.depth)
    const fields = [out.observed, out.expected, out.lower, out.upper, out.surprise]
    for (let f = 0; f < FIELDS; f++) this.#copy(slot, f, this.#window - count + 1, count, fields[f])
    return count
  }

  observed(series: number, fromMs: number, toMs: number, out: Float64Array): number {
    const slot = this.#slots.at(series)
    if (slot < 0) return 0
    const first = Math.max(Math.floor(fromMs / this.stepMs) + 1, this.#window - this.depth + 1)
    const last = Math.min(Math.floor(toMs / this.stepMs), this.#window)
    const count = Math.min(Math.max(last - first + 1, 0), out.length)
    this.#copy(slot, 0, first, count, out)
    return count
  }

  /**
   * Gives a series that is kept from here on a past: windows with these values, the last of which ends at `endMs`. What
   * was expected of them is not known. Nothing happens when it has one, or when the budget is spent.
   */
  fill(series: number, endMs: number, values: Float64Array): void {
    const last = Math.round(endMs / this.stepMs)
    if (values.length === 0 || this.#slots.at(series) >= 0) return
    const count = Math.min(values.length, this.depth)
    const slot = this.#claim(series, last - count + 1)
    if (slot < 0) return
    this.#newest[slot] = last
    if (!(this.#window >= last)) this.#window = last
    const slab = this.#slabs[slot >> SLAB_SHIFT]
    const base = (slot % SLAB_SLOTS) * FIELDS * this.depth
    for (let back = 0; back < count; back++)
      slab[base + modulo(last - back, this.depth) * FIELDS] = values[values.length - 1 - back]
  }

  forget(series: number): void {
    const slot = this.#slots.at(series)
    if (slot === NO_SLOT) return
    this.#slots.set(series, NO_SLOT)
    if (slot === REFUSED) this.#refused--
    else {
      this.#free.push(slot)
      this.#seriesOf[slot] = NO_ROW
    }
  }

  bytes(): number {
    const slab = SLAB_SLOTS * FIELDS * this.depth * 4
    const perSlot = this.#newest.byteLength + this.#first.byteLength + this.#seriesOf.byteLength
    return this.#slabs.length * slab + this.#slots.bytes() + perSlot
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
    const width = FIELDS * this.depth
    const used = this.#used
    const rows = this.#seriesOf.slice(0, used)
    const rings = new CutColumn(Float32Array, used * width)
    this.#cut?.touchAll()
    const piecesOf = (from: number, to: number) => {
      const values = this.#slabs[from >> SLAB_SHIFT].subarray(0, (to - from) * width)
      return [{ column: rings, at: from * width, values }]
    }
    this.#cut = new RowStretches(cut, used, SLAB_SHIFT, piecesOf, ranksBy(cut, used, SLAB_SHIFT, rows))
    const newest = this.#newest.slice(0, used)
    return { id: ID, version: VERSION, keys: [], rows, columns: { rings, newest }, meta: this.#meta() }
  }

  /** Takes its own parts back; another depth or step starts empty, since charts are no learned state. */
  restore(parts: readonly Snapshot[]): void {
    for (const id of [OUTLINE_ID, ID]) {
      const from = parts.find(part => part.id === id)
      if (!from) continue
      const { newest, first, rings } = from.columns
      const isReadable =
        from.version === VERSION &&
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
    const slabLength = SLAB_SLOTS * FIELDS * this.depth
    if (
      this.#used > 0 ||
      newest.length > this.slotsMax ||
      rings.length !== newest.length * FIELDS * this.depth
    )
      return false
    const rowOf = rowsIn(from, this.#table)
    while (this.#slabs.length * SLAB_SLOTS < newest.length) {
      const at = this.#slabs.length * slabLength
      this.#growSlabs(at + slabLength <= rings.length ? rings.subarray(at, at + slabLength) : undefined)
      if (at + slabLength > rings.length) this.#slabs[this.#slabs.length - 1].set(rings.subarray(at))
    }
    this.#used = newest.length
    for (let slot = 0; slot < newest.length; slot++) {
      const series = rowOf(slot)
      if (series < 0 || this.#slots.at(series) >= 0) {
        this.#free.push(slot)
        continue
      }
      this.#slots.set(series, slot)
      this.#seriesOf[slot] = series
      this.#newest[slot] = newest[slot]
      this.#first[slot] = newest[slot] - this.depth + 1
    }
    return true
  }

  #takePlaces(from: Snapshot): void {
    const { newest, first } = from.columns
    const rowOf = rowsIn(from, this.#table)
    for (let i = 0; i < newest.length; i++) {
      const series = rowOf(i)
      if (series < 0 || this.#slots.at(series) >= 0) continue
      // Without an outline nobody says since when: since the oldest window that there can be.
      const slot = this.#claim(series, first ? first[i] : newest[i] - this.depth + 1)
      if (slot >= 0) this.#newest[slot] = newest[i]
    }
  }

  #takeRings(from: Snapshot, rings: Float32Array): void {
    const width = FIELDS * this.depth
    const rowOf = rowsIn(from, this.#table)
    for (let i = 0; i < rowsOf(from); i++) {
      const series = rowOf(i)
      const slot = series < 0 ? NO_SLOT : this.#slots.at(series)
      if (slot < 0) continue
      const at = (slot % SLAB_SLOTS) * width
      this.#slabs[Math.floor(slot / SLAB_SLOTS)].set(rings.subarray(i * width, (i + 1) * width), at)
    }
  }

  #whole(held: readonly number[]): Snapshot {
    const { newest, keys } = this.#columnsOf(held)
    const width = FIELDS * this.depth
    const rings = new Float32Array(held.length * width)
    for (let i = 0; i < held.length; i++) {
      const slot = this.#slots.at(held[i])
      const from = (slot % SLAB_SLOTS) * width
      rings.set(this.#slabs[Math.floor(slot / SLAB_SLOTS)].subarray(from, from + width), i * width)
    }
    return { id: ID, version: VERSION, keys, columns: { rings, newest }, meta: this.#meta() }
  }

  /** Series that have a place, ascending. */
  #heldRows(): number[] {
    const out: number[] = []
    for (let series = 0; series < this.#slots.length; series++)
      if (this.#slots.at(series) >= 0 && this.#table.has(series)) out.push(series)
    return out
  }

  #columnsOf(held: readonly number[]): { keys: string[]; newest: Float64Array; first: Float64Array } {
    const keys: string[] = []
    const newest = new Float64Array(held.length)
    const first = new Float64Array(held.length)
    for (let i = 0; i < held.length; i++) {
      const slot = this.#slots.at(held[i])
      keys.push(this.#table.meta(held[i]).key)
      newest[i] = this.#newest[slot]
      first[i] = this.#first[slot]
    }
    return { keys, newest, first }
  }

  #meta(): { depth: number; stepMs: number; window: number | null } {
    const window = Number.isFinite(this.#window) ? this.#window : null
    return { depth: this.depth, stepMs: this.stepMs, window }
  }

  /** Copies windows [first, first + count) of one field; NaN where the series has none. */
  #copy(slot: number, field: number, first: number, count: number, out: Float64Array | Float32Array): void {
    const { depth } = this
    const slab = this.#slabs[Math.floor(slot / SLAB_SLOTS)]
    const base = (slot % SLAB_SLOTS) * FIELDS * depth + field
    const newest = this.#newest[slot]
    const from = Math.min(count, Math.max(0, newest - depth + 1 - first))
    const to = Math.max(from, Math.min(count, newest + 1 - first))
    out.fill(Number.NaN, 0, from)
    let at = base + modulo(first + from, depth) * FIELDS
    const end = base + depth * FIELDS
    for (let i = from; i < to; i++) {
      out[i] = slab[at]
      at += FIELDS
      if (at >= end) at -= depth * FIELDS
    }
    out.fill(Number.NaN, to, count)
  }

  #claim(series: number, window: number): number {
    let slot = this.#free.pop() ?? NO_SLOT
    if (slot === NO_SLOT) {
      if (this.#used >= this.slotsMax) {
        if (this.#slots.at(series) !== REFUSED) this.#refused++
        this.#slots.set(series, REFUSED)
        return REFUSED
      }
      slot = this.#used++
      if (slot >= this.#slabs.length * SLAB_SLOTS) this.#growSlabs()
    }
    if (this.#slots.at(series) === REFUSED) this.#refused--
    this.#slots.set(series, slot)
    this.#seriesOf[slot] = series
    this.#cut?.touch(slot)
    const width = FIELDS * this.depth
    const base = (slot % SLAB_SLOTS) * width
    this.#slabs[Math.floor(slot / SLAB_SLOTS)].fill(Number.NaN, base, base + width)
    this.#newest[slot] = window
    this.#first[slot] = window
    return slot
  }

  #growSlabs(slab: Float32Array = new Float32Array(SLAB_SLOTS * FIELDS * this.depth)): void {
    this.#slabs.push(slab)
    const slots = this.#slabs.length * SLAB_SLOTS
    if (this.#newest.length >= slots) return
    this.#newest = longer(this.#newest, slots * 2)
    this.#first = longer(this.#first, slots * 2)
    const seriesOf = new Uint32Array(slots * 2).fill(NO_ROW)
    seriesOf.set(this.#seriesOf)
    this.#seriesOf = seriesOf
  }
}

/** Slots by series, in chunks; stretches of series without any cost nothing. */
class SlotColumn {
  readonly #chunks: (Int32Array | undefined)[] = []

  /** One past the last series that may have one. */
  get length(): number {
    return this.#chunks.length << CHUNK_SHIFT
  }

  at(series: number): number {
    const chunk = this.#chunks[series >> CHUNK_SHIFT]
    return chunk === undefined ? NO_SLOT : chunk[series & CHUNK_MASK]
  }

  set(series: number, slot: number): void {
    const index = series >> CHUNK_SHIFT
    while (this.#chunks.length <= index) this.#chunks.push(undefined)
    const chunk = this.#chunks[index] ?? new Int32Array(CHUNK_ROWS).fill(NO_SLOT)
    this.#chunks[index] = chunk
    chunk[series & CHUNK_MASK] = slot
  }

  bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + (chunk?.byteLength ?? 0), 0)
  }
}

function longer(column: Float64Array, length: number): Float64Array {
  const out = new Float64Array(length)
  out.set(column)
  return out
}

/** Writes a row of a window to its place in a slab. */
function write(slab: Float32Array, at: number, batch: FeatureBatch, opinions: OpinionBatch, i: number): void {
  slab[at] = batch.observed[i]
  slab[at + 1] = opinions.expected[i]
  slab[at + 2] = opinions.lower[i]
  slab[at + 3] = opinions.upper[i]
  slab[at + 4] = opinions.surprise[i]
}

function modulo(window: number, depth: number): number {
  const rest = window % depth
  return rest < 0 ? rest + depth : rest
}

/** Blanks what lies between a slot's newest window and `window`. */
function blankSince(
  slab: Float32Array,
  base: number,
  depth: number,
  newest: Float64Array,
  slot: number,
  window: number,
): void {
  const first = newest[slot] + 1
  blank(slab, base, depth, first, Math.min(window - first, depth))
}

/** Sets `count` windows from number `first` on to NaN in every field. */
function blank(slab: Float32Array, base: number, depth: number, first: number, count: number): void {
  for (let w = 0; w < count; w++) {
    const at = base + modulo(first + w, depth) * FIELDS
    slab.fill(Number.NaN, at, at + FIELDS)
  }
}

import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { rowsIn, rowsOf } from '../core/columns.ts'
import { type Cut, CutColumn, type CutSnapshot, RowStretches } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { HistoryColumns, SeriesHistory } from '../core/history.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'

export interface HistoryOptions {
  readonly stepMs: number
  /** Windows kept per series; an hour at 10 s. */
  readonly depth?: number | undefined
  /** Bytes for all series; those that come when it is spent get no history. */
  readonly budgetBytes?: number | undefined
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

/**
 * Rings of the last windows of each series: a slot of depth × FIELDS Float32 per series, contiguous, so that a
 * chart reads one stretch of memory and a window is written to one cache line. A window's place is its number modulo depth, the same for all series; each
 * slot knows its newest window, and what lies between is filled with NaN when the series comes back.
 */
export class WindowHistory implements SeriesHistory {
  readonly depth: number
  readonly stepMs: number
  readonly slotsMax: number
  readonly #table: SeriesTable
  readonly #slabs: Float32Array[] = []
  /** Slot of each series. */
  #slots = new Int32Array(0)
  /** Number of the newest window written, per slot. */
  #newest: Float64Array
  /** Series of each slot. */
  #seriesOf = new Uint32Array(SLAB_SLOTS).fill(NO_ROW)
  readonly #free: number[] = []
  #used = 0
  #window = Number.NaN
  #refused = 0
  /** What a cut that is being written still needs of the slabs. */
  #cut: RowStretches | undefined

  constructor(options: HistoryOptions, context: { readonly series: SeriesTable }) {
    this.depth = options.depth ?? HISTORY_DEFAULTS.depth
    this.stepMs = options.stepMs
    const budget = options.budgetBytes ?? HISTORY_DEFAULTS.budgetBytes
    this.slotsMax = Math.floor(budget / (this.depth * FIELDS * 4 + 8))
    this.#table = context.series
    this.#newest = new Float64Array(SLAB_SLOTS)
  }

  get newestEndMs(): number {
    return this.#window * this.stepMs
  }

  /** Series held. */
  get size(): number {
    return this.#used - this.#free.length
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
    const highest = batch.series[batch.length - 1]
    if (this.#slots.length <= highest) this.#growSlots(highest + 1)
    const { depth } = this
    const slots = this.#slots
    const place = modulo(window, depth)
    let newest = this.#newest
    for (let i = 0; i < batch.length; i++) {
      let slot = slots[batch.series[i]]
      if (slot < 0) {
        if (slot === REFUSED && this.#free.length === 0) continue
        slot = this.#claim(batch.series[i], window)
        if (slot < 0) continue
        newest = this.#newest
      }
      cut?.touch(slot)
      const slab = this.#slabs[Math.floor(slot / SLAB_SLOTS)]
      const base = (slot % SLAB_SLOTS) * FIELDS * depth
      if (newest[slot] < window - 1) blankSince(slab, base, depth, newest, slot, window)
      newest[slot] = window
      const at = base + place * FIELDS
      slab[at] = batch.observed[i]
      slab[at + 1] = opinions.expected[i]
      slab[at + 2] = opinions.lower[i]
      slab[at + 3] = opinions.upper[i]
      slab[at + 4] = opinions.surprise[i]
    }
  }

  read(series: number, out: HistoryColumns): number {
    const slot = this.#slotOf(series)
    if (slot < 0) return 0
    const count = Math.min(out.observed.length, this.depth)
    const fields = [out.observed, out.expected, out.lower, out.upper, out.surprise]
    for (let f = 0; f < FIELDS; f++) this.#copy(slot, f, this.#window - count + 1, count, fields[f])
    return count
  }

  observed(series: number, fromMs: number, toMs: number, out: Float64Array): number {
    const slot = this.#slotOf(series)
    if (slot < 0) return 0
    const first = Math.max(Math.floor(fromMs / this.stepMs) + 1, this.#window - this.depth + 1)
    const last = Math.min(Math.floor(toMs / this.stepMs), this.#window)
    const count = Math.min(Math.max(last - first + 1, 0), out.length)
    this.#copy(slot, 0, first, count, out)
    return count
  }

  forget(series: number): void {
    const slot = this.#slotOf(series)
    if (slot === NO_SLOT) return
    this.#slots[series] = NO_SLOT
    if (slot === REFUSED) this.#refused--
    else {
      this.#free.push(slot)
      this.#seriesOf[slot] = NO_ROW
    }
  }

  bytes(): number {
    const slab = SLAB_SLOTS * FIELDS * this.depth * 4
    return (
      this.#slabs.length * slab + this.#slots.byteLength + this.#newest.byteLength + this.#seriesOf.byteLength
    )
  }

  snapshot(): Snapshot {
    const keys: string[] = []
    const slots: number[] = []
    for (let series = 0; series < this.#slots.length; series++) {
      const slot = this.#slots[series]
      if (slot < 0 || !this.#table.has(series)) continue
      keys.push(this.#table.meta(series).key)
      slots.push(slot)
    }
    const width = FIELDS * this.depth
    const rings = new Float32Array(keys.length * width)
    const newest = new Float64Array(keys.length)
    for (const [i, slot] of slots.entries()) {
      const from = (slot % SLAB_SLOTS) * width
      rings.set(this.#slabs[Math.floor(slot / SLAB_SLOTS)].subarray(from, from + width), i * width)
      newest[i] = this.#newest[slot]
    }
    return { id: ID, version: VERSION, keys, columns: { rings, newest }, meta: this.#meta() }
  }

  /** As `snapshot`, but slot by slot and without copying the rings. */
  cut(cut: Cut): CutSnapshot {
    const width = FIELDS * this.depth
    const used = this.#used
    const rows = this.#seriesOf.slice(0, used)
    const rings = new CutColumn(Float32Array, used * width)
    this.#cut?.touchAll()
    this.#cut = new RowStretches(cut, used, SLAB_SHIFT, (from, to) => {
      const values = this.#slabs[from >> SLAB_SHIFT].subarray(0, (to - from) * width)
      return [{ column: rings, at: from * width, values }]
    })
    const newest = this.#newest.slice(0, used)
    return { id: ID, version: VERSION, keys: [], rows, columns: { rings, newest }, meta: this.#meta() }
  }

  #meta(): { depth: number; stepMs: number; window: number | null } {
    const window = Number.isFinite(this.#window) ? this.#window : null
    return { depth: this.depth, stepMs: this.stepMs, window }
  }

  /** Takes its own part back; another depth or step starts empty, since charts are no learned state. */
  restore(parts: readonly Snapshot[]): void {
    const from = parts.find(part => part.id === ID)
    if (!from) return
    const { rings, newest } = from.columns
    const width = FIELDS * this.depth
    if (from.version !== VERSION || !(rings instanceof Float32Array) || newest?.length !== rowsOf(from))
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `${ID} v${from.version}: of another layout`)
    const meta = from.meta as { depth: number; stepMs: number; window: number | null }
    if (meta.depth !== this.depth || meta.stepMs !== this.stepMs) return
    this.#window = meta.window ?? Number.NaN
    const rowOf = rowsIn(from, this.#table)
    for (let i = 0; i < newest.length; i++) {
      const series = rowOf(i)
      if (series < 0) continue
      if (this.#slots.length <= series) this.#growSlots(series + 1)
      const slot = this.#claim(series, newest[i])
      if (slot < 0) continue
      const at = (slot % SLAB_SLOTS) * width
      this.#slabs[Math.floor(slot / SLAB_SLOTS)].set(rings.subarray(i * width, (i + 1) * width), at)
      this.#newest[slot] = newest[i]
    }
  }

  #slotOf(series: number): number {
    return series < this.#slots.length ? this.#slots[series] : NO_SLOT
  }

  /** Copies windows [first, first + count) of one field; NaN where the series has none. */
  #copy(slot: number, field: number, first: number, count: number, out: Float64Array | Float32Array): void {
    const { depth } = this
    const slab = this.#slabs[Math.floor(slot / SLAB_SLOTS)]
    const base = (slot % SLAB_SLOTS) * FIELDS * depth + field
    const newest = this.#newest[slot]
    for (let i = 0; i < count; i++) {
      const window = first + i
      const held = window <= newest && window > newest - depth
      out[i] = held ? slab[base + modulo(window, depth) * FIELDS] : Number.NaN
    }
  }

  #claim(series: number, window: number): number {
    let slot = this.#free.pop() ?? NO_SLOT
    if (slot === NO_SLOT) {
      if (this.#used >= this.slotsMax) {
        if (this.#slots[series] !== REFUSED) this.#refused++
        this.#slots[series] = REFUSED
        return REFUSED
      }
      slot = this.#used++
      if (slot >= this.#slabs.length * SLAB_SLOTS) this.#growSlabs()
    }
    if (this.#slots[series] === REFUSED) this.#refused--
    this.#slots[series] = slot
    this.#seriesOf[slot] = series
    this.#cut?.touch(slot)
    const width = FIELDS * this.depth
    const base = (slot % SLAB_SLOTS) * width
    this.#slabs[Math.floor(slot / SLAB_SLOTS)].fill(Number.NaN, base, base + width)
    this.#newest[slot] = window
    return slot
  }

  #growSlabs(): void {
    this.#slabs.push(new Float32Array(SLAB_SLOTS * FIELDS * this.depth))
    const slots = this.#slabs.length * SLAB_SLOTS
    if (this.#newest.length >= slots) return
    const newest = new Float64Array(slots * 2)
    newest.set(this.#newest)
    this.#newest = newest
    const seriesOf = new Uint32Array(slots * 2).fill(NO_ROW)
    seriesOf.set(this.#seriesOf)
    this.#seriesOf = seriesOf
  }

  #growSlots(series: number): void {
    const slots = new Int32Array(Math.ceil(series * 1.25) + 16).fill(NO_SLOT)
    slots.set(this.#slots)
    this.#slots = slots
  }
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

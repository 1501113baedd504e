import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'

/** Observed, expected, lower, upper, surprise. */
export const FIELDS = 5
/** All but the first, which has a ring of its own. */
const OTHERS = FIELDS - 1
/** Slots per slab of memory: 1.8 MB at the usual depth, so that a small fleet stays small. */
export const SLAB_SHIFT = 8
export const SLAB_SLOTS = 2 ** SLAB_SHIFT

/**
 * Rings of windows: a slot of depth × FIELDS Float32, contiguous: what was observed, then the other fields window by window. Causes are
 * looked for in what was observed of thousands of series, which would else lie in a fifth of each cache line; a window is written to two
 * of them. A window's place is its number modulo depth, the same in all slots.
 */
export class HistoryRings {
  readonly depth: number
  readonly slabs: Float32Array[] = []

  constructor(depth: number) {
    this.depth = depth
  }

  /** Numbers in a slot. */
  get width(): number {
    return FIELDS * this.depth
  }

  /** Makes room for so many slots. */
  ensure(slots: number): void {
    while (this.slabs.length * SLAB_SLOTS < slots) this.slabs.push(new Float32Array(SLAB_SLOTS * this.width))
  }

  /** Takes whole slots over as they lie in `rings`, copying only those of the last slab; there must be none so far. */
  adopt(rings: Float32Array): void {
    const length = SLAB_SLOTS * this.width
    let at = 0
    for (; at + length <= rings.length; at += length) this.slabs.push(rings.subarray(at, at + length))
    if (at === rings.length) return
    const rest = new Float32Array(length)
    rest.set(rings.subarray(at))
    this.slabs.push(rest)
  }

  /** The numbers of a slot, as they lie. */
  slot(slot: number): Float32Array {
    const from = (slot % SLAB_SLOTS) * this.width
    return this.slabs[Math.floor(slot / SLAB_SLOTS)].subarray(from, from + this.width)
  }

  /** Copies windows [first, first + count) of one field; NaN where the slot has none. `newest` is the last it has. */
  copy(
    slot: number,
    field: number,
    newest: number,
    first: number,
    count: number,
    out: Float64Array | Float32Array,
  ): void {
    const { depth } = this
    const slab = this.slabs[Math.floor(slot / SLAB_SLOTS)]
    const base = (slot % SLAB_SLOTS) * FIELDS * depth + startOf(field, depth)
    const apart = apartOf(field)
    const from = Math.min(count, Math.max(0, newest - depth + 1 - first))
    const to = Math.max(from, Math.min(count, newest + 1 - first))
    out.fill(Number.NaN, 0, from)
    let at = base + modulo(first + from, depth) * apart
    const end = base + depth * apart
    for (let i = from; i < to; i++) {
      out[i] = slab[at]
      at += apart
      if (at >= end) at -= depth * apart
    }
    out.fill(Number.NaN, to, count)
  }

  /** The first of windows first..last in which a finite value was observed, all of which the slot has; `last + 1` where none is. */
  firstFinite(slot: number, first: number, last: number): number {
    const slab = this.slabs[Math.floor(slot / SLAB_SLOTS)]
    const base = (slot % SLAB_SLOTS) * this.width
    for (let window = first; window <= last; window++)
      if (Number.isFinite(slab[base + modulo(window, this.depth)])) return window
    return last + 1
  }

  /** Where what was observed in windows, by number and ascending, lies in a slot. */
  places(windows: Float64Array): RingPlaces {
    return { windows, places: Uint32Array.from(windows, window => modulo(window, this.depth)) }
  }

  /** Copies what was observed in windows after `oldest` and not after `newest`, the last that the slot has; NaN for others. */
  pick(
    slot: number,
    { windows, places }: RingPlaces,
    oldest: number,
    newest: number,
    out: Float64Array,
  ): void {
    const { width } = this
    const slab = this.slabs[Math.floor(slot / SLAB_SLOTS)]
    const base = (slot % SLAB_SLOTS) * width
    const { length } = places
    let from = 0
    while (from < length && windows[from] <= oldest) out[from++] = Number.NaN
    let to = length
    while (to > from && windows[to - 1] > newest) out[--to] = Number.NaN
    for (let i = from; i < to; i++) out[i] = slab[base + places[i]]
  }

  bytes(): number {
    return this.slabs.length * SLAB_SLOTS * this.width * 4
  }
}

/** Where a field begins in a slot, and how far apart its windows are. */
function startOf(field: number, depth: number): number {
  return field === 0 ? 0 : depth + field - 1
}

function apartOf(field: number): number {
  return field === 0 ? 1 : OTHERS
}

/** Writes a row of a window to its place in the slot that begins at `base` of a slab. */
export function writeWindow(
  slab: Float32Array,
  base: number,
  depth: number,
  place: number,
  batch: FeatureBatch,
  opinions: OpinionBatch,
  i: number,
): void {
  slab[base + place] = batch.observed[i]
  const at = base + depth + place * OTHERS
  slab[at] = opinions.expected[i]
  slab[at + 1] = opinions.lower[i]
  slab[at + 2] = opinions.upper[i]
  slab[at + 3] = opinions.surprise[i]
}

/** A slot as it was saved before what was observed had a ring of its own, window by window, as it is now. */
export function splitObserved(slot: Float32Array): void {
  const depth = slot.length / FIELDS
  const windows = slot.slice()
  for (let place = 0; place < depth; place++) {
    slot[place] = windows[place * FIELDS]
    slot.set(windows.subarray(place * FIELDS + 1, (place + 1) * FIELDS), depth + place * OTHERS)
  }
}

/** Which windows of a slot are read: their numbers, ascending, and where they lie in every slot. */
export interface RingPlaces {
  readonly windows: Float64Array
  readonly places: Uint32Array
}

export function modulo(window: number, depth: number): number {
  const rest = window % depth
  return rest < 0 ? rest + depth : rest
}

/** Blanks what lies between a slot's newest window and `window`; `base` is where the slot begins in its slab. */
export function blankSince(
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
    const place = modulo(first + w, depth)
    slab[base + place] = Number.NaN
    slab.fill(Number.NaN, base + depth + place * OTHERS, base + depth + (place + 1) * OTHERS)
  }
}

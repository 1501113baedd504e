import { CHUNK_MASK, CHUNK_ROWS, CHUNK_SHIFT } from '../core/columns.ts'

/** The row of a slot that no series has. */
export const NO_ROW = 0xffff_ffff
export const NO_SLOT = -1
/** No slot, because the budget was spent when it asked. */
export const REFUSED = -2
/** Slots that there is room for at first. */
const SLOTS_LEAST = 256

/** Which series has which slot of the history, since when, and how far each is written. */
export class HistoryPlaces {
  readonly slotsMax: number
  /** Number of the newest window written, per slot. */
  newest = new Float64Array(SLOTS_LEAST)
  /** Number of the first window that belongs to who holds the slot. */
  first = new Float64Array(SLOTS_LEAST)
  /** Series of each slot. */
  seriesOf = new Uint32Array(SLOTS_LEAST).fill(NO_ROW)
  /** Slots that were ever given out. */
  used = 0
  /** Series that have none because the budget is spent. */
  refused = 0
  /** Slot of each series. */
  readonly #slots = new SlotColumn()
  readonly #free: number[] = []

  constructor(slotsMax: number) {
    this.slotsMax = slotsMax
  }

  /** Slots that a series has. */
  get held(): number {
    return this.used - this.#free.length
  }

  /** One past the last series that may have a slot. */
  get seriesEnd(): number {
    return this.#slots.length
  }

  /** Whether a series that was refused would be refused again. */
  get isSpent(): boolean {
    return this.#free.length === 0
  }

  /** Slot of a series, NO_SLOT or REFUSED. */
  at(series: number): number {
    return this.#slots.at(series)
  }

  /** Gives a series a slot from `window` on, or refuses it one. */
  claim(series: number, window: number): number {
    const slot = this.#free.pop() ?? (this.used < this.slotsMax ? this.used++ : REFUSED)
    if (slot === REFUSED) {
      if (this.#slots.at(series) !== REFUSED) this.refused++
      this.#slots.set(series, REFUSED)
      return REFUSED
    }
    if (this.#slots.at(series) === REFUSED) this.refused--
    this.#ensure(this.used)
    this.#hold(series, slot, window, window)
    return slot
  }

  /** Takes slots over as they lie, for series that have none: `seriesAt` is −1 for one that is nobody's. */
  adopt(newest: ArrayLike<number>, seriesAt: (slot: number) => number, depth: number): void {
    this.used = newest.length
    this.#ensure(this.used)
    for (let slot = 0; slot < newest.length; slot++) {
      const series = seriesAt(slot)
      if (series < 0 || this.#slots.at(series) >= 0) this.#free.push(slot)
      else this.#hold(series, slot, newest[slot] - depth + 1, newest[slot])
    }
  }

  #hold(series: number, slot: number, first: number, newest: number): void {
    this.#slots.set(series, slot)
    this.seriesOf[slot] = series
    this.newest[slot] = newest
    this.first[slot] = first
  }

  release(series: number): void {
    const slot = this.#slots.at(series)
    if (slot === NO_SLOT) return
    this.#slots.set(series, NO_SLOT)
    if (slot === REFUSED) this.refused--
    else {
      this.#free.push(slot)
      this.seriesOf[slot] = NO_ROW
    }
  }

  #ensure(slots: number): void {
    if (this.newest.length >= slots) return
    const length = Math.max(slots, 2 * this.newest.length)
    this.newest = longer(this.newest, length)
    this.first = longer(this.first, length)
    const seriesOf = new Uint32Array(length).fill(NO_ROW)
    seriesOf.set(this.seriesOf)
    this.seriesOf = seriesOf
  }

  bytes(): number {
    return this.#slots.bytes() + this.newest.byteLength + this.first.byteLength + this.seriesOf.byteLength
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

function longer(column: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const out = new Float64Array(length)
  out.set(column)
  return out
}

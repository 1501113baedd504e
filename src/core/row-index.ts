import type { Cut, CutColumn } from './cut.ts'
import { U32Column } from './u32-column.ts'

/** Tables that rows are spread over by the top bits of their hash: only one of them is copied when it grows. */
const SEGMENTS = 256
const SEGMENT_SHIFT = 24
const WITHIN = 2 ** SEGMENT_SHIFT
/** Slots of a new segment. */
const FIRST_SLOTS = 4
/** Full slots at which a segment grows: an absent key is then told from the present ones in at most eight looks. */
const FILL_MOST = 0.75
/** Growth of a segment, so that at most a quarter of the slots lies idle. */
const GROWTH = 1.25

/**
 * Rows by 32-bit hash: open addressing with linear probing, six bytes a row. It knows no keys: whoever asks compares
 * the candidates it names, so that a collision costs a comparison and nothing else.
 */
export class RowIndex {
  /** Hash by row. */
  readonly #hashes = new U32Column()
  /** Row plus one by slot, 0 where empty. */
  readonly #segments: (Uint32Array | undefined)[] = new Array(SEGMENTS)
  readonly #used = new Uint32Array(SEGMENTS)
  #hash = 0
  #at = 0

  /** The first row of a hash, or −1; `next` names the others. */
  first(hash: number): number {
    this.#hash = hash >>> 0
    const slots = this.#segments[this.#hash >>> SEGMENT_SHIFT]
    if (!slots) return -1
    this.#at = home(this.#hash, slots.length) - 1
    return this.next()
  }

  /** Another row of the hash that was asked for last, or −1. Nothing may have changed since. */
  next(): number {
    const slots = this.#segments[this.#hash >>> SEGMENT_SHIFT] as Uint32Array
    for (;;) {
      if (++this.#at === slots.length) this.#at = 0
      const held = slots[this.#at]
      if (held === 0) return -1
      if (this.#hashes.at(held - 1) === this.#hash) return held - 1
    }
  }

  add(row: number, hash: number): void {
    this.#hashes.ensure(row + 1)
    this.#hashes.set(row, hash)
    const segment = hash >>> SEGMENT_SHIFT
    let slots = this.#segments[segment]
    if (!slots || this.#used[segment] + 1 > FILL_MOST * slots.length) slots = this.#grow(segment)
    place(slots, row, hash >>> 0)
    this.#used[segment]++
  }

  /** Takes a row out; those behind it move up, so that no marks of the dead are left. */
  remove(row: number): void {
    const hash = this.#hashes.at(row)
    const segment = hash >>> SEGMENT_SHIFT
    const slots = this.#segments[segment]
    if (!slots) return
    const { length } = slots
    let gap = home(hash, length)
    while (slots[gap] !== row + 1) {
      if (slots[gap] === 0) return
      gap = gap + 1 === length ? 0 : gap + 1
    }
    for (let at = gap; ; ) {
      at = at + 1 === length ? 0 : at + 1
      const held = slots[at]
      if (held === 0) break
      // It may move up unless its home lies between the gap and itself.
      const behindHome = (at - home(this.#hashes.at(held - 1), length) + length) % length
      if (behindHome < (at - gap + length) % length) continue
      slots[gap] = held
      gap = at
    }
    slots[gap] = 0
    this.#used[segment]--
  }

  /** A copy of the hashes of rows below `rows`. */
  snapshot(rows: number): Uint32Array {
    return this.#hashes.slice(rows)
  }

  cut(cut: Cut, rows: number): CutColumn {
    return this.#hashes.cut(cut, rows)
  }

  /** Fills an empty index with the rows for which `isHeld`. */
  restore(hashes: Uint32Array, isHeld: (row: number) => boolean): void {
    const counts = new Uint32Array(SEGMENTS)
    for (let row = 0; row < hashes.length; row++) if (isHeld(row)) counts[hashes[row] >>> SEGMENT_SHIFT]++
    for (const [segment, count] of counts.entries())
      if (count > 0) this.#segments[segment] = new Uint32Array(Math.ceil(count / FILL_MOST) + 1)
    for (let row = 0; row < hashes.length; row++) if (isHeld(row)) this.add(row, hashes[row])
  }

  bytes(): number {
    return this.#segments.reduce((sum, slots) => sum + (slots?.byteLength ?? 0), this.#hashes.bytes())
  }

  #grow(segment: number): Uint32Array {
    const old = this.#segments[segment]
    const slots = new Uint32Array(old ? Math.ceil(old.length * GROWTH) : FIRST_SLOTS)
    if (old) for (const held of old) if (held > 0) place(slots, held - 1, this.#hashes.at(held - 1))
    this.#segments[segment] = slots
    return slots
  }
}

/** Where a hash is looked for first. */
function home(hash: number, slots: number): number {
  return Math.floor(((hash & (WITHIN - 1)) * slots) / WITHIN)
}

function place(slots: Uint32Array, row: number, hash: number): void {
  let at = home(hash, slots.length)
  while (slots[at] !== 0) at = at + 1 === slots.length ? 0 : at + 1
  slots[at] = row + 1
}

import {
  DEPTH,
  DEPTH_MAX,
  SEGMENTS,
  SLOT_MASK,
  SLOTS,
  WIRE_A,
  WIRE_B,
  WIRE_CHUNKS,
  WIRE_MASK,
  WIRE_SHIFT,
  WIRE_WORDS,
} from '../kernels/assembly/_wire-layout.ts'
import type { WireMemory } from './wire-memory.ts'

/** A segment that is fuller than this is split: probes stay short. */
const FULL = Math.floor(SLOTS * 0.8)

/** Word where a wire's record begins. */
export function wireAt(i32: Int32Array, wire: number): number {
  return i32[(WIRE_CHUNKS >> 2) + (wire >>> WIRE_SHIFT)] + (wire & WIRE_MASK) * WIRE_WORDS
}

/** Word where the segment of a first hash word begins. */
export function segmentAt(i32: Int32Array, a: number): number {
  const depth = i32[DEPTH >> 2]
  return i32[(SEGMENTS >> 2) + (depth === 0 ? 0 : a >>> (32 - depth))]
}

/**
 * Identity → wire, by extendible hashing (Fagin and others, 1979): the top bits of the first word choose a segment of one
 * page, the second word a slot in it (linear probing with backward shift, so that no tombstones pile up). A full segment
 * is split in two, so the table grows by a page at a time and nothing else is touched.
 */
export class WireSlots {
  readonly #memory: WireMemory
  /** Wires in each entry's segment, and how many bits chose it. */
  #held = new Int32Array(1)
  #depths = new Uint8Array(1)

  constructor(memory: WireMemory) {
    this.#memory = memory
    memory.i32[DEPTH >> 2] = 0
    const page = memory.take(1)
    memory.i32[SEGMENTS >> 2] = page >>> 2
  }

  /** Bytes of all segments. */
  get bytes(): number {
    let segments = 0
    for (let i = 0; i < this.#depths.length; i += 1 << (this.#depth - this.#depths[i])) segments++
    return segments * SLOTS * 4
  }

  /** Room for one more wire of this first word; false when there is none. */
  reserve(a: number): boolean {
    while (this.#held[this.#entry(a)] >= FULL) if (!this.#split(this.#entry(a))) return false
    return true
  }

  /** Splits what is empty for so many wires, which are then not moved again and again; some may lack room all the same. */
  expect(wires: number): void {
    for (let bits = 0; FULL * 2 ** bits < wires; bits++)
      for (let i = 0; i < 2 ** bits; i++) if (!this.#split(i << (this.#depth - bits))) return
  }

  /** Puts a wire in, for which there is room. */
  insert(wire: number): void {
    const { i32 } = this.#memory
    const at = wireAt(i32, wire)
    const a = i32[at + WIRE_A]
    place(i32, segmentAt(i32, a), i32[at + WIRE_B], wire)
    this.#count(this.#entry(a), 1)
  }

  remove(wire: number): void {
    const { i32 } = this.#memory
    const record = wireAt(i32, wire)
    const a = i32[record + WIRE_A]
    const segment = segmentAt(i32, a)
    let slot = i32[record + WIRE_B] & SLOT_MASK
    while (i32[segment + slot] !== wire + 1) slot = (slot + 1) & SLOT_MASK
    for (let ahead = (slot + 1) & SLOT_MASK; i32[segment + ahead] > 0; ahead = (ahead + 1) & SLOT_MASK) {
      const home = i32[wireAt(i32, i32[segment + ahead] - 1) + WIRE_B] & SLOT_MASK
      if (((ahead - home) & SLOT_MASK) >= ((ahead - slot) & SLOT_MASK)) {
        i32[segment + slot] = i32[segment + ahead]
        slot = ahead
      }
    }
    i32[segment + slot] = 0
    this.#count(this.#entry(a), -1)
  }

  get #depth(): number {
    return this.#memory.i32[DEPTH >> 2]
  }

  #entry(a: number): number {
    return this.#depth === 0 ? 0 : a >>> (32 - this.#depth)
  }

  /** All entries of a segment count what it holds. */
  #count(entry: number, change: number): void {
    const span = 1 << (this.#depth - this.#depths[entry])
    const first = entry & ~(span - 1)
    for (let i = first; i < first + span; i++) this.#held[i] += change
  }

  /** Halves what an entry's segment holds, the upper half into a page of its own. */
  #split(entry: number): boolean {
    const bits = this.#depths[entry]
    if (bits === DEPTH_MAX) return false
    const page = this.#memory.take(1)
    if (page === 0) return false
    let first = entry
    if (bits === this.#depth) {
      this.#double()
      first = entry * 2
    }
    const span = 1 << (this.#depth - bits)
    first &= ~(span - 1)
    const { i32 } = this.#memory
    const low = i32[(SEGMENTS >> 2) + first]
    const high = page >>> 2
    const wires: number[] = []
    for (let slot = 0; slot < SLOTS; slot++) {
      if (i32[low + slot] > 0) wires.push(i32[low + slot] - 1)
      i32[low + slot] = 0
    }
    let moved = 0
    for (const wire of wires) {
      const record = wireAt(i32, wire)
      const upper = (i32[record + WIRE_A] >>> (31 - bits)) & 1
      place(i32, upper === 1 ? high : low, i32[record + WIRE_B], wire)
      moved += upper
    }
    for (let i = first; i < first + span; i++) {
      const upper = i >= first + span / 2
      if (upper) i32[(SEGMENTS >> 2) + i] = high
      this.#held[i] = upper ? moved : wires.length - moved
      this.#depths[i] = bits + 1
    }
    return true
  }

  /** Twice the entries, each pair of one segment. */
  #double(): void {
    const { i32 } = this.#memory
    const from = this.#held.length
    const held = new Int32Array(from * 2)
    const depths = new Uint8Array(from * 2)
    const base = SEGMENTS >> 2
    for (let i = 2 * from - 1; i >= 0; i--) {
      i32[base + i] = i32[base + (i >> 1)]
      held[i] = this.#held[i >> 1]
      depths[i] = this.#depths[i >> 1]
    }
    this.#held = held
    this.#depths = depths
    i32[DEPTH >> 2] += 1
  }
}

function place(i32: Int32Array, segment: number, b: number, wire: number): void {
  let slot = b & SLOT_MASK
  while (i32[segment + slot] > 0) slot = (slot + 1) & SLOT_MASK
  i32[segment + slot] = wire + 1
}

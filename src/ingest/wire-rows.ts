import { WIRE_NEXT, WIRE_ROW } from '../kernels/assembly/_wire-layout.ts'
import type { WireChunks } from './wire-chunks.ts'
import type { WireMemory } from './wire-memory.ts'
import { wireAt } from './wire-slots.ts'

/** Rows in a chunk of heads. */
const HEADS_SHIFT = 14
const HEADS_MASK = (1 << HEADS_SHIFT) - 1

/** Which wires feed which row of the series table: a list a row, through the wires' records. */
export class WireRows {
  readonly #memory: WireMemory
  readonly #wires: WireChunks
  /** First wire of each row, by chunks of rows; −1 without one. */
  readonly #heads: Int32Array[] = []

  constructor(memory: WireMemory, wires: WireChunks) {
    this.#memory = memory
    this.#wires = wires
  }

  /** First wire that feeds a row, −1 when none. */
  head(row: number): number {
    const chunk = this.#heads[row >>> HEADS_SHIFT]
    return chunk === undefined ? -1 : chunk[row & HEADS_MASK]
  }

  /** Gives a wire that has none its row. */
  hook(wire: number, row: number): void {
    this.#set(wire, row, this.head(row))
    this.#setHead(row, wire)
  }

  /** Takes a wire's row away. */
  unhook(wire: number): void {
    const { i32 } = this.#memory
    const row = i32[wireAt(i32, wire) + WIRE_ROW]
    const next = i32[wireAt(i32, wire) + WIRE_NEXT]
    this.#set(wire, -1, row < 0 ? next : -1)
    if (row < 0) return
    if (this.head(row) === wire) this.#setHead(row, next)
    else {
      let before = this.head(row)
      while (before >= 0 && i32[wireAt(i32, before) + WIRE_NEXT] !== wire)
        before = i32[wireAt(i32, before) + WIRE_NEXT]
      if (before >= 0) this.#set(before, row, next)
    }
  }

  #set(wire: number, row: number, next: number): void {
    this.#wires.touch(wire)
    const { i32 } = this.#memory
    const at = wireAt(i32, wire)
    i32[at + WIRE_ROW] = row
    i32[at + WIRE_NEXT] = next
  }

  /** Makes heads of the restored wires below `length` that are in use; returns those whose row is no more. */
  restore(length: number, isUsed: (wire: number) => boolean, has: (row: number) => boolean): number[] {
    const { i32 } = this.#memory
    const fed = new Uint8Array((length + 7) >> 3)
    const lost: number[] = []
    for (let wire = 0; wire < length; wire++) {
      const row = i32[wireAt(i32, wire) + WIRE_ROW]
      if (row < 0 || !isUsed(wire)) continue
      if (!has(row)) lost.push(wire)
      const next = i32[wireAt(i32, wire) + WIRE_NEXT]
      if (next >= 0) fed[next >> 3] |= 1 << (next & 7)
    }
    for (let wire = 0; wire < length; wire++) {
      const row = i32[wireAt(i32, wire) + WIRE_ROW]
      if (row < 0 || !isUsed(wire)) continue
      if ((fed[wire >> 3] & (1 << (wire & 7))) === 0 && has(row)) this.#setHead(row, wire)
    }
    for (const wire of lost) this.#set(wire, -1, -1)
    return lost
  }

  bytes(): number {
    return this.#heads.length << (HEADS_SHIFT + 2)
  }

  #setHead(row: number, wire: number): void {
    while (this.#heads.length <= row >>> HEADS_SHIFT)
      this.#heads.push(new Int32Array(1 << HEADS_SHIFT).fill(-1))
    this.#heads[row >>> HEADS_SHIFT][row & HEADS_MASK] = wire
  }
}

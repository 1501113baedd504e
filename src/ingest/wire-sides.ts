import type { Cut, CutColumn } from '../core/cut.ts'
import {
  SIDE_BOUND,
  SIDE_CHUNKS,
  SIDE_CUR,
  SIDE_CUR_MS,
  SIDE_GROUP,
  SIDE_KEPT,
  SIDE_NEXT,
  SIDE_SHIFT,
  SIDE_WORDS,
  WIRE_SIDE,
} from '../kernels/assembly/_wire-layout.ts'
import { WireChunks } from './wire-chunks.ts'
import type { WireMemory } from './wire-memory.ts'
import { wireAt } from './wire-slots.ts'

const LAYOUT = { directory: SIDE_CHUNKS, kept: SIDE_KEPT, shift: SIDE_SHIFT, words: SIDE_WORDS }

/**
 * What only some wires have: members of groups, outputs, and those that wait. A record of 32 bytes beside the wire's own,
 * given out when something is written to it.
 */
export class WireSides {
  readonly #memory: WireMemory
  readonly #wires: WireChunks
  readonly #sides: WireChunks
  #length = 0
  #firstFree = -1

  constructor(memory: WireMemory, wires: WireChunks) {
    this.#memory = memory
    this.#wires = wires
    this.#sides = new WireChunks(memory, LAYOUT)
  }

  /** One past the highest side in use. */
  get length(): number {
    return this.#length
  }

  get firstFree(): number {
    return this.#firstFree
  }

  cur(wire: number): number {
    const side = this.#of(wire)
    return side < 0 ? 0 : this.#memory.f64[(this.#sides.at(side) + SIDE_CUR) >> 1]
  }

  curMs(wire: number): number {
    const side = this.#of(wire)
    return side < 0 ? 0 : this.#memory.f64[(this.#sides.at(side) + SIDE_CUR_MS) >> 1]
  }

  setCur(wire: number, value: number, timeMs: number): void {
    const at = this.#writable(wire)
    this.#memory.f64[(at + SIDE_CUR) >> 1] = withOneNaN(value)
    this.#memory.f64[(at + SIDE_CUR_MS) >> 1] = timeMs
  }

  endCur(wire: number): void {
    if (this.#of(wire) >= 0) this.#memory.f64[(this.#writable(wire) + SIDE_CUR_MS) >> 1] = 0
  }

  group(wire: number): number {
    const side = this.#of(wire)
    return side < 0 ? -1 : this.#memory.i32[this.#sides.at(side) + SIDE_GROUP]
  }

  bound(wire: number): number {
    const side = this.#of(wire)
    return side < 0 ? 0 : this.#memory.f64[(this.#sides.at(side) + SIDE_BOUND) >> 1]
  }

  setGroup(wire: number, group: number, bound: number): void {
    const at = this.#writable(wire)
    this.#memory.i32[at + SIDE_GROUP] = group
    this.#memory.f64[(at + SIDE_BOUND) >> 1] = bound
  }

  leaveGroup(wire: number): void {
    if (this.#of(wire) >= 0) this.#memory.i32[this.#writable(wire) + SIDE_GROUP] = -1
  }

  /** Gives a wire's side back. */
  drop(wire: number): void {
    const side = this.#of(wire)
    if (side < 0) return
    this.#clear(side)
    this.#memory.i32[this.#sides.at(side) + SIDE_NEXT] = this.#firstFree
    this.#firstFree = side
    this.#give(wire, -1)
  }

  /** All of them as a column of a cut. */
  cut(cut: Cut): CutColumn {
    return this.#sides.cut(cut, this.#length, 0)
  }

  /** Into empty ones. False when there is no room for all. */
  restore(sides: Int32Array, firstFree: number): boolean {
    this.#length = sides.length / SIDE_WORDS
    this.#firstFree = firstFree
    return this.#sides.restore(sides)
  }

  #of(wire: number): number {
    const { i32 } = this.#memory
    return i32[wireAt(i32, wire) + WIRE_SIDE]
  }

  #give(wire: number, side: number): void {
    this.#wires.touch(wire)
    const { i32 } = this.#memory
    i32[wireAt(i32, wire) + WIRE_SIDE] = side
  }

  #clear(side: number): void {
    this.#sides.touch(side)
    const at = this.#sides.at(side)
    this.#memory.i32.fill(0, at, at + SIDE_WORDS)
  }

  /** Word of a wire's side, made when it has none, to write to. */
  #writable(wire: number): number {
    const held = this.#of(wire)
    if (held >= 0) {
      this.#sides.touch(held)
      return this.#sides.at(held)
    }
    const side = this.#take()
    this.#give(wire, side)
    this.#clear(side)
    const at = this.#sides.at(side)
    this.#memory.i32[at + SIDE_GROUP] = -1
    this.#memory.i32[at + SIDE_NEXT] = -1
    return at
  }

  #take(): number {
    const side = this.#firstFree
    if (side >= 0) {
      this.#firstFree = this.#memory.i32[this.#sides.at(side) + SIDE_NEXT]
      return side
    }
    if (!this.#sides.reserve(this.#length))
      throw new RangeError('no room for the side of a wire, though the limit leaves it')
    return this.#length++
  }
}

/** Senders write NaN in many ways, and whether a signalling one stays what it is depends on how far the engine has compiled the code. */
export function withOneNaN(value: number): number {
  return Number.isNaN(value) ? Number.NaN : value
}

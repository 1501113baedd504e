import type { Cut, CutColumn } from '../core/cut.ts'
import type { ColumnData } from '../core/snapshot.ts'
import {
  FOUND,
  LENGTH,
  SLOT_MASK,
  WIRE_A,
  WIRE_B,
  WIRE_CHECK,
  WIRE_KIND,
  WIRE_NEXT,
  WIRE_ROW,
  WIRE_SIDE,
  WIRE_WORDS,
} from '../kernels/assembly/_wire-layout.ts'
import { PLAN, WireRecords } from './wire-records.ts'
import { WireRows } from './wire-rows.ts'
import { segmentAt, WireSlots, wireAt } from './wire-slots.ts'
import { type SavedTexts, WireTexts } from './wire-texts.ts'

/**
 * What a sender sees as one series, known by the hash of its label bytes. A wire is not yet a series of ours: a counter's
 * wire gives a rate, twelve bucket wires give three quantiles. Wires are records of 48 bytes in one WebAssembly memory,
 * given out by chunks of 4,096 (three pages), so the table grows without a copy and the kernel reads it where it lies.
 *
 * The identity is 95 bits. Two label sets that share the first 64 by chance differ in the check, so each has a wire of its
 * own; among ten million series, that any two share all of it has a chance of about 1e-15.
 */

/** Row of a wire whose series could not be interned because the table was full. */
export const ROW_REFUSED = -2

/** Records, sides, slots and bodies of so many all fit into one memory. */
const WIRES_MAX = 2 ** 25

/** Everything of a table that is not in its records; see convert-state.ts. */
export interface WireState {
  readonly length: number
  readonly sides: number
  readonly firstFree: number
  readonly firstFreeSide: number
}

export class WireTable extends WireRecords {
  readonly limit: number
  /** Wires in use. */
  size = 0
  readonly #slots = new WireSlots(this.memory)
  readonly #rows = new WireRows(this.memory, this.wires)
  readonly #texts = new WireTexts()
  /** The text that a wire's row says, when the wire has none of its own. */
  readonly #textOf: (wire: number, row: number) => string
  #firstFree = -1

  constructor(limit: number, textOf: (wire: number, row: number) => string = () => '') {
    super()
    this.limit = Math.min(limit, WIRES_MAX)
    this.#textOf = textOf
    this.memory.i32[FOUND >> 2] = -1
  }

  /** One past the highest wire in use. */
  get length(): number {
    return this.memory.i32[LENGTH >> 2]
  }

  /** The wire of an identity, or −1. Senders repeat their order, so the one after the last found is tried first. */
  find(a: number, b: number, check: number): number {
    const { i32 } = this.memory
    const guess = i32[FOUND >> 2] + 1
    if (guess < i32[LENGTH >> 2]) {
      const at = wireAt(i32, guess)
      if (i32[at + WIRE_A] === a && i32[at + WIRE_B] === b && i32[at + WIRE_CHECK] === (check | 0)) {
        // What was freed keeps its identity, and an output never had one.
        const plan = i32[at + WIRE_KIND] & 0xff
        if (plan !== PLAN.free && plan !== PLAN.output) {
          i32[FOUND >> 2] = guess
          return guess
        }
      }
    }
    return this.#search(a, b, check | 0)
  }

  #search(a: number, b: number, check: number): number {
    const { i32 } = this.memory
    const segment = segmentAt(i32, a)
    for (let slot = b & SLOT_MASK; ; slot = (slot + 1) & SLOT_MASK) {
      const wire = i32[segment + slot] - 1
      if (wire < 0) return -1
      const at = wireAt(i32, wire)
      if (i32[at + WIRE_A] === a && i32[at + WIRE_B] === b && i32[at + WIRE_CHECK] === check) {
        i32[FOUND >> 2] = wire
        return wire
      }
    }
  }

  /** A new wire that `find` will know, or −1 when the table is full. */
  add(a: number, b: number, check: number, text: string): number {
    if (!this.#slots.reserve(a)) return -1
    const wire = this.addOutput(text)
    if (wire < 0) return -1
    this.#identify(wire, a, b, check)
    return wire
  }

  /** The same without a text, for whoever gives it a row or a text before anything else. */
  addBare(a: number, b: number, check: number): number {
    if (!this.#slots.reserve(a)) return -1
    const wire = this.#add()
    if (wire >= 0) this.#identify(wire, a, b, check)
    return wire
  }

  /** A wire that is not on the wire. */
  addOutput(text: string): number {
    const wire = this.#add()
    if (wire >= 0) this.#texts.set(wire, text)
    return wire
  }

  #add(): number {
    if (this.size >= this.limit) return -1
    let wire = this.#firstFree
    const { length } = this
    if (wire >= 0) this.#firstFree = this.next(wire)
    else {
      wire = length
      if (!this.wires.reserve(wire)) return -1
      this.memory.i32[LENGTH >> 2] = wire + 1
    }
    this.size++
    this.wires.touch(wire)
    const { i32 } = this.memory
    const at = wireAt(i32, wire)
    i32[at + WIRE_ROW] = -1
    i32[at + WIRE_NEXT] = -1
    i32[at + WIRE_SIDE] = -1
    i32[at + WIRE_KIND] = PLAN.output
    return wire
  }

  /** Gives a wire another identity: it is then found under that one only. */
  identify(wire: number, a: number, b: number, check: number): boolean {
    if (!this.#slots.reserve(a)) return false
    this.#slots.remove(wire)
    this.#identify(wire, a, b, check)
    return true
  }

  #identify(wire: number, a: number, b: number, check: number): void {
    this.wires.touch(wire)
    const { i32 } = this.memory
    const at = wireAt(i32, wire)
    i32[at + WIRE_A] = a
    i32[at + WIRE_B] = b
    i32[at + WIRE_CHECK] = check
    this.#slots.insert(wire)
  }

  remove(wire: number): void {
    const plan = this.plan(wire)
    if (plan === PLAN.free) return
    if (plan !== PLAN.output) this.#slots.remove(wire)
    this.#rows.unhook(wire)
    this.#texts.delete(wire)
    this.sides.drop(wire)
    this.wires.touch(wire)
    const { i32 } = this.memory
    const at = wireAt(i32, wire)
    i32.fill(0, at, at + WIRE_WORDS)
    i32[at + WIRE_NEXT] = this.#firstFree
    this.#firstFree = wire
    this.size--
  }

  /** Canonical key of the wire, without tenant. */
  text(wire: number): string {
    const own = this.#texts.of(wire)
    if (own !== undefined) return own
    const row = this.row(wire)
    return row < 0 ? '' : this.#textOf(wire, row)
  }

  setText(wire: number, text: string): void {
    this.#texts.set(wire, text)
  }

  /** The same of ASCII characters that lie in the memory, with room for a header before them. */
  setAscii(wire: number, from: number, length: number): void {
    this.#texts.setAscii(wire, this.memory.u8, from, length)
  }

  /** The text of the wire that was added last is not let go at once: that wire waits for a row. */
  keepText(): void {
    this.#texts.keep()
  }

  /** Gives a wire a row that says the same as its text, if it has one. */
  attachSame(wire: number, row: number): void {
    this.#rows.hook(wire, row)
    this.#texts.delete(wire)
  }

  /** Gives a wire its row; a text that the row says as well is let go. */
  attach(wire: number, row: number): void {
    this.#rows.hook(wire, row)
    if (this.#texts.of(wire) === this.#textOf(wire, row)) this.#texts.delete(wire)
  }

  /** Takes a wire's row away. */
  detach(wire: number): void {
    const text = this.text(wire)
    this.#rows.unhook(wire)
    this.#texts.set(wire, text)
  }

  /** There was no room for the wire's series. */
  refuseRow(wire: number): void {
    this.wires.touch(wire)
    const { i32 } = this.memory
    i32[wireAt(i32, wire) + WIRE_ROW] = ROW_REFUSED
  }

  /** First wire that feeds a row, −1 when none. */
  head(row: number): number {
    return this.#rows.head(row)
  }

  bytes(): number {
    return this.memory.bytes() + this.#rows.bytes() + this.#texts.bytes()
  }

  state(): WireState {
    const { length, firstFree } = this.sides
    return { length: this.length, sides: length, firstFree: this.#firstFree, firstFreeSide: firstFree }
  }

  /** Records and texts as columns of a cut, and what is needed to go on with the texts. */
  cut(cut: Cut, columns: Record<string, ColumnData | CutColumn>): SavedTexts {
    columns.wires = this.wires.cut(cut, this.length, this.memory.i32[FOUND >> 2] + 1)
    columns.sides = this.sides.cut(cut)
    return this.#texts.cut(cut, this.length, columns)
  }

  /** Records into an empty table; rows and texts come after. False when there is no room for all. */
  restore(state: WireState, wires: Int32Array, sides: Int32Array): boolean {
    if (!this.wires.restore(wires) || !this.sides.restore(sides, state.firstFreeSide)) return false
    this.memory.i32[LENGTH >> 2] = state.length
    this.#firstFree = state.firstFree
    this.#slots.expect(state.length)
    for (let wire = 0; wire < state.length; wire++) {
      const plan = this.plan(wire)
      if (plan === PLAN.free) continue
      this.size++
      if (plan === PLAN.output) continue
      if (!this.#slots.reserve(this.a(wire))) return false
      this.#slots.insert(wire)
    }
    return true
  }

  /** Hooks all restored wires to their rows again; returns those whose row is no more. */
  restoreRows(has: (row: number) => boolean): number[] {
    return this.#rows.restore(this.length, wire => this.plan(wire) !== PLAN.free, has)
  }

  /** Texts of their own as `cut` saved them. Throws FS_SNAPSHOT_INVALID on another layout. */
  restoreTexts(columns: Readonly<Record<string, ColumnData>>, saved: SavedTexts, isGiven = false): void {
    this.#texts.restore(columns, this.length, saved, isGiven)
  }
}

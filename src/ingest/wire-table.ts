import {
  FOUND,
  LENGTH,
  SIDE_BOUND,
  SIDE_CHUNKS,
  SIDE_CUR,
  SIDE_CUR_MS,
  SIDE_GROUP,
  SIDE_MASK,
  SIDE_NEXT,
  SIDE_SHIFT,
  SIDE_WORDS,
  SLOT_MASK,
  WIRE_A,
  WIRE_B,
  WIRE_CHECK,
  WIRE_CHUNKS,
  WIRE_KIND,
  WIRE_LAST,
  WIRE_LAST_MS,
  WIRE_MASK,
  WIRE_NEXT,
  WIRE_ROW,
  WIRE_SEEN_S,
  WIRE_SHIFT,
  WIRE_SIDE,
  WIRE_WORDS,
} from '../kernels/assembly/_wire-layout.ts'
import { PAGE_BYTES } from '../kernels/load.ts'
import { Origins } from './origins.ts'
import { WireMemory } from './wire-memory.ts'
import { segmentAt, WireSlots, wireAt } from './wire-slots.ts'
import { WireTexts } from './wire-texts.ts'

/**
 * What a sender sees as one series, known by the hash of its label bytes. A wire is not yet a series of ours: a counter's
 * wire gives a rate, twelve bucket wires give three quantiles. Wires are records of 48 bytes in one WebAssembly memory,
 * given out by chunks of 4,096 (three pages), so the table grows without a copy and the kernel reads it where it lies.
 *
 * The identity is 95 bits. Two label sets that share the first 64 by chance differ in the check, so each has a wire of its
 * own; among ten million series, that any two share all of it has a chance of about 1e-15.
 */

/** How the samples of a wire are converted. */
export const PLAN = {
  free: 0,
  drop: 1,
  gauge: 2,
  counter: 3,
  /** Increments, as OTLP's delta sums. */
  delta: 4,
  /** A bucket, sum or count of a classic histogram or summary. */
  member: 5,
  /** Whole histograms in one point. */
  points: 6,
  /** Not on the wire: a derived statistic of a group or of points. */
  output: 7,
  /** Over a limit: counted and left. */
  refused: 8,
  /** A lone `_sum` or `_count`: its first value is held until a sibling, or its next value, tells what it is. */
  waiting: 9,
} as const

/** Row of a wire whose series could not be interned because the table was full. */
export const ROW_REFUSED = -2

const CHUNK_PAGES = Math.ceil(((WIRE_MASK + 1) * WIRE_WORDS * 4) / PAGE_BYTES)
const SIDE_PAGES = Math.ceil(((SIDE_MASK + 1) * SIDE_WORDS * 4) / PAGE_BYTES)
/** Records, sides, slots and bodies of so many all fit into one memory. */
const WIRES_MAX = 2 ** 25
/** Rows in a chunk of heads. */
const HEADS_SHIFT = 14

/** Everything of a table that is not in its records; see convert-state.ts. */
export interface WireState {
  readonly length: number
  readonly sides: number
  readonly firstFree: number
  readonly firstFreeSide: number
}

export class WireTable {
  readonly limit: number
  readonly memory = new WireMemory()
  readonly origins = new Origins()
  /** Wires in use. */
  size = 0
  readonly #slots = new WireSlots(this.memory)
  readonly #texts = new WireTexts()
  /** The text that a wire's row says, when the wire has none of its own. */
  readonly #textOf: (wire: number, row: number) => string
  /** First wire of each row, by chunks of rows; −1 without one. */
  readonly #heads: Int32Array[] = []
  #firstFree = -1
  #sides = 0
  #firstFreeSide = -1

  constructor(limit: number, textOf: (wire: number, row: number) => string = () => '') {
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

  /** A wire that is not on the wire. */
  addOutput(text: string): number {
    if (this.size >= this.limit) return -1
    let wire = this.#firstFree
    const { length } = this
    if (wire >= 0) this.#firstFree = this.next(wire)
    else {
      wire = length
      if ((wire & WIRE_MASK) === 0 && !this.#chunk(WIRE_CHUNKS, wire >>> WIRE_SHIFT, CHUNK_PAGES)) return -1
      this.memory.i32[LENGTH >> 2] = wire + 1
    }
    this.size++
    const { i32 } = this.memory
    const at = wireAt(i32, wire)
    i32[at + WIRE_ROW] = -1
    i32[at + WIRE_NEXT] = -1
    i32[at + WIRE_SIDE] = -1
    i32[at + WIRE_KIND] = PLAN.output
    this.#texts.set(wire, text)
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
    this.#unhook(wire)
    this.#texts.delete(wire)
    this.#dropSide(wire)
    const { i32 } = this.memory
    const at = wireAt(i32, wire)
    i32.fill(0, at, at + WIRE_WORDS)
    i32[at + WIRE_NEXT] = this.#firstFree
    this.#firstFree = wire
    this.size--
  }

  /** The three words of an identity, the third unsigned. */
  a(wire: number): number {
    return this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_A]
  }

  b(wire: number): number {
    return this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_B]
  }

  check(wire: number): number {
    return this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_CHECK] >>> 0
  }

  plan(wire: number): number {
    return this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_KIND] & 0xff
  }

  setPlan(wire: number, plan: number): void {
    const { i32 } = this.memory
    const at = wireAt(i32, wire) + WIRE_KIND
    i32[at] = (i32[at] & ~0xff) | plan
  }

  /** Declared metric type as remote write numbers them, 8 for increments. */
  type(wire: number): number {
    return (this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_KIND] >>> 8) & 0xff
  }

  setType(wire: number, type: number): void {
    const { i32 } = this.memory
    const at = wireAt(i32, wire) + WIRE_KIND
    i32[at] = (i32[at] & ~0xff00) | (type << 8)
  }

  tenant(wire: number): string {
    return this.origins.tenant(this.#origin(wire))
  }

  unit(wire: number): string {
    return this.origins.unit(this.#origin(wire))
  }

  setOrigin(wire: number, tenant: string, unit: string): void {
    const { i32 } = this.memory
    const at = wireAt(i32, wire) + WIRE_KIND
    i32[at] = (i32[at] & 0xffff) | (this.origins.index(tenant, unit) << 16)
  }

  #origin(wire: number): number {
    return this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_KIND] >>> 16
  }

  /** Row of the SeriesTable, −1 until its first value. */
  row(wire: number): number {
    return this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_ROW]
  }

  /** Next wire that feeds the same row, −1 at the end. */
  next(wire: number): number {
    return this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_NEXT]
  }

  /** Last cumulative value and its time, 0 before the first. */
  last(wire: number): number {
    return this.memory.f64[(wireAt(this.memory.i32, wire) + WIRE_LAST) >> 1]
  }

  lastMs(wire: number): number {
    return this.memory.f64[(wireAt(this.memory.i32, wire) + WIRE_LAST_MS) >> 1]
  }

  setLast(wire: number, value: number, timeMs: number): void {
    const at = wireAt(this.memory.i32, wire)
    this.memory.f64[(at + WIRE_LAST) >> 1] = value
    this.memory.f64[(at + WIRE_LAST_MS) >> 1] = timeMs
  }

  /** Arrival of the last sample, Unix s. */
  seenS(wire: number): number {
    return this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_SEEN_S] >>> 0
  }

  setSeenS(wire: number, seenS: number): void {
    const { i32 } = this.memory
    i32[wireAt(i32, wire) + WIRE_SEEN_S] = seenS
  }

  /** Value of the moment that is being collected, and its time: group members and those that wait. */
  cur(wire: number): number {
    const at = this.#sideAt(wire)
    return at < 0 ? 0 : this.memory.f64[(at + SIDE_CUR) >> 1]
  }

  curMs(wire: number): number {
    const at = this.#sideAt(wire)
    return at < 0 ? 0 : this.memory.f64[(at + SIDE_CUR_MS) >> 1]
  }

  setCur(wire: number, value: number, timeMs: number): void {
    const at = this.#sideOf(wire)
    this.memory.f64[(at + SIDE_CUR) >> 1] = value
    this.memory.f64[(at + SIDE_CUR_MS) >> 1] = timeMs
  }

  /** The moment is no more; its value stays. */
  endCur(wire: number): void {
    const at = this.#sideAt(wire)
    if (at >= 0) this.memory.f64[(at + SIDE_CUR_MS) >> 1] = 0
  }

  /** Group of a member, −1 otherwise. */
  group(wire: number): number {
    const at = this.#sideAt(wire)
    return at < 0 ? -1 : this.memory.i32[at + SIDE_GROUP]
  }

  /** Upper bound of a bucket; see ROLE_SUM and ROLE_COUNT for the others. */
  bound(wire: number): number {
    const at = this.#sideAt(wire)
    return at < 0 ? 0 : this.memory.f64[(at + SIDE_BOUND) >> 1]
  }

  setGroup(wire: number, group: number, bound: number): void {
    const at = this.#sideOf(wire)
    this.memory.i32[at + SIDE_GROUP] = group
    this.memory.f64[(at + SIDE_BOUND) >> 1] = bound
  }

  leaveGroup(wire: number): void {
    const at = this.#sideAt(wire)
    if (at >= 0) this.memory.i32[at + SIDE_GROUP] = -1
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

  /** Own texts, in the order of wires. */
  texts(): IterableIterator<[wire: number, text: string]> {
    return this.#texts.entries()
  }

  /** Gives a wire its row; a text that the row says as well is let go. */
  attach(wire: number, row: number): void {
    const { i32 } = this.memory
    const at = wireAt(i32, wire)
    i32[at + WIRE_ROW] = row
    i32[at + WIRE_NEXT] = this.head(row)
    this.#setHead(row, wire)
    if (this.#texts.of(wire) === this.#textOf(wire, row)) this.#texts.delete(wire)
  }

  /** Takes a wire's row away. */
  detach(wire: number): void {
    const text = this.text(wire)
    this.#unhook(wire)
    this.#texts.set(wire, text)
  }

  /** There was no room for the wire's series. */
  refuseRow(wire: number): void {
    const { i32 } = this.memory
    i32[wireAt(i32, wire) + WIRE_ROW] = ROW_REFUSED
  }

  #unhook(wire: number): void {
    const { i32 } = this.memory
    const at = wireAt(i32, wire)
    const row = i32[at + WIRE_ROW]
    i32[at + WIRE_ROW] = -1
    if (row < 0) return
    if (this.head(row) === wire) this.#setHead(row, i32[at + WIRE_NEXT])
    else {
      let before = this.head(row)
      while (before >= 0 && this.next(before) !== wire) before = this.next(before)
      if (before >= 0) i32[wireAt(i32, before) + WIRE_NEXT] = i32[at + WIRE_NEXT]
    }
    i32[at + WIRE_NEXT] = -1
  }

  /** First wire that feeds a row, −1 when none. */
  head(row: number): number {
    const chunk = this.#heads[row >>> HEADS_SHIFT]
    return chunk === undefined ? -1 : chunk[row & ((1 << HEADS_SHIFT) - 1)]
  }

  #setHead(row: number, wire: number): void {
    while (this.#heads.length <= row >>> HEADS_SHIFT)
      this.#heads.push(new Int32Array(1 << HEADS_SHIFT).fill(-1))
    this.#heads[row >>> HEADS_SHIFT][row & ((1 << HEADS_SHIFT) - 1)] = wire
  }

  bytes(): number {
    const heads = this.#heads.length << (HEADS_SHIFT + 2)
    return this.memory.bytes() + heads + this.#texts.bytes()
  }

  #sideAt(wire: number): number {
    const { i32 } = this.memory
    const side = i32[wireAt(i32, wire) + WIRE_SIDE]
    return side < 0 ? -1 : sideWord(i32, side)
  }

  #sideOf(wire: number): number {
    const at = this.#sideAt(wire)
    if (at >= 0) return at
    let side = this.#firstFreeSide
    if (side >= 0) this.#firstFreeSide = this.memory.i32[sideWord(this.memory.i32, side) + SIDE_NEXT]
    else {
      side = this.#sides
      if ((side & SIDE_MASK) === 0 && !this.#chunk(SIDE_CHUNKS, side >>> SIDE_SHIFT, SIDE_PAGES)) {
        throw new RangeError('no room for the side of a wire, though the limit leaves it')
      }
      this.#sides++
    }
    const { i32 } = this.memory
    i32[wireAt(i32, wire) + WIRE_SIDE] = side
    const word = sideWord(i32, side)
    i32.fill(0, word, word + SIDE_WORDS)
    i32[word + SIDE_GROUP] = -1
    i32[word + SIDE_NEXT] = -1
    return word
  }

  #dropSide(wire: number): void {
    const { i32 } = this.memory
    const side = i32[wireAt(i32, wire) + WIRE_SIDE]
    if (side < 0) return
    const word = sideWord(i32, side)
    i32.fill(0, word, word + SIDE_WORDS)
    i32[word + SIDE_NEXT] = this.#firstFreeSide
    this.#firstFreeSide = side
    i32[wireAt(i32, wire) + WIRE_SIDE] = -1
  }

  #chunk(directory: number, index: number, pages: number): boolean {
    const address = this.memory.take(pages)
    if (address === 0) return false
    this.memory.i32[(directory >> 2) + index] = address >>> 2
    return true
  }

  state(): WireState {
    return {
      length: this.length,
      sides: this.#sides,
      firstFree: this.#firstFree,
      firstFreeSide: this.#firstFreeSide,
    }
  }

  /** Records of all wires, then of all sides, as plain copies. */
  records(): { wires: Int32Array; sides: Int32Array } {
    return {
      wires: this.#copy(WIRE_CHUNKS, WIRE_SHIFT, WIRE_WORDS, this.length),
      sides: this.#copy(SIDE_CHUNKS, SIDE_SHIFT, SIDE_WORDS, this.#sides),
    }
  }

  #copy(directory: number, shift: number, words: number, count: number): Int32Array {
    const { i32 } = this.memory
    const out = new Int32Array(count * words)
    for (let first = 0; first < count; first += 1 << shift) {
      const from = i32[(directory >> 2) + (first >>> shift)]
      const rows = Math.min(1 << shift, count - first)
      out.set(i32.subarray(from, from + rows * words), first * words)
    }
    return out
  }

  /** Into an empty table. False when there is no room for all. */
  restore(state: WireState, wires: Int32Array, sides: Int32Array): boolean {
    if (!this.#place(WIRE_CHUNKS, WIRE_SHIFT, WIRE_WORDS, CHUNK_PAGES, wires)) return false
    if (!this.#place(SIDE_CHUNKS, SIDE_SHIFT, SIDE_WORDS, SIDE_PAGES, sides)) return false
    this.memory.i32[LENGTH >> 2] = state.length
    this.#sides = state.sides
    this.#firstFree = state.firstFree
    this.#firstFreeSide = state.firstFreeSide
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

  #place(directory: number, shift: number, words: number, pages: number, from: Int32Array): boolean {
    const count = from.length / words
    for (let first = 0; first < count; first += 1 << shift) {
      if (!this.#chunk(directory, first >>> shift, pages)) return false
      const { i32 } = this.memory
      const rows = Math.min(1 << shift, count - first)
      i32.set(from.subarray(first * words, (first + rows) * words), i32[(directory >> 2) + (first >>> shift)])
    }
    return true
  }

  /** Hooks all restored wires to their rows again; returns those whose row is no more. */
  restoreRows(has: (row: number) => boolean): number[] {
    const { i32 } = this.memory
    const fed = new Uint8Array((this.length + 7) >> 3)
    const lost: number[] = []
    for (let wire = 0; wire < this.length; wire++) {
      if (this.plan(wire) === PLAN.free || this.row(wire) < 0) continue
      if (!has(this.row(wire))) lost.push(wire)
      const next = this.next(wire)
      if (next >= 0) fed[next >> 3] |= 1 << (next & 7)
    }
    for (let wire = 0; wire < this.length; wire++) {
      if (this.plan(wire) === PLAN.free || this.row(wire) < 0) continue
      if (has(this.row(wire)) && (fed[wire >> 3] & (1 << (wire & 7))) === 0)
        this.#setHead(this.row(wire), wire)
    }
    for (const wire of lost) {
      const at = wireAt(i32, wire)
      i32[at + WIRE_ROW] = -1
      i32[at + WIRE_NEXT] = -1
    }
    return lost
  }
}

function sideWord(i32: Int32Array, side: number): number {
  return i32[(SIDE_CHUNKS >> 2) + (side >>> SIDE_SHIFT)] + (side & SIDE_MASK) * SIDE_WORDS
}

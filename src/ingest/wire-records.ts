import {
  WIRE_A,
  WIRE_B,
  WIRE_CHECK,
  WIRE_CHUNKS,
  WIRE_KEPT,
  WIRE_KIND,
  WIRE_LAST,
  WIRE_LAST_MS,
  WIRE_NEXT,
  WIRE_ROW,
  WIRE_SEEN_S,
  WIRE_SHIFT,
  WIRE_WORDS,
} from '../kernels/assembly/_wire-layout.ts'
import { Origins } from './origins.ts'
import { WireChunks } from './wire-chunks.ts'
import { WireMemory } from './wire-memory.ts'
import { WireSides, withOneNaN } from './wire-sides.ts'
import { wireAt } from './wire-slots.ts'

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

const LAYOUT = { directory: WIRE_CHUNKS, kept: WIRE_KEPT, shift: WIRE_SHIFT, words: WIRE_WORDS }

/** What stands in the records of wires, and in the sides of those that have one, by name. */
export class WireRecords {
  readonly memory = new WireMemory()
  readonly origins = new Origins()
  protected readonly wires = new WireChunks(this.memory, LAYOUT)
  protected readonly sides = new WireSides(this.memory, this.wires)

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
    this.wires.touch(wire)
    const { i32 } = this.memory
    const at = wireAt(i32, wire) + WIRE_KIND
    i32[at] = (i32[at] & ~0xff) | plan
  }

  /** Declared metric type as remote write numbers them, 8 for increments. */
  type(wire: number): number {
    return (this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_KIND] >>> 8) & 0xff
  }

  setType(wire: number, type: number): void {
    this.wires.touch(wire)
    const { i32 } = this.memory
    const at = wireAt(i32, wire) + WIRE_KIND
    i32[at] = (i32[at] & ~0xff00) | (type << 8)
  }

  /** What is known of a wire that was just added, at once. */
  begin(wire: number, plan: number, origin: number, seenS: number): void {
    this.wires.touch(wire)
    const { i32 } = this.memory
    const at = wireAt(i32, wire)
    i32[at + WIRE_KIND] = plan | (origin << 16)
    i32[at + WIRE_SEEN_S] = seenS
  }

  tenant(wire: number): string {
    return this.origins.tenant(this.#origin(wire))
  }

  unit(wire: number): string {
    return this.origins.unit(this.#origin(wire))
  }

  setOrigin(wire: number, tenant: string, unit: string): void {
    this.wires.touch(wire)
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
    this.wires.touch(wire)
    const at = wireAt(this.memory.i32, wire)
    this.memory.f64[(at + WIRE_LAST) >> 1] = withOneNaN(value)
    this.memory.f64[(at + WIRE_LAST_MS) >> 1] = timeMs
  }

  /** Arrival of the last sample, Unix s. */
  seenS(wire: number): number {
    return this.memory.i32[wireAt(this.memory.i32, wire) + WIRE_SEEN_S] >>> 0
  }

  setSeenS(wire: number, seenS: number): void {
    this.wires.touch(wire)
    const { i32 } = this.memory
    i32[wireAt(i32, wire) + WIRE_SEEN_S] = seenS
  }

  /** Value of the moment that is being collected, and its time: group members and those that wait. */
  cur(wire: number): number {
    return this.sides.cur(wire)
  }

  curMs(wire: number): number {
    return this.sides.curMs(wire)
  }

  setCur(wire: number, value: number, timeMs: number): void {
    this.sides.setCur(wire, value, timeMs)
  }

  /** The moment is no more; its value stays. */
  endCur(wire: number): void {
    this.sides.endCur(wire)
  }

  /** Group of a member, −1 otherwise. */
  group(wire: number): number {
    return this.sides.group(wire)
  }

  /** Upper bound of a bucket; see ROLE_SUM and ROLE_COUNT for the others. */
  bound(wire: number): number {
    return this.sides.bound(wire)
  }

  setGroup(wire: number, group: number, bound: number): void {
    this.sides.setGroup(wire, group, bound)
  }

  leaveGroup(wire: number): void {
    this.sides.leaveGroup(wire)
  }
}

import { bounded, learnRunning, type RunningColumns, runningRate } from './model-input.ts'
import { LEVEL_DAYS } from './model-plan.ts'

const ROWS_FIRST = 64

/**
 * The last values of the series that a model looks at, a ring each, one place a window; windows in which a series was
 * not seen are gaps. Beside them its level and spread, which tell the strangest of several.
 */
export class ModelRings implements RunningColumns {
  /** Row-major, `depth` places a row. */
  values = new Float64Array(0)
  /** Place of the next value, and how many windows are known, `depth` at most. */
  next = new Uint32Array(0)
  known = new Uint32Array(0)
  /** End of the window pushed last, Unix ms. */
  endMs = new Float64Array(0)
  mean = new Float64Array(0)
  deviation = new Float64Array(0)
  count = new Float64Array(0)
  readonly #stepMs: number
  readonly #rate: number
  #depth: number
  #rows = 0

  constructor(stepMs: number, depth: number) {
    this.#stepMs = stepMs
    this.#depth = Math.max(1, depth)
    this.#rate = runningRate(LEVEL_DAYS, stepMs)
  }

  get depth(): number {
    return this.#depth
  }

  /** Makes room for rows 0..rows−1; new ones are empty. */
  ensure(rows: number): void {
    if (rows <= this.#rows) return
    const room = Math.max(rows, 2 * this.#rows, ROWS_FIRST)
    this.values = grown(this.values, room * this.#depth)
    this.next = grown(this.next, room)
    this.known = grown(this.known, room)
    this.endMs = grown(this.endMs, room)
    this.mean = grown(this.mean, room)
    this.deviation = grown(this.deviation, room)
    this.count = grown(this.count, room)
    this.#rows = room
  }

  /** Holds so many windows from now on, and keeps of those held what fits. */
  resize(depth: number): void {
    if (depth === this.#depth) return
    const values = new Float64Array(this.#rows * depth)
    const kept = Math.min(depth, this.#depth)
    const line = new Float64Array(kept)
    for (let row = 0; row < this.#rows; row++) {
      const count = Math.min(this.known[row], kept)
      this.read(row, 0, count, line, 0)
      values.set(line.subarray(0, count), row * depth)
      this.known[row] = count
      this.next[row] = count % depth
    }
    this.values = values
    this.#depth = depth
  }

  /** Windows between the last one pushed and one that ends at `endMs`: gaps, unless it is the very next. */
  gap(row: number, endMs: number): number {
    if (this.known[row] === 0) return 0
    return Math.max(0, Math.round((endMs - this.endMs[row]) / this.#stepMs) - 1)
  }

  /** Takes the value of a window; NaN is a gap. */
  push(row: number, endMs: number, value: number): void {
    const gaps = Math.min(this.gap(row, endMs), this.#depth)
    for (let i = 0; i < gaps; i++) this.#put(row, NaN)
    const taken = bounded(value)
    this.#put(row, taken)
    this.endMs[row] = endMs
    learnRunning(this, row, taken, this.#rate)
  }

  #put(row: number, value: number): void {
    const at = this.next[row]
    this.values[row * this.#depth + at] = value
    this.next[row] = at + 1 === this.#depth ? 0 : at + 1
    if (this.known[row] < this.#depth) this.known[row]++
  }

  /** `length` values into out[at..), oldest first, the newest of them `back` windows before the last; NaN beyond what is known. */
  read(row: number, back: number, length: number, out: Float64Array, at: number): void {
    const depth = this.#depth
    const from = row * depth
    const known = this.known[row]
    const next = this.next[row]
    for (let i = 0; i < length; i++) {
      const age = back + length - 1 - i
      if (age >= known) {
        out[at + i] = NaN
        continue
      }
      const place = next - 1 - age
      out[at + i] = this.values[from + (place < 0 ? place + depth : place)]
    }
  }

  /** The value `back` windows before the last. */
  at(row: number, back: number): number {
    if (back >= this.known[row]) return NaN
    const place = this.next[row] - 1 - back
    return this.values[row * this.#depth + (place < 0 ? place + this.#depth : place)]
  }

  clear(row: number): void {
    if (row >= this.#rows) return
    this.values.fill(0, row * this.#depth, (row + 1) * this.#depth)
    for (const column of [this.next, this.known, this.endMs, this.mean, this.deviation, this.count])
      column[row] = 0
  }

  bytes(): number {
    return this.values.byteLength + this.#rows * 40
  }
}

/** A longer copy of a column. */
export function grown<T extends Float64Array | Uint32Array>(column: T, length: number): T {
  const longer = (column instanceof Float64Array ? new Float64Array(length) : new Uint32Array(length)) as T
  longer.set(column as never)
  return longer
}

import { BATCH_ROWS, type FeatureBatch } from '../core/batch.ts'

/** Rows remembered at most: the largest batch that windows hand out. */
const ROWS_MAX = BATCH_ROWS
const BLOCKS_MAX = 128

/**
 * One number a row (or `width` of them, at offset × width) that `score` found and `learn` of the very same rows would have to find again. A batch is scored
 * and learned in blocks, so several blocks are held; a block is known again by its window, its first and last
 * series and values. Each is used once, since learning makes it stale.
 */
export class ScoredRows<T extends Float32Array | Float64Array = Float32Array> {
  values: T
  readonly #width: number
  readonly #make: (length: number) => T
  readonly #lengths = new Uint32Array(BLOCKS_MAX)
  readonly #offsets = new Uint32Array(BLOCKS_MAX)
  /** Window end, first and last series, first and last value of each block. */
  readonly #marks = new Float64Array(BLOCKS_MAX * 5)
  #blocks = 0
  #used = 0
  /** The block that is learned next. */
  #next = 0

  constructor(width = 1, make: (length: number) => T = length => new Float32Array(length) as T) {
    this.#width = width
    this.#make = make
    this.values = make(0)
  }

  /** Makes room for the rows of a block that is about to be scored: where in `values` its first row goes. */
  begin(batch: FeatureBatch): number {
    const { length, series, windowEndMs } = batch
    const last = (this.#blocks - 1) * 5
    const goesOn =
      this.#blocks > 0 &&
      this.#next === 0 &&
      this.#blocks < BLOCKS_MAX &&
      length > 0 &&
      this.#marks[last] === windowEndMs[0] &&
      this.#marks[last + 2] < series[0] &&
      this.#used + length <= ROWS_MAX
    if (!goesOn) this.clear()
    const offset = this.#used
    const needed = (offset + length) * this.#width
    if (this.values.length < needed) {
      const grown = this.#make(Math.max(needed, Math.min(2 * this.values.length, ROWS_MAX * this.#width)))
      grown.set(this.values.subarray(0, offset * this.#width))
      this.values = grown
    }
    if (length === 0) return offset
    this.#lengths[this.#blocks] = length
    this.#offsets[this.#blocks] = offset
    mark(batch, this.#marks, this.#blocks * 5)
    this.#blocks++
    this.#used += length
    return offset
  }

  /** Where the rows of a block lie that was scored and not yet learned; −1 when it must be worked out again. */
  take(batch: FeatureBatch): number {
    const at = this.#next++
    if (at < this.#blocks && this.#lengths[at] === batch.length && isMarked(batch, this.#marks, at * 5)) {
      return this.#offsets[at]
    }
    this.clear()
    return -1
  }

  /** Forgets everything: the state that it came from has changed. */
  clear(): void {
    this.#blocks = 0
    this.#used = 0
    this.#next = 0
  }

  bytes(): number {
    return this.values.byteLength
  }
}

function mark(
  { length, series, windowEndMs, observed }: FeatureBatch,
  marks: Float64Array,
  at: number,
): void {
  marks[at] = windowEndMs[0]
  marks[at + 1] = series[0]
  marks[at + 2] = series[length - 1]
  marks[at + 3] = observed[0]
  marks[at + 4] = observed[length - 1]
}

function isMarked(batch: FeatureBatch, marks: Float64Array, at: number): boolean {
  const { length, series, windowEndMs, observed } = batch
  return (
    marks[at] === windowEndMs[0] &&
    marks[at + 1] === series[0] &&
    marks[at + 2] === series[length - 1] &&
    Object.is(marks[at + 3], observed[0]) &&
    Object.is(marks[at + 4], observed[length - 1])
  )
}

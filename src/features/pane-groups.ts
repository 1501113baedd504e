import { type LogChunk, timeAt, WindowLog } from './sample-log.ts'

/** Bits of a place in a log that say where in its chunk; chunks are no longer than this allows. */
const PLACE_BITS = 14
const PLACE_MASK = (1 << PLACE_BITS) - 1
const EMPTY = new WindowLog(Number.NaN)
/** Series that are grouped at once, as a power of two: what is done of a window in one go is short. */
const STRETCH_SHIFT = 11
const STRETCH_SERIES = 1 << STRETCH_SHIFT

/**
 * One window's samples by series, in the order they came within each: of a stretch of 2048 series at a time, so that it takes
 * no memory by series, or of all where any may be asked for. Grows, never shrinks.
 */
export class PaneGroups {
  /** The first series grouped now. */
  base = 0
  /** End of each series' samples, by series from `base` on; a series begins where the one before ends. */
  ends = new Uint32Array(0)
  timeMs = new Float64Array(0)
  value = new Float64Array(0)
  #log = EMPTY
  #capacity = 0
  /** One past the last series grouped now. */
  #end = 0
  /** Where the samples of each stretch of series begin, and one more. */
  #starts = new Uint32Array(1)
  /** Places in the log by stretch of series, unless they lie there in that order. */
  #order = new Uint32Array(0)
  #isOrdered = true

  /** Takes up a window's samples; `capacity` is one past the highest series. */
  begin(log: WindowLog | undefined, capacity: number): void {
    this.#log = log ?? EMPTY
    this.#capacity = capacity
    this.base = 0
    this.#end = 0
    const stretches = (capacity + STRETCH_SERIES - 1) >> STRETCH_SHIFT
    if (this.#starts.length < stretches + 1) this.#starts = new Uint32Array(stretches + 1)
    this.#isOrdered = countStretches(this.#log, this.#starts)
    if (this.#isOrdered) return
    const { length } = this.#log
    if (this.#order.length < length) this.#order = new Uint32Array(Math.ceil(length * 1.125))
    orderByStretch(this.#log, this.#starts, this.#order)
  }

  /** Groups all series at once. */
  whole(): void {
    this.#room(this.#capacity, this.#log.length)
    this.#end = this.#capacity
    this.base = 0
    countingSort(
      this.#log,
      undefined,
      0,
      this.#log.length,
      0,
      this.#capacity,
      this.ends,
      this.timeMs,
      this.value,
    )
  }

  /** Groups the stretch of series that one lies in, unless it is grouped already. Returns up to where to go on at once. */
  reach(series: number): number {
    if (series >= this.base && series < this.#end) return Math.min(this.#end, series + STRETCH_SERIES)
    const stretch = series >> STRETCH_SHIFT
    const [from, to] = [this.#starts[stretch], this.#starts[stretch + 1]]
    this.base = stretch << STRETCH_SHIFT
    this.#end = Math.min(this.#capacity, this.base + STRETCH_SERIES)
    const count = this.#end - this.base
    this.#room(count, to - from)
    const order = this.#isOrdered ? undefined : this.#order
    countingSort(this.#log, order, from, to, this.base, count, this.ends, this.timeMs, this.value)
    return this.#end
  }

  /** Series [from, to) are new and without samples; all are grouped at once. */
  extend(from: number, to: number): void {
    if (to <= from) return
    if (this.ends.length < to + 1) {
      const ends = new Uint32Array(Math.ceil(to * 1.125) + 16)
      ends.set(this.ends)
      this.ends = ends
    }
    this.ends.fill(from === 0 ? 0 : this.ends[from - 1], from, to)
    this.#end = to
  }

  /** Lets go of the window. */
  clear(): void {
    this.#log = EMPTY
  }

  bytes(): number {
    const { ends, timeMs, value } = this
    return (
      ends.byteLength +
      timeMs.byteLength +
      value.byteLength +
      this.#order.byteLength +
      this.#starts.byteLength
    )
  }

  #room(series: number, samples: number): void {
    if (this.ends.length < series + 1) this.ends = new Uint32Array(Math.ceil(series * 1.125) + 16)
    if (this.timeMs.length >= samples) return
    const room = Math.ceil(samples * 1.125) + 16
    this.timeMs = new Float64Array(room)
    this.value = new Float64Array(room)
  }
}

/** Where the samples of each chunk of series will begin; whether they lie in that order already. */
function countStretches(log: WindowLog, starts: Uint32Array): boolean {
  starts.fill(0)
  let isOrdered = true
  let before = 0
  for (const { series, length } of log.chunks) {
    for (let i = 0; i < length; i++) {
      const stretch = series[i] >> STRETCH_SHIFT
      if (stretch < before) isOrdered = false
      before = stretch
      starts[stretch + 1]++
    }
  }
  for (let k = 1; k < starts.length; k++) starts[k] += starts[k - 1]
  return isOrdered
}

function orderByStretch(log: WindowLog, starts: Uint32Array, order: Uint32Array): void {
  const next = starts.slice()
  for (const [c, { series, length }] of log.chunks.entries())
    for (let i = 0; i < length; i++) order[next[series[i] >> STRETCH_SHIFT]++] = (c << PLACE_BITS) | i
}

/** Counting sort by series of samples [from, to), counted in the order given or else as they lie in the log. */
function countingSort(
  log: WindowLog,
  order: Uint32Array | undefined,
  from: number,
  to: number,
  base: number,
  count: number,
  ends: Uint32Array,
  timeMs: Float64Array,
  value: Float64Array,
): void {
  ends.fill(0, 0, count + 1)
  if (order) countOrdered(log.chunks, order, from, to, base, ends)
  else countLying(log.chunks, from, to, base, ends)
  for (let s = 1; s <= count; s++) ends[s] += ends[s - 1]
  // ends[s] is where series s begins; placing its samples moves it to where they end.
  if (order) placeOrdered(log, order, from, to, base, ends, timeMs, value)
  else placeLying(log, from, to, base, ends, timeMs, value)
}

function countOrdered(
  chunks: readonly LogChunk[],
  order: Uint32Array,
  from: number,
  to: number,
  base: number,
  ends: Uint32Array,
): void {
  for (let k = from; k < to; k++) {
    const place = order[k]
    ends[chunks[place >>> PLACE_BITS].series[place & PLACE_MASK] - base + 1]++
  }
}

function placeOrdered(
  { chunks, startMs }: WindowLog,
  order: Uint32Array,
  from: number,
  to: number,
  base: number,
  ends: Uint32Array,
  timeMs: Float64Array,
  value: Float64Array,
): void {
  for (let k = from; k < to; k++) {
    const chunk = chunks[order[k] >>> PLACE_BITS]
    const i = order[k] & PLACE_MASK
    const at = ends[chunk.series[i] - base]++
    timeMs[at] = timeAt(chunk, startMs, i)
    value[at] = chunk.value[i]
  }
}

function countLying(
  chunks: readonly LogChunk[],
  from: number,
  to: number,
  base: number,
  ends: Uint32Array,
): void {
  let before = 0
  for (const { series, length } of chunks) {
    if (before >= to) break
    const end = Math.min(length, to - before)
    for (let i = Math.max(0, from - before); i < end; i++) ends[series[i] - base + 1]++
    before += length
  }
}

function placeLying(
  { chunks, startMs }: WindowLog,
  from: number,
  to: number,
  base: number,
  ends: Uint32Array,
  timeMs: Float64Array,
  value: Float64Array,
): void {
  let before = 0
  for (const chunk of chunks) {
    if (before >= to) break
    const { series, length, value: fromValue } = chunk
    const end = Math.min(length, to - before)
    for (let i = Math.max(0, from - before); i < end; i++) {
      const at = ends[series[i] - base]++
      timeMs[at] = timeAt(chunk, startMs, i)
      value[at] = fromValue[i]
    }
    before += length
  }
}

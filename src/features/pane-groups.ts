import { type LogChunk, timeAt, WindowLog } from './sample-log.ts'

/** Bits of a place in a log that say where in its chunk; chunks are no longer than this allows. */
const PLACE_BITS = 14
const PLACE_MASK = (1 << PLACE_BITS) - 1
const EMPTY = new WindowLog(Number.NaN)
/** Series that are grouped at once, as a power of two: what is done of a window in one go is short. */
const STRETCH_SHIFT = 11
const STRETCH_SERIES = 1 << STRETCH_SHIFT
/** Runs that are put in order in one step: some tens of µs. */
const STEP_RUNS = 4096

/**
 * One window's samples by series, in the order they came within each: of a stretch of 2048 series at a time, so that it takes
 * no memory by series, or of all where any may be asked for. Grows, never shrinks.
 */
export class PaneGroups {
  /** The first series grouped now. */
  base = 0
  /**
   * Every series grouped now has one sample at most, at its own place from `base` on, where `ends` is 1, and 0 without one.
   * Otherwise `ends` is where its samples end; they begin where those of the series before end.
   */
  isSingle = false
  ends = new Uint32Array(0)
  timeMs = new Float64Array(0)
  value = new Float64Array(0)
  #log = EMPTY
  #capacity = 0
  /** One past the last series grouped now. */
  #end = 0
  /** Places in the log where a run begins of samples of one stretch of series: it ends at the next one's, or its chunk's end. */
  #runs = new Uint32Array(0)
  #runCount = 0
  /** Runs by stretch, and where those of each stretch begin, and one more. */
  #order = new Uint32Array(0)
  #starts = new Uint32Array(1)

  /**
   * Takes up a window's samples, in steps; `capacity` is one past the highest series. Then `whole` or `reach` group them, of which
   * `whole` needs no steps.
   */
  begin(log: WindowLog | undefined, capacity: number): Generator<void> {
    this.#log = log ?? EMPTY
    this.#capacity = capacity
    this.base = 0
    this.#end = 0
    return this.#finding()
  }

  /** Finds where the samples of each stretch lie, in the order in which they came: a chunk at a time, then some runs at a time. */
  *#finding(): Generator<void> {
    const { chunks } = this.#log
    const stretches = (this.#capacity + STRETCH_SERIES - 1) >> STRETCH_SHIFT
    if (this.#starts.length < stretches + 1) this.#starts = new Uint32Array(stretches + 1)
    const starts = this.#starts
    starts.fill(0)
    let count = 0
    for (const [c, chunk] of chunks.entries()) {
      if (this.#runs.length < count + chunk.length) this.#runs = longer(this.#runs, count + chunk.length)
      count = findRuns(chunk, c, this.#runs, count, starts)
      yield
    }
    this.#runCount = count
    for (let k = 1; k < starts.length; k++) starts[k] += starts[k - 1]
    if (this.#order.length < count) this.#order = new Uint32Array(Math.ceil(count * 1.125))
    const next = starts.slice()
    for (let from = 0; from < count; from += STEP_RUNS) {
      orderRuns(chunks, this.#runs, from, Math.min(count, from + STEP_RUNS), next, this.#order)
      yield
    }
  }

  /** Groups all series at once. */
  whole(): void {
    const { chunks, startMs, length } = this.#log
    this.#room(this.#capacity, length)
    this.#end = this.#capacity
    this.base = 0
    this.isSingle = false
    const { ends, timeMs, value } = this
    ends.fill(0, 0, this.#capacity + 1)
    for (const chunk of chunks) countRun(chunk, 0, chunk.length, 0, ends)
    sumUp(ends, this.#capacity)
    for (const chunk of chunks) placeRun(chunk, startMs, 0, chunk.length, 0, ends, timeMs, value)
  }

  /** Groups the stretch of series that one lies in, unless it is grouped already. Returns up to where to go on at once. */
  reach(series: number): number {
    if (series >= this.base && series < this.#end) return Math.min(this.#end, series + STRETCH_SERIES)
    const stretch = series >> STRETCH_SHIFT
    this.base = stretch << STRETCH_SHIFT
    this.#end = Math.min(this.#capacity, this.base + STRETCH_SERIES)
    const [from, to] = [this.#starts[stretch], this.#starts[stretch + 1]]
    this.isSingle = this.#single(from, to)
    if (!this.isSingle) this.#sort(from, to)
    return this.#end
  }

  /** One sample a series, as it is nearly always: each is put where its series is. */
  #single(from: number, to: number): boolean {
    const { base } = this
    const count = this.#end - base
    this.#room(count, count)
    const { ends, timeMs, value } = this
    const { chunks, startMs } = this.#log
    ends.fill(0, 0, count)
    for (let j = from; j < to; j++) {
      const run = this.#order[j]
      const chunk = chunks[this.#runs[run] >>> PLACE_BITS]
      const first = this.#runs[run] & PLACE_MASK
      if (!placeSingle(chunk, startMs, first, this.#endOf(run, chunk), base, ends, timeMs, value))
        return false
    }
    return true
  }

  /** Counting sort by series of the samples in some runs. */
  #sort(from: number, to: number): void {
    const { base } = this
    const count = this.#end - base
    const { chunks, startMs } = this.#log
    let samples = 0
    for (let j = from; j < to; j++) {
      const place = this.#runs[this.#order[j]]
      samples += this.#endOf(this.#order[j], chunks[place >>> PLACE_BITS]) - (place & PLACE_MASK)
    }
    this.#room(count, samples)
    const { ends, timeMs, value } = this
    ends.fill(0, 0, count + 1)
    for (let pass = 0; pass < 2; pass++) {
      for (let j = from; j < to; j++) {
        const run = this.#order[j]
        const chunk = chunks[this.#runs[run] >>> PLACE_BITS]
        const first = this.#runs[run] & PLACE_MASK
        if (pass === 0) countRun(chunk, first, this.#endOf(run, chunk), base, ends)
        else placeRun(chunk, startMs, first, this.#endOf(run, chunk), base, ends, timeMs, value)
      }
      if (pass === 0) sumUp(ends, count)
    }
  }

  /** Where a run ends in its chunk. */
  #endOf(run: number, chunk: LogChunk): number {
    if (run + 1 >= this.#runCount) return chunk.length
    // A run that begins its chunk is not of this one.
    return this.#runs[run + 1] & PLACE_MASK || chunk.length
  }

  /** Series [from, to) are new and without samples; all are grouped at once. */
  extend(from: number, to: number): void {
    if (to <= from) return
    if (this.ends.length < to + 1) this.ends = longer(this.ends, to + 1)
    this.ends.fill(from === 0 ? 0 : this.ends[from - 1], from, to)
    this.#end = to
  }

  /** Where the samples of a series that is grouped begin. */
  from(series: number): number {
    const at = series - this.base
    return this.isSingle ? at : at === 0 ? 0 : this.ends[at - 1]
  }

  /** Where they end. */
  to(series: number): number {
    const at = series - this.base
    return this.isSingle ? at + this.ends[at] : this.ends[at]
  }

  /** Lets go of the window. */
  clear(): void {
    this.#log = EMPTY
  }

  bytes(): number {
    const { ends, timeMs, value } = this
    const parts = [ends, timeMs, value, this.#runs, this.#order, this.#starts]
    return parts.reduce((sum, part) => sum + part.byteLength, 0)
  }

  #room(series: number, samples: number): void {
    if (this.ends.length < series + 1) this.ends = new Uint32Array(Math.ceil(series * 1.125) + 16)
    if (this.timeMs.length >= samples) return
    const room = Math.ceil(samples * 1.125) + 16
    this.timeMs = new Float64Array(room)
    this.value = new Float64Array(room)
  }
}

/** A copy with room for at least so many. */
function longer(from: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const to = new Uint32Array(Math.ceil(length * 1.125) + 16)
  to.set(from)
  return to
}

/** Counts, each a place later, → where each series' samples begin; placing them moves that to where they end. */
function sumUp(ends: Uint32Array, count: number): void {
  for (let s = 1; s <= count; s++) ends[s] += ends[s - 1]
}

/**
 * Appends to `runs`, from `n` on, where in chunk `c` of a log the stretch of series changes, and counts the runs of each
 * stretch. Returns how many runs there are now.
 */
function findRuns(
  { series, length }: LogChunk,
  c: number,
  runs: Uint32Array,
  n: number,
  starts: Uint32Array,
): number {
  let before = -1
  let at = n
  for (let i = 0; i < length; i++) {
    const stretch = series[i] >> STRETCH_SHIFT
    if (stretch === before) continue
    before = stretch
    starts[stretch + 1]++
    runs[at++] = (c << PLACE_BITS) | i
  }
  return at
}

/** Puts the runs from..to at their stretches' next places in the order. */
function orderRuns(
  chunks: readonly LogChunk[],
  runs: Uint32Array,
  from: number,
  to: number,
  next: Uint32Array,
  order: Uint32Array,
): void {
  for (let k = from; k < to; k++) {
    const series = chunks[runs[k] >>> PLACE_BITS].series[runs[k] & PLACE_MASK]
    order[next[series >> STRETCH_SHIFT]++] = k
  }
}

/** Puts each sample of a run at its series' place; false when one of them has another one in the window. */
function placeSingle(
  chunk: LogChunk,
  startMs: number,
  from: number,
  to: number,
  base: number,
  held: Uint32Array,
  timeMs: Float64Array,
  value: Float64Array,
): boolean {
  const { series, offsetMs, value: values, exactMs } = chunk
  let doubles = 0
  for (let i = from; i < to; i++) {
    const at = series[i] - base
    doubles |= held[at]
    held[at] = 1
    timeMs[at] = exactMs === undefined ? startMs + offsetMs[i] : exactMs[i]
    value[at] = values[i]
  }
  return doubles === 0
}

function countRun({ series }: LogChunk, from: number, to: number, base: number, ends: Uint32Array): void {
  for (let i = from; i < to; i++) ends[series[i] - base + 1]++
}

function placeRun(
  chunk: LogChunk,
  startMs: number,
  from: number,
  to: number,
  base: number,
  ends: Uint32Array,
  timeMs: Float64Array,
  value: Float64Array,
): void {
  const { series, value: values } = chunk
  for (let i = from; i < to; i++) {
    const at = ends[series[i] - base]++
    timeMs[at] = timeAt(chunk, startMs, i)
    value[at] = values[i]
  }
}

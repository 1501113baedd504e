import type { Stretch } from '../core/cut.ts'

/** Samples in a chunk at most, 229 kB: small enough that little of the last one lies idle. */
const CHUNK_SAMPLES = 16_384
/** Samples in the first chunk of a window: a replay of sparse history holds thousands of windows. */
const FIRST_SAMPLES = 64
/** Offsets within windows up to this long take two bytes, ms. */
const SHORT_MS = 65_536

type Offsets = Uint16Array | Uint32Array

/** Samples of one window in the order they came: 14 bytes each where they lie on whole ms of a window up to a minute. */
export interface LogChunk {
  length: number
  readonly capacity: number
  readonly series: Uint32Array
  /** Time from the window's start, ms. */
  readonly offsetMs: Offsets
  readonly value: Float64Array
  /** Times as they are, once one does not lie on a whole ms. */
  exactMs: Float64Array | undefined
  /** Samples came after so many rounds of forgetting. */
  round: number
  /** What a cut still needs of it; samples that are added lie behind. Told before those that lie here are moved or go. */
  stretch: Stretch | undefined
}

/** Where nothing can be put. */
export const NO_CHUNK: LogChunk = {
  length: 0,
  capacity: 0,
  series: new Uint32Array(0),
  offsetMs: new Uint16Array(0),
  value: new Float64Array(0),
  exactMs: undefined,
  round: 0,
  stretch: undefined,
}

/** The samples of one window. */
export class WindowLog {
  readonly startMs: number
  readonly chunks: LogChunk[] = []
  length = 0

  constructor(startMs: number) {
    this.startMs = startMs
  }
}

/**
 * Samples of windows that are not complete, by window in the order they came. Sums wait until a window closes and its
 * samples are in time order: float addition depends on its order, so a running sum would not survive
 * "any arrival order gives the same window".
 */
export class SampleLog {
  readonly #stepMs: number
  #windows = new Map<number, WindowLog>()
  /** Chunks without use, by capacity. */
  readonly #idle = new Map<number, LogChunk[]>()
  #bytes = 0
  /** Samples in all windows. */
  length = 0
  /** Rounds of forgetting so far: whoever forgets a series drops what came in this round and before. */
  round = 0

  constructor(stepMs: number) {
    this.#stepMs = stepMs
  }

  /** Whether the window that a time lies in is here, or is one of so many at most. */
  hasRoom(t: number, windowsMax: number): boolean {
    return this.#windows.size < windowsMax || this.#windows.has(this.#startOf(t))
  }

  #startOf(t: number): number {
    return Math.floor(t / this.#stepMs) * this.#stepMs
  }

  /** The window that a time lies in, made when new. */
  window(t: number): WindowLog {
    const startMs = this.#startOf(t)
    let found = this.#windows.get(startMs)
    if (!found) {
      found = new WindowLog(startMs)
      this.#windows.set(startMs, found)
    }
    return found
  }

  /** The chunk that the next sample of a window goes to. */
  room({ chunks, length }: WindowLog): LogChunk {
    const last = chunks.at(-1)
    if (last && last.length < last.capacity && last.round === this.round) return last
    const capacity =
      length < CHUNK_SAMPLES ? Math.max(FIRST_SAMPLES, 2 ** Math.floor(Math.log2(length + 1))) : CHUNK_SAMPLES
    const chunk = this.#idle.get(capacity)?.pop() ?? this.#chunk(capacity)
    chunk.round = this.round
    chunks.push(chunk)
    return chunk
  }

  /** One more sample of a window; for what is rare. */
  add(series: number, t: number, value: number): void {
    const log = this.window(t)
    put(this.room(log), log.startMs, series, t, value)
    log.length++
    this.length++
  }

  /** Takes the windows that begin before `closedMs` out, in ascending order; they go back by `recycle`. */
  take(closedMs: number): WindowLog[] {
    const ready: WindowLog[] = []
    for (const log of this.#windows.values()) {
      if (log.startMs >= closedMs) continue
      ready.push(log)
      this.#windows.delete(log.startMs)
      this.length -= log.length
    }
    return ready.sort((a, b) => a.startMs - b.startMs)
  }

  /** The chunks of a window are used again. */
  recycle(log: WindowLog): void {
    const { chunks } = log
    for (const chunk of chunks) {
      chunk.stretch?.touch()
      chunk.stretch = undefined
      chunk.exactMs = undefined
      chunk.length = 0
      const idle = this.#idle.get(chunk.capacity)
      if (idle) idle.push(chunk)
      else this.#idle.set(chunk.capacity, [chunk])
    }
    chunks.length = 0
  }

  windows(): Iterable<WindowLog> {
    return this.#windows.values()
  }

  /** Counts samples that were taken out of a window; one without any is none. */
  dropped(log: WindowLog, count: number): void {
    this.length -= count
    if (log.length > 0) return
    this.recycle(log)
    this.#windows.delete(log.startMs)
  }

  clear(): void {
    for (const log of this.#windows.values()) this.recycle(log)
    this.#windows.clear()
    this.length = 0
  }

  bytes(): number {
    let sum = this.#bytes
    for (const { chunks } of this.#windows.values())
      for (const { exactMs } of chunks) sum += exactMs?.byteLength ?? 0
    return sum
  }

  #chunk(capacity: number): LogChunk {
    const short = this.#stepMs <= SHORT_MS
    const bytes = capacity * (12 + (short ? 2 : 4))
    this.#bytes += bytes
    // One block of memory: it comes and goes as a whole.
    const memory = new ArrayBuffer(bytes)
    const Offset = short ? Uint16Array : Uint32Array
    return {
      length: 0,
      capacity,
      value: new Float64Array(memory, 0, capacity),
      series: new Uint32Array(memory, 8 * capacity, capacity),
      offsetMs: new Offset(memory, 12 * capacity, capacity),
      exactMs: undefined,
      round: 0,
      stretch: undefined,
    }
  }
}

/** Appends to a chunk that has room. */
export function put(chunk: LogChunk, startMs: number, series: number, t: number, value: number): void {
  const at = chunk.length++
  const offset = t - startMs
  chunk.series[at] = series
  chunk.value[at] = value
  chunk.offsetMs[at] = offset
  if (chunk.exactMs) chunk.exactMs[at] = t
  else if (chunk.offsetMs[at] !== offset || startMs + offset !== t) {
    const exact = new Float64Array(chunk.capacity)
    for (let i = 0; i < at; i++) exact[i] = startMs + chunk.offsetMs[i]
    exact[at] = t
    chunk.exactMs = exact
  }
}

/** When the sample at a place of a chunk was. */
export function timeAt(chunk: LogChunk, startMs: number, at: number): number {
  return chunk.exactMs ? chunk.exactMs[at] : startMs + chunk.offsetMs[at]
}

import type { Stretch } from '../core/cut.ts'

/** Samples kept at the start, 80 kB. */
const FIRST_CAPACITY = 4096

/**
 * Samples of windows that are not complete, in the order they came. Sums wait until a window closes and its
 * samples are in time order: float addition depends on its order, so a running sum would not survive
 * "any arrival order gives the same window".
 */
export class SampleLog {
  length = 0
  series = new Uint32Array(FIRST_CAPACITY)
  timeMs = new Float64Array(FIRST_CAPACITY)
  value = new Float64Array(FIRST_CAPACITY)

  /** What a cut still needs of the log. Samples that are added lie behind it. */
  #stretch: Stretch | undefined

  /** The log as it stands belongs to a cut; arrays that it grows out of stay as they are. */
  cutBy(stretch: Stretch): void {
    this.touch()
    this.#stretch = stretch
  }

  /** Samples that lie in the log are about to be moved. */
  touch(): void {
    this.#stretch?.touch()
    this.#stretch = undefined
  }

  get capacity(): number {
    return this.series.length
  }

  /** Makes room for `length` samples in all, at least doubling; keeps the content. */
  reserve(length: number): void {
    if (length <= this.capacity) return
    const capacity = Math.max(length, this.capacity * 2)
    const { series, timeMs, value } = this
    this.series = new Uint32Array(capacity)
    this.timeMs = new Float64Array(capacity)
    this.value = new Float64Array(capacity)
    this.series.set(series.subarray(0, this.length))
    this.timeMs.set(timeMs.subarray(0, this.length))
    this.value.set(value.subarray(0, this.length))
  }

  bytes(): number {
    return this.capacity * 20
  }
}

/** Splits off complete windows: stable order by window, so that each window's samples lie together. */
export class ReadyWindows {
  readonly log = new SampleLog()
  /** Start of each window, ascending, Unix ms. */
  starts: number[] = []
  /** Where each window's samples end in the log. */
  ends: number[] = []
  #ordinals = new Uint32Array(0)

  /** Moves the samples before `closedMs` out of `open`; the rest stay there in their order. */
  take(open: SampleLog, closedMs: number, stepMs: number): void {
    open.touch()
    const found = new Map<number, number>()
    if (this.#ordinals.length < open.length) this.#ordinals = new Uint32Array(open.capacity)
    const counts: number[] = []
    const ready = assignWindows(open, closedMs, stepMs, this.#ordinals, found, counts)
    const order = [...found].sort((a, b) => a[0] - b[0])
    this.starts = order.map(([start]) => start)
    const next = new Uint32Array(counts.length)
    this.ends = []
    let sum = 0
    for (const [, ordinal] of order) {
      next[ordinal] = sum
      sum += counts[ordinal]
      this.ends.push(sum)
    }
    this.log.length = 0
    this.log.reserve(ready)
    this.log.length = ready
    open.length = moveReady(open, this.log, this.#ordinals, next)
  }

  bytes(): number {
    return this.log.bytes() + this.#ordinals.byteLength
  }
}

const STAYS = 0xffffffff

function assignWindows(
  open: SampleLog,
  closedMs: number,
  stepMs: number,
  ordinals: Uint32Array,
  found: Map<number, number>,
  counts: number[],
): number {
  const { timeMs, length } = open
  let start = Number.NaN
  let end = Number.NaN
  let ordinal = 0
  let ready = 0
  for (let i = 0; i < length; i++) {
    const t = timeMs[i]
    if (t >= closedMs) {
      ordinals[i] = STAYS
      continue
    }
    if (!(t >= start && t < end)) {
      start = Math.floor(t / stepMs) * stepMs
      end = start + stepMs
      const known = found.get(start)
      ordinal = known ?? counts.length
      if (known === undefined) {
        found.set(start, ordinal)
        counts.push(0)
      }
    }
    ordinals[i] = ordinal
    counts[ordinal]++
    ready++
  }
  return ready
}

function moveReady(open: SampleLog, to: SampleLog, ordinals: Uint32Array, next: Uint32Array): number {
  const { series, timeMs, value, length } = open
  const toSeries = to.series
  const toTime = to.timeMs
  const toValue = to.value
  let kept = 0
  for (let i = 0; i < length; i++) {
    const ordinal = ordinals[i]
    if (ordinal === STAYS) {
      series[kept] = series[i]
      timeMs[kept] = timeMs[i]
      value[kept] = value[i]
      kept++
    } else {
      const at = next[ordinal]++
      toSeries[at] = series[i]
      toTime[at] = timeMs[i]
      toValue[at] = value[i]
    }
  }
  return kept
}

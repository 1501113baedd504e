import { compareParts } from '../bus/window-report.ts'

/**
 * Windows of many samples partitions become one sequence by event time. What comes out is decided by the order of the
 * messages of one log alone: by no clock, and by no order in which partitions happen to be read.
 */

/** What a part of a window report says of itself. */
export interface ReportHead {
  /** Samples partition that it was scored in. */
  readonly partition: number
  /** Which life of its scorer's state it comes from; a later one begins anew and tells old windows otherwise. */
  readonly epoch: number
  /** Exclusive, Unix ms; a partition's ends ascend. */
  readonly windowEndMs: number
  /** From 0. */
  readonly part: number
  /** No further part of this window follows. */
  readonly last: boolean
}

/** A part of a report that waits for its window. */
export interface HeldReport extends ReportHead {
  readonly offset: number
  /** Of its message: arrival of what closed the window, Unix ms. */
  readonly timestampMs: number
  readonly value: Uint8Array
}

export interface MergedWindow {
  readonly windowEndMs: number
  /** By samples partition, then by part. */
  readonly reports: readonly HeldReport[]
}

export interface MergeOptions {
  /** Samples partitions that report. */
  readonly partitions: number
  /** Bytes that may wait; beyond it the partition that is furthest behind is waited for no longer. */
  readonly bytesMax: number
  /** A partition that was away is waited for again once what it tells of arrived at most this long before the others' news. */
  readonly returnMs: number
}

export interface Taken {
  /** `repeat`: told before. `late`: the window went on without it. */
  readonly as: 'held' | 'repeat' | 'late'
  /** Its scorer began anew: nobody will tell the end of what was open there. */
  readonly restarted: boolean
}

/** What a partition has told last of windows that were merged, with it or without. */
interface Told {
  epoch: number
  windowEndMs: number
  part: number
}

/** JSON-safe. */
export interface SavedMerge {
  readonly mergedMs: number | null
  readonly told: readonly (readonly [epoch: number, windowEndMs: number | null, part: number])[]
  readonly away: readonly number[]
  readonly progress: readonly (number | null)[]
  readonly heardMs: readonly (number | null)[]
}

const NEVER = Number.NEGATIVE_INFINITY
const NO_EPOCH = -1

/**
 * A window is complete when every partition that is waited for has told of an end at or after it. A partition that is
 * sealed away is waited for no longer, until what it tells is as new as what the others tell.
 */
export class WindowMerge {
  readonly #options: MergeOptions
  /** Windows that wait, by their end; those of a partition by part. */
  readonly #windows = new Map<number, HeldReport[]>()
  /** Latest end that each partition has told in full. */
  readonly #progress: Float64Array
  /** Newest timestamp of each partition's reports. */
  readonly #heardMs: Float64Array
  readonly #away = new Set<number>()
  readonly #told: Told[]
  #mergedMs = NEVER
  #bytes = 0

  constructor(options: MergeOptions) {
    this.#options = options
    this.#progress = new Float64Array(options.partitions).fill(NEVER)
    this.#heardMs = new Float64Array(options.partitions).fill(NEVER)
    this.#told = Array.from({ length: options.partitions }, () => ({
      epoch: NO_EPOCH,
      windowEndMs: NEVER,
      part: -1,
    }))
  }

  /** End of the last window that was merged, Unix ms; −Infinity before the first. */
  get mergedMs(): number {
    return this.#mergedMs
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** Windows that wait, and the end of the oldest; NaN when none does. */
  get waiting(): { readonly windows: number; readonly oldestEndMs: number } {
    return {
      windows: this.#windows.size,
      oldestEndMs: this.#windows.size === 0 ? Number.NaN : this.#oldest(),
    }
  }

  /** Partitions that are waited for no longer, ascending. */
  get away(): readonly number[] {
    return [...this.#away].sort((a, b) => a - b)
  }

  /** Offset of the oldest message still needed; undefined when nothing waits. */
  oldestOffset(): number | undefined {
    let oldest: number | undefined
    for (const reports of this.#windows.values())
      for (const { offset } of reports) if (oldest === undefined || offset < oldest) oldest = offset
    return oldest
  }

  /** Takes a part as it comes. What is `late` is the caller's to use or to drop; here it is only remembered. */
  take(report: HeldReport): Taken {
    const { partition, epoch, windowEndMs, last, timestampMs } = report
    const known = this.#told[partition].epoch
    if (epoch < known) return { as: 'repeat', restarted: false }
    const restarted = epoch > known && known !== NO_EPOCH
    if (restarted) this.#restart(partition)
    this.#told[partition].epoch = epoch
    const as = this.#hold(report)
    if (as !== 'repeat') {
      this.#heardMs[partition] = Math.max(this.#heardMs[partition], timestampMs)
      if (last && this.#away.has(partition) && (windowEndMs >= this.#mergedMs || this.#isLive(timestampMs)))
        this.#away.delete(partition)
      if (this.#bytes > this.#options.bytesMax) this.#relieve()
    }
    return { as, restarted }
  }

  /** Takes a part that was taken before what is known was saved: it waits again, and decides nothing. */
  refill(report: HeldReport): void {
    const isHeld = report.windowEndMs > this.#mergedMs && report.epoch === this.#told[report.partition].epoch
    if (isHeld) this.#hold(report)
  }

  /**
   * Those of the partitions named that have not told of the end given are waited for no longer; returns them. Whoever told
   * meanwhile stays.
   */
  seal(windowEndMs: number, partitions: readonly number[]): number[] {
    const gone = partitions.filter(
      one => this.#progress[one] < windowEndMs && windowEndMs > this.#mergedMs && !this.#away.has(one),
    )
    for (const one of gone) this.#away.add(one)
    return gone
  }

  /** Partitions that keep a window from completion. */
  missing(windowEndMs: number): number[] {
    const behind: number[] = []
    for (let p = 0; p < this.#progress.length; p++)
      if (this.#progress[p] < windowEndMs && !this.#away.has(p)) behind.push(p)
    return behind
  }

  /** Ends of the windows that wait, ascending. */
  waitingEnds(): number[] {
    return [...this.#windows.keys()].sort((a, b) => a - b)
  }

  /** The next complete window, taken out; undefined when none is. */
  next(): MergedWindow | undefined {
    if (this.#windows.size === 0) return undefined
    const windowEndMs = this.#oldest()
    if (this.missing(windowEndMs).length > 0) return undefined
    const reports = this.#windows.get(windowEndMs) as HeldReport[]
    reports.sort((a, b) => a.partition - b.partition || a.part - b.part)
    this.#windows.delete(windowEndMs)
    for (const { partition, part, value } of reports) {
      this.#bytes -= value.length
      const told = this.#told[partition]
      told.windowEndMs = windowEndMs
      told.part = part
    }
    this.#mergedMs = windowEndMs
    return { windowEndMs, reports }
  }

  snapshot(): SavedMerge {
    return {
      mergedMs: finite(this.#mergedMs),
      told: this.#told.map(({ epoch, windowEndMs, part }) => [epoch, finite(windowEndMs), part]),
      away: this.away,
      progress: Array.from(this.#progress, finite),
      heardMs: Array.from(this.#heardMs, finite),
    }
  }

  /** Puts back what was saved, before anything is taken; what waited is read again through `refill`. */
  restore({ mergedMs, told, away, progress, heardMs }: SavedMerge): void {
    this.#mergedMs = mergedMs ?? NEVER
    for (const [p, [epoch, windowEndMs, part]] of told.entries()) {
      if (p < this.#told.length) this.#told[p] = { epoch, windowEndMs: windowEndMs ?? NEVER, part }
    }
    this.#away.clear()
    for (const p of away) if (p < this.#progress.length) this.#away.add(p)
    fill(this.#progress, progress)
    fill(this.#heardMs, heardMs)
  }

  /**
   * What waits of a scorer's former life goes, and nobody waits for it until it has caught up: it may be telling of a day
   * long past.
   */
  #restart(partition: number): void {
    for (const [windowEndMs, reports] of this.#windows) {
      const kept = reports.filter(one => one.partition !== partition)
      if (kept.length === reports.length) continue
      for (const one of reports) if (one.partition === partition) this.#bytes -= one.value.length
      if (kept.length > 0) this.#windows.set(windowEndMs, kept)
      else this.#windows.delete(windowEndMs)
    }
    this.#told[partition] = { epoch: NO_EPOCH, windowEndMs: NEVER, part: -1 }
    this.#progress[partition] = NEVER
    this.#away.add(partition)
  }

  #hold(report: HeldReport): Taken['as'] {
    const { partition, windowEndMs, part, last } = report
    const told = this.#told[partition]
    if (compareParts(report, told) <= 0) return 'repeat'
    if (windowEndMs <= this.#mergedMs) {
      told.windowEndMs = windowEndMs
      told.part = part
      if (last) this.#reach(partition, windowEndMs)
      return 'late'
    }
    const held = this.#windows.get(windowEndMs)
    if (held?.some(one => one.partition === partition && one.part === part)) return 'repeat'
    if (held) held.push(report)
    else this.#windows.set(windowEndMs, [report])
    this.#bytes += report.value.length
    if (last) this.#reach(partition, windowEndMs)
    return 'held'
  }

  /** End of the oldest window that waits. More may wait than a call takes arguments: one partition days behind another. */
  #oldest(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const windowEndMs of this.#windows.keys()) oldest = Math.min(oldest, windowEndMs)
    return oldest
  }

  #reach(partition: number, windowEndMs: number): void {
    this.#progress[partition] = Math.max(this.#progress[partition], windowEndMs)
  }

  /** Whether what arrived then is news to those who are waited for, the slowest of them. */
  #isLive(timestampMs: number): boolean {
    let slowestMs = Number.POSITIVE_INFINITY
    for (let p = 0; p < this.#heardMs.length; p++)
      if (!this.#away.has(p)) slowestMs = Math.min(slowestMs, this.#heardMs[p])
    return slowestMs === Number.POSITIVE_INFINITY || timestampMs >= slowestMs - this.#options.returnMs
  }

  /** Too much waits: it goes on without whoever is furthest behind, which the log decides as well. */
  #relieve(): void {
    let newest = NEVER
    for (const windowEndMs of this.#windows.keys()) newest = Math.max(newest, windowEndMs)
    const behind = this.missing(newest)
    if (behind.length === 0) return
    const least = Math.min(...behind.map(p => this.#progress[p]))
    for (const p of behind) if (this.#progress[p] === least) this.#away.add(p)
  }
}

function fill(column: Float64Array, saved: readonly (number | null)[]): void {
  for (const [p, value] of saved.entries()) if (p < column.length) column[p] = value ?? NEVER
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)

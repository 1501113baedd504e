import type { SeriesHistory, WindowsAt } from '../core/history.ts'

/** What the past of one series holds, before anything is scored. */

/** A stretch of event time, Unix ms: windows that end in (fromMs, toMs]. */
export interface Interval {
  readonly fromMs: number
  readonly toMs: number
}

/** Windows before the onset in which a series must have been heard, nearly always, to be missed after it. */
export const HEARD_WINDOWS = 10
const HEARD_SHARE = 0.8

/** Errors without a unit that are fractions of one, before and after, are a ratio. */
export function unitSeen(before: Float64Array, n: number, after: Float64Array, m: number): '' | 'ratio' {
  let fractions = 0
  for (let i = 0; i < n; i++) {
    if (before[i] > 1 || before[i] < 0) return ''
    if (before[i] > 0 && before[i] < 1) fractions++
  }
  for (let i = 0; i < m; i++) {
    if (after[i] > 1 || after[i] < 0) return ''
    if (after[i] > 0 && after[i] < 1) fractions++
  }
  return fractions > 0 ? 'ratio' : ''
}

interface Voice {
  live: number
  lost: number
}

/** How many series of each entity are still heard. */
export class Voices {
  readonly #voices = new Map<string, Voice>()
  #name = ''
  #last: Voice | undefined

  /** Series of an entity come one after the other, most of them. */
  of(entity: string): Voice {
    if (this.#last !== undefined && this.#name === entity) return this.#last
    const voice = this.#voices.get(entity) ?? { live: 0, lost: 0 }
    this.#voices.set(entity, voice)
    this.#name = entity
    this.#last = voice
    return voice
  }

  /** Entities of which all that was heard is not heard any more. */
  lost(): string[] {
    return [...this.#voices].filter(([, { live, lost }]) => live === 0 && lost > 0).map(([entity]) => entity)
  }
}

/**
 * Counts whether a series that was heard before the onset is still heard after it. `before`: the last `known` windows up to the onset,
 * up to HEARD_WINDOWS of them; `after`: the `m` windows since.
 */
export function hear(
  voice: Voice,
  before: Float64Array,
  known: number,
  after: Float64Array,
  m: number,
): void {
  // The last windows decide: what was heard just after the onset may be gone since.
  let live = false
  for (let i = Math.max(0, m - 2); i < m; i++) if (Number.isFinite(after[i])) live = true
  if (live) {
    voice.live++
    return
  }
  let heard = 0
  for (let i = 0; i < known; i++) if (Number.isFinite(before[i])) heard++
  if (m >= 2 && heard >= HEARD_SHARE * known && known >= 3) voice.lost++
}

/** The windows of a stretch of event time that a history can tell of: their numbers from first to last, none where last < first. */
export interface Stretch {
  readonly first: number
  readonly last: number
}

/** The windows of (fromMs, toMs] that are not older than the history is deep, and not newer than its newest. */
export function stretchOf(
  { stepMs, depth, newestEndMs }: SeriesHistory,
  fromMs: number,
  toMs: number,
): Stretch {
  const newest = Math.round(newestEndMs / stepMs)
  const first = Math.max(Math.floor(fromMs / stepMs) + 1, newest - depth + 1)
  return { first, last: Math.min(Math.floor(toMs / stepMs), newest) }
}

/** Reads every window of a stretch, of one series after the other. */
export class Windows {
  readonly count: number
  readonly #at: WindowsAt

  constructor(history: SeriesHistory, { first, last }: Stretch) {
    this.count = Math.max(0, last - first + 1)
    this.#at = history.windowsAt(
      Float64Array.from({ length: this.count }, (_, i) => (first + i) * history.stepMs),
    )
  }

  /** The first `count` places of `out`; false for a series without history. */
  read(series: number, out: Float64Array): boolean {
    return this.#at.read(series, out)
  }
}

/** What of a past is looked at: every `stride`-th window, counted from the newest, outside of the disrupted stretches. */
export interface Thinning {
  readonly stride: number
  readonly disrupted: readonly Interval[]
}

/** The normal windows of (fromMs, toMs]; the same for all series of a question. */
export class NormalPast {
  /** Windows from the first in which a series was heard, 0 where it was not. */
  readonly knownFor: (series: number) => number
  readonly #fromMs: number
  readonly #toMs: number
  readonly #history: SeriesHistory
  readonly #thinning: Thinning
  #normal: NormalWindows | undefined
  #all: NormalWindows | undefined

  constructor(history: SeriesHistory, fromMs: number, toMs: number, thinning: Thinning) {
    this.knownFor = history.knownWithin(fromMs, toMs)
    this.#fromMs = fromMs
    this.#toMs = toMs
    this.#history = history
    this.#thinning = thinning
  }

  /** Values of a series into `out`, NaN where it was not heard; returns how many. */
  read(series: number, out: Float64Array): number {
    this.#normal ??= this.#windows(this.#thinning.disrupted)
    return readNormal(this.#normal, series, out)
  }

  /** The same of disrupted windows too. */
  readAll(series: number, out: Float64Array): number {
    this.#all ??= this.#windows([])
    return readNormal(this.#all, series, out)
  }

  #windows(disrupted: readonly Interval[]): NormalWindows {
    const { stepMs } = this.#history
    const { first, last } = stretchOf(this.#history, this.#fromMs, this.#toMs)
    const { stride } = this.#thinning
    const ends: number[] = []
    for (let back = 0; back <= last - first; back += stride) {
      const end = (last - back) * stepMs
      if (!disrupted.some(({ fromMs, toMs }) => end > fromMs && end <= toMs)) ends.push(end)
    }
    const endsMs = Float64Array.from(ends.reverse())
    return { count: endsMs.length, at: this.#history.windowsAt(endsMs) }
  }
}

interface NormalWindows {
  readonly count: number
  readonly at: WindowsAt
}

function readNormal({ count, at }: NormalWindows, series: number, out: Float64Array): number {
  return at.read(series, out) ? count : 0
}

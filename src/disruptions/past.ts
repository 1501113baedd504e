import type { MetricKind } from '../core/metric-kind.ts'

/** What the past of one series holds, before anything is scored. */

/** A stretch of event time, Unix ms: windows that end in (fromMs, toMs]. */
export interface Interval {
  readonly fromMs: number
  readonly toMs: number
}

/** Windows before the onset in which a series must have been heard, nearly always, to be missed after it. */
const HEARD_WINDOWS = 10
const HEARD_SHARE = 0.8
/** Lengths of pasts remembered per question. */
const MOST_LENGTHS = 8

/** Errors without a unit that are fractions of one, before and after, are a ratio. */
export function unitSeen(
  kind: MetricKind,
  unit: string,
  before: Float64Array,
  n: number,
  after: Float64Array,
  m: number,
): string {
  if (kind !== 'error' || unit !== '') return unit
  let fractions = 0
  for (let i = 0; i < n; i++) {
    if (before[i] > 1 || before[i] < 0) return unit
    if (before[i] > 0 && before[i] < 1) fractions++
  }
  for (let i = 0; i < m; i++) {
    if (after[i] > 1 || after[i] < 0) return unit
    if (after[i] > 0 && after[i] < 1) fractions++
  }
  return fractions > 0 ? 'ratio' : unit
}

export interface Voices {
  live: number
  lost: number
}

/** Counts whether a series that was heard before the onset is still heard after it. */
export function hear(
  voices: Map<string, Voices>,
  entity: string,
  past: Float64Array,
  n: number,
  after: Float64Array,
): void {
  let seen = voices.get(entity)
  if (!seen) {
    seen = { live: 0, lost: 0 }
    voices.set(entity, seen)
  }
  const from = Math.max(0, n - HEARD_WINDOWS)
  let heard = 0
  for (let i = from; i < n; i++) if (Number.isFinite(past[i])) heard++
  // The last windows decide: what was heard just after the onset may be gone since.
  let live = false
  for (let i = Math.max(0, after.length - 2); i < after.length; i++)
    if (Number.isFinite(after[i])) live = true
  if (live) seen.live++
  else if (after.length >= 2 && heard >= HEARD_SHARE * (n - from) && n - from >= 3) seen.lost++
}

/** Index of the first value, `n` when there is none. */
export function firstKnown(values: Float64Array, n: number): number {
  for (let i = 0; i < n; i++) if (Number.isFinite(values[i])) return i
  return n
}

export function countKnown(values: Float64Array, n: number): number {
  let known = 0
  for (let i = 0; i < n; i++) if (!Number.isNaN(values[i])) known++
  return known
}

/** Whether any value is there. */
export function isKnown(values: Float64Array, n: number): boolean {
  for (let i = 0; i < n; i++) if (!Number.isNaN(values[i])) return true
  return false
}

/** Copies the values at `places`; returns how many. */
export function pick(values: Float64Array, places: Uint32Array, out: Float64Array): number {
  for (let i = 0; i < places.length; i++) out[i] = values[places[i]]
  return places.length
}

/**
 * Which windows of the past are normal: every `stride`-th, counted from the newest, outside of the disrupted stretches.
 * Series have pasts of few lengths, so that they are worked out once for all series of a question.
 */
export class NormalPlaces {
  readonly #stepMs: number
  readonly #stride: number
  readonly #disrupted: readonly Interval[]
  readonly #known: { n: number; endMs: number; isAll: boolean; places: Uint32Array }[] = []

  constructor(stepMs: number, stride: number, disrupted: readonly Interval[]) {
    this.#stepMs = stepMs
    this.#stride = stride
    this.#disrupted = disrupted
  }

  /** Places in a past of `n` windows, the last of which ends at `endMs`; with `isAll`, disrupted ones too. */
  of(n: number, endMs: number, isAll: boolean): Uint32Array {
    for (const one of this.#known)
      if (one.n === n && one.endMs === endMs && one.isAll === isAll) return one.places
    const places = this.#places(n, endMs, isAll)
    if (this.#known.length >= MOST_LENGTHS) this.#known.shift()
    this.#known.push({ n, endMs, isAll, places })
    return places
  }

  #places(n: number, endMs: number, isAll: boolean): Uint32Array {
    const places: number[] = []
    for (let i = Math.max(0, (n - 1) % this.#stride); i < n; i += this.#stride) {
      const end = endMs - (n - 1 - i) * this.#stepMs
      if (isAll || !this.#disrupted.some(({ fromMs, toMs }) => end > fromMs && end <= toMs)) places.push(i)
    }
    return Uint32Array.from(places)
  }
}

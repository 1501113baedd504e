import type { KindTraits } from '../core/metric-kind.ts'
import { meanOfLargest, quantileOfSorted, sortFinite } from '../math/order-statistics.ts'

/** What one series did after an onset, against its own past. */
export interface ChangeScore {
  /** Against the series' own tail: shift / (spread + q97 of its own deviations). */
  readonly tail: number
  /** Against the standard deviation: shift / max(sd, half a floor). */
  readonly sigma: number
  /** Level after onset in the bad direction, the series' unit. */
  readonly observed: number
  /** Median before, the series' unit. */
  readonly expected: number
  readonly direction: 'spike' | 'drop'
  /** First index of `after` that deviates by at least half of the shift and by more than the usual tail; −1. */
  readonly onset: number
}

/** Share of the samples after onset that make the level: short faults still fill it, single spikes do not. */
const TOP_SHARE = 0.4
/** Fewest past samples that can be called normal: the floors carry what so few cannot tell. */
const FEWEST_BEFORE = 1

/** Buffers for one series; as long as the longest baseline. */
export interface ChangeScratch {
  readonly sorted: Float64Array
  readonly deviations: Float64Array
}

export function changeScratch(windows: number): ChangeScratch {
  return { sorted: new Float64Array(windows), deviations: new Float64Array(windows) }
}

/**
 * Floored robust shift of `after[0..m)` against `before[0..n)` (gaps are NaN), in the bad direction.
 * Source: measured recipe of this project (median and IQR as in BARO, arXiv 2405.09330, divided by the series'
 * own tail). Constant series are scored by their floor, never dropped. Undefined without a past, except for
 * errors, whose past is none.
 */
export function scoreChange(
  before: Float64Array,
  n: number,
  after: Float64Array,
  m: number,
  bad: 'up' | 'down' | 'both',
  relativeFloor: KindTraits['relativeFloor'],
  unitFloor: number,
  emptyIsZero: boolean,
  scratch: ChangeScratch,
): ChangeScore | undefined {
  const { sorted, deviations } = scratch
  let known = sortFinite(before, n, sorted)
  if (known < FEWEST_BEFORE) {
    if (!emptyIsZero || known > 0) return undefined
    sorted.fill(0, 0, FEWEST_BEFORE)
    known = FEWEST_BEFORE
  }
  const median = quantileOfSorted(sorted, 0.5, known)
  const spread = spreadOf(sorted, known, median, deviations)
  const size = Math.max(Math.abs(median), spread.meanSize)
  const tailOfPast = badTail(sorted, known, median, bad, deviations)

  const seen = badDeviations(after, m, median, bad, deviations)
  if (seen === 0) return undefined
  deviations.subarray(0, seen).sort()
  const top = meanOfLargest(deviations, Math.ceil(TOP_SHARE * seen), seen)
  const floor = Math.max(spread.robust, relativeFloor * size, unitFloor)
  const tail = top / (floor + tailOfPast || Number.MIN_VALUE)
  const halfFloor = Math.max(spread.sd, 0.5 * relativeFloor * size, 0.5 * unitFloor)
  const sigma = top / (halfFloor || Number.MIN_VALUE)

  const bar = Math.max(floor + tailOfPast, top / 2)
  let onset = -1
  let up = 0
  for (let i = 0; i < m; i++) {
    const d = deviation(after[i], median, bad)
    if (d >= bar && onset < 0) onset = i
    if (d >= top / 2 && after[i] !== median) up += after[i] > median ? 1 : -1
  }
  const direction = bad === 'up' || (bad === 'both' && up >= 0) ? 'spike' : 'drop'
  const observed = direction === 'spike' ? median + top : median - top
  return {
    tail: top > 0 ? tail : 0,
    sigma: top > 0 ? sigma : 0,
    observed,
    expected: median,
    direction,
    onset,
  }
}

function deviation(value: number, median: number, bad: 'up' | 'down' | 'both'): number {
  const r = value - median
  return bad === 'up' ? r : bad === 'down' ? -r : Math.abs(r)
}

function badDeviations(
  values: Float64Array,
  length: number,
  median: number,
  bad: 'up' | 'down' | 'both',
  out: Float64Array,
): number {
  let n = 0
  for (let i = 0; i < length; i++) {
    const d = deviation(values[i], median, bad)
    if (!Number.isNaN(d)) out[n++] = Math.max(d, 0)
  }
  return n
}

function badTail(
  sorted: Float64Array,
  known: number,
  median: number,
  bad: 'up' | 'down' | 'both',
  out: Float64Array,
): number {
  const n = badDeviations(sorted, known, median, bad, out)
  out.subarray(0, n).sort()
  return quantileOfSorted(out, 0.97, n)
}

/** 1.349 and 1.4826 turn IQR and MAD into standard deviations of a normal distribution. */
function spreadOf(
  sorted: Float64Array,
  known: number,
  median: number,
  scratch: Float64Array,
): { robust: number; sd: number; meanSize: number } {
  const iqr = quantileOfSorted(sorted, 0.75, known) - quantileOfSorted(sorted, 0.25, known)
  let sum = 0
  let size = 0
  for (let i = 0; i < known; i++) {
    sum += sorted[i]
    size += Math.abs(sorted[i])
    scratch[i] = Math.abs(sorted[i] - median)
  }
  const mean = sum / known
  let squares = 0
  for (let i = 0; i < known; i++) squares += (sorted[i] - mean) ** 2
  scratch.subarray(0, known).sort()
  const mad = quantileOfSorted(scratch, 0.5, known)
  return {
    robust: Math.max(iqr / 1.349, 1.4826 * mad),
    sd: Math.sqrt(squares / known),
    meanSize: size / known,
  }
}

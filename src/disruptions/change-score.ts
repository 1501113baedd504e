import type { BadDirection } from '../core/series.ts'
import { sortAscending } from '../math/order-statistics.ts'
import { finiteOf, PAST, PAST_WIDTH, readPast } from './usual.ts'

/** What one series did after an onset, against its own past. */
export interface ChangeScore {
  /** Against the series' own tail: shift / (spread + q97 of its own deviations). */
  readonly tail: number
  /** Against the standard deviation: shift / max(sd, half a floor). */
  readonly sigma: number
  /** Level that at least two windows after onset reach, in the bad direction; the series' unit. */
  readonly observed: number
  /** Median before, the series' unit. */
  readonly expected: number
  readonly direction: 'spike' | 'drop'
  /** First index of `after` that deviates by at least half of the shift and by more than the usual tail; −1. */
  readonly onset: number
}

/**
 * The level after onset is the one that two windows reach, of more than ten a fifth: a short fault fills two, a single
 * slow request fills one, and a mean of the largest would be most of that one.
 */
const FEWEST_TOP = 2
const TOP_SHARE = 0.2
/** Fewest past samples that can be called normal: the floors carry what so few cannot tell. */
const FEWEST_BEFORE = 1

/** Places of the numbers of a score: objects would cost garbage a series. */
export const SCORE = {
  tail: 0,
  sigma: 1,
  observed: 2,
  expected: 3,
  /** 1 for a spike, 0 for a drop. */
  isSpike: 4,
  onset: 5,
} as const
export const SCORE_WIDTH = 6

/** The score whose numbers stand from `at` on. */
export function changeAt(numbers: Float64Array, at: number): ChangeScore {
  return {
    tail: numbers[at + SCORE.tail],
    sigma: numbers[at + SCORE.sigma],
    observed: numbers[at + SCORE.observed],
    expected: numbers[at + SCORE.expected],
    direction: numbers[at + SCORE.isSpike] === 1 ? 'spike' : 'drop',
    onset: numbers[at + SCORE.onset],
  }
}

/** How the change of a series is measured. */
export interface Yardstick {
  readonly bad: BadDirection
  /** Relative change below which nobody cares. */
  readonly relativeFloor: number
  /** And the absolute one, the series' unit. */
  readonly unitFloor: number
  /** A series that was never heard was nothing so far: errors. */
  readonly emptyIsZero: boolean
}

/** Buffers for one series; as long as the longest baseline. */
export interface ChangeScratch {
  readonly values: Float64Array
  readonly deviations: Float64Array
  readonly past: Float64Array
}

export function changeScratch(windows: number): ChangeScratch {
  return {
    values: new Float64Array(windows),
    deviations: new Float64Array(windows),
    past: new Float64Array(PAST_WIDTH),
  }
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
  yardstick: Yardstick,
  { values, deviations, past }: ChangeScratch,
): ChangeScore | undefined {
  const known = finiteOf(before, n, values, 0, 1)
  if (known > 0) readPast(values, known, yardstick.bad, deviations, past, 0)
  const out = new Float64Array(SCORE_WIDTH)
  const isScored = measureChange(past, 0, known, after, m, yardstick, deviations, out, 0)
  return isScored ? changeAt(out, 0) : undefined
}

/**
 * The same of a past that was read: of `known` values, what they are like from `pastAt` on; the numbers of the score go to `out` from
 * `at` on. False where there is no score.
 */
export function measureChange(
  past: Float64Array,
  pastAt: number,
  known: number,
  after: Float64Array,
  m: number,
  yardstick: Yardstick,
  deviations: Float64Array,
  out: Float64Array,
  at: number,
): boolean {
  const { bad, relativeFloor, unitFloor, emptyIsZero } = yardstick
  if (known < FEWEST_BEFORE) {
    if (!emptyIsZero || known > 0) return false
    past.fill(0, pastAt, pastAt + PAST_WIDTH)
  }
  const median = past[pastAt + PAST.median]
  const tailOfPast = past[pastAt + PAST.tail]
  const size = Math.max(Math.abs(median), past[pastAt + PAST.meanSize])

  const seen = badDeviations(after, m, median, bad, deviations)
  if (seen === 0) return false
  sortAscending(deviations, seen)
  const top = deviations[seen - topOf(seen)]
  const floor = Math.max(past[pastAt + PAST.robust], relativeFloor * size, unitFloor)
  const tail = top / (floor + tailOfPast || Number.MIN_VALUE)
  const halfFloor = Math.max(past[pastAt + PAST.sd], 0.5 * relativeFloor * size, 0.5 * unitFloor)
  const sigma = top / (halfFloor || Number.MIN_VALUE)

  const bar = Math.max(floor + tailOfPast, top / 2)
  let onset = -1
  let up = 0
  for (let i = 0; i < m; i++) {
    const d = deviation(after[i], median, bad)
    if (d >= bar && onset < 0) onset = i
    if (d >= top / 2 && after[i] !== median) up += after[i] > median ? 1 : -1
  }
  const isSpike = bad === 'up' || (bad === 'both' && up >= 0)
  out[at + SCORE.tail] = top > 0 ? tail : 0
  out[at + SCORE.sigma] = top > 0 ? sigma : 0
  out[at + SCORE.observed] = isSpike ? median + top : median - top
  out[at + SCORE.expected] = median
  out[at + SCORE.isSpike] = isSpike ? 1 : 0
  out[at + SCORE.onset] = onset
  return true
}

/** How many of `m` windows must reach the level; one of one or two. */
function topOf(m: number): number {
  return m <= FEWEST_TOP ? 1 : Math.max(FEWEST_TOP, Math.ceil(TOP_SHARE * m))
}

function deviation(value: number, median: number, bad: BadDirection): number {
  const r = value - median
  return bad === 'up' ? r : bad === 'down' ? -r : Math.abs(r)
}

function badDeviations(
  values: Float64Array,
  length: number,
  median: number,
  bad: BadDirection,
  out: Float64Array,
): number {
  let n = 0
  for (let i = 0; i < length; i++) {
    const d = deviation(values[i], median, bad)
    if (!Number.isNaN(d)) out[n++] = Math.max(d, 0)
  }
  return n
}

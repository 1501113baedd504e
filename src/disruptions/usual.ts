import type { BadDirection } from '../core/series.ts'
import { selectQuantile } from '../math/select.ts'

/** What a series is usually like, from values of its past; the kernel `pasts` says the same of few values to the bit. */

/** Places of what is said of a past; in the series' unit. */
export const PAST = {
  median: 0,
  /** By quartiles and by the median of the distances from the median, whichever is wider. */
  robust: 1,
  sd: 2,
  meanSize: 3,
  /** 97 % point of its own deviations in the bad direction. */
  tail: 4,
} as const
export const PAST_WIDTH = 5

/** What a series usually deviates by at most. */
const TAIL_QUANTILE = 0.97
/** Up to so many values are sorted, which is quicker than to select five quantiles one after the other. */
const SORTED_MAX = 96

/** What n ≥ 1 values are like, into `out` from `at` on; reorders them. 1.349 and 1.4826 turn IQR and MAD into standard deviations of a normal distribution. */
export function readPast(
  values: Float64Array,
  n: number,
  bad: BadDirection,
  distances: Float64Array,
  out: Float64Array,
  at: number,
): void {
  let sum = 0
  let size = 0
  for (let i = 0; i < n; i++) {
    sum += values[i]
    size += Math.abs(values[i])
  }
  const mean = sum / n
  let squares = 0
  for (let i = 0; i < n; i++) squares += (values[i] - mean) ** 2
  out[at + PAST.sd] = Math.sqrt(squares / n)
  out[at + PAST.meanSize] = size / n
  if (n <= SORTED_MAX) sortedPast(values, n, bad, distances, out, at)
  else selectedPast(values, n, bad, distances, out, at)
}

/** What is said of quantiles: the distance between the quartiles and the median of the distances from the median say how wide it is. */
function sayQuantiles(
  median: number,
  spread: number,
  mad: number,
  tail: number,
  out: Float64Array,
  at: number,
): void {
  out[at + PAST.median] = median
  out[at + PAST.robust] = Math.max(spread / 1.349, 1.4826 * mad)
  out[at + PAST.tail] = tail
}

/** By sorting; distances from the median are merged from both of its sides. The same numbers as by selection. */
function sortedPast(
  values: Float64Array,
  n: number,
  bad: BadDirection,
  distances: Float64Array,
  out: Float64Array,
  at: number,
): void {
  sortFew(values, n)
  const median = quantileOf(values, n, 0.5)
  const last = n - 1
  // Of distances, those up to the largest that is asked for.
  const wanted = bad === 'both' ? n : Math.min(n, Math.floor(last / 2) + 2)
  let left = Math.floor(last / 2)
  let right = left + 1
  for (let i = 0; i < wanted; i++) {
    const below = left >= 0 ? Math.abs(values[left] - median) : Number.POSITIVE_INFINITY
    const above = right < n ? Math.abs(values[right] - median) : Number.POSITIVE_INFINITY
    if (below <= above) {
      distances[i] = below
      left--
    } else {
      distances[i] = above
      right++
    }
  }
  const tail =
    bad === 'up'
      ? Math.max(0, quantileOf(values, n, TAIL_QUANTILE) - median)
      : bad === 'down'
        ? Math.max(0, median - quantileOf(values, n, 1 - TAIL_QUANTILE))
        : quantileOf(distances, n, TAIL_QUANTILE)
  const spread = quantileOf(values, n, 0.75) - quantileOf(values, n, 0.25)
  sayQuantiles(median, spread, quantileOf(distances, n, 0.5), tail, out, at)
}

/** Steps of the sort (Shell's): the first leaves little to move for the last. */
const GAPS = [7, 1] as const

/** Sorts a[0..n) ascending, no NaN: quicker than the engine's for so few. */
function sortFew(a: Float64Array, n: number): void {
  for (const gap of GAPS) {
    for (let i = gap; i < n; i++) {
      const value = a[i]
      let j = i - gap
      for (; j >= 0 && a[j] > value; j -= gap) a[j + gap] = a[j]
      a[j + gap] = value
    }
  }
}

/** Linear-interpolated quantile (type 7) of sorted a[0..n), as `selectQuantile`. */
function quantileOf(a: Float64Array, n: number, p: number): number {
  const at = (n - 1) * p
  const low = Math.floor(at)
  return low === at ? a[low] : a[low] + (at - low) * (a[low + 1] - a[low])
}

/** By selection: quartiles and tails within the halves that the median leaves. */
function selectedPast(
  values: Float64Array,
  n: number,
  bad: BadDirection,
  distances: Float64Array,
  out: Float64Array,
  at: number,
): void {
  const last = n - 1
  const middle = Math.floor(last / 2)
  const median = selectQuantile(values, n, 0.5, 0, last)
  const lower = selectQuantile(values, n, 0.25, 0, middle)
  const upper = selectQuantile(values, n, 0.75, middle, last)
  for (let i = 0; i < n; i++) distances[i] = Math.abs(values[i] - median)
  const mad = selectQuantile(distances, n, 0.5, 0, last)
  // Of a monotone function of the values the quantile is the function of theirs.
  const three = Math.floor(last / 4)
  const tail =
    bad === 'up'
      ? Math.max(0, selectQuantile(values, n, TAIL_QUANTILE, Math.floor(0.75 * last), last) - median)
      : bad === 'down'
        ? Math.max(0, median - selectQuantile(values, n, 1 - TAIL_QUANTILE, 0, three))
        : selectQuantile(distances, n, TAIL_QUANTILE, middle, last)
  sayQuantiles(median, upper - lower, mad, tail, out, at)
}

/** Finite values of `from[0..length)` into `out` from place `at` on, `apart` places from one to the next; returns how many. */
export function finiteOf(
  from: Float64Array,
  length: number,
  out: Float64Array,
  at: number,
  apart: number,
): number {
  let known = 0
  let place = at
  for (let i = 0; i < length; i++) {
    if (!Number.isFinite(from[i])) continue
    // Zeros lose their sign, so that of equal values it is no matter which comes first.
    out[place] = from[i] + 0
    place += apart
    known++
  }
  return known
}

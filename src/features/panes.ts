import type { FeatureBatch } from '../core/batch.ts'
import type { Chunk, ColumnStore } from '../core/columns.ts'
import { CHUNK_MASK, CHUNK_SHIFT } from '../core/columns.ts'
import { sortPairs } from '../math/sort-pairs.ts'
import type { PaneGroups } from './pane-groups.ts'
import { OVERDUE_PAUSES } from './window-options.ts'

/** What is kept of a series between windows: 17 bytes. */
export const PANE_COLUMNS = {
  /** Event time of the newest sample or stale marker, Unix ms. */
  lastSeenMs: 'f64',
  /** Learned mean distance between samples, ms; 0 while unknown. Says how many to expect. */
  intervalMs: 'f32',
  /** Learned pause between the samples of different windows, ms; 0 while unknown. Says when one is overdue. */
  pauseMs: 'f32',
  flags: 'u8',
} as const
export type PaneChunk = Chunk<typeof PANE_COLUMNS>

/** The series has had a row. */
export const SEEN = 1
/** Its newest sample was a stale marker: the source says that it is gone. */
export const STALE = 2
/** It was named as expired and has not been back since. */
export const EXPIRED = 4
/** Its rows come from an expression. */
export const DERIVED = 8
/** The row was given back while samples of its series waited: some that wait are not its own. Never saved. */
export const FORGOTTEN = 128

/** Bits of the flags that count the windows behind the learned interval, up to EARLY_WINDOWS. */
const LEARNED_SHIFT = 4
const LEARNED_MASK = 7
/** Until then the interval is the plain mean: the first windows may be a burst and say little. */
const EARLY_WINDOWS = 4
/** Weight of one window in the learned interval: a lasting change from 1 s to 60 s is learned in eight. */
const INTERVAL_RATE = 1 / EARLY_WINDOWS
/** Flags of a series whose interval is learned, that is not gone and not derived. */
const KNOWN = SEEN | (EARLY_WINDOWS << LEARNED_SHIFT)
/** A gap counts as at most this many intervals, so that one outage does not pass for the new rhythm. */
const GAP_MAX = 4
/** Slack on the number of samples expected, so that jitter does not count as loss. */
const EXPECTED_SLACK = 1.05

/** Results of `aggregate`, by index. */
const MEAN = 0
const COUNT = 1
const LOW = 2
const HIGH = 3
const FIRST_MS = 4
const LAST_MS = 5
const LAST_IS_GAP = 6
const AGGREGATES = 7

/**
 * Mean, count, range and times of the samples [from, to) of one series. Samples of the same time count once,
 * with the highest value; NaN are gaps and count as nothing.
 */
function aggregate(
  timeMs: Float64Array,
  value: Float64Array,
  from: number,
  to: number,
  out: Float64Array,
): void {
  sortPairs(timeMs, value, from, to)
  let sum = 0
  let count = 0
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  let gap = false
  for (let i = from; i < to; ) {
    const t = timeMs[i]
    let best = value[i]
    let j = i + 1
    for (; j < to && timeMs[j] === t; j++) if (value[j] > best || Number.isNaN(best)) best = value[j]
    i = j
    gap = Number.isNaN(best)
    if (gap) continue
    sum += best
    count++
    if (best < low) low = best
    if (best > high) high = best
  }
  let mean = count === 0 ? Number.NaN : sum / count
  // Huge values overflow the sum although their mean is a number.
  if (count > 0 && !Number.isFinite(mean)) mean = low / 2 + high / 2
  out[MEAN] = mean
  out[COUNT] = count
  out[LOW] = low
  out[HIGH] = high
  out[FIRST_MS] = timeMs[from]
  out[LAST_MS] = timeMs[to - 1]
  out[LAST_IS_GAP] = gap ? 1 : 0
}

const scratch = new Float64Array(AGGREGATES)

/** Mean of a series' samples in a window that was grouped whole; NaN when it has none. */
export function meanOf(groups: PaneGroups, series: number): number {
  const from = groups.from(series)
  const to = groups.to(series)
  if (to === from) return Number.NaN
  aggregate(groups.timeMs, groups.value, from, to, scratch)
  return scratch[MEAN]
}

/** The next interval after a window with a mean gap of `gapMs`, when `windows` have taught it before. */
function learnInterval(intervalMs: number, gapMs: number, windows: number): number {
  if (windows === 0) return gapMs
  if (windows < EARLY_WINDOWS) return intervalMs + (gapMs - intervalMs) / (windows + 1)
  return intervalMs + INTERVAL_RATE * (Math.min(gapMs, GAP_MAX * intervalMs) - intervalMs)
}

export interface EmitRange {
  /** Next series to look at. */
  series: number
  /** One past the last series. */
  readonly end: number
  readonly windowEndMs: number
  readonly stepMs: number
  readonly retentionMs: number
  /** End of the last stretch that was jumped over: silence counts from here at the earliest. */
  readonly resumeMs: number
}

/** Values of derived series in this window, by series; NaN for no row. */
export interface DerivedRows {
  valueOf(series: number): number
  coverageOf(series: number): number
}

/**
 * Adds the rows of a stretch of series to `batch`, ascending by series, as long as it has room and `range` is not done.
 * `spread` takes highest − lowest sample of each row. Series that expire are pushed to `expired`.
 */
export function emitStretch(
  groups: PaneGroups,
  panes: ColumnStore<typeof PANE_COLUMNS>,
  range: EmitRange,
  derived: DerivedRows,
  batch: FeatureBatch,
  spread: Float64Array,
  expired: number[],
): void {
  if (range.series >= range.end || batch.length >= batch.capacity) return
  const at = range.series >> CHUNK_SHIFT
  const stop = Math.min(range.end, (at + 1) << CHUNK_SHIFT, groups.reach(range.series))
  emitChunk(groups, panes.writable(at), range, stop, derived, batch, spread, expired)
}

function emitChunk(
  groups: PaneGroups,
  chunk: PaneChunk,
  range: EmitRange,
  stop: number,
  derived: DerivedRows,
  batch: FeatureBatch,
  spread: Float64Array,
  expired: number[],
): void {
  const { ends, timeMs, value, base, isSingle } = groups
  const { lastSeenMs, intervalMs, pauseMs, flags } = chunk
  const { windowEndMs, stepMs, retentionMs, resumeMs } = range
  const { series: rowSeries, windowEndMs: rowEnd, observed, coverage, capacity } = batch
  // What other modules hold is read again for every row unless it is held here.
  const mask = CHUNK_MASK
  const slackMs = EXPECTED_SLACK * stepMs
  let n = batch.length
  let s = range.series
  let from = groups.from(s)
  for (; s < stop && n < capacity; s++) {
    let to = ends[s - base]
    if (isSingle) {
      from = s - base
      to += from
    }
    const at = s & mask
    const flag = flags[at]
    // One sample in its rhythm, of a series that is known, is nearly every row: it teaches nothing new.
    if (flag === KNOWN && to - from === 1) {
      const t = timeMs[from]
      const previous = lastSeenMs[at]
      const gapMs = t - previous
      const mean = value[from] + 0
      // One sample is all there is to expect where the usual distance is not much less than a window.
      if (
        previous >= resumeMs &&
        gapMs === intervalMs[at] &&
        gapMs === pauseMs[at] &&
        1.5 * gapMs > slackMs &&
        !Number.isNaN(mean)
      ) {
        from = to
        lastSeenMs[at] = t
        rowSeries[n] = s
        rowEnd[n] = windowEndMs
        observed[n] = mean
        coverage[n] = 1
        spread[n] = 0
        n++
        continue
      }
    }
    if (to > from) {
      let count = 1
      let first = timeMs[from]
      let last = first
      // A sum of samples never is −0, so one alone must not be either.
      let mean = value[from] + 0
      let width = 0
      let gap = Number.isNaN(mean)
      if (to - from > 1) {
        aggregate(timeMs, value, from, to, scratch)
        mean = scratch[MEAN]
        count = scratch[COUNT]
        first = scratch[FIRST_MS]
        last = scratch[LAST_MS]
        width = scratch[HIGH] - scratch[LOW]
        gap = scratch[LAST_IS_GAP] === 1
      } else if (gap) count = 0
      from = to
      const interval = intervalMs[at]
      const previous = lastSeenMs[at]
      let windows = (flag >> LEARNED_SHIFT) & LEARNED_MASK
      let gapMs = 0
      if (count > 0 && (flag & (SEEN | STALE)) === SEEN && previous >= resumeMs) {
        gapMs = (last - previous) / count
        const pause = pauseMs[at]
        pauseMs[at] = learnInterval(pause, first - previous, pause === 0 ? 0 : windows)
      } else if (count > 1) gapMs = (last - first) / (count - 1)
      let learned = interval
      if (gapMs > 0) {
        learned = learnInterval(interval, gapMs, windows)
        if (windows < EARLY_WINDOWS) windows++
      }
      intervalMs[at] = learned
      lastSeenMs[at] = last
      flags[at] = (windows << LEARNED_SHIFT) | (gap ? SEEN | STALE : SEEN) | (flag & FORGOTTEN)
      const usual = interval > 0 ? interval : learned
      const due = usual > 0 ? Math.max(1, Math.floor(slackMs / usual)) : 1
      rowSeries[n] = s
      rowEnd[n] = windowEndMs
      observed[n] = mean
      coverage[n] = count >= due ? 1 : count / due
      spread[n] = count > 1 ? width : 0
      n++
      continue
    }
    if ((flag & SEEN) === 0) continue
    if ((flag & DERIVED) !== 0) {
      const x = derived.valueOf(s)
      if (!Number.isNaN(x)) {
        lastSeenMs[at] = windowEndMs - stepMs
        flags[at] = SEEN | DERIVED | (flag & FORGOTTEN)
        rowSeries[n] = s
        rowEnd[n] = windowEndMs
        observed[n] = x
        coverage[n] = derived.coverageOf(s)
        spread[n] = 0
        n++
        continue
      }
    }
    if ((flag & EXPIRED) !== 0) continue
    const silence = windowEndMs - Math.max(lastSeenMs[at], resumeMs)
    if (silence > retentionMs) {
      flags[at] = flag | EXPIRED
      expired.push(s)
      continue
    }
    // Derived series never learn a pause: the absence of their inputs speaks for itself.
    const pause = pauseMs[at]
    if (pause === 0 || ((flag & STALE) === 0 && silence <= OVERDUE_PAUSES * pause)) continue
    rowSeries[n] = s
    rowEnd[n] = windowEndMs
    observed[n] = Number.NaN
    coverage[n] = 0
    spread[n] = 0
    n++
  }
  range.series = s
  batch.length = n
}

import { bucketQuantile } from '../math/buckets.ts'
import type { Emitter } from './emitter.ts'
import { rateUnit } from './naming.ts'
import type { WireTable } from './wire-table.ts'

/** Stand for a bound in the `bound` column: no bucket ends there. */
export const ROLE_SUM = Number.NaN
export const ROLE_COUNT = Number.NEGATIVE_INFINITY

export const STATISTICS = ['p50', 'p95', 'p99', 'count', 'mean'] as const
const QUANTILES = [0.5, 0.95, 0.99] as const
export const COUNT = 3
export const MEAN = 4

/** The derived statistics of one histogram or summary, each a wire of its own, made with its first value. */
export class Statistics {
  /** Key with `%` where the suffix goes. */
  readonly pattern: string
  readonly wires = new Int32Array(STATISTICS.length).fill(-1)

  constructor(pattern: string) {
    this.pattern = pattern
  }

  put(table: WireTable, out: Emitter, which: number, like: number, timeMs: number, value: number): void {
    let wire = this.wires[which]
    if (wire < 0) {
      if (Number.isNaN(value)) return
      wire = table.addOutput(this.pattern.replace('%', () => `:${STATISTICS[which]}`))
      if (wire < 0) return
      this.wires[which] = wire
      table.setOrigin(wire, table.tenant(like), which === COUNT ? rateUnit('1') : table.unit(like))
      table.setGroup(wire, table.group(like), which)
    }
    out.put(wire, timeMs, value)
  }
}

/** Classic buckets, sum and count of one label set, collected until a moment is complete. */
export interface Group {
  readonly key: string
  readonly statistics: Statistics
  /** Wires: buckets by ascending bound, then count and sum. */
  members: number[]
  /** Moment of the last differences taken, 0 before the first. */
  prevMs: number
  /** Moment being collected; equals prevMs when none is. */
  curMs: number
  /** Members seen at curMs. */
  seen: number
}

/** Scratch for one group at a time; bounded by the options' bucketsMax. */
export interface GroupScratch {
  readonly bounds: Float64Array
  readonly cumulative: Float64Array
}

export function isBucket(bound: number): boolean {
  return bound > Number.NEGATIVE_INFINITY
}

/** Puts a member where its bound belongs; sums and counts come last. */
export function addMember(table: WireTable, group: Group, wire: number): void {
  const bound = table.bound(wire)
  let at = group.members.length
  if (isBucket(bound)) {
    at = 0
    while (
      at < group.members.length &&
      table.bound(group.members[at]) < bound &&
      isBucket(table.bound(group.members[at]))
    )
      at++
  }
  group.members.splice(at, 0, wire)
}

/**
 * Takes one cumulative value of a member. Returns '' when taken, else why not. A moment is complete once every
 * known member was seen, or when a newer one arrives; what is missing then is left out, since any subset of
 * cumulative buckets is still a histogram, only coarser.
 */
export function addToGroup(
  table: WireTable,
  out: Emitter,
  scratch: GroupScratch,
  group: Group,
  wire: number,
  timeMs: number,
  value: number,
  gapMs: number,
): '' | 'out-of-order' {
  if (timeMs < group.curMs - gapMs || timeMs > group.curMs + gapMs) restart(table, group)
  if (timeMs <= group.prevMs) {
    // Late for a moment whose differences are taken: it still is the baseline of the next.
    if (timeMs < group.prevMs || table.lastMs(wire) === timeMs) return 'out-of-order'
    table.setLast(wire, value, timeMs)
    return ''
  }
  if (timeMs < group.curMs || table.curMs(wire) === timeMs) return 'out-of-order'
  if (timeMs > group.curMs) {
    if (group.seen > 0) flushGroup(table, out, scratch, group)
    group.curMs = timeMs
  }
  table.setCur(wire, value, timeMs)
  group.seen++
  if (group.seen === group.members.length) flushGroup(table, out, scratch, group)
  return ''
}

/** The next moment is a first one. */
export function restart(table: WireTable, group: Group): void {
  for (const wire of group.members) {
    table.setLast(wire, table.last(wire), 0)
    table.endCur(wire)
  }
  group.prevMs = 0
  group.curMs = 0
  group.seen = 0
}

/** Differences since the previous moment → statistics; then this moment is the previous one. */
function flushGroup(table: WireTable, out: Emitter, scratch: GroupScratch, group: Group): void {
  const { members, prevMs, curMs, statistics } = group
  const { bounds, cumulative } = scratch
  let length = 0
  let count = Number.NaN
  let sum = Number.NaN
  let gaps = 0
  let reset = false
  for (let i = 0; i < members.length; i++) {
    const wire = members[i]
    if (table.curMs(wire) !== curMs) continue
    const cur = table.cur(wire)
    if (Number.isNaN(cur)) gaps++
    else if (table.lastMs(wire) === prevMs && isCount(table, wire) && cur < table.last(wire)) reset = true
  }
  const like = members[0]
  if (gaps > 0 && gaps === group.seen) {
    // The source is gone: say so, and keep the baseline for its return.
    for (let s = 0; s < STATISTICS.length; s++) {
      if (statistics.wires[s] >= 0) out.put(statistics.wires[s], curMs, Number.NaN)
    }
    group.seen = 0
    return
  }
  for (let i = 0; i < members.length; i++) {
    const wire = members[i]
    const cur = table.cur(wire)
    if (table.curMs(wire) !== curMs || Number.isNaN(cur)) continue
    if (prevMs > 0 && table.lastMs(wire) === prevMs) {
      const delta = cur - (reset ? 0 : table.last(wire))
      const bound = table.bound(wire)
      if (isBucket(bound) && length < bounds.length) {
        bounds[length] = bound
        cumulative[length] = length > 0 ? Math.max(delta, cumulative[length - 1]) : delta
        length++
      } else if (bound === ROLE_COUNT) count = delta
      else sum = delta
    }
    table.setLast(wire, cur, curMs)
  }
  group.prevMs = curMs
  group.seen = 0
  if (prevMs === 0) return
  if (length > 0) {
    for (let q = 0; q < QUANTILES.length; q++) {
      statistics.put(table, out, q, like, curMs, bucketQuantile(QUANTILES[q], bounds, cumulative, length))
    }
    if (Number.isNaN(count)) count = cumulative[length - 1]
  } else if (!Number.isNaN(sum) && !Number.isNaN(count) && !hasBuckets(table, group)) {
    statistics.put(table, out, MEAN, like, curMs, count > 0 ? sum / count : Number.NaN)
  }
  if (!Number.isNaN(count)) statistics.put(table, out, COUNT, like, curMs, (count * 1000) / (curMs - prevMs))
}

/** A sum may fall without a reset, when negative values are observed. */
function isCount(table: WireTable, wire: number): boolean {
  return !Number.isNaN(table.bound(wire))
}

function hasBuckets(table: WireTable, group: Group): boolean {
  return isBucket(table.bound(group.members[0]))
}

import type { Change } from '../core/change.ts'
import type { SeriesHistory } from '../core/history.ts'
import { type ChangeScratch, changeScratch, scoreChange } from './change-score.ts'
import { F, FELT } from './families.ts'
import { type Finding, NO_CALL } from './findings.ts'
import { compare } from './graph.ts'
import { type Facts, type Release, yardstickOf } from './series-facts.ts'

/** A version is new when it is heard this much later than another of its entity, windows. */
const LATER_WINDOWS = 3
/** And when it has not been there longer than this before the onset, windows. */
const YOUNG_WINDOWS = 60
/** Windows a new copy is warming up: its first requests open connections and fill caches. */
const WARM_UP_WINDOWS = 1
/** Windows in which two series must say the same, and not always the same, to be one measurement under two names. */
const SAME_WINDOWS = 3
/** Values of the old version that are looked at. */
const STABLE_MAX = 4096
/** Windows after which a release should have been heard of. */
const ARRIVED_WINDOWS = 3
/** A release that never reports is as strange as a shift of this many usual tails. */
const MISSING_SCORE = 8

/** What a release is known by that never reports. */
export const NEVER_HEARD = 'series of the new version'

/** One series of a versioned entity. */
interface Versioned extends Release, Pick<Facts, 'meta' | 'place'> {
  readonly row: number
}

export interface CanaryQuestion {
  readonly onsetMs: number
  readonly untilMs: number
  readonly baselineMs: number
}

/**
 * New versions against old ones: the same measure of the same call, at the same time, by copies of different
 * releases. What differs between them is the release and nothing else, as in a canary analysis.
 */
export class Canaries {
  readonly #series: Versioned[] = []

  /** Notes a series when its labels name a version. */
  add(row: number, { meta, place, release }: Facts): void {
    if (release !== undefined) this.#series.push({ row, meta, place, ...release })
  }

  findings(history: SeriesHistory, changes: readonly Change[], question: CanaryQuestion): Finding[] {
    if (this.#series.length === 0) return []
    // Neither rows nor their order matter.
    this.#series.sort((a, b) => compare(a.meta.key, b.meta.key))
    const read = new Reader(history, question)
    const first = this.#firstHeard(read)
    const groups = new Map<string, Versioned[]>()
    for (const one of this.#series) {
      // What a young copy costs while it warms up says little of its release.
      if (!FELT[one.place.family]) continue
      const group = groups.get(one.group)
      if (group) group.push(one)
      else groups.set(one.group, [one])
    }
    const young = question.onsetMs - YOUNG_WINDOWS * history.stepMs
    const out: Finding[] = []
    for (const group of groups.values()) {
      const heard = first.get(group[0].meta.entity)
      if (!heard) continue
      const [oldest, oldestMs] = heard[0]
      for (const [version, firstMs] of heard.slice(1)) {
        if (firstMs < young || firstMs < oldestMs + LATER_WINDOWS * history.stepMs) continue
        const finding = read.compare(group, oldest, version, firstMs)
        if (finding) out.push(finding)
      }
    }
    out.push(...this.#missing(first, changes, history.stepMs, question))
    return out
  }

  /** When each version of each entity was first heard, earliest first. */
  #firstHeard(read: Reader): Map<string, [version: string, timeMs: number][]> {
    const first = new Map<string, Map<string, number>>()
    for (const { row, meta, version } of this.#series) {
      const timeMs = read.firstMs(row)
      if (Number.isNaN(timeMs)) continue
      const versions = first.get(meta.entity) ?? new Map<string, number>()
      versions.set(version, Math.min(timeMs, versions.get(version) ?? Number.POSITIVE_INFINITY))
      first.set(meta.entity, versions)
    }
    return new Map(
      [...first].map(([entity, versions]) => [
        entity,
        [...versions].sort((a, b) => a[1] - b[1] || compare(a[0], b[0])),
      ]),
    )
  }

  /** Releases of versioned entities after which no new version was ever heard of. */
  #missing(
    first: ReadonlyMap<string, readonly [version: string, timeMs: number][]>,
    changes: readonly Change[],
    stepMs: number,
    { onsetMs, untilMs }: CanaryQuestion,
  ): Finding[] {
    const out: Finding[] = []
    const told = new Set<string>()
    for (const { kind, entity, timeMs, ref } of changes) {
      const heard = first.get(entity)
      if (kind !== 'deploy' || !heard || told.has(entity)) continue
      if (timeMs > onsetMs || timeMs < onsetMs - YOUNG_WINDOWS * stepMs) continue
      if (untilMs - timeMs < ARRIVED_WINDOWS * stepMs) continue
      if (heard.some(([, sinceMs]) => sinceMs > timeMs - stepMs)) continue
      told.add(entity)
      out.push({
        key: `never reported ${entity} ${ref}`,
        metric: NEVER_HEARD,
        unit: '',
        entity,
        family: F.canary,
        onsetMs: timeMs,
        change: {
          tail: MISSING_SCORE,
          sigma: MISSING_SCORE,
          observed: 0,
          expected: heard.length,
          direction: 'drop',
          onset: 0,
        },
        ...NO_CALL,
        labels: { service: entity },
        absent: false,
      })
    }
    return out
  }
}

/** Reads stretches of history into buffers that are made once. */
class Reader {
  readonly #history: SeriesHistory
  readonly #fromMs: number
  readonly #question: CanaryQuestion
  readonly #values: Float64Array
  readonly #stable = new Float64Array(STABLE_MAX)
  readonly #canary = new Float64Array(STABLE_MAX)
  readonly #scratch: ChangeScratch = changeScratch(STABLE_MAX)

  constructor(history: SeriesHistory, question: CanaryQuestion) {
    this.#history = history
    this.#question = question
    this.#fromMs = question.onsetMs - question.baselineMs
    const windows = Math.ceil((question.untilMs - this.#fromMs) / history.stepMs)
    this.#values = new Float64Array(Math.max(0, Math.min(windows, history.depth)) + 2)
  }

  /** End of the first window in which a series was heard, NaN when it never was. */
  firstMs(row: number): number {
    const n = this.#history.observed(row, this.#fromMs, this.#question.untilMs, this.#values)
    for (let i = 0; i < n; i++) {
      if (!Number.isNaN(this.#values[i])) return this.#lastMs() - (n - 1 - i) * this.#history.stepMs
    }
    return Number.NaN
  }

  compare(
    group: readonly Versioned[],
    oldest: string,
    version: string,
    sinceMs: number,
  ): Finding | undefined {
    const old = this.#apart(group, oldest, version, sinceMs)
    const n = this.#collect(old, oldest, this.#fromMs, this.#stable)
    const firstMs = sinceMs - this.#history.stepMs
    const warmMs = firstMs + WARM_UP_WINDOWS * this.#history.stepMs
    const m =
      this.#collect(group, version, warmMs, this.#canary) ||
      this.#collect(group, version, firstMs, this.#canary)
    if (n === 0 || m === 0) return undefined
    const { meta, place } = group.find(one => one.version === version) ?? group[0]
    const change = scoreChange(
      this.#stable,
      n,
      this.#canary,
      m,
      { ...yardstickOf(meta, place, meta.unit), emptyIsZero: false },
      this.#scratch,
    )
    if (!change || !(change.tail > 0)) return undefined
    return {
      key: meta.key,
      metric: meta.metric,
      unit: meta.unit,
      entity: meta.entity,
      family: F.canary,
      onsetMs: sinceMs,
      change,
      ...NO_CALL,
      labels: meta.labels,
      absent: false,
    }
  }

  /**
   * Series of the old version without those that only repeat one of the new: a copy that took over the place of
   * another is told under both names for a while, and must not stand on both sides of the comparison.
   */
  #apart(
    group: readonly Versioned[],
    oldest: string,
    version: string,
    sinceMs: number,
  ): readonly Versioned[] {
    const old = group.filter(one => one.version === oldest)
    const fresh = group.filter(one => one.version === version).map(({ row }) => this.#since(row, sinceMs))
    const apart = old.filter(({ row }) => {
      const own = this.#since(row, sinceMs)
      return !fresh.some(other => repeats(own, other))
    })
    return apart.length > 0 ? apart : old
  }

  #since(row: number, fromMs: number): Float64Array {
    const n = this.#history.observed(row, fromMs, this.#question.untilMs, this.#values)
    return this.#values.slice(0, n)
  }

  /** The newest finite values of all series of one version. */
  #collect(group: readonly Versioned[], version: string, fromMs: number, out: Float64Array): number {
    const own = group.filter(one => one.version === version)
    const each = Math.max(1, Math.floor(out.length / Math.max(1, own.length)))
    let length = 0
    for (const { row } of own) {
      const n = this.#history.observed(row, fromMs, this.#question.untilMs, this.#values)
      for (let i = Math.max(0, n - each); i < n && length < out.length; i++) {
        if (!Number.isNaN(this.#values[i])) out[length++] = this.#values[i]
      }
    }
    return length
  }

  #lastMs(): number {
    return Math.min(this.#question.untilMs, this.#history.newestEndMs)
  }
}

/** Whether two stretches that end together hold the same values wherever both are known, and not one value only. */
function repeats(a: Float64Array, b: Float64Array): boolean {
  let both = 0
  let moved = false
  let before = Number.NaN
  for (let i = 1; i <= Math.min(a.length, b.length); i++) {
    const value = a[a.length - i]
    const other = b[b.length - i]
    if (Number.isNaN(value) || Number.isNaN(other)) continue
    if (value !== other) return false
    if (both > 0 && value !== before) moved = true
    before = value
    both++
  }
  return both >= SAME_WINDOWS && moved
}

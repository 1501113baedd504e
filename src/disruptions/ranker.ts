import type { Change } from '../core/change.ts'
import type { SeriesHistory } from '../core/history.ts'
import { KIND_TRAITS } from '../core/metric-kind.ts'
import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import { Canaries } from './canary.ts'
import { type Finding, NO_CALL } from './cause.ts'
import { type ChangeScratch, changeScratch, scoreChange } from './change-score.ts'
import { badOf, F, floorOf } from './families.ts'
import type { Fleet } from './fleet.ts'
import { compare } from './graph.ts'
import { HeldRows } from './held-rows.ts'
import type { DisruptionOptions } from './options.ts'
import {
  countKnown,
  firstKnown,
  hear,
  type Interval,
  isKnown,
  NormalPlaces,
  pick,
  unitSeen,
  type Voices,
} from './past.ts'
import { atCeiling } from './saturation.ts'
import { SeriesFacts } from './series-facts.ts'

export interface Question {
  readonly tenant: string
  /** Entities to look at; undefined is all of the tenant. */
  readonly scope: ReadonlySet<string> | undefined
  /** Start of the first strange window, Unix ms. */
  readonly onsetMs: number
  /** What happened is measured on windows that end in (onsetMs, untilMs]. */
  readonly untilMs: number
  /** How far back normal is looked for, ms. */
  readonly baselineMs: number
  /** Stretches that are not normal. */
  readonly disrupted: readonly Interval[]
  /** What people and machines did; releases are looked for in the series. */
  readonly changes: readonly Change[]
  /** Entities found silent, by name. */
  readonly silent: ReadonlySet<string>
}

/** Windows left out between baseline and onset: an onset is often noticed late. */
const GAP_WINDOWS = 1
/** Windows before the onset that are looked through for a series' own, earlier onset. */
const EARLIER_WINDOWS = 3
const FEWEST_NORMAL = 10
/** Values of the past that one ranking looks at; beyond it, the past of all series is thinned out evenly. */
const BASELINE_VALUES_MAX = 300_000
/**
 * Windows of the past by which what a series usually does is half known. A copy that has just started knows neither
 * its usual level nor its tail, and its first requests are slow anyway.
 */
const HALF_KNOWN_WINDOWS = 10
/** A silent entity is as strange as a series can be. */
const SILENT_SCORE = 30

interface Placed {
  readonly row: number
  readonly meta: SeriesMeta
}

/** Reads the past of series and scores what each did after an onset. */
export class Ranker {
  /** Series not looked at because there were more than the limit. */
  dropped = 0
  readonly #table: SeriesTable
  readonly #history: SeriesHistory
  readonly #fleet: Fleet
  readonly #options: DisruptionOptions
  readonly #held: HeldRows
  readonly #facts: SeriesFacts
  /** Windows since the series looked at last was first heard. */
  #age = 0
  #before = new Float64Array(0)
  #past = new Float64Array(0)
  #after = new Float64Array(0)
  #scratch: ChangeScratch = changeScratch(0)

  constructor(table: SeriesTable, history: SeriesHistory, fleet: Fleet, options: DisruptionOptions) {
    this.#table = table
    this.#history = history
    this.#fleet = fleet
    this.#options = options
    this.#held = new HeldRows(table, history, fleet)
    this.#facts = new SeriesFacts((tenant, name) => fleet.id(tenant, name) >= 0)
  }

  /** To be called before questions that follow on new windows: rows may belong elsewhere since. */
  renew(): void {
    this.#held.renew()
  }

  findings(question: Question): Finding[] {
    const metas = this.#metasOf(question)
    const windows = Math.ceil(question.baselineMs / this.#options.stepMs)
    const stride = Math.max(1, Math.ceil((metas.length * windows) / BASELINE_VALUES_MAX))
    const normal = new NormalPlaces(this.#options.stepMs, stride, question.disrupted)
    const found: Finding[] = []
    const ages: number[] = []
    const voices = new Map<string, Voices>()
    const canaries = new Canaries()
    for (const one of metas) {
      const finding = this.#finding(one, question, normal, voices, canaries)
      if (!finding) continue
      found.push(finding)
      ages.push(this.#age)
    }
    discountYoung(found, ages)
    found.push(...canaries.findings(this.#history, question.changes, question))
    const silent = new Set(question.silent)
    for (const [entity, { live, lost }] of voices) if (live === 0 && lost > 0) silent.add(entity)
    for (const entity of [...silent].sort(compare)) {
      if (question.scope && !question.scope.has(entity)) continue
      found.push(silentFinding(entity, question.onsetMs))
    }
    return found
  }

  /** Those that have a past, in order of keys, so that neither rows nor their order matter. */
  #metasOf({ tenant, scope }: Question): Placed[] {
    const table = this.#table
    let rows = [...this.#held.of(tenant, scope)]
    const { maxRanked } = this.#options
    if (rows.length > maxRanked) {
      this.dropped += rows.length - maxRanked
      const keyed = rows.map(row => ({ row, key: table.key(row) }))
      keyed.sort((a, b) => compare(a.key, b.key))
      rows = keyed.slice(0, maxRanked).map(({ row }) => row)
    }
    const placed = rows.map(row => ({ row, meta: table.meta(row) }))
    placed.sort((a, b) => compare(a.meta.key, b.meta.key))
    return placed
  }

  #finding(
    { row, meta }: Placed,
    question: Question,
    normal: NormalPlaces,
    voices: Map<string, Voices>,
    canaries: Canaries,
  ): Finding | undefined {
    const { onsetMs, untilMs, baselineMs } = question
    const step = this.#options.stepMs
    const endMs = onsetMs - GAP_WINDOWS * step
    const windows = Math.max(1, Math.ceil(baselineMs / step))
    const early = EARLIER_WINDOWS * step
    this.#ensure(windows + 8, Math.ceil((untilMs - onsetMs + early) / step) + 8)
    let past = this.#history.observed(row, endMs - baselineMs, endMs, this.#past)
    // Where there is hardly a past, even the window next to the onset is needed.
    let pastEndMs = endMs
    if (!isKnown(this.#past, past)) {
      past = this.#history.observed(row, endMs - baselineMs, onsetMs, this.#past)
      pastEndMs = onsetMs
    }
    this.#age = past - firstKnown(this.#past, past)
    let n = pick(this.#past, normal.of(past, pastEndMs, false), this.#before)
    // Where trouble never ends, a troubled past is better than none.
    if (countKnown(this.#before, n) < FEWEST_NORMAL)
      n = pick(this.#past, normal.of(past, pastEndMs, true), this.#before)
    const all = this.#history.observed(row, onsetMs - early, untilMs, this.#after)
    if (all === 0) return undefined
    const lastMs = Math.min(untilMs, this.#history.newestEndMs)
    const m = Math.min(all, Math.max(0, Math.round((lastMs - onsetMs) / step)))
    const facts = this.#facts.of(row, meta)
    const { place } = facts
    const after = this.#after.subarray(all - m, all)
    canaries.add(row, meta, place)
    const entity = this.#fleet.entities[this.#fleet.entityOf(row)].name
    if (place.caller === undefined) hear(voices, entity, this.#past, past, after)
    const unit = unitSeen(place.kind, meta.unit, this.#before, n, after, m)
    const shift = scoreChange(
      this.#before,
      n,
      after,
      m,
      badOf(meta, place),
      KIND_TRAITS[place.kind].relativeFloor,
      floorOf(place.kind, unit, meta.metric),
      place.family === F.err,
      this.#scratch,
    )
    if (!shift) return undefined
    const change = atCeiling(shift, place.kind, unit, this.#before, n, after, m)
    return {
      key: meta.key,
      metric: meta.metric,
      unit: place.kind === 'latency' && meta.unit === '' ? 's' : meta.unit,
      entity,
      family: place.family,
      onsetMs: change.onset < 0 ? Number.NaN : lastMs - (m - change.onset) * step,
      change,
      onEdge: place.caller !== undefined,
      caller: place.caller ?? '',
      point: facts.point,
      callee: '',
      copyOf: facts.copyOf,
      labels: meta.labels,
      absent: false,
    }
  }

  #ensure(before: number, after: number): void {
    if (this.#before.length < before) {
      this.#before = new Float64Array(before)
      this.#past = new Float64Array(before)
    }
    if (this.#after.length < after) this.#after = new Float64Array(after)
    const longest = Math.max(this.#before.length, this.#after.length)
    if (this.#scratch.values.length < longest) this.#scratch = changeScratch(longest)
  }
}

/**
 * Lowers the scores of series that are younger than the oldest: where nobody is known for long all are as they are.
 * A series without a past is left alone: only errors are scored without one, and what never failed before is telling.
 */
function discountYoung(found: Finding[], ages: readonly number[]): void {
  const oldest = ages.reduce((most, age) => Math.max(most, age), 0)
  const known = (age: number): number => age / (age + HALF_KNOWN_WINDOWS)
  for (const [i, age] of ages.entries()) {
    if (age === 0 || age === oldest) continue
    const { change } = found[i]
    const share = known(age) / known(oldest)
    found[i] = { ...found[i], change: { ...change, tail: change.tail * share, sigma: change.sigma * share } }
  }
}

function silentFinding(entity: string, onsetMs: number): Finding {
  return {
    key: `absent ${entity}`,
    metric: 'reporting',
    unit: '',
    entity,
    family: F.absence,
    onsetMs,
    change: {
      tail: SILENT_SCORE,
      sigma: SILENT_SCORE,
      observed: Number.NaN,
      expected: Number.NaN,
      direction: 'drop',
      onset: 0,
    },
    ...NO_CALL,
    labels: { service: entity },
    absent: true,
  }
}

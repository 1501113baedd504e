import type { Change } from '../core/change.ts'
import type { SeriesHistory } from '../core/history.ts'
import type { SeriesTable } from '../core/series.ts'
import { Canaries } from './canary.ts'
import { measureChange, SCORE, type Yardstick } from './change-score.ts'
import { F, FRONT_DOOR } from './families.ts'
import { AGE, FINDING_WIDTH, type Finding, Findings, NO_CALL, ONSET_MS } from './findings.ts'
import type { Fleet } from './fleet.ts'
import { compare } from './graph.ts'
import { HeldRows } from './held-rows.ts'
import type { DisruptionOptions } from './options.ts'
import {
  HEARD_WINDOWS,
  hear,
  type Interval,
  NormalPast,
  stretchOf,
  unitSeen,
  Voices,
  Windows,
} from './past.ts'
import { PASTS_AT_ONCE, Pasts } from './pasts.ts'
import { atCeiling } from './saturation.ts'
import { type Facts, SeriesFacts, yardstickOf } from './series-facts.ts'
import { PAST_WIDTH } from './usual.ts'

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

/** What every series is asked in a question. */
interface Look {
  readonly past: NormalPast
  /** Where there is hardly a past, even the window next to the onset is needed. */
  readonly youngPast: NormalPast
  /** The last windows of the past. */
  readonly recent: Windows
  readonly after: Windows
  /** End of the last window of `after`. */
  readonly lastMs: number
}

/** A series of a block: what is read before it is scored. */
interface Place {
  readonly before: Float64Array
  readonly after: Float64Array
  n: number
  known: number
  /** Windows since it was first heard. */
  age: number
  unit: string
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
  readonly #found = new Findings()
  /** Windows since the oldest of the series that were scored was first heard. */
  #oldest = 0
  readonly #pasts = new Pasts()
  readonly #recent = new Float64Array(HEARD_WINDOWS)
  #places: Place[] = []
  readonly #factsOf: Facts[] = []
  readonly #yardsticks: Yardstick[] = []
  #deviations = new Float64Array(0)

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

  /** In no order that matters; good until the next question. */
  findings(question: Question): Findings {
    const found = this.#found
    found.length = 0
    this.#oldest = 0
    const rows = this.#rowsOf(question)
    const voices = new Voices()
    const canaries = new Canaries()
    const look = this.#lookOf(question, rows.length)
    for (let at = 0; at < rows.length; ) {
      let count = 0
      for (; at < rows.length && count < PASTS_AT_ONCE; at++)
        if (this.#read(rows[at], look, count, voices, canaries)) count++
      this.#pasts.settle(count)
      for (let i = 0; i < count; i++) this.#score(i, look)
    }
    discountYoung(found, this.#oldest)
    for (const finding of canaries.findings(this.#history, question.changes, question))
      if (finding.entity !== FRONT_DOOR) found.push(finding)
    for (const entity of new Set([...question.silent, ...voices.lost()])) {
      if (entity === FRONT_DOOR || (question.scope && !question.scope.has(entity))) continue
      found.push(silentFinding(entity, question.onsetMs))
    }
    return found
  }

  /** Those that have a past; of too many, the first in the order of keys, so that neither rows nor their order matter. */
  #rowsOf({ tenant, scope }: Question): Uint32Array {
    const rows = this.#held.of(tenant, scope)
    const { maxRanked } = this.#options
    if (rows.length <= maxRanked) return rows
    this.dropped += rows.length - maxRanked
    const keyed = Array.from(rows, row => ({ row, key: this.#table.key(row) }))
    keyed.sort((a, b) => compare(a.key, b.key))
    return Uint32Array.from(keyed.slice(0, maxRanked), ({ row }) => row)
  }

  #lookOf({ onsetMs, untilMs, baselineMs, disrupted }: Question, series: number): Look {
    const history = this.#history
    const { stepMs } = this.#options
    // No window is read that the history does not have, however long ago it began and however far back is asked about.
    const windows = Math.min(Math.ceil(baselineMs / stepMs), history.depth)
    const stride = Math.max(1, Math.ceil((series * windows) / BASELINE_VALUES_MAX))
    const endMs = onsetMs - GAP_WINDOWS * stepMs
    const fromMs = endMs - baselineMs
    const lately = stretchOf(history, Math.max(fromMs, endMs - HEARD_WINDOWS * stepMs), endMs)
    const since = stretchOf(history, onsetMs - EARLIER_WINDOWS * stepMs, untilMs)
    const lastMs = Math.min(untilMs, history.newestEndMs)
    const told = Math.min(history.depth, Math.max(0, Math.round((lastMs - onsetMs) / stepMs)))
    const after = { first: Math.max(since.first, since.last - told + 1), last: since.last }
    this.#ensure(windows + 8, told)
    return {
      past: new NormalPast(history, fromMs, endMs, { stride, disrupted }),
      youngPast: new NormalPast(history, fromMs, onsetMs, { stride, disrupted }),
      recent: new Windows(history, lately),
      after: new Windows(history, after),
      lastMs,
    }
  }

  /** Reads a series into place i of the block; false where nothing is known of it. */
  #read(row: number, look: Look, i: number, voices: Voices, canaries: Canaries): boolean {
    const place = this.#places[i]
    const { before, after } = place
    if (!look.after.read(row, after)) return false
    const m = look.after.count
    let { past } = look
    let age = past.knownFor(row)
    if (age === 0) {
      past = look.youngPast
      age = past.knownFor(row)
    }
    const meta = this.#table.meta(row)
    const entity = this.#fleet.entities[this.#fleet.ownerOf(row)].name
    const facts = this.#facts.of(row, meta, entity)
    canaries.add(row, facts)
    if (facts.place.caller === undefined) {
      look.recent.read(row, this.#recent)
      hear(voices.of(entity), this.#recent, look.recent.count, after, m)
    }
    const { bad } = facts.yardstick
    let n = past.read(row, before)
    let known = this.#pasts.take(i, before, n, bad)
    if (known < FEWEST_NORMAL) {
      // Where trouble never ends, a troubled past is better than none.
      n = past.readAll(row, before)
      known = this.#pasts.take(i, before, n, bad)
    }
    const unit = facts.unit ?? unitSeen(before, n, after, m)
    place.known = known
    place.n = n
    place.age = age
    place.unit = unit
    this.#factsOf[i] = facts
    this.#yardsticks[i] = unit === meta.unit ? facts.yardstick : yardstickOf(meta, facts.place, unit)
    return true
  }

  #score(i: number, { after, lastMs }: Look): void {
    const place = this.#places[i]
    const facts = this.#factsOf[i]
    const found = this.#found
    found.ensure()
    const { numbers } = found
    const at = FINDING_WIDTH * found.length
    const m = after.count
    const { past } = this.#pasts
    const isScored = measureChange(
      past,
      PAST_WIDTH * i,
      place.known,
      place.after,
      m,
      this.#yardsticks[i],
      this.#deviations,
      numbers,
      at,
    )
    if (!isScored) return
    if (place.age > this.#oldest) this.#oldest = place.age
    // What is measured at the entry accuses nobody.
    if (facts.subject.entity === FRONT_DOOR) return
    atCeiling(numbers, at, facts.place.kind, place.unit, place.before, place.n, place.after, m)
    const onset = numbers[at + SCORE.onset]
    numbers[at + ONSET_MS] = onset < 0 ? Number.NaN : lastMs - (m - onset) * this.#options.stepMs
    numbers[at + AGE] = place.age
    found.subjects[found.length++] = facts.subject
  }

  #ensure(before: number, after: number): void {
    const [have] = this.#places
    if (have && have.before.length >= before && have.after.length >= after) return
    this.#places = Array.from({ length: PASTS_AT_ONCE }, () => ({
      before: new Float64Array(before),
      after: new Float64Array(after),
      n: 0,
      known: 0,
      age: 0,
      unit: '',
    }))
    this.#deviations = new Float64Array(after)
  }
}

/**
 * Lowers the scores of series that are younger than the oldest: where nobody is known for long all are as they are.
 * A series without a past is left alone: only errors are scored without one, and what never failed before is telling.
 */
function discountYoung({ numbers, length }: Findings, oldest: number): void {
  for (let at = 0; at < FINDING_WIDTH * length; at += FINDING_WIDTH) {
    const age = numbers[at + AGE]
    if (age === 0 || age === oldest) continue
    const share = knownShare(age) / knownShare(oldest)
    numbers[at + SCORE.tail] *= share
    numbers[at + SCORE.sigma] *= share
  }
}

function knownShare(age: number): number {
  return age / (age + HALF_KNOWN_WINDOWS)
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

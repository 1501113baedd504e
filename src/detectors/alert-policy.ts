import type { Anomaly } from '../core/anomaly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import type { CalendarEntry } from '../core/calendar.ts'
import { CHUNK_MASK, CHUNK_SHIFT, ColumnStore, rowsIn, rowsOf, savedRows } from '../core/columns.ts'
import type { CutSnapshot } from '../core/cut.ts'
import type { DetectorContext } from '../core/detector.ts'
import { KIND_TRAITS, unitFloor } from '../core/metric-kind.ts'
import type { BadDirection, SeriesMeta } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AlertingReport } from '../core/stages.ts'
import { AlertBudgets, type BudgetWord, type SavedPool } from './alert-budgets.ts'
import { AlertCalendar, LIKE, SUPPRESSED } from './alert-calendar.ts'
import { type AlertRule, type NamedBudget, type Ruling, Rulings, ruleName } from './alert-rules.ts'
import type { EnsembleOptions } from './ensemble-options.ts'
import { publicScore } from './severity.ts'
import type { LikeDay } from './week-memory.ts'

/** What people configured about alerts. */
export interface PolicyOptions {
  readonly rules: readonly AlertRule[]
  readonly budget?: number | undefined
  readonly budgets: readonly NamedBudget[]
  readonly calendar: readonly CalendarEntry[]
  readonly timeZone: string
}

const SPEC = { ruling: 'u16', pool: 'u32' } as const
export const ID = 'alert-policy'
const VERSION = 1
/** Half-width of the band around what a like day had, in standard deviations. */
const BAND_SCALES = 2.8

/**
 * Rules, budgets and calendar as the ensemble and its hysteresis ask for them. Rulings are looked up once a series and
 * kept as columns; what the calendar says is worked out once a window for each ruling.
 */
export class AlertPolicy {
  readonly #rules: readonly AlertRule[]
  readonly #calendar: AlertCalendar
  readonly #options: EnsembleOptions
  readonly #context: DetectorContext
  readonly #rulings: Rulings
  readonly #budgets: AlertBudgets
  /** Whether they are another's too, who saves them. */
  readonly #isGuest: boolean
  readonly #store = new ColumnStore(SPEC)
  /** Series by ruling. */
  #series: number[] = []
  /** End of the window that the calendar was looked at for. */
  #windowEndMs = Number.NaN
  /** True when a ruling came since. */
  #isStale = true
  /** Anomalies open by pool and entity: an entity with one open has had its alert. */
  readonly #open: Map<string, number>
  readonly #like: LikeDay = { surprise: 0, expected: 0, scale: 0 }

  /**
   * `elder`: a policy of the same options for other series, with which this one has its budgets in common; whoever restores
   * restores the elder first.
   */
  constructor(
    { rules, budget, budgets, calendar, timeZone }: PolicyOptions,
    options: EnsembleOptions,
    context: DetectorContext,
    elder?: AlertPolicy,
  ) {
    this.#rules = rules
    this.#calendar = new AlertCalendar(calendar, timeZone, context.series, context.stepMs)
    this.#options = options
    this.#context = context
    this.#rulings = new Rulings({ rules, budget, budgets, events: calendar })
    this.#isGuest = elder !== undefined
    this.#budgets = elder ? elder.#budgets : new AlertBudgets(context.stepMs, options.openCount)
    this.#open = elder ? elder.#open : new Map()
  }

  /** Looks up what is new in a batch, and what the calendar says of its window. */
  begin(batch: FeatureBatch): void {
    const { length, series, windowEndMs } = batch
    if (length === 0) return
    this.#store.ensure(series[length - 1] + 1)
    for (let i = 0; i < length; i++) {
      if (this.#store.chunks[series[i] >> CHUNK_SHIFT].ruling[series[i] & CHUNK_MASK] === 0)
        this.#lookUp(series[i])
    }
    this.#window(windowEndMs[0])
  }

  #lookUp(row: number): void {
    const meta = this.#context.series.meta(row)
    const chunk = this.#store.chunks[row >> CHUNK_SHIFT]
    const at = row & CHUNK_MASK
    const place = this.#rulings.of(meta)
    const { budget, openSurprise } = this.#rulings.all[place]
    chunk.ruling[at] = place + 1
    this.#series[place] = (this.#series[place] ?? 0) + 1
    // A surprise that is named needs no budget.
    chunk.pool[at] =
      budget === undefined || openSurprise !== undefined
        ? 0
        : this.#budgets.join(budget, `${meta.tenant}/${meta.entity}`) + 1
    this.#isStale = true
  }

  #window(windowEndMs: number): void {
    if (windowEndMs === this.#windowEndMs && !this.#isStale) return
    this.#windowEndMs = windowEndMs
    this.#isStale = false
    this.#calendar.look(windowEndMs, this.#rulings.all)
  }

  #placeOf(row: number): number {
    return this.#store.chunks[row >> CHUNK_SHIFT].ruling[row & CHUNK_MASK] - 1
  }

  #rulingOf(row: number): Ruling {
    return this.#rulings.all[this.#placeOf(row)]
  }

  /** Which way is bad for a series, as configured; asked by detectors, so before any batch was begun. */
  direction(row: number): BadDirection | undefined {
    this.#store.ensure(row + 1)
    if (this.#placeOf(row) < 0) this.#lookUp(row)
    return this.#rulingOf(row).direction
  }

  /** Puts opinions of a begun batch's rows right: what is known of the day explains them, or nobody is to hear them. */
  soften(block: FeatureBatch, out: OpinionBatch, from: number): void {
    const { length, series, observed } = block
    const { effects } = this.#calendar
    for (let j = 0; j < length; j++) {
      const row = series[j]
      const place = this.#placeOf(row)
      const i = from + j
      if (effects[place] === LIKE) this.#compareAsLike(row, place, observed[j], block.windowEndMs[j], out, i)
      const ruling = this.#rulings.all[place]
      const isUnheard = effects[place] === SUPPRESSED || ruling.ignore
      if (isUnheard || (out.evidence[i] > 0 && !this.#isWorthIt(row, ruling, observed[j], out.expected[i])))
        out.evidence[i] = 0
    }
  }

  #compareAsLike(
    row: number,
    place: number,
    value: number,
    endMs: number,
    out: OpinionBatch,
    i: number,
  ): void {
    const like = this.#like
    if (!this.#calendar.compare(row, place, value, endMs, like)) return
    const usual = Math.max(out.point[i], out.incident[i], out.surprise[i])
    if (!(like.surprise < usual)) return
    for (const column of [out.point, out.incident, out.surprise])
      if (column[i] > like.surprise) column[i] = like.surprise
    out.score[i] = publicScore(out.surprise[i])
    out.evidence[i] *= like.surprise / usual
    out.expected[i] = like.expected
    out.lower[i] = like.expected - BAND_SCALES * like.scale
    out.upper[i] = like.expected + BAND_SCALES * like.scale
    out.direction[i] = value > like.expected ? 1 : value < like.expected ? -1 : 0
  }

  /** Surprise at which a window of the series is hot, and below which it is calm. */
  openAt(row: number): number {
    const pool = this.#store.chunks[row >> CHUNK_SHIFT].pool[row & CHUNK_MASK]
    const own = this.#rulingOf(row).openSurprise
    return own ?? (pool > 0 ? this.#budgets.threshold(pool - 1) : this.#options.openAt)
  }

  closeAt(row: number): number {
    const { openAt, closeAt } = this.#options
    const open = this.openAt(row)
    const own = this.#rulingOf(row).closeSurprise
    return Math.min(open, own ?? (open === openAt ? closeAt : open * (closeAt / openAt)))
  }

  /** Whether a row may be hot at all in this window. */
  hears(row: number): boolean {
    const place = this.#placeOf(row)
    return this.#calendar.effects[place] !== SUPPRESSED && !this.#rulings.all[place].ignore
  }

  /** Windows of rest after a close. */
  refractory(row: number): number {
    const own = this.#rulingOf(row).refractoryMs
    return own === undefined ? this.#options.refractory : Math.ceil(own / this.#context.stepMs)
  }

  /** Whether a move is in a direction and of a size that the rules call worth an alert. */
  counts(row: number, observed: number, expected: number): boolean {
    return this.#isWorthIt(row, this.#rulingOf(row), observed, expected)
  }

  #isWorthIt(row: number, ruling: Ruling, observed: number, expected: number): boolean {
    const { direction, up, down } = ruling
    const change = observed - expected
    // Silence has no direction and no size.
    if (Number.isNaN(change)) return true
    if ((direction === 'up' && change < 0) || (direction === 'down' && change > 0)) return false
    const least = change > 0 ? up : down
    if (least.absolute === undefined && least.relative === undefined) return true
    return Math.abs(change) >= floorOf(this.#context.series.meta(row), least, expected)
  }

  /** Whether the rules set the least move of a series to that side, so that the kind's own floor is not asked. */
  hasFloor(row: number, isUp: boolean): boolean {
    const { up, down } = this.#rulingOf(row)
    const { absolute, relative } = isUp ? up : down
    return absolute !== undefined || relative !== undefined
  }

  /** Counts a judged batch: its pools are on the clock, its kept windows are counted. */
  judged(batch: FeatureBatch): void {
    const { length, series, windowEndMs } = batch
    if (length === 0) return
    this.#budgets.pass(windowEndMs[0])
    for (let i = 0; i < length; i++) {
      const pool = this.#store.chunks[series[i] >> CHUNK_SHIFT].pool[series[i] & CHUNK_MASK]
      if (pool > 0) this.#budgets.begin(pool - 1, windowEndMs[i] - this.#context.stepMs)
      this.#calendar.count(this.#placeOf(series[i]))
    }
  }

  opened({ series, tenant, entity, detectedMs }: Anomaly): void {
    const pool = this.#store.chunks[series >> CHUNK_SHIFT].pool[series & CHUNK_MASK]
    if (pool === 0) return
    const key = `${pool}\n${tenant}/${entity}`
    const open = this.#open.get(key) ?? 0
    if (open === 0) this.#budgets.spend(pool - 1, detectedMs)
    this.#open.set(key, open + 1)
  }

  closed({ series, tenant, entity }: Anomaly): void {
    const chunk = this.#store.chunks[series >> CHUNK_SHIFT]
    const pool = chunk === undefined ? 0 : chunk.pool[series & CHUNK_MASK]
    const key = `${pool}\n${tenant}/${entity}`
    const open = this.#open.get(key) ?? 0
    if (open <= 1) this.#open.delete(key)
    else this.#open.set(key, open - 1)
  }

  /** Rows of a begun batch that may teach; undefined when all may. Week memories learn here. */
  learnable(batch: FeatureBatch): Uint32Array | undefined {
    const { length, series, observed, windowEndMs } = batch
    const { effects } = this.#calendar
    let skipped = 0
    for (let i = 0; i < length; i++) {
      const place = this.#placeOf(series[i])
      const ruling = this.#rulings.all[place]
      if (effects[place] === SUPPRESSED) skipped++
      else if (ruling.events.length > 0)
        this.#calendar.remember(series[i], place, ruling, observed[i], windowEndMs[i])
    }
    if (skipped === 0) return undefined
    const rows = new Uint32Array(length - skipped)
    for (let i = 0, at = 0; i < length; i++) {
      if (effects[this.#placeOf(series[i])] !== SUPPRESSED) rows[at++] = i
    }
    return rows
  }

  /** What became of budgets that are shared with series elsewhere, since the last time. */
  budgetWords(): readonly BudgetWord[] | undefined {
    return this.#budgets.words()
  }

  /** What became of them there. */
  hearOfBudgets(words: readonly BudgetWord[]): void {
    this.#budgets.hear(words)
  }

  report(): AlertingReport {
    const now = this.#windowEndMs
    const count = (wanted: (ruling: Ruling) => boolean) =>
      this.#rulings.all.reduce((sum, ruling, r) => sum + (wanted(ruling) ? (this.#series[r] ?? 0) : 0), 0)
    return {
      budgets: this.#budgets.report(now),
      rules: this.#rules.map((rule, i) => ({
        name: ruleName(rule, i),
        series: count(ruling => ruling.rules.includes(i)),
      })),
      calendar: this.#calendar.report(now, i => count(ruling => ruling.events.includes(i))),
    }
  }

  forget(row: number): void {
    this.#calendar.memory.forget(row)
    if (row >= this.#store.rows || this.#placeOf(row) < 0) return
    this.#series[this.#placeOf(row)]--
    const pool = this.#store.chunks[row >> CHUNK_SHIFT].pool[row & CHUNK_MASK]
    if (pool > 0) this.#budgets.leave(pool - 1)
    this.#store.clear(row)
  }

  /** Which series have been looked up decides thresholds, so it is kept; rulings themselves are looked up anew. */
  snapshot(): Snapshot[] {
    const { series } = this.#context
    const known: string[] = []
    for (const [row, { key }] of series.metas())
      if (row < this.#store.rows && this.#placeOf(row) >= 0) known.push(key)
    const meta = this.#saved()
    return [{ id: ID, version: VERSION, keys: known, columns: {}, meta }, this.#calendar.memory.snapshot()]
  }

  #saved(): SavedPolicy {
    return { pools: this.#isGuest ? [] : this.#budgets.saved(), kept: [...this.#calendar.kept] }
  }

  cut(): CutSnapshot[] {
    const known: number[] = []
    const { series } = this.#context
    for (let row = 0; row < this.#store.rows; row++)
      if (this.#placeOf(row) >= 0 && series.has(row)) known.push(row)
    const rows = savedRows(Uint32Array.from(known), series)
    const meta = this.#saved()
    return [{ id: ID, version: VERSION, keys: [], rows, columns: {}, meta }, this.#calendar.memory.snapshot()]
  }

  /** Of the anomalies that are open, each entity has had its alert. */
  restore(parts: readonly Snapshot[], open: readonly Anomaly[]): void {
    const memory = parts.find(part => part.id === this.#calendar.memory.id)
    if (memory) this.#calendar.memory.restore(memory)
    const own = parts.find(part => part.id === ID && part.version === VERSION)
    if (own) {
      const { pools, kept } = own.meta as SavedPolicy
      this.#budgets.restore(pools)
      // Counts of another calendar are not this one's.
      if (kept.length === this.#calendar.kept.length) this.#calendar.kept.set(kept)
      const rowOf = rowsIn(own, this.#context.series)
      for (let i = 0; i < rowsOf(own); i++) {
        const row = rowOf(i)
        if (row < 0) continue
        this.#store.ensure(row + 1)
        if (this.#placeOf(row) < 0) this.#lookUp(row)
      }
    }
    for (const anomaly of open) {
      if (anomaly.series >= this.#store.rows) continue
      const pool = this.#store.chunks[anomaly.series >> CHUNK_SHIFT].pool[anomaly.series & CHUNK_MASK]
      const key = `${pool}\n${anomaly.tenant}/${anomaly.entity}`
      if (pool > 0) this.#open.set(key, (this.#open.get(key) ?? 0) + 1)
    }
  }

  bytes(): number {
    const shared = this.#isGuest ? 0 : this.#budgets.bytes() + 100 * this.#open.size
    return this.#store.bytes() + this.#calendar.memory.bytes() + shared
  }
}

interface SavedPolicy {
  readonly pools: readonly SavedPool[]
  readonly kept: readonly number[]
}

/**
 * What is saved of a policy, for one that goes on with some of its series while another counts on for all: thresholds stay,
 * alerts of budgets that all share and windows that were kept from alerting are not told twice.
 */
export function policyOfOthers(meta: unknown): SavedPolicy {
  const { pools, kept } = meta as SavedPolicy
  return {
    pools: pools.map(pool => (pool.key === '' ? { ...pool, days: [] } : pool)),
    kept: kept.map(() => 0),
  }
}

/** Both parts must be passed: the larger of them, and of the kind's own for a part that the rule leaves out. */
function floorOf(
  meta: SeriesMeta,
  { absolute, relative }: { absolute?: number | undefined; relative?: number | undefined },
  expected: number,
): number {
  return Math.max(
    absolute ?? unitFloor(meta.kind, meta.unit, meta.metric),
    (relative ?? KIND_TRAITS[meta.kind].relativeFloor) * Math.abs(expected),
    Number.MIN_VALUE,
  )
}

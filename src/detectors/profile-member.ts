import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, rowsIn, rowsOf } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { LocalTime } from '../core/local-time.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import type { ProfileUse } from '../core/stages.ts'
import type { Combiner } from './combiner.ts'
import { KindClasses } from './kind-classes.ts'
import { type Profile, ProfileChoice, type ProfileRule } from './profile-choice.ts'
import { ProfilePlaces, TIER_NAMES } from './profile-places.ts'
import { Promotion, type PromotionOptions } from './promotion.ts'
import { DONE, rowsNeeded } from './runs.ts'
import type { SlotRow } from './slot-convert.ts'

const ID = 'profile@1'
const VERSION = 1
/** A move in the good direction is this much as strange, as in deviation@1. */
const GOOD_SHARE = 0.25
/** A window that is to teach less than this belongs to an open anomaly or disruption; one hot window is not enough. */
const STRANGE_WEIGHT = 0.2
/** Prefix of the combiner's columns in a snapshot. */
const COMBINER = 'combiner'
/** When series were last suspect by their row, in a cut as it once was: where rows are others when it is put back they were mixed up. */
const SUSPECT_OF = 'suspectOf'
/** The rows of them, in a cut. */
const COMBINER_ROWS = 'combinerRows'
const NO_PROMOTION: PromotionOptions = { budgetBytes: 0 }

interface Saved {
  /** Rows of each profile. */
  readonly counts: readonly number[]
  readonly zone: string
  /** When the memory was given out last, Unix ms. */
  readonly reviewed: number | null
  readonly promotions: number
  readonly demotions: number
  /** Rows of the combiner's columns in a cut, where they are those of the series table. */
  readonly combinerRows?: number | null
}

/**
 * The daily shape of every series as one member of the ensemble, whatever profile a series has: its opinion and its
 * calibration go on when the profile changes. It learns every window at full weight: its updates are clipped by
 * themselves, and so it says of a live series exactly what `score` says of the recorded one, which is what was
 * measured. Silent for the first day of a series, and promotes nobody before: most series that are new are gone soon.
 * Where there is a combiner it weighs the point evidence, whatever the profile.
 */
export class ProfileMember implements Detector {
  readonly id = ID
  readonly width = 0
  readonly warmUpWindows: number
  readonly voices: readonly DetectorVoice[]
  readonly #context: DetectorContext
  readonly #places: ProfilePlaces
  readonly #choice: ProfileChoice
  readonly #classes: KindClasses
  readonly #promotion: Promotion
  readonly #localTime: LocalTime | undefined
  readonly #combiner: Combiner | undefined
  /** Daily shape and slack by row of the batch scored last, in the series' unit; NaN where none is known. */
  shape = new Float64Array(0)
  slack = new Float64Array(0)

  constructor(
    context: DetectorContext,
    choice: ProfileChoice,
    promotion: PromotionOptions,
    combiner?: Combiner,
  ) {
    this.#context = context
    this.#combiner = combiner
    // Weighed evidence has another tail: what was counted of the profile's own is no measure for it.
    this.voices = [
      { column: 'point', feeds: ['surprise', 'point'], ...(combiner ? { name: 'weighed-point' } : {}) },
      { column: 'incident', feeds: ['surprise', 'incident'] },
    ]
    this.#choice = choice
    this.#classes = new KindClasses(context.series, context.direction)
    this.#localTime = context.localTime?.isUtc ? undefined : context.localTime
    this.#promotion = new Promotion(context.series, promotion)
    this.#places = new ProfilePlaces(context, choice, this.#promotion)
    this.warmUpWindows = this.#places.tiers[0].warmUpWindows
  }

  /**
   * How far the clocks of people are ahead of UTC in a window, ms. The profiles are given local times: an hour that is
   * skipped is a gap to them, an hour that comes twice is one that they see twice.
   */
  #aheadMs(endMs: number): number {
    return this.#localTime === undefined ? 0 : this.#localTime.offsetMs(endMs - this.#context.stepMs)
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length, series } = batch
    out.length = length
    out.score.fill(Number.NaN, 0, length)
    out.point.fill(Number.NaN, 0, length)
    out.incident.fill(Number.NaN, 0, length)
    out.expected.fill(Number.NaN, 0, length)
    out.lower.fill(Number.NaN, 0, length)
    out.upper.fill(Number.NaN, 0, length)
    const places = this.#places
    for (const tier of places.tiers) tier.begin(length)
    for (let i = 0; i < length; i++) {
      const tier = places.tierOf(series[i])
      if (tier === undefined) continue
      const aheadMs = this.#localTime === undefined ? 0 : this.#aheadMs(batch.windowEndMs[i])
      tier.add(batch, i, tier.pool.of(series[i]), aheadMs)
    }
    if (this.shape.length < length) {
      this.shape = new Float64Array(batch.capacity)
      this.slack = new Float64Array(batch.capacity)
    }
    this.shape.fill(Number.NaN, 0, length)
    this.#combiner?.begin(batch)
    for (const tier of places.tiers) {
      tier.score(out, this.#combiner)
      tier.dayShape(this.shape, this.slack)
    }
    const weighed = this.#combiner ? this.#combiner.weigh(batch, out) : DONE
    if (weighed !== DONE) return weighed.then(() => this.#weighDirection(batch, out))
    this.#weighDirection(batch, out)
    return DONE
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length, series, observed, windowEndMs } = batch
    const places = this.#places
    places.reserve(rowsNeeded(series, length))
    for (const tier of places.tiers) tier.begin(length)
    for (let i = 0; i < length; i++) {
      const row = series[i]
      const tier = places.tierOf(row) ?? (Number.isNaN(observed[i]) ? undefined : places.enter(row))
      if (tier === undefined) continue
      const at = tier.pool.of(row)
      const aheadMs = this.#localTime === undefined ? 0 : this.#aheadMs(windowEndMs[i])
      tier.add(batch, i, at < 0 ? tier.pool.take(row) : at, aheadMs)
      if (weight[i] < STRANGE_WEIGHT) this.#promotion.suspect(row, windowEndMs[i])
    }
    this.#combiner?.beginLearn(batch)
    for (const tier of places.tiers) tier.learn(this.#combiner)
  }

  /** A latency that falls is strange, but nobody's trouble. */
  #weighDirection(batch: FeatureBatch, out: ScoreBatch): void {
    const { length, series, observed } = batch
    this.#classes.ensure(rowsNeeded(series, length))
    const { bad, chunks } = this.#classes
    for (let i = 0; i < length; i++) {
      if (Number.isNaN(out.point[i])) continue
      const known = chunks[series[i] >> CHUNK_SHIFT].of[series[i] & CHUNK_MASK]
      const side = bad[known === 0 ? this.#classes.classOf(series[i]) : known]
      if ((observed[i] - out.expected[i]) * side >= 0) continue
      out.score[i] *= GOOD_SHARE
      out.point[i] *= GOOD_SHARE
      out.incident[i] *= GOOD_SHARE
    }
  }

  /**
   * A window is complete: now and then the memory is given out anew. `importance` says how much entities matter, 0..1,
   * and is asked only when it is needed. Called between batches.
   */
  review(windowEndMs: number, importance: () => ReadonlyMap<string, number>): void {
    if (!this.#places.canPromote || !this.#promotion.isDue(windowEndMs)) return
    const window = Math.floor((windowEndMs + this.#aheadMs(windowEndMs)) / this.#context.stepMs)
    this.#places.review(windowEndMs, window, this.warmUpWindows, importance())
  }

  /** What was learned of a series, where it lies, for another's `importRow`; undefined when nothing was. */
  exportRow(series: number): SlotRow | undefined {
    return this.#places.tierOf(series)?.rowOf(series)
  }

  /** Takes a series in with what was learned of it elsewhere, in the profile that it is to have here; none has none. */
  importRow(series: number, from: SlotRow): void {
    this.forget(series)
    this.#places.adopt(series, from)
  }

  /** Series and bytes by profile, and moves since the start. */
  use(): ProfileUse {
    return this.#places.use()
  }

  /** Why points are not weighed that should be. */
  get problem(): string | undefined {
    return this.#combiner?.problem
  }

  forget(series: number): void {
    this.#combiner?.forget(series)
    this.#places.forget(series)
    this.#choice.forget(series)
    this.#classes.forget(series)
    this.#promotion.forget(series)
  }

  /**
   * The profiles' rows one after the other: `keys` of all, columns `profile.field` of the rows of each, and what the
   * combiner knows of all.
   */
  snapshot(): Snapshot {
    const columns: Record<string, ColumnData> = {}
    const keys: string[] = []
    const counts: number[] = []
    for (const [i, tier] of this.#places.tiers.entries()) {
      const part = tier.snapshot()
      for (const key of part.keys) keys.push(key)
      counts.push(part.keys.length)
      for (const [name, column] of Object.entries(part.columns)) columns[`${TIER_NAMES[i]}.${name}`] = column
    }
    const rows = this.#places.tiers.flatMap(tier =>
      Array.from({ length: tier.pool.capacity }, (_, row) => tier.pool.seriesAt(row)),
    )
    for (const [name, column] of Object.entries(this.#combiner?.columns(rows) ?? {}))
      columns[`${COMBINER}.${name}`] = column
    columns.suspect = this.#suspects(rows.length)
    return { id: ID, version: VERSION, keys, columns, meta: this.#meta(counts) }
  }

  /** As `snapshot`, with rows of the series table for keys; the combiner's columns have rows of their own. */
  cut(cut: Cut): CutSnapshot {
    const columns: Record<string, CutSnapshot['columns'][string]> = {}
    const parts = this.#places.tiers.map(tier => tier.cut(cut))
    const counts = this.#places.tiers.map(tier => tier.pool.capacity)
    const total = counts.reduce((sum, count) => sum + count, 0)
    // Most often all have one profile.
    const only = counts.indexOf(total)
    const rows = only < 0 ? new Uint32Array(total) : (parts[only].rows as Uint32Array)
    let at = 0
    for (const [i, { rows: own, columns: fields }] of parts.entries()) {
      if (only < 0) rows.set(own as Uint32Array, at)
      at += counts[i]
      for (const [name, column] of Object.entries(fields)) columns[`${TIER_NAMES[i]}.${name}`] = column
    }
    columns.suspect = this.#suspects(total)
    const combiner = this.#combiner?.cut(cut)
    for (const [name, column] of Object.entries(combiner?.columns ?? {}))
      columns[`${COMBINER}.${name}`] = column
    if (combiner?.rows instanceof Uint32Array) columns[COMBINER_ROWS] = combiner.rows
    const combinerRows = typeof combiner?.rows === 'number' ? combiner.rows : null
    const meta: Saved = { ...this.#meta(counts), combinerRows }
    return { id: ID, version: VERSION, keys: [], rows, columns, meta }
  }

  /** When the series of all profiles' rows, one after the other, were last suspect. */
  #suspects(total: number): Uint32Array {
    const suspects = new Uint32Array(total)
    let at = 0
    for (const { pool } of this.#places.tiers)
      for (let row = 0; row < pool.capacity; row++)
        suspects[at++] = this.#promotion.suspectS(pool.seriesAt(row))
    return suspects
  }

  #meta(counts: readonly number[]): Saved {
    const reviewed = Number.isFinite(this.#promotion.reviewed) ? this.#promotion.reviewed : null
    return {
      counts,
      reviewed,
      zone: this.#zone,
      promotions: this.#places.promotions,
      demotions: this.#places.demotions,
    }
  }

  get #zone(): string {
    return this.#localTime?.zone ?? 'UTC'
  }

  /**
   * A series that the configuration now gives another profile is taken over into that. A shape of the day on other
   * clocks is of no use: it is learned anew.
   */
  restore(from: Snapshot): void {
    const saved = from.meta as Saved | null
    if (from.id !== ID || from.version !== VERSION || saved?.counts?.length !== TIER_NAMES.length)
      throw new ForeshockError(
        'FS_SNAPSHOT_INVALID',
        `expected ${ID} v${VERSION}, got ${from.id} v${from.version}`,
      )
    if (saved.zone !== this.#zone) return
    const rowOf = rowsIn(from, this.#context.series)
    for (let i = 0, at = 0; i < TIER_NAMES.length; at += saved.counts[i++])
      this.#restoreTier(i, from, at, saved.counts[i], rowOf)
    // A combiner that was not there before begins with nothing; one that is there no more is forgotten.
    const weighed = columnsOf(from, COMBINER)
    if (Object.keys(weighed).length > 0) this.#combiner?.restore(combinerRowsOf(from, saved), weighed)
    const suspectOf = from.columns[SUSPECT_OF]
    const length = rowsOf(from)
    for (let i = 0; i < length; i++) {
      const row = rowOf(i)
      if (row < 0) continue
      const suspectS = suspectOf ? (suspectOf[row] ?? 0) : from.columns.suspect[i]
      if (suspectS > 0) this.#promotion.suspect(row, 1000 * suspectS)
      if (!this.#places.settle(row)) this.#combiner?.forget(row)
    }
    this.#places.promotions = saved.promotions
    this.#places.demotions = saved.demotions
    if (saved.reviewed !== null) this.#promotion.resumeAt(saved.reviewed)
  }

  #restoreTier(i: number, from: Snapshot, at: number, count: number, rowOf: (at: number) => number): void {
    const columns = columnsOf(from, TIER_NAMES[i])
    const isByRow = from.rows instanceof Uint32Array
    const own = isByRow
      ? { keys: [], rows: (from.rows as Uint32Array).subarray(at, at + count) }
      : { keys: from.keys.slice(at, at + count) }
    const isGiven = from.isGiven ? { isGiven: true as const } : {}
    this.#places.restore(i, { ...own, columns, ...isGiven }, row => rowOf(at + row))
  }

  bytes(): number {
    return (
      this.#places.bytes() +
      this.#choice.bytes() +
      this.#classes.bytes() +
      this.#promotion.bytes() +
      (this.#combiner?.bytes() ?? 0)
    )
  }

  async close(): Promise<void> {
    await this.#combiner?.close()
  }
}

/** Whose the combiner's columns are: those of all profiles in a snapshot, all that it knows in a cut. */
function combinerRowsOf(from: Snapshot, { combinerRows }: Saved): Pick<Snapshot, 'keys' | 'rows'> {
  const named = from.columns[COMBINER_ROWS]
  const rows = named instanceof Uint32Array ? named : combinerRows
  return typeof rows === 'number' || rows instanceof Uint32Array ? { keys: [], rows } : { keys: from.keys }
}

/** The columns of one part of a snapshot, by their own names. */
function columnsOf(from: Snapshot, part: string): Record<string, ColumnData> {
  const prefix = `${part}.`
  return Object.fromEntries(
    Object.entries(from.columns)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, column]) => [name.slice(prefix.length), column]),
  )
}

/** The member for a default profile, rules, a budget for more and a combiner; none when no series has a profile. */
export function profileMembers(
  context: DetectorContext,
  fallback: Profile,
  rules: readonly ProfileRule[],
  promotion: PromotionOptions = NO_PROMOTION,
  combiner?: Combiner,
): ProfileMember[] {
  const choice = new ProfileChoice(context.series, fallback, rules)
  return choice.isUsed ? [new ProfileMember(context, choice, promotion, combiner)] : []
}

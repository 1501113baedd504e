import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { DetectorContext } from '../core/detector.ts'
import type { SeriesHistory } from '../core/history.ts'
import type { ModelState, PairObserver } from '../core/model.ts'
import type { SeriesMeta } from '../core/series.ts'
import { hashText } from '../math/hash.ts'
import { pastOf, wantsOf } from './model-plan.ts'
import { type OwnRows, ownRows } from './model-question.ts'
import { ModelRings } from './model-rings.ts'
import { ModelRoster } from './model-roster.ts'
import type { ScoringVersion, Shared } from './model-version.ts'
import { isGolden } from './ridge-cover.ts'

/**
 * A version that comes cold is fed so many past windows, so that it can speak at once: enough for its calibration to
 * have an opinion, which takes thirteen, and cheap.
 */
const FED_WINDOWS = 20
/** Another hash than any other use of a series' key. */
const SEED = 0x5eed

export interface Challenger {
  readonly version: ScoringVersion
  mode: 'shadow' | 'canary'
  share: number
}

export interface LaneOptions {
  readonly size: number
  readonly timeoutMs: number
  readonly clock: () => number
  /** What was seen of series before a model looked at them; without it their rings fill as time goes on. */
  readonly history: SeriesHistory | undefined
}

/**
 * One model as it scores live: the series that it looks at and their last values, which all of its versions share, and
 * the versions: the champion that speaks, the one before it, and the challenger that scores beside it.
 */
export class ModelLane {
  readonly id: string
  readonly roster: ModelRoster
  readonly rings: ModelRings
  readonly shared: Shared
  champion: ScoringVersion | undefined
  previous: ScoringVersion | undefined
  challenger: Challenger | undefined
  readonly #context: DetectorContext
  readonly #options: LaneOptions
  #own: OwnRows = ownRows(0)
  /** Own rows that are learned, and how much they teach. */
  #rows = new Uint32Array(0)
  #weight = new Float32Array(0)
  readonly #hash = new Int32Array(2)

  constructor(id: string, context: DetectorContext, options: LaneOptions) {
    this.id = id
    this.#context = context
    this.#options = options
    this.rings = new ModelRings(context.stepMs, 1)
    this.roster = new ModelRoster(
      context.series,
      options.size,
      () => false,
      row => this.#clear(row),
    )
    this.shared = {
      covered: this.roster.covered,
      rings: this.rings,
      stepMs: context.stepMs,
      sideOf: row => this.#sideOf(row),
      clock: options.clock,
    }
  }

  get versions(): ScoringVersion[] {
    const all = [this.champion, this.previous, this.challenger?.version].filter(one => one !== undefined)
    // The one before may be the challenger too.
    return [...new Set(all)]
  }

  /** Those that score: what is switched off is not asked. */
  get scoring(): ScoringVersion[] {
    const all = [this.champion, this.challenger?.version].filter(one => one !== undefined)
    return [...new Set(all)].filter(one => one.problem === undefined)
  }

  /** Looks at what its versions want, and holds as many windows as they need. */
  adjust(extra: ScoringVersion | undefined = undefined): void {
    const all = [...this.versions, ...(extra ? [extra] : [])]
    const depth = Math.max(1, ...all.map(({ plan }) => pastOf(plan) + FED_WINDOWS))
    if (depth > this.rings.depth) this.rings.resize(depth)
    const wants = all.map(({ plan }) => wantsOf(plan))
    this.roster.want((meta: SeriesMeta) => wants.some(one => one(meta)))
    this.#own.endMs = NaN
  }

  /** Takes in the series that history knows, golden signals first, so that a first model need not wait for its windows. */
  adopt(): void {
    const { history } = this.#options
    if (history === undefined || Number.isNaN(history.newestEndMs)) return
    const { covered } = this.roster
    for (const isFirst of [true, false])
      for (const [row, meta] of this.#context.series.metas()) {
        if (covered.size >= covered.limit) return
        if (isGolden(meta) !== isFirst) continue
        const c = this.roster.consider(row)
        if (c >= 0) this.#recall(c, row, history.newestEndMs)
      }
  }

  /** Lets the rings of a series that is new here hold what history knows of it, up to a window's end. */
  #recall(c: number, row: number, toMs: number): void {
    const { history } = this.#options
    this.rings.ensure(c + 1)
    if (history === undefined || this.rings.known[c] > 0) return
    const { stepMs } = this.#context
    const past = new Float64Array(this.rings.depth)
    const count = history.observed(row, toMs - past.length * stepMs, toMs, past)
    const versions = this.versions
    let isKnown = false
    for (let k = 0; k < count; k++) {
      isKnown ||= !Number.isNaN(past[k])
      if (isKnown) this.#see(versions, c, toMs - (count - 1 - k) * stepMs, past[k])
    }
  }

  /**
   * Lets a version that comes cold see what the rings hold, as if it had been there: its normalisation, the usual size
   * of its scores and its calibration. Stops at the first failure.
   */
  async feed(version: ScoringVersion): Promise<void> {
    const { roster, rings } = this
    version.ensure(roster.covered.capacity)
    const like = this.versions.find(one => one !== version && one.plan.days === version.plan.days)
    const own = this.#reserve(roster.covered.capacity)
    own.length = 0
    own.groups = [...roster.groups.values()]
    for (const [c] of roster.covered.metas()) {
      own.covered[own.length++] = c
      if (like !== undefined && version.plan.by === 'running') {
        like.ensure(c + 1)
        for (const name of ['mean', 'deviation', 'count'] as const)
          version.running[name][c] = like.running[name][c]
      } else for (let age = rings.known[c] - 1; age >= 0; age--) version.see(c, rings.at(c, age))
    }
    const rows = Uint32Array.from({ length: own.length }, (_, k) => k)
    const weight = new Float32Array(own.length).fill(1)
    for (let back = Math.min(FED_WINDOWS, rings.depth); back >= 1; back--) {
      for (let k = 0; k < own.length; k++) {
        own.observed[k] = rings.at(own.covered[k], back - 1)
        own.of[own.covered[k]] = k
      }
      await version.score(own, back, this.#options.timeoutMs)
      if (version.lastFailed > 0 || version.problem !== undefined) break
      version.learn(own, rows, own.length, weight)
    }
    version.startCounting()
    this.#own.endMs = NaN
    own.of.fill(-1)
  }

  /** Scores a window with champion and challenger; what they say stays with them until `speak`. */
  async score(batch: FeatureBatch): Promise<void> {
    this.#gather(batch)
    const { timeoutMs } = this.#options
    await Promise.all(this.scoring.map(version => version.score(this.#own, 0, timeoutMs)))
  }

  #gather(batch: FeatureBatch): void {
    const { length, series, observed, windowEndMs } = batch
    const own = this.#reserve(this.roster.covered.capacity)
    for (let k = 0; k < own.length; k++) own.of[own.covered[k]] = -1
    own.length = 0
    own.groups = []
    own.endMs = length > 0 ? windowEndMs[0] : NaN
    const isEntity = this.scoring[0]?.plan.of === 'entity'
    let last: unknown
    for (let i = 0; i < length; i++) {
      const c = this.roster.coveredRow(series[i])
      if (c < 0) continue
      if (isEntity) {
        const group = this.roster.groupOf(c)
        // The rest of an entity that was learned with an earlier batch of this window: it is judged once a window.
        if (group.learnedEndMs === own.endMs) continue
        if (group !== last && !own.groups.includes(group)) own.groups.push(group)
        last = group
      }
      const k = own.length++
      own.places[k] = i
      own.covered[k] = c
      own.observed[k] = observed[i]
      own.of[c] = k
    }
  }

  /** Own rows with an opinion: `say` is told of each who speaks for it, and the place of what is said. */
  speak(say: (place: number, version: ScoringVersion, k: number) => void): void {
    const own = this.#own
    for (let k = 0; k < own.length; k++) {
      const version = this.#speaker(own.covered[k], k)
      if (version) say(own.places[k], version, k)
    }
  }

  /** The champion, or for its share of the series a canary, where it has an opinion. */
  #speaker(c: number, k: number): ScoringVersion | undefined {
    const { champion, challenger } = this
    const speaks = (one: ScoringVersion | undefined) =>
      one !== undefined && one.problem === undefined && !Number.isNaN(one.said.pointSurprise[k])
    if (challenger?.mode === 'canary' && speaks(challenger.version) && this.#isShared(c, challenger.share))
      return challenger.version
    return speaks(champion) ? champion : undefined
  }

  /** Whether a series (an entity, where the model judges those) is of the canary's share. */
  #isShared(c: number, share: number): boolean {
    const isEntity = this.challenger?.version.plan.of === 'entity'
    const key = isEntity ? this.roster.groupOf(c).key : this.roster.covered.meta(c).key
    hashText(key, SEED, this.#hash)
    return (this.#hash[0] >>> 0) / 2 ** 32 < share
  }

  /** Learns a window, tells the observer of it when it was scored by two, and takes in new series. */
  learn(batch: FeatureBatch, weight: Float32Array, observe: PairObserver | undefined): void {
    const own = this.#own
    const count = this.#known(batch, weight)
    if (count > 0) {
      if (observe) this.#pair(count, observe)
      for (const version of this.scoring) version.learn(own, this.#rows, count, this.#weight)
    }
    this.#push(batch)
    for (const group of own.groups) group.learnedEndMs = own.endMs
    own.endMs = NaN
  }

  /** The batch's rows that are among those scored last, with the same values, into `#rows`. */
  #known(batch: FeatureBatch, weight: Float32Array): number {
    const { length, series, observed, windowEndMs } = batch
    const own = this.#own
    if (length === 0 || own.endMs !== windowEndMs[0]) return 0
    let count = 0
    for (let i = 0; i < length; i++) {
      const c = this.roster.coveredRow(series[i])
      const k = c < 0 || c >= own.of.length ? -1 : own.of[c]
      if (k < 0 || !Object.is(own.observed[k], observed[i])) continue
      this.#rows[count] = k
      this.#weight[count++] = weight[i]
    }
    return count
  }

  /** Values into the rings and normalisations; then series that are new. */
  #push({ length, series, observed, windowEndMs }: FeatureBatch): void {
    const versions = this.versions
    for (let i = 0; i < length; i++) {
      const c = this.roster.coveredRow(series[i])
      if (c >= 0) this.#see(versions, c, windowEndMs[i], observed[i])
    }
    for (let i = 0; i < length; i++) {
      if (this.roster.coveredRow(series[i]) >= 0 || Number.isNaN(observed[i])) continue
      const c = this.roster.consider(series[i])
      if (c < 0) continue
      this.#recall(c, series[i], windowEndMs[i] - this.#context.stepMs)
      this.#see(versions, c, windowEndMs[i], observed[i])
    }
  }

  #see(versions: readonly ScoringVersion[], c: number, endMs: number, value: number): void {
    this.rings.ensure(c + 1)
    this.rings.push(c, endMs, value)
    for (const version of versions) {
      version.ensure(c + 1)
      version.see(c, this.rings.at(c, 0))
    }
  }

  #pair(count: number, observe: PairObserver): void {
    const { champion, challenger } = this
    if (!champion || !challenger || this.scoring.length < 2) return
    const own = this.#own
    const rows = this.#rows
    const told = (version: ScoringVersion) =>
      Float32Array.from({ length: count }, (_, r) => loudest(version, rows[r]))
    observe({
      model: this.id,
      champion: champion.named.version,
      challenger: challenger.version.named.version,
      windowEndMs: own.endMs,
      length: count,
      series: Uint32Array.from({ length: count }, (_, r) => this.roster.seriesRow(own.covered[rows[r]])),
      championSurprise: told(champion),
      challengerSurprise: told(challenger.version),
      championMs: champion.lastMs,
      challengerMs: challenger.version.lastMs,
      championFailed: champion.lastFailed,
      challengerFailed: challenger.version.lastFailed,
    })
  }

  forget(series: number): void {
    this.roster.forget(series)
    this.#own.endMs = NaN
  }

  #clear(c: number): void {
    this.rings.clear(c)
    for (const version of this.versions) version.forget(c)
    if (c < this.#own.of.length) this.#own.of[c] = -1
  }

  #sideOf(c: number): number {
    const row = this.roster.seriesRow(c)
    const bad = this.#context.direction?.(row) ?? this.roster.covered.meta(c).bad
    return bad === 'up' ? 1 : bad === 'down' ? -1 : 0
  }

  #reserve(rows: number): OwnRows {
    this.rings.ensure(rows)
    if (this.#own.of.length < rows) {
      const room = Math.max(2 * this.#own.of.length, rows, 64)
      this.#own = ownRows(room)
      this.#rows = new Uint32Array(room)
      this.#weight = new Float32Array(room)
    }
    return this.#own
  }

  state(): ModelState {
    const { champion, previous, challenger, roster } = this
    const problem = champion?.problem ?? challenger?.version.problem
    return {
      model: this.id,
      champion: champion?.use() ?? null,
      previous: previous ? { version: previous.named.version, digest: previous.named.digest } : null,
      challenger: challenger
        ? { ...challenger.version.use(), mode: challenger.mode, share: challenger.share }
        : null,
      covered: roster.covered.size,
      refused: roster.refused,
      ...(problem === undefined ? {} : { problem }),
    }
  }

  close(): void {
    for (const version of this.versions) version.close()
  }

  bytes(): number {
    let sum = this.rings.bytes() + this.roster.bytes() + 40 * this.#own.of.length
    for (const version of this.versions) sum += version.bytes()
    return sum
  }
}

/** What a version says of a row: the larger of point and incident. */
function loudest({ said }: ScoringVersion, k: number): number {
  return Math.max(said.pointSurprise[k], said.part[k] * said.incidentSurprise[k])
}

/** Writes what a version says of one row into the output. */
export function write(
  version: ScoringVersion,
  k: number,
  out: ScoreBatch,
  i: number,
  discount: number,
): void {
  const { said } = version
  const isOne =
    version.plan.of === 'entity' && version.plan.task === 'score' && version.plan.outputWidth === 1
  const point = isOne ? said.part[k] * said.pointSurprise[k] : said.pointSurprise[k]
  out.point[i] = Math.max(0, point - discount)
  out.incident[i] = Math.max(0, said.part[k] * said.incidentSurprise[k] - discount)
  out.score[i] = Math.max(out.point[i], out.incident[i])
  out.expected[i] = said.expected[k]
  out.lower[i] = said.lower[k]
  out.upper[i] = said.upper[k]
}

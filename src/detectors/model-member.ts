import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesHistory } from '../core/history.ts'
import type { ModelOrder, ModelState, ModelVersion, PairObserver } from '../core/model.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { ModelCard } from './model-card.ts'
import { ModelLane, write } from './model-lane.ts'
import { planOf } from './model-plan.ts'
import type { ModelSession } from './model-runtime.ts'
import { MODELS_ID, restoreModels, snapshotModels } from './model-snapshot.ts'
import { ScoringVersion } from './model-version.ts'
import { DONE } from './runs.ts'

/** Models that score at once at most. */
const LANES_MAX = 8
/** Names of versions that spoke, remembered for the evidence that names them. */
const SPOKE_MAX = 64
/** A version that could not be opened is tried again after so many windows, then twice as many, at most so many. */
const REOPEN_WINDOWS = 4
const REOPEN_WINDOWS_MAX = 512
/** Windows of a series before the first opinion: what calibration wants, however short the model's window is. */
const WARM_UP_WINDOWS = 10

export interface ModelMemberOptions {
  /** Series that one model looks at, at most. */
  readonly size: number
  /** What all rows of one window may take, ms; then they have no opinion of the model. */
  readonly timeoutMs: number
  /**
   * Opens the package of a version, which may have been made ready before. Throws FS_MODEL_INVALID or FS_MODEL_RUNTIME
   * when it cannot, or is not of this digest.
   */
  readonly openModel: (model: string, version: number, digest: string) => Promise<ModelSession>
  /**
   * Card of a version that takes its part also when it cannot be opened yet, and scores from when it can: where the log
   * decides, who has which part must not depend on what this machine can reach. Without one such an order is refused.
   */
  readonly cardOf?: (model: string, version: number, digest: string) => ModelCard | undefined
  /** Is told of windows that champion and challenger both scored, once each, when they are learned. */
  readonly observe?: PairObserver
  /** What was seen of series before a model looked at them. */
  readonly history?: SeriesHistory
  /** For what calls take, ms. */
  readonly clock?: () => number
}

/** A version that an order brings, opened. */
interface Ready {
  readonly lane: ModelLane
  readonly version: ScoringVersion
}

/**
 * Learned models as members of the ensemble: each model id is a lane with a champion that speaks, perhaps a challenger
 * beside it, and the champion before. Orders change that between two windows; packages are opened away from here. Few
 * series are covered, so each version is calibrated here. It learns every window at full weight as far as what its
 * inputs are made of goes; disruptions teach the calibrations less.
 */
export class ModelMember implements Detector {
  readonly id = MODELS_ID
  readonly width = 0
  readonly whole = true
  readonly warmUpWindows = WARM_UP_WINDOWS
  readonly voices: readonly DetectorVoice[] = [
    { column: 'point', feeds: ['surprise', 'point'], calibrated: true },
    { column: 'incident', feeds: ['surprise', 'incident'], calibrated: true },
  ]
  readonly #context: DetectorContext
  readonly #options: ModelMemberOptions
  #lanes: ModelLane[] = []
  /** Name → digest of versions that spoke, the latest last. */
  #spoke = new Map<string, string>()
  /** By row of the series table: the version that spoke for it last, a place in `#names` plus one. */
  #spokenBy = new Uint16Array(0)
  #names: string[] = []

  constructor(context: DetectorContext, options: ModelMemberOptions) {
    this.#context = context
    this.#options = options
  }

  /** Puts a version in place as champion of a model that has none, to be opened when it is needed. Throws FS_MODEL_INVALID. */
  seat(card: ModelCard): void {
    const plan = planOf(card)
    if (typeof plan === 'string') throw new ForeshockError('FS_MODEL_INVALID', plan)
    const lane = this.#newLane(card.id)
    const named = { model: card.id, version: card.version, digest: card.digest }
    lane.champion = new ScoringVersion(plan, named, this.#options.size, lane.shared)
    lane.adjust()
    this.#lanes.push(lane)
  }

  get silent(): boolean {
    return this.#lanes.every(lane => lane.scoring.length === 0)
  }

  get problem(): string | undefined {
    const all = this.#lanes.flatMap(lane => lane.state().problem ?? [])
    return all.length === 0 ? undefined : all.join('; ')
  }

  async score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length } = batch
    out.length = length
    for (const column of [out.score, out.point, out.incident, out.expected, out.lower, out.upper])
      column.fill(NaN, 0, length)
    if (this.silent) return DONE
    for (const lane of this.#lanes) await this.#openAll(lane)
    await Promise.all(this.#lanes.map(lane => lane.score(batch)))
    this.#speak(batch, out)
  }

  /** Where several models have an opinion the strongest speaks, at the price of having been chosen. */
  #speak({ series }: FeatureBatch, out: ScoreBatch): void {
    const heard = new Map<number, number>()
    const isOne = this.#lanes.length === 1
    if (!isOne)
      for (const lane of this.#lanes) lane.speak(place => void heard.set(place, (heard.get(place) ?? 0) + 1))
    for (const lane of this.#lanes)
      lane.speak((place, version, k) => {
        const discount = isOne ? 0 : Math.log10(heard.get(place) ?? 1)
        const before = Math.max(out.point[place], out.incident[place])
        if (Math.max(version.said.pointSurprise[k], version.said.incidentSurprise[k]) - discount <= before)
          return
        write(version, k, out, place, discount)
        this.#name(series[place], version)
      })
  }

  #name(row: number, { plan, named }: ScoringVersion): void {
    if (row >= this.#spokenBy.length) {
      const longer = new Uint16Array(Math.max(1024, 2 * row))
      longer.set(this.#spokenBy)
      this.#spokenBy = longer
    }
    let at = this.#names.indexOf(plan.name)
    if (at < 0) at = this.#names.push(plan.name) - 1
    this.#spokenBy[row] = at + 1
    if (this.#spoke.get(plan.name) === named.digest) return
    this.#spoke.delete(plan.name)
    this.#spoke.set(plan.name, named.digest)
    if (this.#spoke.size > SPOKE_MAX) this.#spoke.delete(this.#spoke.keys().next().value as string)
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    for (const lane of this.#lanes) lane.learn(batch, weight, this.#options.observe)
    this.#reopen()
  }

  /** Which version spoke for a series last. */
  spokeAs(series: number): string {
    return this.#names[(this.#spokenBy[series] ?? 0) - 1] ?? this.id
  }

  /** Digests of the versions that speak now, and of those among `names` that did. */
  digests(names: Iterable<string>): Readonly<Record<string, string>> {
    const found: Record<string, string> = {}
    for (const lane of this.#lanes)
      for (const version of [
        lane.champion,
        lane.challenger?.mode === 'canary' ? lane.challenger.version : undefined,
      ])
        if (version && version.problem === undefined) found[version.plan.name] = version.named.digest
    for (const name of names) {
      const digest = this.#spoke.get(name)
      if (digest !== undefined) found[name] = digest
    }
    return found
  }

  why(series: number): readonly string[] {
    const name = this.spokeAs(series)
    return name === this.id ? [] : [`the learned model ${name} finds it strange`]
  }

  models(): readonly ModelState[] {
    return this.#lanes.map(lane => lane.state())
  }

  counts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (const lane of this.#lanes) {
      const { champion, covered, refused } = lane.state()
      counts[`${lane.id}-series`] = covered
      counts[`${lane.id}-series-waiting`] = refused
      counts[`${lane.id}-failed`] = champion?.failed ?? 0
    }
    return counts
  }

  /**
   * Carries out an order; the reason when it cannot, and then all is as it was. A version that comes cold is fed what is
   * held of the past; sessions that are not needed any more end by themselves.
   */
  async order(order: ModelOrder): Promise<string | undefined> {
    try {
      if (order.op === 'promote') return await this.#promote(order)
      if (order.op === 'shadow') return await this.#challenge(order, 'shadow', 0)
      if (order.op === 'canary') return await this.#challenge(order, 'canary', order.share)
      if (order.op === 'withdraw') return this.#withdraw(order.model)
      if (order.op === 'rollback') return await this.#rollback(order.model)
      return this.#retire(order.model)
    } catch (error) {
      if (error instanceof ForeshockError) return `${error.code}: ${error.message}`
      return error instanceof Error ? error.message : String(error)
    }
  }

  #lane(model: string): ModelLane | undefined {
    return this.#lanes.find(({ id }) => id === model)
  }

  #newLane = (model: string): ModelLane =>
    new ModelLane(model, this.#context, {
      size: this.#options.size,
      timeoutMs: this.#options.timeoutMs,
      clock: this.#options.clock ?? (() => performance.now()),
      history: this.#options.history,
    })

  /** The version an order names: one that is there already, or a new one that was fed the past. Throws a reason. */
  async #ready(model: string, number: number, digest: string): Promise<Ready> {
    const known = this.#lane(model)
    const held = known?.versions.find(({ named }) => named.version === number)
    if (held && held.named.digest !== digest)
      throw new ForeshockError(
        'FS_MODEL_INVALID',
        `${model}@${number} runs as ${held.named.digest}, not ${digest}`,
      )
    if (known && held) {
      await this.#reawaken(held)
      return { lane: known, version: held }
    }
    if (!known && this.#lanes.length >= LANES_MAX)
      throw new ForeshockError('FS_MODEL_INVALID', `${LANES_MAX} models score already; retire one`)
    const named = { model, version: number, digest }
    const lane = known ?? this.#newLane(model)
    let session: ModelSession
    try {
      session = await this.#options.openModel(model, number, digest)
    } catch (error) {
      const card = this.#options.cardOf?.(model, number, digest)
      if (card === undefined) throw error
      const ready = await this.#seat(lane, named, card)
      closedFor(ready.version, error)
      return ready
    }
    try {
      return await this.#seat(lane, named, session.card, session)
    } catch (error) {
      await session.close()
      throw error
    }
  }

  /** Opens a version that has a part and is not open, or lets it wait where it may. */
  async #reawaken(version: ScoringVersion): Promise<void> {
    const { model, version: number, digest } = version.named
    try {
      version.session ??= await this.#options.openModel(model, number, digest)
      version.problem = undefined
      version.reopens = undefined
    } catch (error) {
      if (this.#options.cardOf?.(model, number, digest) === undefined) throw error
      closedFor(version, error)
    }
  }

  async #seat(
    lane: ModelLane,
    named: ScoringVersion['named'],
    card: ModelCard,
    session?: ModelSession,
  ): Promise<Ready> {
    const plan = planOf(card)
    if (typeof plan === 'string') throw new ForeshockError('FS_MODEL_INVALID', plan)
    const other = lane.versions.find(one => one.plan.of !== plan.of)
    if (other)
      throw new ForeshockError(
        'FS_MODEL_INVALID',
        `${plan.name} looks at ${plan.of}, ${other.plan.name} at ${other.plan.of}: give it another id, or retire the model first`,
      )
    const version = new ScoringVersion(plan, named, this.#options.size, lane.shared)
    version.session = session
    lane.adjust(version)
    if (!this.#lanes.includes(lane)) lane.adopt()
    if (session) await lane.feed(version)
    return { lane, version }
  }

  async #promote({ model, version: number, digest }: ModelVersion): Promise<undefined> {
    const { lane, version } = await this.#ready(model, number, digest)
    if (!this.#lanes.includes(lane)) this.#lanes.push(lane)
    if (lane.champion !== version) {
      lane.previous = lane.champion
      lane.previous?.close()
      lane.champion = version
    }
    if (lane.challenger?.version === version) lane.challenger = undefined
    lane.adjust()
    return undefined
  }

  async #challenge(
    { model, version: number, digest }: ModelVersion,
    mode: 'shadow' | 'canary',
    share: number,
  ): Promise<string | undefined> {
    if (this.#lane(model)?.champion?.named.version === number) return `${model}@${number} is the champion`
    const { lane, version } = await this.#ready(model, number, digest)
    if (!this.#lanes.includes(lane)) this.#lanes.push(lane)
    if (lane.challenger && lane.challenger.version !== version) lane.challenger.version.close()
    lane.challenger = { version, mode, share }
    lane.adjust()
    return undefined
  }

  #withdraw(model: string): string | undefined {
    const lane = this.#lane(model)
    if (!lane?.challenger) return `${model} has no challenger`
    lane.challenger.version.close()
    lane.challenger = undefined
    this.#tidy(lane)
    return undefined
  }

  async #rollback(model: string): Promise<string | undefined> {
    const lane = this.#lane(model)
    if (!lane?.champion) return `${model} has no champion`
    const { previous } = lane
    if (previous) await this.#reawaken(previous)
    lane.champion.close()
    if (lane.challenger?.version === previous) lane.challenger = undefined
    lane.champion = previous
    lane.previous = undefined
    this.#tidy(lane)
    return undefined
  }

  #retire(model: string): string | undefined {
    const lane = this.#lane(model)
    if (!lane) return `${model} does not score`
    lane.close()
    this.#lanes = this.#lanes.filter(one => one !== lane)
    return undefined
  }

  /** A lane in which nothing scores any more goes. */
  #tidy(lane: ModelLane): void {
    if (lane.champion || lane.challenger) lane.adjust()
    else this.#retire(lane.id)
  }

  /** Opens what was restored, when it is needed first. What cannot be opened stays silent until another order comes. */
  async #openAll(lane: ModelLane): Promise<void> {
    for (const version of lane.scoring) {
      if (version.session !== undefined) continue
      try {
        const { model, version: number, digest } = version.named
        version.session = await this.#options.openModel(model, number, digest)
      } catch (error) {
        closedFor(version, error)
      }
    }
  }

  /** Does not wait for windows to try again what could not be opened: there may be none. */
  reopen(): void {
    for (const lane of this.#lanes)
      for (const { reopens } of lane.versions) if (reopens !== undefined) reopens.next = 0
    this.#reopen()
  }

  /** Tries again, beside the windows, to open what was restored and could not be opened: a machine that starts is busy. */
  #reopen(): void {
    for (const lane of this.#lanes)
      for (const version of lane.versions) {
        const { reopens } = version
        if (reopens === undefined || --reopens.next > 0) continue
        version.reopens = undefined
        const { model, version: number, digest } = version.named
        this.#options.openModel(model, number, digest).then(
          session => {
            // It may have been replaced, or ordered again, meanwhile.
            const isWanted = lane.versions.includes(version) && this.#lanes.includes(lane)
            if (!isWanted || version.session !== undefined) return session.close()
            version.session = session
            version.problem = undefined
            return undefined
          },
          () => {
            const waits = Math.min(2 * reopens.waits, REOPEN_WINDOWS_MAX)
            if (version.problem !== undefined) version.reopens = { waits, next: waits }
          },
        )
      }
  }

  forget(series: number): void {
    for (const lane of this.#lanes) lane.forget(series)
    if (series < this.#spokenBy.length) this.#spokenBy[series] = 0
  }

  snapshot(): Snapshot {
    return snapshotModels(this.#lanes, this.#spoke, this.#context.stepMs)
  }

  restore(from: Snapshot): void {
    const { size } = this.#options
    const { series, stepMs } = this.#context
    const { lanes, spoke } = restoreModels(from, series, stepMs, size, this.#newLane)
    for (const lane of this.#lanes) lane.close()
    this.#lanes = lanes
    this.#spoke = spoke
  }

  bytes(): number {
    let sum = 2 * this.#spokenBy.length
    for (const lane of this.#lanes) sum += lane.bytes()
    return sum
  }

  async close(): Promise<void> {
    for (const lane of this.#lanes) lane.close()
  }
}

/** It has its part and scores nothing until it can be opened. */
function closedFor(version: ScoringVersion, error: unknown): void {
  version.problem = `${version.plan.name} cannot be opened: ${error instanceof Error ? error.message : String(error)}`
  version.reopens = { waits: REOPEN_WINDOWS, next: REOPEN_WINDOWS }
}

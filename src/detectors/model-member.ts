import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { ModelOrder, ModelState, PairObserver } from '../core/model.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { ModelCard } from './model-card.ts'
import { write } from './model-lane.ts'
import { ModelLanes, type ModelLanesOptions } from './model-lanes.ts'
import { MODELS_ID, restoreModels, snapshotModels } from './model-snapshot.ts'
import type { ScoringVersion } from './model-version.ts'
import { DONE } from './runs.ts'

/** Names of versions that spoke, remembered for the evidence that names them. */
const SPOKE_MAX = 64
/** Windows of a series before the first opinion: what calibration wants, however short the model's window is. */
const WARM_UP_WINDOWS = 10

export interface ModelMemberOptions extends ModelLanesOptions {
  /** Is told of windows that champion and challenger both scored, once each, when they are learned. */
  readonly observe?: PairObserver
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
  readonly #lanes: ModelLanes
  /** Name → digest of versions that spoke, the latest last. */
  #spoke = new Map<string, string>()
  /** By row of the series table: the version that spoke for it last, a place in `#names` plus one. */
  #spokenBy = new Uint16Array(0)
  #names: string[] = []

  constructor(context: DetectorContext, options: ModelMemberOptions) {
    this.#context = context
    this.#options = options
    this.#lanes = new ModelLanes(context, options)
  }

  /** Puts a version in place as champion of a model that has none, to be opened when it is needed. Throws FS_MODEL_INVALID. */
  seat(card: ModelCard): void {
    this.#lanes.seat(card)
  }

  get silent(): boolean {
    return this.#lanes.all.every(lane => lane.scoring.length === 0)
  }

  get problem(): string | undefined {
    const all = this.#lanes.all.flatMap(lane => lane.state().problem ?? [])
    return all.length === 0 ? undefined : all.join('; ')
  }

  async score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length } = batch
    out.length = length
    for (const column of [out.score, out.point, out.incident, out.expected, out.lower, out.upper])
      column.fill(NaN, 0, length)
    if (this.silent) return DONE
    for (const lane of this.#lanes.all) await this.#lanes.openAll(lane)
    await Promise.all(this.#lanes.all.map(lane => lane.score(batch)))
    this.#speak(batch, out)
  }

  /** Where several models have an opinion the strongest speaks, at the price of having been chosen. */
  #speak({ series }: FeatureBatch, out: ScoreBatch): void {
    const heard = new Map<number, number>()
    const isOne = this.#lanes.all.length === 1
    if (!isOne)
      for (const lane of this.#lanes.all)
        lane.speak(place => void heard.set(place, (heard.get(place) ?? 0) + 1))
    for (const lane of this.#lanes.all)
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
    for (const lane of this.#lanes.all) lane.learn(batch, weight, this.#options.observe)
    this.#lanes.tryAgain()
  }

  /** Which version spoke for a series last. */
  spokeAs(series: number): string {
    return this.#names[(this.#spokenBy[series] ?? 0) - 1] ?? this.id
  }

  /** Digests of the versions that speak now, and of those among `names` that did. */
  digests(names: Iterable<string>): Readonly<Record<string, string>> {
    const found: Record<string, string> = {}
    for (const lane of this.#lanes.all)
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
    return this.#lanes.all.map(lane => lane.state())
  }

  counts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (const lane of this.#lanes.all) {
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
  order(order: ModelOrder): Promise<string | undefined> {
    return this.#lanes.order(order)
  }

  /** Does not wait for windows to try again what could not be opened: there may be none. */
  reopen(): void {
    this.#lanes.reopen()
  }

  forget(series: number): void {
    for (const lane of this.#lanes.all) lane.forget(series)
    if (series < this.#spokenBy.length) this.#spokenBy[series] = 0
  }

  snapshot(): Snapshot {
    return snapshotModels(this.#lanes.all, this.#spoke, this.#context.stepMs)
  }

  restore(from: Snapshot): void {
    const { size } = this.#options
    const { series, stepMs } = this.#context
    const { lanes, spoke } = restoreModels(from, series, stepMs, size, this.#lanes.newLane)
    this.#lanes.replace(lanes)
    this.#spoke = spoke
  }

  bytes(): number {
    let sum = 2 * this.#spokenBy.length
    for (const lane of this.#lanes.all) sum += lane.bytes()
    return sum
  }

  async close(): Promise<void> {
    this.#lanes.close()
  }
}

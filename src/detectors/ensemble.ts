import type { Anomaly } from '../core/anomaly.ts'
import { type FeatureBatch, type OpinionBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import type { ModelOrder, ModelState } from '../core/model.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AlertingReport, AnomalyChange, ProfileUse, Rest, Scoring } from '../core/stages.ts'
import { allSteps } from '../core/steps.ts'
import type { AlertPolicy } from './alert-policy.ts'
import { BLOCK_ROWS, Blocks, blocksOf, pick } from './blocks.ts'
import { DayLens } from './day-lens.ts'
import type { EvidenceSource } from './deviation.ts'
import type { EnsembleOptions } from './ensemble-options.ts'
import { EnsembleVoices } from './ensemble-voices.ts'
import { explainRows } from './explanation.ts'
import { Hysteresis } from './hysteresis.ts'
import type { ModelMember } from './model-member.ts'
import { isOpinionSource, type OpinionSource } from './opinion-source.ts'
import { ProfileMember } from './profile-member.ts'
import { DONE } from './runs.ts'
import { type SilenceSource, SilentRows } from './silent-rows.ts'
import type { SlotRow } from './slot-convert.ts'
import type { SuspectPool } from './suspect-pool.ts'
import { WholeBatches } from './whole-batches.ts'

/** A hot window of a series without an open anomaly teaches this much. */
const HOT_WEIGHT = 0.25
const NOTHING = new Uint8Array(0)

/** What is learned, in one of the checkpoint's parts. */
interface Part {
  readonly id: string
  snapshot(): Snapshot
  cut?(cut: Cut): CutSnapshot
  restore(from: Snapshot): void
}

/** Who keeps what `tiny` learns, and hands a series over to another without forgetting it. */
interface TinyHolder {
  /** What was learned of a series, where it lies; undefined when nothing was. */
  exportRow(series: number): SlotRow | undefined
  importRow(series: number, from: SlotRow): void
}

/** What may be configured beside the detectors. */
export interface EnsembleParts {
  readonly policy?: AlertPolicy | undefined
  readonly pool?: SuspectPool | undefined
  readonly models?: ModelMember | undefined
  /** Heard of rows without a value alone, of which then nobody else is heard. */
  readonly silence?: SilenceSource | undefined
}

/** The scoring stage: detectors, their calibrations, fusion, and hysteresis over the result. */
export class Ensemble implements Scoring {
  readonly #detectors: readonly Detector[]
  readonly #options: EnsembleOptions
  readonly #voices: EnsembleVoices
  readonly #hysteresis: Hysteresis
  readonly #pool: SuspectPool | undefined
  readonly #models: ModelMember | undefined
  readonly #grader: (Detector & EvidenceSource) | undefined
  readonly #profiles: ProfileMember | undefined
  readonly #tiny: TinyHolder | undefined
  /** What detectors that know no time of day see of series whose daily shape is known. */
  readonly #lens: DayLens | undefined
  /** The only one of them, where it fuses its own voices; then `#heard` are its surprises. */
  readonly #sole: OpinionSource | undefined
  #heard: readonly Float32Array[] = []
  readonly #outputs: ScoreBatch[]
  readonly #wholes: WholeBatches
  #weight = new Float32Array(0)
  #weights: Float32Array[] = []
  readonly #blocks = new Blocks()
  #capacity = 0
  readonly #policy: AlertPolicy | undefined
  /** Detectors that are asked of rows with a value: the first. */
  readonly #speakers: number
  readonly #silence: SilentRows | undefined

  /**
   * Without a `policy` nothing is configured about single series: every one has `options`. The members of a `pool` come
   * last of the detectors: what they say is heard with the others.
   */
  constructor(
    own: readonly Detector[],
    options: EnsembleOptions,
    context: DetectorContext,
    { policy, pool, models, silence }: EnsembleParts = {},
  ) {
    const speakers: readonly Detector[] = [...own, ...(models ? [models] : []), ...(pool?.members ?? [])]
    const detectors = silence ? [...speakers, silence] : speakers
    this.#speakers = speakers.length
    if (silence) this.#silence = new SilentRows(silence, speakers.length, options.openAt)
    this.#pool = pool
    this.#models = models
    this.#detectors = detectors
    this.#options = options
    this.#policy = policy
    this.#voices = new EnsembleVoices(speakers, context.series)
    this.#grader = detectors.find((d): d is Detector & EvidenceSource => 'evidence' in d)
    this.#profiles = detectors.find(d => d instanceof ProfileMember)
    this.#tiny = detectors.find((d): d is Detector & TinyHolder => 'exportRow' in d)
    if (speakers.length === 1 && isOpinionSource(speakers[0])) this.#sole = speakers[0]
    if (this.#profiles) this.#lens = new DayLens(this.#profiles, context)
    this.#outputs = speakers.map(() => scoreBatch(BLOCK_ROWS))
    this.#wholes = new WholeBatches(detectors)
    this.#hysteresis = new Hysteresis(
      options,
      context,
      policy,
      series => this.#grader?.learned(series),
      silence !== undefined,
    )
    this.#reserve(1)
  }

  get detectors() {
    return this.#detectors.map(d => ({
      id: d.id,
      warmUpWindows: d.warmUpWindows,
      bytes: d.bytes(),
      counts: d.counts?.() ?? {},
      ...(d.problem === undefined ? {} : { problem: d.problem }),
    }))
  }

  begin(window: FeatureBatch): void {
    this.#policy?.begin(window)
    this.#wholes.begin(window)
  }

  async score(batch: FeatureBatch, out: OpinionBatch, rest?: Rest): Promise<void> {
    this.#reserve(batch.length)
    this.#policy?.begin(batch)
    if (batch.length > 0) this.#pool?.settle(batch.windowEndMs[0])
    out.length = batch.length
    if (this.#sole) return this.#ask(this.#sole, batch, out, rest)
    await this.#wholes.score(batch)
    const hasCovered = this.#wholes.isHeard
    for (let from = 0; from < batch.length; from += BLOCK_ROWS) {
      const block = this.#blocks.of(batch, from)
      this.#wholes.show(this.#outputs, from)
      for (let d = 0; d < this.#speakers; d++) {
        const detector = this.#detectors[d]
        if (detector.whole) continue
        const lens = detector.timeless && this.#lens
        const scored = detector.score(lens ? lens.look(block) : block, this.#outputs[d])
        if (scored !== DONE) await scored
        if (lens) lens.putBack(block, this.#outputs[d], detector === this.#grader)
        else if (detector === this.#profiles) this.#lens?.prepare(block)
        const rested = rest?.()
        if (rested !== undefined) await rested
      }
      this.#voices.calibrate(block, this.#outputs, from)
      this.#voices.opine(out, from, block.length, hasCovered)
      explainRows(block, this.#outputs, this.#grader?.evidence, out, from, this.#options.openAt)
      this.#silence?.speak(block, out, from)
      this.#policy?.soften(block, out, from)
      const rested = rest?.()
      if (rested !== undefined) await rested
    }
  }

  async #ask(
    sole: OpinionSource,
    batch: FeatureBatch,
    out: OpinionBatch,
    rest: Rest | undefined,
  ): Promise<void> {
    for (let from = 0; from < batch.length; from += BLOCK_ROWS) {
      const block = this.#blocks.of(batch, from)
      sole.opine(block, out, from, this.#heard)
      this.#silence?.speak(block, out, from)
      this.#policy?.soften(block, out, from)
      const rested = rest?.()
      if (rested !== undefined) await rested
    }
  }

  judge(batch: FeatureBatch, opinions: OpinionBatch): AnomalyChange[] {
    return allSteps(this.judging(batch, opinions))
  }

  judging(batch: FeatureBatch, opinions: OpinionBatch): Generator<void, AnomalyChange[]> {
    this.#policy?.begin(batch)
    this.#policy?.judged(batch)
    const voices = this.#silence ? [...this.#voices.all, this.#silence.voice] : this.#voices.all
    return this.#hysteresis.judging(batch, opinions, voices, this.#detectors)
  }

  learn(batch: FeatureBatch, opinions: OpinionBatch, weight: Float32Array): void {
    allSteps(this.learning(batch, opinions, weight))
  }

  *learning(batch: FeatureBatch, opinions: OpinionBatch, weight: Float32Array): Generator<void> {
    this.#policy?.begin(batch)
    const rows = this.#policy?.learnable(batch)
    let open: Uint8Array = NOTHING
    for (let from = 0; from < batch.length; from += BLOCK_ROWS) {
      open = this.#weigh(batch, opinions, weight, from)
      if (rows === undefined) this.#learnBlock(this.#blocks.of(batch, from), from / BLOCK_ROWS)
      yield
    }
    if (rows !== undefined) this.#learnSome(batch, rows)
    this.#wholes.learn(batch, this.#weight, rows)
    this.#pool?.consider(batch, opinions, open)
  }

  /** How much each row of the block from `from` on may teach; 1 for each row up to there of which an anomaly is open. */
  #weigh(batch: FeatureBatch, opinions: OpinionBatch, weight: Float32Array, from: number): Uint8Array {
    const to = Math.min(batch.length, from + BLOCK_ROWS)
    const open = this.#hysteresis.openFlags(batch, from, to)
    const { openAt, anomalousWeight } = this.#options
    weigh(from, to, weight, open, opinions.point, opinions.incident, openAt, anomalousWeight, this.#weight)
    return open
  }

  #learnBlock(block: FeatureBatch, at: number): void {
    const weights = this.#weights[at]
    for (const detector of this.#detectors) {
      if (detector.whole) continue
      detector.learn(detector.timeless && this.#lens ? this.#lens.look(block) : block, weights)
    }
    this.#lens?.learn(block, weights)
    this.#voices.learn(block, at, weights)
  }

  async order(order: ModelOrder): Promise<string | undefined> {
    return this.#models ? this.#models.order(order) : 'no models score here: detection.models is off'
  }

  models(): readonly ModelState[] {
    return this.#models?.models() ?? []
  }

  reopen(): void {
    this.#models?.reopen()
  }

  async close(): Promise<void> {
    await Promise.all(this.#detectors.map(detector => detector.close()))
  }

  pool(): Readonly<Record<string, number>> {
    return this.#pool?.counts() ?? {}
  }

  /** Learns some rows of a batch only; rare, so they are copied together. */
  #learnSome(batch: FeatureBatch, rows: Uint32Array): void {
    const some = pick(batch, rows)
    const weights = Float32Array.from(rows, row => this.#weight[row])
    const lens = this.#lens
    let without = some
    if (lens) {
      const at = (row: number) =>
        [this.#blocks.of(batch, row - (row % BLOCK_ROWS)), row % BLOCK_ROWS] as const
      without = { ...some, observed: Float64Array.from(rows, row => lens.lookAt(...at(row))) }
      for (const [i, row] of rows.entries()) lens.learnRow(...at(row), weights[i])
    }
    for (const detector of this.#detectors)
      if (!detector.whole) detector.learn(detector.timeless ? without : some, weights)
    this.#voices.learnSome(some, rows, weights)
  }

  alerting(): AlertingReport | undefined {
    return this.#policy?.report()
  }

  anomalies(): readonly Anomaly[] {
    return this.#hysteresis.anomalies()
  }

  letGo(): void {
    this.#hysteresis.letGo()
  }

  review(windowEndMs: number, importance: () => ReadonlyMap<string, number>): void {
    this.#profiles?.review(windowEndMs, importance)
    this.#pool?.review(windowEndMs, importance)
  }

  profileUse(): ProfileUse | undefined {
    return this.#profiles?.use()
  }

  #reserve(rows: number): void {
    if (rows <= this.#capacity) return
    this.#capacity = BLOCK_ROWS * Math.ceil(Math.max(rows, 2 * this.#capacity) / BLOCK_ROWS)
    this.#weight = new Float32Array(this.#capacity)
    this.#weights = blocksOf(this.#weight)
    this.#heard = this.#voices.reserve(this.#capacity)
    this.#silence?.reserve(this.#capacity)
    this.#wholes.reserve(this.#capacity)
  }

  #parts(): Part[] {
    // The pool says who is in it before its members put their state back.
    const pooled = this.#pool ? [this.#pool, ...this.#pool.calibrations] : []
    const lens = this.#lens ? [this.#lens] : []
    return [...pooled, ...this.#detectors, ...lens, ...this.#voices.calibrations, this.#hysteresis]
  }

  snapshot(): Snapshot[] {
    return [...this.#parts().map(part => part.snapshot()), ...(this.#policy?.snapshot() ?? [])]
  }

  cut(cut: Cut): CutSnapshot[] {
    const parts = this.#parts().map(part => part.cut?.(cut) ?? part.snapshot())
    return [...parts, ...(this.#policy?.cut() ?? [])]
  }

  restore(parts: readonly Snapshot[]): void {
    for (const part of this.#parts()) {
      const own = parts.find(snapshot => snapshot.id === part.id)
      if (own) part.restore(own)
    }
    this.#policy?.restore(parts, this.#hysteresis.anomalies())
  }

  /** Goes on with what another ensemble knows of a series, under a row of here; there it is then forgotten without a word. */
  adopt(series: number, from: Ensemble, there: number): void {
    const tiny = from.#tiny?.exportRow(there)
    if (tiny) this.#tiny?.importRow(series, tiny)
    this.#hysteresis.adopt(series, from.#hysteresis.release(there))
    from.forget(there)
  }

  forget(series: number): void {
    for (const detector of this.#detectors) detector.forget(series)
    this.#voices.forget(series)
    this.#lens?.forget(series)
    this.#hysteresis.forget(series)
    this.#pool?.forget(series)
    this.#policy?.forget(series)
  }

  bytes(): number {
    let sum =
      this.#wholes.bytes() +
      (this.#pool?.bytes() ?? 0) +
      this.#hysteresis.bytes() +
      this.#voices.bytes() +
      4 * this.#capacity
    for (const detector of this.#detectors) sum += detector.bytes()
    return sum + (this.#lens?.bytes() ?? 0) + (this.#policy?.bytes() ?? 0)
  }
}

/** How much each row may teach: less while it is strange. */
function weigh(
  from: number,
  to: number,
  weight: Float32Array,
  open: Uint8Array,
  point: Float32Array,
  incident: Float32Array,
  openAt: number,
  anomalousWeight: number,
  out: Float32Array,
): void {
  for (let i = from; i < to; i++) {
    const share =
      open[i] === 1 ? anomalousWeight : point[i] >= openAt || incident[i] >= openAt ? HOT_WEIGHT : 1
    out[i] = weight[i] * share
  }
}

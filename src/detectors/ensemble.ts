import type { Anomaly } from '../core/anomaly.ts'
import { type FeatureBatch, type OpinionBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import type { ModelOrder, ModelState } from '../core/model.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AlertingReport, AnomalyChange, ProfileUse, Rest, Scoring } from '../core/stages.ts'
import { allSteps } from '../core/steps.ts'
import type { AlertPolicy } from './alert-policy.ts'
import { BLOCK_ROWS, Blocks, blocksOf, pick, scoreBlocksOf } from './blocks.ts'
import { Calibration } from './calibration.ts'
import { DayLens } from './day-lens.ts'
import type { EvidenceSource } from './deviation.ts'
import type { EnsembleOptions } from './ensemble-options.ts'
import { explainRows } from './explanation.ts'
import { fuse } from './fusion.ts'
import { Hysteresis } from './hysteresis.ts'
import type { ModelMember } from './model-member.ts'
import { isOpinionSource, type OpinionSource } from './opinion-source.ts'
import { ProfileMember } from './profile-member.ts'
import { DONE } from './runs.ts'
import { publicScores } from './severity.ts'
import { type SilenceSource, SilentRows } from './silent-rows.ts'
import type { SlotRow } from './slot-convert.ts'
import type { SuspectPool } from './suspect-pool.ts'
import { WindowRows } from './window-rows.ts'

/** A hot window of a series without an open anomaly teaches this much. */
const HOT_WEIGHT = 0.25
const NOTHING = new Uint8Array(0)

/** One voice: its calibration, and for the batch scored last its surprises. */
interface Voice {
  readonly detector: number
  readonly column: 'score' | 'point' | 'incident'
  readonly calibration: Calibration | undefined
  readonly feeds: readonly string[]
  surprise: Float32Array
  /** The surprise and what the calibration counts, a view a block: making views costs garbage. */
  surprises: Float32Array[]
  bins: Uint8Array[]
}

/** What is learned, in one of the checkpoint's parts. */
interface Part {
  readonly id: string
  snapshot(): Snapshot
  cut?(cut: Cut): CutSnapshot
  restore(from: Snapshot): void
}

/** Who is heard for an opinion: surprises of the batch scored last, and whose they are. */
interface Feed {
  heard: Float32Array[]
  /** With the voices of detectors that cover few rows behind them. */
  all: Float32Array[]
  by: Uint8Array
}

const FEEDS = ['point', 'incident', 'surprise'] as const

const DEFAULT_VOICES = [
  { column: 'score', feeds: ['surprise'] },
  { column: 'point', feeds: ['point'] },
  { column: 'incident', feeds: ['incident'] },
] as const

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
  readonly #voices: Voice[] = []
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
  /** Outputs of detectors that are given whole batches, by detector, and their blocks as views. */
  readonly #wholes = new Map<number, { out: ScoreBatch; blocks: ScoreBatch[]; blankRows: number }>()
  /** For those of them, the window that comes in several batches. */
  readonly #window = new WindowRows()
  #weight = new Float32Array(0)
  #weights: Float32Array[] = []
  readonly #blocks = new Blocks()
  #capacity = 0
  readonly #feeds: Record<(typeof FEEDS)[number], Feed>
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
    for (const [at, detector] of speakers.entries()) {
      for (const voice of detector.voices ?? DEFAULT_VOICES) {
        const calibrated = 'calibrated' in voice && voice.calibrated === true
        const name = 'name' in voice && voice.name !== undefined ? voice.name : voice.column
        this.#voices.push({
          detector: at,
          column: voice.column,
          feeds: voice.feeds,
          calibration: calibrated
            ? undefined
            : new Calibration(`calibration:${detector.id}:${name}`, context.series),
          surprise: new Float32Array(0),
          surprises: [],
          bins: [],
        })
      }
    }
    this.#grader = detectors.find((d): d is Detector & EvidenceSource => 'evidence' in d)
    this.#profiles = detectors.find(d => d instanceof ProfileMember)
    this.#tiny = detectors.find((d): d is Detector & TinyHolder => 'exportRow' in d)
    if (speakers.length === 1 && isOpinionSource(speakers[0])) this.#sole = speakers[0]
    if (this.#profiles) this.#lens = new DayLens(this.#profiles, context)
    this.#outputs = speakers.map(() => scoreBatch(BLOCK_ROWS))
    for (const [at, { whole }] of detectors.entries())
      if (whole) this.#wholes.set(at, { out: scoreBatch(0), blocks: [], blankRows: 0 })
    this.#hysteresis = new Hysteresis(
      options,
      context,
      policy,
      series => this.#grader?.learned(series),
      silence !== undefined,
    )
    const feed = (): Feed => ({ heard: [], all: [], by: new Uint8Array(this.#voices.length + 1) })
    this.#feeds = { point: feed(), incident: feed(), surprise: feed() }
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
    if (this.#wholes.size > 0) this.#window.begin(window)
  }

  async score(batch: FeatureBatch, out: OpinionBatch, rest?: Rest): Promise<void> {
    this.#reserve(batch.length)
    this.#policy?.begin(batch)
    if (batch.length > 0) this.#pool?.settle(batch.windowEndMs[0])
    out.length = batch.length
    if (this.#sole) return this.#ask(this.#sole, batch, out, rest)
    for (const [d, { out: whole }] of this.#wholes) await this.#scoreWhole(d, batch, whole)
    const hasCovered = [...this.#wholes.keys()].some(d => !this.#detectors[d].silent)
    for (let from = 0; from < batch.length; from += BLOCK_ROWS) {
      const block = this.#blocks.of(batch, from)
      for (const [d, { blocks }] of this.#wholes) this.#outputs[d] = blocks[from / BLOCK_ROWS]
      for (let d = 0; d < this.#speakers; d++) {
        if (this.#wholes.has(d)) continue
        const detector = this.#detectors[d]
        const lens = detector.timeless && this.#lens
        const scored = detector.score(lens ? lens.look(block) : block, this.#outputs[d])
        if (scored !== DONE) await scored
        if (lens) lens.putBack(block, this.#outputs[d], detector === this.#grader)
        else if (detector === this.#profiles) this.#lens?.prepare(block)
        const rested = rest?.()
        if (rested !== undefined) await rested
      }
      this.#calibrate(block, from)
      this.#opinions(out, from, block.length, hasCovered)
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

  /** One that has nothing to say is not asked, once its output says so. */
  #scoreWhole(d: number, batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const whole = this.#wholes.get(d) as { blankRows: number }
    if (!this.#detectors[d].silent) {
      whole.blankRows = 0
      const detector = this.#detectors[d]
      return this.#window.isOn ? this.#window.score(d, detector, batch, out) : detector.score(batch, out)
    }
    if (whole.blankRows >= batch.length) return DONE
    for (const column of [out.score, out.point, out.incident, out.expected, out.lower, out.upper])
      column.fill(NaN)
    whole.blankRows = out.capacity
    return DONE
  }

  /** Raw scores of a block into the voices, and their surprises. */
  #calibrate(block: FeatureBatch, from: number): void {
    const { length, series } = block
    for (const voice of this.#voices) {
      const at = from / BLOCK_ROWS
      const surprise = voice.surprises[at]
      const raw = this.#outputs[voice.detector][voice.column]
      if (voice.calibration) voice.calibration.surprise(series, length, raw, surprise, voice.bins[at])
      else surprise.set(raw)
    }
  }

  #opinions(out: OpinionBatch, from: number, length: number, hasCovered: boolean): void {
    const to = from + length
    const { strongest } = out
    for (const feed of FEEDS) {
      const { heard, all, by } = this.#feeds[feed]
      fuse(heard, from, to, out[feed], strongest)
      if (hasCovered && all.length > heard.length)
        fuseCovered(all, heard.length, from, to, out[feed], strongest)
      // Last comes surprise: the strongest voice in it names the strongest detector.
      if (feed === 'surprise') for (let i = from; i < to; i++) strongest[i] = by[strongest[i]]
    }
    publicScores(out.surprise, out.score, from, to)
  }

  judge(batch: FeatureBatch, opinions: OpinionBatch): AnomalyChange[] {
    return allSteps(this.judging(batch, opinions))
  }

  judging(batch: FeatureBatch, opinions: OpinionBatch): Generator<void, AnomalyChange[]> {
    this.#policy?.begin(batch)
    this.#policy?.judged(batch)
    const voices = this.#silence ? [...this.#voices, this.#silence.voice] : this.#voices
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
    const wholes = [...this.#wholes.keys()].map(d => this.#detectors[d])
    if (!this.#window.isOn) {
      if (rows === undefined) for (const detector of wholes) detector.learn(batch, this.#weight)
    } else if (this.#window.take(batch, this.#weight, rows)) this.#window.learn(wholes)
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
    for (const voice of this.#voices)
      voice.calibration?.learn(block.series, block.length, voice.bins[at], voice.surprises[at], weights)
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
    await this.#models?.close()
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
      if (!(detector.whole && this.#window.isOn)) detector.learn(detector.timeless ? without : some, weights)
    for (const voice of this.#voices) {
      const bins = Uint8Array.from(rows, row => voice.bins[Math.floor(row / BLOCK_ROWS)][row % BLOCK_ROWS])
      const found = Float32Array.from(rows, row => voice.surprise[row])
      voice.calibration?.learn(some.series, some.length, bins, found, weights)
    }
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
    for (const voice of this.#voices) {
      voice.surprise = new Float32Array(this.#capacity)
      voice.surprises = blocksOf(voice.surprise)
      voice.bins = blocksOf(new Uint8Array(this.#capacity))
    }
    this.#silence?.reserve(this.#capacity)
    this.#heard = this.#voices.map(voice => voice.surprise)
    for (const whole of this.#wholes.values()) {
      whole.out = scoreBatch(this.#capacity)
      whole.blankRows = 0
      whole.blocks = scoreBlocksOf(whole.out)
    }
    for (const name of FEEDS) {
      const fed = this.#voices.filter(voice => voice.feeds.includes(name))
      const heard = fed.filter(({ detector }) => !this.#wholes.has(detector))
      const all = [...heard, ...fed.filter(({ detector }) => this.#wholes.has(detector))]
      this.#feeds[name].heard = heard.map(voice => voice.surprise)
      this.#feeds[name].all = all.map(voice => voice.surprise)
      this.#feeds[name].by.set(all.map(voice => voice.detector))
    }
  }

  #parts(): Part[] {
    const calibrations = this.#voices.flatMap(voice => voice.calibration ?? [])
    // The pool says who is in it before its members put their state back.
    const pooled = this.#pool ? [this.#pool, ...this.#pool.calibrations] : []
    const lens = this.#lens ? [this.#lens] : []
    return [...pooled, ...this.#detectors, ...lens, ...calibrations, this.#hysteresis]
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
    for (const voice of this.#voices) voice.calibration?.forget(series)
    this.#lens?.forget(series)
    this.#hysteresis.forget(series)
    this.#pool?.forget(series)
    this.#policy?.forget(series)
  }

  bytes(): number {
    let sum =
      this.#window.bytes() +
      (this.#pool?.bytes() ?? 0) +
      this.#hysteresis.bytes() +
      this.#capacity * (5 * this.#voices.length + 4)
    for (const detector of this.#detectors) sum += detector.bytes()
    for (const voice of this.#voices) sum += voice.calibration?.bytes() ?? 0
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

/**
 * Fuses again, with all voices, the rows of which one from the `first` on has an opinion: the usual few voices stay the
 * fast case.
 */
function fuseCovered(
  all: readonly Float32Array[],
  first: number,
  from: number,
  to: number,
  out: Float32Array,
  strongest: Uint8Array,
): void {
  for (let i = from; i < to; i++) {
    for (let v = first; v < all.length; v++) {
      if (Number.isNaN(all[v][i])) continue
      fuse(all, i, i + 1, out, strongest)
      break
    }
  }
}

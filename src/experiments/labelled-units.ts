import type { ExperimentLabel } from '../core/experiment.ts'
import { BettedMean, type BettingState } from '../math/betting.ts'
import type { LoudWindows } from './loud-windows.ts'
import type { SeenSeries } from './seen-series.ts'
import type { UnitMaxima } from './unit-maxima.ts'

/** Labels an experiment takes, and units in the longest stretch of normal time. */
const LABELS_MAX = 10_000
const UNITS_PER_LABEL_MAX = 1000
/** Units judged in one go, so that no request waits long. */
const JUDGED_AT_ONCE = 500
/** What a detection costs at the very end of its interval; a miss costs 1. */
const LATE_COST = 0.5

/** What was judged so far. */
export interface UnitTally {
  units: number
  champion: number
  challenger: number
  /** Sums of lateness, of those detected: 0 at the start of the interval, 1 at its end. */
  championLate: number
  challengerLate: number
}

export interface SavedUnits {
  readonly labels: readonly ExperimentLabel[]
  /** Pieces judged, per label. */
  readonly done: readonly number[]
  readonly unitsVoid: number
  readonly anomalous: UnitTally
  readonly normal: UnitTally
  readonly bets: BettingState
}

const NOTHING: UnitTally = { units: 0, champion: 0, challenger: 0, championLate: 0, challengerLate: 0 }

/**
 * Verdicts, cut into units and judged for both versions at the thresholds at which both alert equally often. An
 * anomalous interval is one unit: it costs 1 when no alert came, else half the share of it that had passed at the
 * first alert. Normal time is cut into units of one length: each costs 1 when there was an alert in it. What the
 * champion lost more than the challenger is what is bet on.
 */
export class LabelledUnits {
  readonly bets: BettedMean
  readonly anomalous: UnitTally = { ...NOTHING }
  readonly normal: UnitTally = { ...NOTHING }
  unitsVoid = 0
  readonly #unitMs: number
  readonly #labels: ExperimentLabel[] = []
  readonly #done: number[] = []
  /** Indices of labels with pieces left, in the order of arrival. */
  #open: number[] = []

  constructor(unitMs: number, alpha: number, from?: SavedUnits) {
    this.#unitMs = unitMs
    this.bets = new BettedMean(alpha, from?.bets)
    if (!from) return
    this.#labels.push(...from.labels)
    this.#done.push(...from.done)
    this.unitsVoid = from.unitsVoid
    Object.assign(this.anomalous, from.anomalous)
    Object.assign(this.normal, from.normal)
    this.#open = from.labels.map((_, i) => i).filter(i => this.#done[i] < this.#pieces(this.#labels[i]))
  }

  get labels(): number {
    return this.#labels.length
  }

  get waiting(): number {
    return this.#open.reduce((sum, i) => sum + this.#pieces(this.#labels[i]) - this.#done[i], 0)
  }

  /** Why a label is refused, or undefined when it was taken. `entityOf`: the entity of a series, when it is known. */
  add(label: ExperimentLabel, entityOf: (key: string) => string | undefined): string | undefined {
    if (!(label.toMs > label.fromMs)) return 'to: must be later than from'
    if (this.#labels.length >= LABELS_MAX) return `an experiment takes ${LABELS_MAX} labels`
    if (label.kind === 'normal' && (label.toMs - label.fromMs) / this.#unitMs > UNITS_PER_LABEL_MAX)
      return `from, to: normal time of more than ${UNITS_PER_LABEL_MAX} units of ${this.#unitMs / 1000} s; send it in pieces`
    // The same time must not be bet on twice: two raters of one incident are not two incidents.
    const other = this.#labels.find(
      one => one.fromMs < label.toMs && label.fromMs < one.toMs && isSame(one, label, entityOf),
    )
    if (other)
      return `it overlaps what ${other.by} called ${other.kind}, ${iso(other.fromMs)} to ${iso(other.toMs)}`
    this.#open.push(this.#labels.length)
    this.#labels.push(label)
    this.#done.push(0)
    return undefined
  }

  /**
   * Judges what can be: its time is over and both versions can be held to the same budget. Returns whether anything
   * was judged.
   */
  judge(newestMs: number, seen: SeenSeries, loud: LoudWindows, maxima: UnitMaxima): boolean {
    if (this.#open.length === 0 || !maxima.isReady) return false
    const thresholds = maxima.thresholds()
    let left = JUDGED_AT_ONCE
    const open: number[] = []
    for (const i of this.#open) {
      const label = this.#labels[i]
      const pieces = this.#pieces(label)
      const isDue = left > 0 && this.#piece(label, pieces, this.#done[i]).toMs <= newestMs
      const range = isDue ? rangeOf(label, seen) : undefined
      while (left > 0 && range && this.#done[i] < pieces) {
        const { fromMs, toMs } = this.#piece(label, pieces, this.#done[i])
        if (toMs > newestMs) break
        this.#judgeOne(label.kind, Math.max(fromMs, range.fromMs), toMs, range, loud, thresholds)
        this.#done[i]++
        left--
      }
      if (this.#done[i] < pieces) open.push(i)
    }
    this.#open = open
    return left < JUDGED_AT_ONCE
  }

  #judgeOne(
    kind: ExperimentLabel['kind'],
    fromMs: number,
    toMs: number,
    range: Range,
    loud: LoudWindows,
    thresholds: { readonly champion: number; readonly challenger: number },
  ): void {
    if (!(fromMs < toMs) || range.toMs <= fromMs || loud.droppedMs > fromMs) {
      this.unitsVoid++
      return
    }
    const first = loud.firstAlerts(fromMs, toMs, range.places, thresholds.champion, thresholds.challenger)
    const span = toMs - fromMs
    const tally = kind === 'anomalous' ? this.anomalous : this.normal
    const champion = lossOf(kind, (first.champion - fromMs) / span)
    const challenger = lossOf(kind, (first.challenger - fromMs) / span)
    tally.units++
    if (first.champion < Infinity) {
      tally.champion++
      tally.championLate += (first.champion - fromMs) / span
    }
    if (first.challenger < Infinity) {
      tally.challenger++
      tally.challengerLate += (first.challenger - fromMs) / span
    }
    this.bets.add(champion - challenger)
  }

  save(): SavedUnits {
    return {
      labels: [...this.#labels],
      done: [...this.#done],
      unitsVoid: this.unitsVoid,
      anomalous: { ...this.anomalous },
      normal: { ...this.normal },
      bets: this.bets.state(),
    }
  }

  #pieces({ kind, fromMs, toMs }: ExperimentLabel): number {
    return kind === 'anomalous' ? 1 : Math.max(1, Math.floor((toMs - fromMs) / this.#unitMs))
  }

  #piece(
    { fromMs, toMs }: ExperimentLabel,
    pieces: number,
    k: number,
  ): { readonly fromMs: number; readonly toMs: number } {
    const length = (toMs - fromMs) / pieces
    return { fromMs: fromMs + k * length, toMs: k === pieces - 1 ? toMs : fromMs + (k + 1) * length }
  }
}

/** What both versions saw of what a label is about. */
interface Range {
  /** Just before the first window, and the end of the last. */
  readonly fromMs: number
  readonly toMs: number
  readonly places: ReadonlySet<number>
}

function rangeOf(label: ExperimentLabel, seen: SeenSeries): Range {
  const places = new Set(seen.placesOf(label.of, label.name, label.tenant))
  let fromMs = Infinity
  let toMs = -Infinity
  for (const place of places) {
    if (Number.isNaN(seen.firstMs[place])) continue
    fromMs = Math.min(fromMs, seen.firstMs[place] - 1)
    toMs = Math.max(toMs, seen.lastMs[place])
  }
  return { fromMs, toMs, places }
}

/** `late`: share of the unit that had passed at the first alert, infinite without one. */
function lossOf(kind: ExperimentLabel['kind'], late: number): number {
  if (kind === 'normal') return late < Infinity ? 1 : 0
  return late < Infinity ? LATE_COST * late : 1
}

function isSame(
  a: ExperimentLabel,
  b: ExperimentLabel,
  entityOf: (key: string) => string | undefined,
): boolean {
  if (a.tenant !== b.tenant) return false
  if (a.of === b.of) return a.name === b.name
  const entity = (one: ExperimentLabel) => (one.of === 'entity' ? one.name : entityOf(one.name))
  return entity(a) === entity(b)
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

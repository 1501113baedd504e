import type { ExperimentLabel, ExperimentPlan } from '../core/experiment.ts'
import type { PairedScores } from '../core/model.ts'
import type { SeriesTable } from '../core/series.ts'
import { LabelledUnits, type SavedUnits } from './labelled-units.ts'
import { LoudWindows } from './loud-windows.ts'
import { PairStatistics, type SavedStatistics } from './pair-statistics.ts'
import { type NewAlerts, type SavedSeries, SeenSeries } from './seen-series.ts'
import { UnitMaxima } from './unit-maxima.ts'

/** Windows above the threshold of so many budgets are kept: thresholds move, and labels may come late. */
const LOUD_BUDGETS = 4
/** As long as there are no thresholds, windows with a tail probability below 1 % are. */
const LOUD_AT_FIRST = 2
/** Windows between two looks at what is loud. */
const LOUD_EVERY = 64

export interface SavedEvidence {
  /** First and newest window; null before the first. */
  readonly span: readonly [startMs: number, newestMs: number] | null
  readonly statistics: SavedStatistics
  readonly series: SavedSeries
  readonly maxima: ReturnType<UnitMaxima['save']>
  readonly loud: ReturnType<LoudWindows['save']>
  readonly units: SavedUnits
}

/** All that one experiment has seen: some 8 MB at most, however long it runs. */
export class Evidence {
  readonly statistics: PairStatistics
  readonly seen: SeenSeries
  readonly maxima: UnitMaxima
  readonly loud = new LoudWindows()
  readonly units: LabelledUnits
  /** End of the newest window of both, Unix ms; −∞ before the first. */
  newestMs = -Infinity
  /** End of the first, Unix ms; NaN before it. */
  startMs = NaN
  readonly #table: SeriesTable
  readonly #openSurprise: number
  readonly #alerts: NewAlerts = { champion: 0, challenger: 0 }
  #floor: { readonly champion: number; readonly challenger: number }
  #sinceFloor = 0
  /** Windows up to here were counted before a restart, and are heard of again as the journal is replayed. */
  #countedMs = -Infinity

  constructor(plan: ExperimentPlan, table: SeriesTable, openSurprise: number, from?: SavedEvidence) {
    const unitMs = plan.unitSeconds * 1000
    this.#table = table
    this.#openSurprise = openSurprise
    this.statistics = new PairStatistics(openSurprise)
    this.seen = new SeenSeries(table, unitMs)
    this.maxima = new UnitMaxima(unitMs, plan.alertsPerSeriesWeek)
    this.units = new LabelledUnits(unitMs, plan.alpha, from?.units)
    if (from) {
      if (from.span) [this.startMs, this.newestMs] = from.span
      this.#countedMs = this.newestMs
      this.statistics.restore(from.statistics)
      this.seen.restore(from.series)
      this.maxima.restore(from.maxima)
      this.loud.restore(from.loud)
    }
    this.#floor = this.#floors()
  }

  observe(pair: PairedScores): void {
    if (pair.windowEndMs <= this.#countedMs || pair.windowEndMs < this.newestMs) return
    if (pair.windowEndMs > this.newestMs && ++this.#sinceFloor >= LOUD_EVERY) {
      this.#sinceFloor = 0
      this.#floor = this.#floors()
    }
    if (this.newestMs === -Infinity) this.startMs = pair.windowEndMs
    this.newestMs = pair.windowEndMs
    this.statistics.add(pair)
    this.seen.add(pair, this.#openSurprise, this.maxima, this.#alerts)
    this.statistics.addAlerts(pair.windowEndMs, this.#alerts.champion, this.#alerts.challenger)
    const { champion, challenger } = this.#floor
    for (let k = 0; k < pair.length; k++) {
      const a = pair.championSurprise[k]
      const b = pair.challengerSurprise[k]
      if (!(a >= champion || b >= challenger)) continue
      const place = this.seen.place(pair.series[k])
      if (place >= 0) this.loud.add(pair.windowEndMs, place, a, b)
    }
  }

  /** Why a label is refused, or undefined when it was taken. */
  label(label: ExperimentLabel): string | undefined {
    return this.units.add(label, key => {
      const row = this.#table.row(key)
      return row < 0 ? undefined : this.#table.meta(row).entity
    })
  }

  /** Judges labels whose time is over; whether any was. */
  judge(): boolean {
    return this.units.judge(this.newestMs, this.seen, this.loud, this.maxima)
  }

  save(): SavedEvidence {
    return {
      span: Number.isFinite(this.newestMs) ? [this.startMs, this.newestMs] : null,
      statistics: this.statistics.save(),
      series: this.seen.save(),
      maxima: this.maxima.save(),
      loud: this.loud.save(),
      units: this.units.save(),
    }
  }

  #floors(): { readonly champion: number; readonly challenger: number } {
    const { champion, challenger } = this.maxima.thresholds(LOUD_BUDGETS)
    const most = this.maxima.isReady ? this.#openSurprise : Math.min(LOUD_AT_FIRST, this.#openSurprise)
    const least = (value: number) => (value < most ? value : most)
    return { champion: least(champion), challenger: least(challenger) }
  }
}

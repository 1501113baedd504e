import { fillFrom, textOf } from './column-text.ts'

/** Bins a decade of probability, up to a surprise of 20: fine, since a bin with more than the budget cannot be split. */
const PER_DECADE = 64
const BINS = 1281
/** Alerts that the budget must have had room for before thresholds are read off. */
const ALERTS_LEAST = 5
const WEEK_MS = 604_800_000

/**
 * The largest surprise of every unit of every series, counted for both versions. Where as many units of each lie above
 * a threshold as the budget allows, both alert equally often: that is where their detections can be compared.
 */
export class UnitMaxima {
  units = 0
  readonly #champion = new Float64Array(BINS)
  readonly #challenger = new Float64Array(BINS)
  /** Share of the units that may alert. */
  readonly #share: number

  constructor(unitMs: number, alertsPerSeriesWeek: number) {
    this.#share = Math.min(0.5, (alertsPerSeriesWeek * unitMs) / WEEK_MS)
  }

  add(champion: number, challenger: number): void {
    this.units++
    this.#champion[binOf(champion)]++
    this.#challenger[binOf(challenger)]++
  }

  /** Units until thresholds can be read off. */
  get unitsNeeded(): number {
    return Math.ceil(ALERTS_LEAST / this.#share)
  }

  /** Alerts that the budget allows for the units seen. */
  get budget(): number {
    return this.units * this.#share
  }

  get isReady(): boolean {
    return this.units >= this.unitsNeeded
  }

  /** Surprise that is an alert, the lowest at which no more units alert than `times` the budget; NaN until ready. */
  thresholds(times = 1): { readonly champion: number; readonly challenger: number } {
    const allowed = this.isReady ? this.units * Math.min(0.5, this.#share * times) : NaN
    return { champion: threshold(this.#champion, allowed), challenger: threshold(this.#challenger, allowed) }
  }

  save() {
    return {
      units: this.units,
      champion: textOf(this.#champion),
      challenger: textOf(this.#challenger),
    }
  }

  restore(from: ReturnType<UnitMaxima['save']>): void {
    this.units = from.units
    fillFrom(from.champion, this.#champion)
    fillFrom(from.challenger, this.#challenger)
  }
}

function binOf(surprise: number): number {
  return surprise > 0 ? Math.min(BINS - 1, Math.ceil(surprise * PER_DECADE)) : 0
}

function threshold(counts: Float64Array, allowed: number): number {
  if (Number.isNaN(allowed)) return NaN
  let above = 0
  for (let bin = BINS - 1; bin > 0; bin--) {
    above += counts[bin]
    // Bin b holds ((b − 1)/64, b/64]: what lies in it stays below its upper edge, or on it.
    if (above > allowed) return (bin + 0.001) / PER_DECADE
  }
  return 1 / PER_DECADE
}

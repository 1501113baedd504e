export const WEEK_MS = 604_800_000
/** Orders of magnitude an alert raises the threshold by. */
const STEP = 0.25
/** Orders the threshold may lie below and above the tail's own: quiet weeks are no reason to page about nothing. */
const BELOW_MOST = 1.5
const ABOVE_MOST = 2
/** No threshold lies below one window in twenty: less is not strange. */
export const LEAST_SURPRISE = 1.3
/** An alert ends when that many windows in a row stayed below the threshold: a fault that flickers pages once. */
const QUIET_WINDOWS = 6

function held(offset: number): number {
  return Math.max(-BELOW_MOST, Math.min(ABOVE_MOST, offset))
}

/**
 * The surprise at which alerts come `budget` times a week. It starts where the calibrated tail
 * says so, by windows; but windows come in bursts that are one alert (an extremal index below 1), and tails are
 * estimates. So each alert raises the threshold by STEP and each window lowers it by as much as keeps the balance at the
 * promised rate: adaptive conformal inference (Gibbs & Candès 2021, eq. 2), with alerts instead of single errors, in
 * orders of magnitude instead of levels. Whatever the tail, over T weeks the count differs from the promise by at most
 * (reach of the offset) / STEP. It needs no labels, and one number a budget.
 */
export const offsetAfter = {
  /** Orders of magnitude that the threshold lies above the tail's own, after one more alert. */
  alert: (offset: number): number => held(offset + STEP),
  /** The same after time without one. */
  time: (offset: number, budget: number, ms: number): number => held(offset - (STEP * budget * ms) / WEEK_MS),
}

/** One series with a budget of its own; see `offsetAfter`. */
export class BudgetThreshold {
  readonly #base: number
  readonly #budget: number
  readonly #stepMs: number
  #offset = 0
  #quiet = QUIET_WINDOWS

  /** `budget`: alerts a week, above 0; windows every `stepMs`. */
  constructor(budget: number, stepMs: number) {
    this.#base = Math.log10(WEEK_MS / stepMs / budget)
    this.#budget = budget
    this.#stepMs = stepMs
  }

  /** Surprise from which the next window counts. */
  get threshold(): number {
    return Math.max(LEAST_SURPRISE, this.#base + this.#offset)
  }

  /** Takes the surprise of a window, NaN where there is none; true when an alert opens in it. */
  next(surprise: number): boolean {
    if (Number.isNaN(surprise)) return false
    const isHot = surprise >= this.threshold
    const opens = isHot && this.#quiet >= QUIET_WINDOWS
    this.#quiet = isHot ? 0 : this.#quiet + 1
    if (opens) this.#offset = offsetAfter.alert(this.#offset)
    this.#offset = offsetAfter.time(this.#offset, this.#budget, this.#stepMs)
    return opens
  }
}

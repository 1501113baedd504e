/** Turns the times of a recorded series into times a detector may be fed with, looking only backwards. */

/** Differences looked at before the step is settled; no row before that gets an opinion. */
const DIFFERENCES = 20
const DAY_MS = 86_400_000
/** Rows in a row that lie before the latest time until the clock counts as set back. */
const SET_BACK_ROWS = 5

/** The step of a series: the median of its first 20 positive time differences, rounded to a second if above one. */
export class StepFinder {
  readonly #differences: number[] = []
  #last = NaN

  /** The step in ms once settled, else NaN. */
  add(timeMs: number): number {
    if (timeMs > this.#last) this.#differences.push(timeMs - this.#last)
    if (!(timeMs <= this.#last)) this.#last = timeMs
    if (this.#differences.length < DIFFERENCES) return NaN
    const sorted = this.#differences.toSorted((a, b) => a - b)
    const median = sorted[DIFFERENCES >> 1]
    return median >= 1000 ? Math.round(median / 1000) * 1000 : median
  }
}

/** A clock that never runs backwards: late rows count as now, a clock set back goes on by whole days. */
export class ForwardClock {
  #last = NaN
  #offset = 0
  #behind = 0

  at(timeMs: number): number {
    const time = timeMs + this.#offset
    if (!(time < this.#last)) {
      this.#last = time
      this.#behind = 0
      return time
    }
    if (++this.#behind < SET_BACK_ROWS) return this.#last
    // The phase of the day stays right because whole days are added.
    this.#offset += Math.ceil((this.#last - time) / DAY_MS) * DAY_MS
    this.#behind = 0
    this.#last = timeMs + this.#offset
    return this.#last
  }
}

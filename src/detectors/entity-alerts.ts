import { againstUsualDay, closeDay, DAYS_KEPT } from './day-maxima.ts'

/**
 * When the score of an entity's metrics taken together is an alert. The score is set against the entity's own usual
 * loudest moment of a day, as point evidence of one series is, since few noisy entities cause most false alerts; and an
 * alert is over when an hour has passed below the lower threshold, since a fault that comes and goes is one fault.
 */
const DAY_MS = 86_400_000
const HOLD_MS = 3_600_000
/** An open alert lasts while evidence is at least this share of what opened it. */
const LEAVE_SHARE = 0.625

export class EntityEvidence {
  readonly #dayRows: number
  readonly #maxima = new Uint8Array(DAYS_KEPT)
  #rows = 0
  #largest = 0
  #usual = 0

  constructor(stepMs: number) {
    this.#dayRows = Math.max(1, Math.round(DAY_MS / stepMs))
  }

  /** Score of the next row → evidence by what was usual before it; NaN stays NaN. Days count from the first score. */
  next(score: number): number {
    if (Number.isNaN(score)) return NaN
    if (this.#rows > 0 && this.#rows % this.#dayRows === 0) {
      this.#usual = closeDay(this.#maxima, 0, this.#rows / this.#dayRows - 1, this.#largest)
      this.#largest = 0
    }
    this.#rows++
    this.#largest = Math.max(this.#largest, score)
    return againstUsualDay(score, this.#usual)
  }
}

export class EntityAlert {
  readonly #open: number
  readonly #holdRows: number
  #isOpen = false
  #calm = 0

  /** Opens at evidence `open`; rows every `stepMs`. */
  constructor(open: number, stepMs: number) {
    this.#open = open
    this.#holdRows = Math.max(1, Math.round(HOLD_MS / stepMs))
  }

  /** True when a new alert opens with this row. A row without evidence is a calm one. */
  next(evidence: number): boolean {
    if (!this.#isOpen) {
      this.#isOpen = evidence >= this.#open
      this.#calm = 0
      return this.#isOpen
    }
    this.#calm = evidence >= LEAVE_SHARE * this.#open ? 0 : this.#calm + 1
    if (this.#calm >= this.#holdRows) this.#isOpen = false
    return false
  }

  /** Whether the last row belongs to an alert: one is open and the row was not calm. */
  get isLoud(): boolean {
    return this.#isOpen && this.#calm === 0
  }
}

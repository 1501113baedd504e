import { FORM_RIDGE, PRIOR_SQUARE } from './ridge-covariance.ts'
import { LEARN_CLIP } from './ridge-scales.ts'

/** Least mean square that residuals are compared with. */
export const SQUARE_FLOOR = 4e-4
/** A form counts as no more than that many usual ones. */
const FORM_CLIP = 9

/**
 * How large the residuals of a ridge block usually are: conditional (a view against what the others say of it) and plain
 * (against its own mean), a mean square a view, and the whole row's quadratic form. Sums grow over the open block of rows
 * and are learned at its end.
 */
export class RidgeResiduals {
  readonly conditional: Float64Array
  readonly plain: Float64Array
  readonly conditionalSum: Float64Array
  readonly plainSum: Float64Array
  form = 0
  formSum = 0

  constructor(size: number) {
    this.conditional = new Float64Array(size)
    this.plain = new Float64Array(size)
    this.conditionalSum = new Float64Array(size)
    this.plainSum = new Float64Array(size)
  }

  /** A view joins an open block of so many rows. */
  join(k: number, rows: number): void {
    this.conditional[k] = PRIOR_SQUARE
    this.plain[k] = PRIOR_SQUARE
    // As if all rows of the open block had been so.
    this.conditionalSum[k] = rows * PRIOR_SQUARE
    this.plainSum[k] = rows * PRIOR_SQUARE
  }

  /** So many views have joined: an independent one of spread one adds 1 / (1 + ridge) to the form. */
  joinForm(views: number): void {
    this.form += views / (1 + FORM_RIDGE)
  }

  /** Adds a row: its views `u`, standardised, and `up`, the same times the `precision` matrix. */
  remember(u: Float64Array, up: Float64Array, precision: Float32Array, weight: number): void {
    const n = u.length
    const { conditional, plain, conditionalSum, plainSum } = this
    for (let k = 0; k < n; k++) {
      const e = up[k] ** 2 / precision[k * n + k]
      const limitE = LEARN_CLIP ** 2 * Math.max(conditional[k], SQUARE_FLOOR)
      const limitU = LEARN_CLIP ** 2 * Math.max(plain[k], SQUARE_FLOOR)
      const keptE = conditional[k]
      const keptU = plain[k]
      conditionalSum[k] += keptE + weight * (Math.min(e, limitE) - keptE)
      plainSum[k] += keptU + weight * (Math.min(u[k] ** 2, limitU) - keptU)
    }
  }

  /** Adds a row's form, given in usual ones. */
  rememberForm(form: number, weight: number): void {
    const clipped = Math.min(form, FORM_CLIP) * this.form
    this.formSum += this.form + weight * (clipped - this.form)
  }

  /** Adds one of `rows` first rows, of which there are no usual sizes yet. */
  learnFirst(u: Float64Array, up: Float64Array, precision: Float32Array, rows: number): void {
    const n = u.length
    for (let k = 0; k < n; k++) {
      this.conditional[k] += up[k] ** 2 / precision[k * n + k] / rows
      this.plain[k] += u[k] ** 2 / rows
    }
  }

  /** Learns the sums over `rows` rows: each view as fast as the `age` of its metric in rows says, the form as `count` does. */
  learn(rows: number, age: Float64Array, count: number): void {
    for (let k = 0; k < this.plain.length; k++) {
      const g = rows / (age[k % age.length] || count)
      this.conditional[k] += g * (this.conditionalSum[k] / rows - this.conditional[k])
      this.plain[k] += g * (this.plainSum[k] / rows - this.plain[k])
    }
    this.form += (rows / count) * (this.formSum / rows - this.form)
    this.conditionalSum.fill(0)
    this.plainSum.fill(0)
    this.formSum = 0
  }
}

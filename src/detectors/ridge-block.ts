import { multiply, quadraticForm } from '../math/cholesky.ts'
import type { StateColumn } from './ridge-columns.ts'
import { RidgeCovariance } from './ridge-covariance.ts'
import { RidgeDaily, WAVES } from './ridge-daily.ts'
import { RidgeResiduals, SQUARE_FLOOR } from './ridge-residuals.ts'
import { clip, JOIN_ROWS, RidgeScales, Z_CLIP } from './ridge-scales.ts'
import { RidgeViews, VIEWS } from './ridge-views.ts'
import { RidgeWorkspace } from './ridge-workspace.ts'

/** Rows between two refreshes of what is learned. */
export const REFRESH_ROWS = 60
const HALF_LIFE_DAYS = 7
const USUAL_HALF_LIFE_DAYS = 28
/** Share of the plain distance beside the conditional one. */
const PLAIN_SHARE = 0.25

/**
 * The ridge-precision residual of one block of metrics: each of five temporal views of each metric against what all
 * the others and the time of day say of it, with a covariance that forgets over seven days and is refreshed every 60
 * rows. How large residuals usually are forgets over four weeks: a fault of days must not become the usual size.
 */
export class RidgeBlock {
  readonly metrics: number
  /** Evidence per metric of the last row. */
  readonly share: Float64Array
  readonly imputed: Uint8Array
  /** uᵀQu over its usual size, of the last row. */
  form = NaN
  /** What the others lead one to expect of each metric in the last row, and how far it usually is from that. */
  readonly expected: Float64Array
  readonly spread: Float64Array
  readonly #dayRows: number
  readonly #warmUpRows: number
  readonly #size: number
  readonly #scales: RidgeScales
  readonly #views: RidgeViews
  readonly #covariance: RidgeCovariance
  readonly #residuals: RidgeResiduals
  readonly #values: Float64Array
  readonly #u: Float64Array
  /** The same less what the time of day adds to it. */
  readonly #rest: Float64Array
  readonly #up: Float64Array
  readonly #solve: Float64Array
  /** The open block of rows. */
  #rows = 0
  #blockViews = new Float32Array(0)
  #blockValues: Float32Array
  #count = 0
  /** Rows learned per metric, and what a refresh moves each view by. */
  readonly #age: Float64Array
  readonly #gain: Float64Array
  readonly #daily: RidgeDaily
  #dayShare = NaN
  #isReady = false

  /**
   * `dayRows`: rows a day. `warmUpRows`: rows before it has an opinion, which are kept whole until then. Blocks that work
   * one after the other share a workspace.
   */
  constructor(
    metrics: number,
    dayRows: number,
    warmUpRows = Math.max(dayRows, REFRESH_ROWS),
    workspace = new RidgeWorkspace(),
  ) {
    const size = metrics * VIEWS
    this.metrics = metrics
    this.#dayRows = Math.max(dayRows, REFRESH_ROWS)
    this.#warmUpRows = warmUpRows
    this.#size = size
    this.#scales = new RidgeScales(metrics)
    this.#views = new RidgeViews(metrics)
    this.#covariance = new RidgeCovariance(size, workspace)
    this.#residuals = new RidgeResiduals(size)
    this.share = new Float64Array(metrics)
    this.expected = new Float64Array(metrics).fill(NaN)
    this.spread = new Float64Array(metrics).fill(NaN)
    this.imputed = new Uint8Array(metrics)
    const perMetric = () => new Float64Array(metrics)
    const perView = () => new Float64Array(size)
    this.#values = perMetric()
    this.#u = perView()
    this.#rest = perView()
    this.#up = perView()
    this.#solve = perView()
    this.#age = perMetric()
    this.#gain = perView()
    this.#daily = new RidgeDaily(size, dayRows)
    // The first rows are kept whole: mean and spread must be known before anything can be normalised.
    this.#blockValues = new Float32Array(warmUpRows * metrics)
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /**
   * Takes a value per metric, and what share of the day is over (NaN: unknown); evidence is in `share` and `form` when it
   * is ready. Changes nothing that is learned.
   */
  score(values: Float64Array, dayShare = NaN): void {
    this.#dayShare = dayShare
    for (let j = 0; j < this.metrics; j++) this.#values[j] = clampValue(values[j])
    if (!this.#isReady) return
    this.#scales.normalise(this.#values, this.#views.z, this.imputed)
    this.#views.build()
    this.#score()
    this.#expect()
  }

  /** Learns the row scored last. */
  learn(weight: number): void {
    if (!this.#isReady) {
      this.#blockValues.set(this.#values, this.#rows * this.metrics)
      if (++this.#rows === this.#warmUpRows) this.#initialise()
      return
    }
    this.#remember(weight)
    if (this.#rows === REFRESH_ROWS) this.#refresh()
  }

  #score(): void {
    const n = this.#size
    const m = this.metrics
    const u = this.#u
    const { precision, factor } = this.#covariance
    const { conditional, plain } = this.#residuals
    this.#daily.at(this.#dayShare)
    this.#standardise()
    multiply(precision, n, this.#rest, this.#up)
    this.#impute()
    for (let j = 0; j < m; j++) this.share[j] = 0
    const strongest = this.share
    for (let j = 0; j < m; j++) {
      if (this.imputed[j] === 1) continue
      let a = 0
      let h = 0
      for (let k = j; k < n; k += m) {
        const e = Math.abs(this.#up[k]) / Math.sqrt(precision[k * n + k])
        a = Math.max(a, Math.min(Z_CLIP, e / Math.sqrt(Math.max(conditional[k], SQUARE_FLOOR))))
        h = Math.max(h, Math.min(Z_CLIP, Math.abs(u[k]) / Math.sqrt(Math.max(plain[k], SQUARE_FLOOR))))
      }
      strongest[j] = a + PLAIN_SHARE * h
    }
    this.form = quadraticForm(factor, n, this.#rest, this.#solve) / Math.max(this.#residuals.form, 1e-12)
  }

  #standardise(): void {
    const { season } = this.#daily
    const { mean, sigma } = this.#covariance
    const { row } = this.#views
    for (let k = 0; k < this.#size; k++) {
      this.#u[k] = clip((row[k] - mean[k]) / sigma[k], Z_CLIP)
      this.#rest[k] = this.#u[k] - season[k]
    }
  }

  /** A missing value becomes what the others and the time of day lead one to expect of it. */
  #impute(): void {
    const n = this.#size
    const { precision, mean, sigma } = this.#covariance
    const { row, z } = this.#views
    let isAny = false
    for (let j = 0; j < this.metrics; j++) {
      if (this.imputed[j] === 0) continue
      isAny = true
      const expected = clip(this.#u[j] - this.#up[j] / precision[j * n + j], Z_CLIP)
      this.#u[j] = expected
      this.#rest[j] = expected - this.#daily.season[j]
      row[j] = expected * sigma[j] + mean[j]
      z[j] = clip(row[j], Z_CLIP)
    }
    if (isAny) multiply(precision, n, this.#rest, this.#up)
  }

  /** The regression that the precision matrix holds: value = −Σ P_jk u_k / P_jj over all others, in the metric's unit. */
  #expect(): void {
    const n = this.#size
    const scales = this.#scales
    const { precision, mean, sigma } = this.#covariance
    const { conditional } = this.#residuals
    for (let j = 0; j < this.metrics; j++) {
      const own = precision[j * n + j]
      const scale = scales.of(j)
      const unit = scale * sigma[j]
      const u = this.#u[j] - this.#up[j] / own
      const isKnown = scales.isKnown(j)
      this.expected[j] = isKnown ? scales.mean[j] + scale * mean[j] + unit * u : NaN
      this.spread[j] = isKnown ? unit * Math.sqrt(Math.max(conditional[j], SQUARE_FLOOR) / own) : NaN
    }
  }

  /** A metric that is too young to be judged: level and spread first; returns what the block may learn of it. */
  #acquaint(j: number, x: number): number {
    const scales = this.#scales
    if (scales.isKnown(j)) return x
    if (Number.isNaN(x)) return NaN
    scales.meet(j, x)
    if (scales.isKnown(j)) this.#join(j)
    return NaN
  }

  /** From now on the metric is judged; of how it goes with the others nothing is known yet. */
  #join(j: number): void {
    this.#scales.settle(j, JOIN_ROWS)
    this.#age[j] = JOIN_ROWS
    for (let k = j; k < this.#size; k += this.metrics) {
      this.#covariance.join(k)
      this.#residuals.join(k, this.#rows)
    }
    this.#residuals.joinForm(VIEWS)
    this.#covariance.invert(this.#daily, this.#count)
  }

  /** Adds the row to the open block. */
  #remember(weight: number): void {
    const n = this.#size
    const m = this.metrics
    const row = this.#rows
    const { mean } = this.#covariance
    const views = this.#blockViews
    const view = this.#views.row
    for (let k = 0; k < n; k++) views[row * n + k] = mean[k] + weight * (view[k] - mean[k])
    const values = this.#blockValues
    const usual = this.#scales.mean
    for (let j = 0; j < m; j++)
      values[row * m + j] = usual[j] + weight * (this.#acquaint(j, this.#values[j]) - usual[j])
    this.#residuals.remember(this.#u, this.#up, this.#covariance.precision, weight)
    this.#residuals.rememberForm(this.form, weight)
    this.#daily.remember(view, mean, weight)
    this.#views.advance()
    this.#rows++
  }

  #refresh(): void {
    const rows = this.#rows
    const cap = (HALF_LIFE_DAYS * this.#dayRows) / Math.LN2
    const usualCap = (USUAL_HALF_LIFE_DAYS * this.#dayRows) / Math.LN2
    this.#count = Math.min(this.#count + REFRESH_ROWS, usualCap)
    const gain = REFRESH_ROWS / Math.min(this.#count, cap)
    const isMixed = this.#ageMetrics(cap, usualCap)
    this.#learnDaily(gain, rows)
    this.#scales.learn(this.#blockValues, rows, this.#gain)
    if (isMixed) this.#covariance.blend(this.#blockViews, rows, this.#gain)
    else this.#covariance.learn(this.#blockViews, rows, gain, this.#solve, this.#u)
    this.#residuals.learn(rows, this.#age, this.#count)
    this.#rows = 0
    this.#covariance.invert(this.#daily, this.#count)
  }

  /** What the refresh moves each view by: one that joined later learns as fast as all did at its age. */
  #ageMetrics(cap: number, usualCap: number): boolean {
    let isMixed = false
    for (let j = 0; j < this.metrics; j++) {
      // Not judged yet: its views stand still.
      const isKnown = this.#scales.isKnown(j)
      if (isKnown) this.#age[j] = Math.min(this.#age[j] + REFRESH_ROWS, usualCap)
      const age = Math.min(isKnown ? this.#age[j] : this.#count, cap)
      if (age !== Math.min(this.#count, cap)) isMixed = true
      for (let k = j; k < this.#size; k += this.metrics) this.#gain[k] = REFRESH_ROWS / age
    }
    return isMixed
  }

  /** Before the covariance: both start from the same means. */
  #learnDaily(gain: number, rows: number): void {
    const n = this.#size
    const delta = this.#solve
    const { mean } = this.#covariance
    for (let k = 0; k < n; k++) delta[k] = -mean[k]
    for (let r = 0; r < rows; r++) for (let k = 0; k < n; k++) delta[k] += this.#blockViews[r * n + k] / rows
    this.#daily.learn(delta, this.#gain, gain, rows)
  }

  /** The first day: mean and spread, then views, covariance, and how large residuals usually are. */
  #initialise(): void {
    const m = this.metrics
    const n = this.#size
    const rows = this.#rows
    const day = this.#blockValues
    this.#covariance.allocate()
    this.#scales.learnFirst(day, rows)
    this.#blockViews = new Float32Array(rows * n)
    for (let r = 0; r < rows; r++) {
      this.#values.set(day.subarray(r * m, r * m + m))
      this.#scales.normalise(this.#values, this.#views.z, this.imputed)
      this.#views.build()
      this.#blockViews.set(this.#views.row, r * n)
      this.#views.advance()
    }
    this.#count = rows
    this.#covariance.learn(this.#blockViews, rows, 1, this.#solve, this.#u)
    this.#daily.learnFirst(this.#blockViews, this.#covariance.mean, rows, this.#dayShare)
    this.#covariance.invert(this.#daily, this.#count)
    const { precision, factor } = this.#covariance
    const forms = new Float64Array(rows)
    for (let r = 0; r < rows; r++) {
      this.#views.row.set(this.#blockViews.subarray(r * n, r * n + n))
      this.#daily.at(this.#daily.shareOf(r, rows, this.#dayShare))
      this.#standardise()
      multiply(precision, n, this.#rest, this.#up)
      this.#residuals.learnFirst(this.#u, this.#up, precision, rows)
      forms[r] = quadraticForm(factor, n, this.#rest, this.#solve)
    }
    this.#residuals.form = forms.sort()[rows >> 1]
    for (let j = 0; j < m; j++) this.#age[j] = this.#scales.isKnown(j) ? rows : 0
    this.#rows = 0
    this.#isReady = true
    this.#blockViews = new Float32Array(REFRESH_ROWS * n)
    this.#blockValues = new Float32Array(REFRESH_ROWS * m)
  }

  /** Everything learned, by name and shape: saved, restored, and carried over when metrics come and go. */
  columns(): StateColumn[] {
    const rows = this.#rows
    const { mean, variance, largest, seen } = this.#scales
    const { conditional, plain, conditionalSum, plainSum } = this.#residuals
    return [
      { name: 'mean', shape: 'metric', data: mean },
      { name: 'variance', shape: 'metric', data: variance },
      { name: 'largest', shape: 'metric', data: largest },
      { name: 'seen', shape: 'metric', data: seen },
      { name: 'age', shape: 'metric', data: this.#age },
      { name: 'previousZ', shape: 'metric', data: this.#views.previousZ },
      { name: 'averages', shape: 'metric', data: this.#views.averages },
      { name: 'viewMean', shape: 'metric', data: this.#covariance.mean },
      { name: 'residualSquare', shape: 'metric', data: conditional },
      { name: 'plainSquare', shape: 'metric', data: plain },
      { name: 'residualSum', shape: 'metric', data: conditionalSum },
      { name: 'plainSum', shape: 'metric', data: plainSum },
      { name: 'daily', shape: 'metric', data: this.#daily.cross },
      { name: 'dailySum', shape: 'metric', data: this.#daily.crossSum },
      { name: 'covariance', shape: 'pair', data: this.#covariance.matrix },
      { name: 'rowViews', shape: 'row', data: this.#blockViews, rows, width: this.#size },
      { name: 'rowValues', shape: 'row', data: this.#blockValues, rows, width: this.metrics, empty: NaN },
    ]
  }

  /** Numbers that are one for the block, in a fixed order; the form for `formShare` of its metrics. */
  numbers(formShare = 1): number[] {
    const { isReady } = this
    const form = [formShare * this.#residuals.formSum, formShare * this.#residuals.form]
    return [isReady ? 1 : 0, this.#rows, this.#count, ...form, ...this.#daily.own]
  }

  /** Takes over numbers and, by `fill`, columns: what `columns` names, in its order. */
  adopt(numbers: readonly number[], fill: (columns: readonly StateColumn[]) => void): void {
    const [isReady, rows, count, formSum, formUsual, ...daily] = numbers
    this.#isReady = isReady === 1
    this.#rows = rows
    this.#count = count
    this.#residuals.formSum = formSum
    this.#residuals.form = formUsual
    this.#daily.own.set(daily)
    if (this.#isReady) {
      this.#covariance.allocate()
      this.#blockViews = new Float32Array(REFRESH_ROWS * this.#size)
      this.#blockValues = new Float32Array(REFRESH_ROWS * this.metrics)
    }
    fill(this.columns())
    if (this.#isReady) this.#covariance.invert(this.#daily, this.#count)
  }

  bytes(): number {
    const { matrix, precision, factor } = this.#covariance
    const matrices = matrix.length + precision.length + factor.length
    const rows = this.#blockViews.length + this.#blockValues.length
    return 4 * (matrices + rows) + 8 * ((11 + 2 * WAVES) * this.#size + 14 * this.metrics)
  }
}

/** Rows are kept in 32 bits. */
function clampValue(x: number): number {
  return clip(x, 1e30)
}

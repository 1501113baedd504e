import { choleskyInPlace, inverseFromCholesky, multiply, quadraticForm } from '../math/cholesky.ts'
import { blendCovariance, type StateColumn } from './ridge-columns.ts'
import { RidgeDaily, WAVES } from './ridge-daily.ts'
import { RidgeWorkspace } from './ridge-workspace.ts'

/**
 * The ridge-precision residual of one block of metrics: each of five temporal views of each metric against what all
 * the others and the time of day say of it, with a covariance that forgets over seven days and is refreshed every 60
 * rows. How large residuals usually are forgets over four weeks: a fault of days must not become the usual size.
 */
export const VIEWS = 5
export const REFRESH_ROWS = 60
/** Values of a metric seen before it is judged beside the others. */
export const JOIN_ROWS = 30
/** Of a view that has just joined: spread one, as normalised values have. */
const PRIOR_SQUARE = 1
const HALF_LIFE_DAYS = 7
const USUAL_HALF_LIFE_DAYS = 28
const Z_CLIP = 20
/** Learned values are held within that many scales, so that a fault does not become the new normal at once. */
const LEARN_CLIP = 5
const AVERAGE_ROWS = [5, 20, 60] as const
const SIGMA_FLOOR = 0.05
const RESIDUAL_RIDGE = 0.3
const FORM_RIDGE = 1
/** Share of the plain distance beside the conditional one. */
const PLAIN_SHARE = 0.25

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
  readonly #workspace: RidgeWorkspace
  readonly #size: number
  readonly #values: Float64Array
  readonly #mean: Float64Array
  readonly #variance: Float64Array
  readonly #largest: Float64Array
  readonly #z: Float64Array
  readonly #previousZ: Float64Array
  readonly #averages: Float64Array
  readonly #view: Float64Array
  readonly #viewMean: Float64Array
  /** The matrices are the bulk of the state and allocated once it is ready; 32 bits hold their few good digits. */
  #covariance = new Float32Array(0)
  readonly #sigma: Float64Array
  #precision = new Float32Array(0)
  #factor = new Float32Array(0)
  readonly #u: Float64Array
  /** The same less what the time of day adds to it. */
  readonly #rest: Float64Array
  readonly #up: Float64Array
  readonly #solve: Float64Array
  readonly #residualSquare: Float64Array
  readonly #plainSquare: Float64Array
  /** Sums over the open block of rows. */
  #rows = 0
  #blockViews = new Float32Array(0)
  #blockValues: Float32Array
  #residualSum: Float64Array
  #plainSum: Float64Array
  #formSum = 0
  #formUsual = 0
  #count = 0
  /** Values seen per metric, up to JOIN_ROWS; rows learned per metric, and what a refresh moves each view by. */
  readonly #seen: Float64Array
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
    this.#workspace = workspace
    this.#size = size
    this.share = new Float64Array(metrics)
    this.expected = new Float64Array(metrics).fill(NaN)
    this.spread = new Float64Array(metrics).fill(NaN)
    this.imputed = new Uint8Array(metrics)
    const perMetric = () => new Float64Array(metrics)
    const perView = () => new Float64Array(size)
    this.#values = perMetric()
    this.#mean = perMetric()
    this.#variance = perMetric()
    this.#largest = perMetric()
    this.#z = perMetric()
    this.#previousZ = perMetric()
    this.#averages = new Float64Array(metrics * AVERAGE_ROWS.length)
    this.#view = perView()
    this.#viewMean = perView()
    this.#sigma = perView()
    this.#u = perView()
    this.#rest = perView()
    this.#up = perView()
    this.#solve = perView()
    this.#residualSquare = perView()
    this.#plainSquare = perView()
    this.#residualSum = perView()
    this.#plainSum = perView()
    this.#seen = perMetric()
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
    this.#normalise()
    this.#buildViews()
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

  /** z of the row; the missing are told by `imputed` and stand at the mean. */
  #normalise(): void {
    for (let j = 0; j < this.metrics; j++) {
      const x = this.#values[j]
      const scale = Math.max(Math.sqrt(this.#variance[j]), 0.01 * this.#largest[j], 1e-9)
      const isMissing = Number.isNaN(x) || this.#seen[j] < JOIN_ROWS
      this.imputed[j] = isMissing ? 1 : 0
      this.#z[j] = isMissing ? 0 : clip((x - this.#mean[j]) / scale, Z_CLIP)
    }
  }

  #buildViews(): void {
    const m = this.metrics
    const f = this.#view
    for (let j = 0; j < m; j++) {
      f[j] = this.#z[j]
      f[m + j] = this.#previousZ[j]
    }
    f.set(this.#averages, 2 * m)
  }

  /** Once the views of the row are built: the averages move on to it. */
  #advanceAverages(): void {
    const m = this.metrics
    for (let a = 0; a < AVERAGE_ROWS.length; a++) {
      const rate = 2 / (AVERAGE_ROWS[a] + 1)
      for (let j = 0; j < m; j++) this.#averages[a * m + j] += rate * (this.#z[j] - this.#averages[a * m + j])
    }
    this.#previousZ.set(this.#z)
  }

  #score(): void {
    const n = this.#size
    const m = this.metrics
    const u = this.#u
    this.#daily.at(this.#dayShare)
    this.#standardise()
    multiply(this.#precision, n, this.#rest, this.#up)
    this.#impute()
    for (let j = 0; j < m; j++) this.share[j] = 0
    const strongest = this.share
    for (let j = 0; j < m; j++) {
      if (this.imputed[j] === 1) continue
      let a = 0
      let h = 0
      for (let k = j; k < n; k += m) {
        const e = Math.abs(this.#up[k]) / Math.sqrt(this.#precision[k * n + k])
        a = Math.max(a, Math.min(Z_CLIP, e / Math.sqrt(Math.max(this.#residualSquare[k], 4e-4))))
        h = Math.max(h, Math.min(Z_CLIP, Math.abs(u[k]) / Math.sqrt(Math.max(this.#plainSquare[k], 4e-4))))
      }
      strongest[j] = a + PLAIN_SHARE * h
    }
    this.form = quadraticForm(this.#factor, n, this.#rest, this.#solve) / Math.max(this.#formUsual, 1e-12)
  }

  #standardise(): void {
    const { season } = this.#daily
    for (let k = 0; k < this.#size; k++) {
      this.#u[k] = clip((this.#view[k] - this.#viewMean[k]) / this.#sigma[k], Z_CLIP)
      this.#rest[k] = this.#u[k] - season[k]
    }
  }

  /** A missing value becomes what the others and the time of day lead one to expect of it. */
  #impute(): void {
    const n = this.#size
    let isAny = false
    for (let j = 0; j < this.metrics; j++) {
      if (this.imputed[j] === 0) continue
      isAny = true
      const expected = clip(this.#u[j] - this.#up[j] / this.#precision[j * n + j], Z_CLIP)
      this.#u[j] = expected
      this.#rest[j] = expected - this.#daily.season[j]
      this.#view[j] = expected * this.#sigma[j] + this.#viewMean[j]
      this.#z[j] = clip(this.#view[j], Z_CLIP)
    }
    if (isAny) multiply(this.#precision, n, this.#rest, this.#up)
  }

  /** The regression that the precision matrix holds: value = −Σ P_jk u_k / P_jj over all others, in the metric's unit. */
  #expect(): void {
    const n = this.#size
    for (let j = 0; j < this.metrics; j++) {
      const own = this.#precision[j * n + j]
      const scale = Math.max(Math.sqrt(this.#variance[j]), 0.01 * this.#largest[j], 1e-9)
      const unit = scale * this.#sigma[j]
      const u = this.#u[j] - this.#up[j] / own
      const isKnown = this.#seen[j] >= JOIN_ROWS
      this.expected[j] = isKnown ? this.#mean[j] + scale * this.#viewMean[j] + unit * u : NaN
      this.spread[j] = isKnown ? unit * Math.sqrt(Math.max(this.#residualSquare[j], 4e-4) / own) : NaN
    }
  }

  /** A metric that is too young to be judged: level and spread first; returns what the block may learn of it. */
  #acquaint(j: number, x: number): number {
    if (this.#seen[j] >= JOIN_ROWS) return x
    if (Number.isNaN(x)) return NaN
    this.#meet(j, x)
    if (this.#seen[j] === JOIN_ROWS) this.#join(j)
    return NaN
  }

  #meet(j: number, x: number): void {
    const seen = ++this.#seen[j]
    const delta = x - this.#mean[j]
    this.#mean[j] += delta / seen
    this.#variance[j] += delta * (x - this.#mean[j])
    this.#largest[j] = Math.max(this.#largest[j], Math.abs(x))
  }

  /** From now on the metric is judged; of how it goes with the others nothing is known yet. */
  #join(j: number): void {
    const n = this.#size
    this.#variance[j] /= JOIN_ROWS
    this.#age[j] = JOIN_ROWS
    for (let k = j; k < n; k += this.metrics) {
      this.#covariance[k * n + k] = PRIOR_SQUARE
      this.#residualSquare[k] = PRIOR_SQUARE
      this.#plainSquare[k] = PRIOR_SQUARE
      // As if all rows of the open block had been so.
      this.#residualSum[k] = this.#rows * PRIOR_SQUARE
      this.#plainSum[k] = this.#rows * PRIOR_SQUARE
    }
    // An independent view of spread one adds 1 / (1 + ridge) to the form.
    this.#formUsual += VIEWS / (1 + FORM_RIDGE)
    this.#invert()
  }

  /** Adds the row to the open block. */
  #remember(weight: number): void {
    const n = this.#size
    const m = this.metrics
    const row = this.#rows
    const views = this.#blockViews
    for (let k = 0; k < n; k++)
      views[row * n + k] = this.#viewMean[k] + weight * (this.#view[k] - this.#viewMean[k])
    const values = this.#blockValues
    for (let j = 0; j < m; j++)
      values[row * m + j] = this.#mean[j] + weight * (this.#acquaint(j, this.#values[j]) - this.#mean[j])
    for (let k = 0; k < n; k++) {
      const e = this.#up[k] ** 2 / this.#precision[k * n + k]
      const limitE = LEARN_CLIP ** 2 * Math.max(this.#residualSquare[k], 4e-4)
      const limitU = LEARN_CLIP ** 2 * Math.max(this.#plainSquare[k], 4e-4)
      const keptE = this.#residualSquare[k]
      const keptU = this.#plainSquare[k]
      this.#residualSum[k] += keptE + weight * (Math.min(e, limitE) - keptE)
      this.#plainSum[k] += keptU + weight * (Math.min(this.#u[k] ** 2, limitU) - keptU)
    }
    const form = Math.min(this.form, 9) * this.#formUsual
    this.#formSum += this.#formUsual + weight * (form - this.#formUsual)
    this.#daily.remember(this.#view, this.#viewMean, weight)
    this.#advanceAverages()
    this.#rows++
  }

  #refresh(): void {
    const n = this.#size
    const cap = (HALF_LIFE_DAYS * this.#dayRows) / Math.LN2
    const usualCap = (USUAL_HALF_LIFE_DAYS * this.#dayRows) / Math.LN2
    this.#count = Math.min(this.#count + REFRESH_ROWS, usualCap)
    const gain = REFRESH_ROWS / Math.min(this.#count, cap)
    const usualGain = REFRESH_ROWS / this.#count
    const isMixed = this.#ageMetrics(cap, usualCap)
    this.#learnDaily(gain, this.#rows)
    this.#learnScales(this.#rows)
    this.#learnCovariance(gain, this.#rows, isMixed)
    for (let k = 0; k < n; k++) {
      const g = REFRESH_ROWS / (this.#age[k % this.metrics] || this.#count)
      this.#residualSquare[k] += g * (this.#residualSum[k] / this.#rows - this.#residualSquare[k])
      this.#plainSquare[k] += g * (this.#plainSum[k] / this.#rows - this.#plainSquare[k])
    }
    this.#formUsual += usualGain * (this.#formSum / this.#rows - this.#formUsual)
    this.#residualSum.fill(0)
    this.#plainSum.fill(0)
    this.#formSum = 0
    this.#rows = 0
    this.#invert()
  }

  /** What the refresh moves each view by: one that joined later learns as fast as all did at its age. */
  #ageMetrics(cap: number, usualCap: number): boolean {
    let isMixed = false
    for (let j = 0; j < this.metrics; j++) {
      // Not judged yet: its views stand still.
      const isKnown = this.#seen[j] >= JOIN_ROWS
      if (isKnown) this.#age[j] = Math.min(this.#age[j] + REFRESH_ROWS, usualCap)
      const age = Math.min(isKnown ? this.#age[j] : this.#count, cap)
      if (age !== Math.min(this.#count, cap)) isMixed = true
      for (let k = j; k < this.#size; k += this.metrics) this.#gain[k] = REFRESH_ROWS / age
    }
    return isMixed
  }

  #learnScales(rows: number): void {
    const m = this.metrics
    const values = this.#blockValues
    for (let j = 0; j < m; j++) {
      if (this.#seen[j] < JOIN_ROWS) continue
      const scale = Math.max(Math.sqrt(this.#variance[j]), 0.01 * this.#largest[j], 1e-9)
      const low = this.#mean[j] - LEARN_CLIP * scale
      const high = this.#mean[j] + LEARN_CLIP * scale
      let seen = 0
      let sum = 0
      let squares = 0
      for (let r = 0; r < rows; r++) {
        const x = values[r * m + j]
        if (Number.isNaN(x)) continue
        const clipped = Math.max(low, Math.min(high, x)) - this.#mean[j]
        seen++
        sum += clipped
        squares += clipped * clipped
        const size = Math.abs(clipped + this.#mean[j])
        if (size > this.#largest[j]) this.#largest[j] = size
      }
      if (seen === 0) continue
      const g = (this.#gain[j] * seen) / rows
      const delta = sum / seen
      const variance = Math.max(0, squares / seen - delta * delta)
      this.#mean[j] += g * delta
      this.#variance[j] = (1 - g) * (this.#variance[j] + g * delta * delta) + g * variance
    }
  }

  /** Before the covariance: both start from the same means. */
  #learnDaily(gain: number, rows: number): void {
    const n = this.#size
    const delta = this.#solve
    for (let k = 0; k < n; k++) delta[k] = -this.#viewMean[k]
    for (let r = 0; r < rows; r++) for (let k = 0; k < n; k++) delta[k] += this.#blockViews[r * n + k] / rows
    this.#daily.learn(delta, this.#gain, gain, rows)
  }

  #learnCovariance(gain: number, rows: number, isMixed = false): void {
    const n = this.#size
    const c = this.#covariance
    if (isMixed) {
      blendCovariance(c, this.#viewMean, n, this.#blockViews, rows, this.#gain, this.#workspace)
      return
    }
    const delta = this.#solve
    delta.fill(0)
    for (let r = 0; r < rows; r++) for (let k = 0; k < n; k++) delta[k] += this.#blockViews[r * n + k]
    for (let k = 0; k < n; k++) delta[k] = delta[k] / rows - this.#viewMean[k]
    const old = 1 - gain
    for (let a = 0; a < n; a++)
      for (let b = 0; b <= a; b++) c[a * n + b] = old * (c[a * n + b] + gain * delta[a] * delta[b])
    const share = gain / rows
    for (let k = 0; k < n; k++) delta[k] += this.#viewMean[k]
    for (let r = 0; r < rows; r++) addOuter(c, n, this.#blockViews, r * n, delta, share, this.#u)
    for (let k = 0; k < n; k++) this.#viewMean[k] += gain * (delta[k] - this.#viewMean[k])
  }

  /** Precision matrix and factor from the covariance. */
  #invert(): void {
    const n = this.#size
    for (let k = 0; k < n; k++)
      this.#sigma[k] = Math.max(Math.sqrt(Math.max(0, this.#covariance[k * n + k])), SIGMA_FLOOR)
    this.#daily.solve(this.#sigma, this.#count)
    const [factor, inverse, work] = this.#workspace.squares(n)
    this.#factorise(factor, RESIDUAL_RIDGE)
    inverseFromCholesky(factor, n, inverse, work)
    this.#precision.set(inverse)
    this.#factorise(factor, FORM_RIDGE)
    this.#factor.set(factor)
  }

  /** Cholesky factor of R + ridge·I. Blended covariances of metrics of several ages may need a larger ridge. */
  #factorise(factor: Float64Array, ridge: number): void {
    const n = this.#size
    for (let more = ridge; ; more *= 2) {
      for (let a = 0; a < n; a++) {
        for (let b = 0; b <= a; b++)
          factor[a * n + b] = this.#covariance[a * n + b] / (this.#sigma[a] * this.#sigma[b])
        factor[a * n + a] += more
      }
      this.#daily.takeFrom(factor, this.#sigma)
      // A ridge as large as the matrix makes any correlation matrix definite.
      if (choleskyInPlace(factor, n) || more > n) return
    }
  }

  /** The first day: mean and spread, then views, covariance, and how large residuals usually are. */
  #initialise(): void {
    const m = this.metrics
    const n = this.#size
    const rows = this.#rows
    const day = this.#blockValues
    this.#allocate()
    this.#firstScales(day, rows)
    this.#blockViews = new Float32Array(rows * n)
    for (let r = 0; r < rows; r++) {
      this.#values.set(day.subarray(r * m, r * m + m))
      this.#normalise()
      this.#buildViews()
      this.#blockViews.set(this.#view, r * n)
      this.#advanceAverages()
    }
    this.#count = rows
    this.#learnCovariance(1, rows)
    this.#daily.learnFirst(this.#blockViews, this.#viewMean, rows, this.#dayShare)
    this.#invert()
    const forms = new Float64Array(rows)
    for (let r = 0; r < rows; r++) {
      this.#view.set(this.#blockViews.subarray(r * n, r * n + n))
      this.#daily.at(this.#daily.shareOf(r, rows, this.#dayShare))
      this.#standardise()
      multiply(this.#precision, n, this.#rest, this.#up)
      for (let k = 0; k < n; k++) {
        this.#residualSquare[k] += this.#up[k] ** 2 / this.#precision[k * n + k] / rows
        this.#plainSquare[k] += this.#u[k] ** 2 / rows
      }
      forms[r] = quadraticForm(this.#factor, n, this.#rest, this.#solve)
    }
    this.#formUsual = forms.sort()[rows >> 1]
    for (let j = 0; j < m; j++) this.#age[j] = this.#seen[j] >= JOIN_ROWS ? rows : 0
    this.#rows = 0
    this.#isReady = true
    this.#blockViews = new Float32Array(REFRESH_ROWS * n)
    this.#blockValues = new Float32Array(REFRESH_ROWS * m)
  }

  #allocate(): void {
    const n = this.#size
    this.#covariance = new Float32Array(n * n)
    this.#precision = new Float32Array(n * n)
    this.#factor = new Float32Array(n * n)
  }

  #firstScales(day: Float32Array, rows: number): void {
    const m = this.metrics
    for (let j = 0; j < m; j++) {
      let seen = 0
      for (let r = 0; r < rows; r++) {
        const x = day[r * m + j]
        if (Number.isNaN(x)) continue
        seen++
        this.#meet(j, x)
      }
      if (seen >= JOIN_ROWS) this.#variance[j] /= seen
    }
  }

  /** Everything learned, by name and shape: saved, restored, and carried over when metrics come and go. */
  columns(): StateColumn[] {
    const rows = this.#rows
    return [
      { name: 'mean', shape: 'metric', data: this.#mean },
      { name: 'variance', shape: 'metric', data: this.#variance },
      { name: 'largest', shape: 'metric', data: this.#largest },
      { name: 'seen', shape: 'metric', data: this.#seen },
      { name: 'age', shape: 'metric', data: this.#age },
      { name: 'previousZ', shape: 'metric', data: this.#previousZ },
      { name: 'averages', shape: 'metric', data: this.#averages },
      { name: 'viewMean', shape: 'metric', data: this.#viewMean },
      { name: 'residualSquare', shape: 'metric', data: this.#residualSquare },
      { name: 'plainSquare', shape: 'metric', data: this.#plainSquare },
      { name: 'residualSum', shape: 'metric', data: this.#residualSum },
      { name: 'plainSum', shape: 'metric', data: this.#plainSum },
      { name: 'daily', shape: 'metric', data: this.#daily.cross },
      { name: 'dailySum', shape: 'metric', data: this.#daily.crossSum },
      { name: 'covariance', shape: 'pair', data: this.#covariance },
      { name: 'rowViews', shape: 'row', data: this.#blockViews, rows, width: this.#size },
      { name: 'rowValues', shape: 'row', data: this.#blockValues, rows, width: this.metrics, empty: NaN },
    ]
  }

  /** Numbers that are one for the block, in a fixed order; the form for `formShare` of its metrics. */
  numbers(formShare = 1): number[] {
    const { isReady } = this
    const form = [formShare * this.#formSum, formShare * this.#formUsual]
    return [isReady ? 1 : 0, this.#rows, this.#count, ...form, ...this.#daily.own]
  }

  /** Takes over numbers and, by `fill`, columns: what `columns` names, in its order. */
  adopt(numbers: readonly number[], fill: (columns: readonly StateColumn[]) => void): void {
    const [isReady, rows, count, formSum, formUsual, ...daily] = numbers
    this.#isReady = isReady === 1
    this.#rows = rows
    this.#count = count
    this.#formSum = formSum
    this.#formUsual = formUsual
    this.#daily.own.set(daily)
    if (this.#isReady) {
      this.#allocate()
      this.#blockViews = new Float32Array(REFRESH_ROWS * this.#size)
      this.#blockValues = new Float32Array(REFRESH_ROWS * this.metrics)
    }
    fill(this.columns())
    if (this.#isReady) this.#invert()
  }

  bytes(): number {
    const matrices = this.#covariance.length + this.#precision.length + this.#factor.length
    const rows = this.#blockViews.length + this.#blockValues.length
    return 4 * (matrices + rows) + 8 * ((11 + 2 * WAVES) * this.#size + 14 * this.metrics)
  }
}

function addOuter(
  c: Float32Array,
  n: number,
  rows: Float32Array,
  from: number,
  mean: Float64Array,
  share: number,
  centred: Float64Array,
): void {
  for (let k = 0; k < n; k++) centred[k] = rows[from + k] - mean[k]
  for (let a = 0; a < n; a++) {
    const factor = share * centred[a]
    const row = a * n
    for (let b = 0; b <= a; b++) c[row + b] += factor * centred[b]
  }
}

function clip(x: number, limit: number): number {
  return x > limit ? limit : x < -limit ? -limit : x
}

/** Rows are kept in 32 bits. */
function clampValue(x: number): number {
  return clip(x, 1e30)
}

import { choleskyInPlace, inverseFromCholesky, multiply, quadraticForm } from '../math/cholesky.ts'

/**
 * The ridge-precision residual of one block of metrics: each of five temporal views of each metric against what all
 * the others say of it, with a covariance that forgets over seven days and is refreshed every 60 rows.
 */
const VIEWS = 5
const REFRESH_ROWS = 60
const HALF_LIFE_DAYS = 7
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
  readonly #dayRows: number
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
  readonly #covariance: Float64Array
  readonly #sigma: Float64Array
  readonly #precision: Float64Array
  readonly #factor: Float64Array
  readonly #work: Float64Array
  readonly #u: Float64Array
  readonly #up: Float64Array
  readonly #solve: Float64Array
  readonly #residualSquare: Float64Array
  readonly #plainSquare: Float64Array
  /** Sums over the open block of rows. */
  #rows = 0
  #blockViews: Float64Array
  #blockValues: Float64Array
  #residualSum: Float64Array
  #plainSum: Float64Array
  #formSum = 0
  #formUsual = 0
  #count = 0
  #isReady = false

  constructor(metrics: number, dayRows: number) {
    const size = metrics * VIEWS
    this.metrics = metrics
    this.#dayRows = Math.max(dayRows, REFRESH_ROWS)
    this.#size = size
    this.share = new Float64Array(metrics)
    this.imputed = new Uint8Array(metrics)
    const perMetric = () => new Float64Array(metrics)
    const perView = () => new Float64Array(size)
    const square = () => new Float64Array(size * size)
    this.#values = perMetric()
    this.#mean = perMetric()
    this.#variance = perMetric()
    this.#largest = perMetric()
    this.#z = perMetric()
    this.#previousZ = perMetric()
    this.#averages = new Float64Array(metrics * AVERAGE_ROWS.length)
    this.#view = perView()
    this.#viewMean = perView()
    this.#covariance = square()
    this.#sigma = perView()
    this.#precision = square()
    this.#factor = square()
    this.#work = square()
    this.#u = perView()
    this.#up = perView()
    this.#solve = perView()
    this.#residualSquare = perView()
    this.#plainSquare = perView()
    this.#residualSum = perView()
    this.#plainSum = perView()
    this.#blockViews = new Float64Array(REFRESH_ROWS * size)
    // The first day is kept whole: mean and spread must be known before anything can be normalised.
    this.#blockValues = new Float64Array(this.#dayRows * metrics)
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** Takes values[from..from+metrics); evidence is in `share` and `form` when `isReady` was true before. */
  next(values: Float64Array, from: number, weight: number): void {
    for (let j = 0; j < this.metrics; j++) this.#values[j] = clampValue(values[from + j])
    if (!this.#isReady) {
      this.#blockValues.set(this.#values, this.#rows * this.metrics)
      if (++this.#rows === this.#dayRows) this.#initialise()
      return
    }
    this.#normalise()
    this.#buildViews()
    this.#score()
    this.#remember(weight)
    if (this.#rows === REFRESH_ROWS) this.#refresh()
  }

  /** z of the row; the missing are told by `imputed` and stand at the mean. */
  #normalise(): void {
    for (let j = 0; j < this.metrics; j++) {
      const x = this.#values[j]
      const scale = Math.max(Math.sqrt(this.#variance[j]), 0.01 * this.#largest[j], 1e-9)
      this.imputed[j] = Number.isNaN(x) ? 1 : 0
      this.#z[j] = Number.isNaN(x) ? 0 : clip((x - this.#mean[j]) / scale, Z_CLIP)
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
    this.#standardise()
    multiply(this.#precision, n, u, this.#up)
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
    this.form = quadraticForm(this.#factor, n, u, this.#solve) / Math.max(this.#formUsual, 1e-12)
  }

  #standardise(): void {
    for (let k = 0; k < this.#size; k++)
      this.#u[k] = clip((this.#view[k] - this.#viewMean[k]) / this.#sigma[k], Z_CLIP)
  }

  /** A missing value becomes what the others lead one to expect of it. */
  #impute(): void {
    const n = this.#size
    let isAny = false
    for (let j = 0; j < this.metrics; j++) {
      if (this.imputed[j] === 0) continue
      isAny = true
      const expected = clip(this.#u[j] - this.#up[j] / this.#precision[j * n + j], Z_CLIP)
      this.#u[j] = expected
      this.#view[j] = expected * this.#sigma[j] + this.#viewMean[j]
      this.#z[j] = clip(this.#view[j], Z_CLIP)
    }
    if (isAny) multiply(this.#precision, n, this.#u, this.#up)
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
      values[row * m + j] = this.#mean[j] + weight * (this.#values[j] - this.#mean[j])
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
    this.#advanceAverages()
    this.#rows++
  }

  #refresh(): void {
    const n = this.#size
    const cap = (HALF_LIFE_DAYS * this.#dayRows) / Math.LN2
    this.#count = Math.min(this.#count + REFRESH_ROWS, cap)
    const gain = REFRESH_ROWS / this.#count
    this.#learnScales(gain, this.#rows)
    this.#learnCovariance(gain, this.#rows)
    for (let k = 0; k < n; k++) {
      this.#residualSquare[k] += gain * (this.#residualSum[k] / this.#rows - this.#residualSquare[k])
      this.#plainSquare[k] += gain * (this.#plainSum[k] / this.#rows - this.#plainSquare[k])
    }
    this.#formUsual += gain * (this.#formSum / this.#rows - this.#formUsual)
    this.#residualSum.fill(0)
    this.#plainSum.fill(0)
    this.#formSum = 0
    this.#rows = 0
    this.#invert()
  }

  #learnScales(gain: number, rows: number): void {
    const m = this.metrics
    const values = this.#blockValues
    for (let j = 0; j < m; j++) {
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
      const g = (gain * seen) / rows
      const delta = sum / seen
      const variance = Math.max(0, squares / seen - delta * delta)
      this.#mean[j] += g * delta
      this.#variance[j] = (1 - g) * (this.#variance[j] + g * delta * delta) + g * variance
    }
  }

  #learnCovariance(gain: number, rows: number): void {
    const n = this.#size
    const c = this.#covariance
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
    this.#correlation(RESIDUAL_RIDGE)
    choleskyInPlace(this.#factor, n)
    inverseFromCholesky(this.#factor, n, this.#precision, this.#work)
    this.#correlation(FORM_RIDGE)
    choleskyInPlace(this.#factor, n)
  }

  #correlation(ridge: number): void {
    const n = this.#size
    for (let a = 0; a < n; a++) {
      for (let b = 0; b <= a; b++)
        this.#factor[a * n + b] = this.#covariance[a * n + b] / (this.#sigma[a] * this.#sigma[b])
      this.#factor[a * n + a] += ridge
    }
  }

  /** The first day: mean and spread, then views, covariance, and how large residuals usually are. */
  #initialise(): void {
    const m = this.metrics
    const n = this.#size
    const rows = this.#rows
    const day = this.#blockValues
    this.#firstScales(day, rows)
    this.#blockViews = new Float64Array(rows * n)
    for (let r = 0; r < rows; r++) {
      this.#values.set(day.subarray(r * m, r * m + m))
      this.#normalise()
      this.#buildViews()
      this.#blockViews.set(this.#view, r * n)
      this.#advanceAverages()
    }
    this.#learnCovariance(1, rows)
    this.#invert()
    const forms = new Float64Array(rows)
    for (let r = 0; r < rows; r++) {
      this.#view.set(this.#blockViews.subarray(r * n, r * n + n))
      this.#standardise()
      multiply(this.#precision, n, this.#u, this.#up)
      for (let k = 0; k < n; k++) {
        this.#residualSquare[k] += this.#up[k] ** 2 / this.#precision[k * n + k] / rows
        this.#plainSquare[k] += this.#u[k] ** 2 / rows
      }
      forms[r] = quadraticForm(this.#factor, n, this.#u, this.#solve)
    }
    this.#formUsual = forms.sort()[rows >> 1]
    this.#count = rows
    this.#rows = 0
    this.#isReady = true
    this.#blockViews = new Float64Array(REFRESH_ROWS * n)
    this.#blockValues = new Float64Array(REFRESH_ROWS * m)
  }

  #firstScales(day: Float64Array, rows: number): void {
    const m = this.metrics
    for (let j = 0; j < m; j++) {
      let seen = 0
      for (let r = 0; r < rows; r++) {
        const x = day[r * m + j]
        if (Number.isNaN(x)) continue
        seen++
        const delta = x - this.#mean[j]
        this.#mean[j] += delta / seen
        this.#variance[j] += delta * (x - this.#mean[j])
        this.#largest[j] = Math.max(this.#largest[j], Math.abs(x))
      }
      if (seen > 0) this.#variance[j] /= seen
    }
  }

  bytes(): number {
    const n = this.#size
    return 8 * (4 * n * n + 12 * n + this.#blockViews.length + this.#blockValues.length + 10 * this.metrics)
  }
}

function addOuter(
  c: Float64Array,
  n: number,
  rows: Float64Array,
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

/** Squares of larger magnitudes would leave float64. */
function clampValue(x: number): number {
  return clip(x, 1e100)
}

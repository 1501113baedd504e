import { choleskyInPlace, inverseFromCholesky } from '../math/cholesky.ts'
import type { RidgeDaily } from './ridge-daily.ts'
import type { RidgeWorkspace } from './ridge-workspace.ts'

/** Of a view that has just joined: spread one, as normalised values have. */
export const PRIOR_SQUARE = 1
export const FORM_RIDGE = 1
const RESIDUAL_RIDGE = 0.3
const SIGMA_FLOOR = 0.05

/**
 * How the n views of a ridge block go with one another: their means and covariance, learned a block of rows at a time,
 * and what is worked out of it, with ridges of two sizes: the precision matrix and a Cholesky factor.
 */
export class RidgeCovariance {
  readonly size: number
  readonly mean: Float64Array
  /** Spreads of the views. */
  readonly sigma: Float64Array
  /** The matrices [n × n] are the bulk of the state and allocated once it is ready; 32 bits hold their few good digits. */
  matrix = new Float32Array(0)
  precision = new Float32Array(0)
  factor = new Float32Array(0)
  readonly #workspace: RidgeWorkspace

  constructor(size: number, workspace: RidgeWorkspace) {
    this.size = size
    this.mean = new Float64Array(size)
    this.sigma = new Float64Array(size)
    this.#workspace = workspace
  }

  allocate(): void {
    const { size: n } = this
    this.matrix = new Float32Array(n * n)
    this.precision = new Float32Array(n * n)
    this.factor = new Float32Array(n * n)
  }

  /** Of how a view goes with the others nothing is known yet. */
  join(k: number): void {
    this.matrix[k * this.size + k] = PRIOR_SQUARE
  }

  /** Learns `views` [rows × n] by one gain; `delta` and `centred` are scratch, a number a view. */
  learn(views: Float32Array, rows: number, gain: number, delta: Float64Array, centred: Float64Array): void {
    const { size: n, matrix: c, mean } = this
    delta.fill(0)
    for (let r = 0; r < rows; r++) for (let k = 0; k < n; k++) delta[k] += views[r * n + k]
    for (let k = 0; k < n; k++) delta[k] = delta[k] / rows - mean[k]
    const old = 1 - gain
    for (let a = 0; a < n; a++)
      for (let b = 0; b <= a; b++) c[a * n + b] = old * (c[a * n + b] + gain * delta[a] * delta[b])
    const share = gain / rows
    for (let k = 0; k < n; k++) delta[k] += mean[k]
    for (let r = 0; r < rows; r++) addOuter(c, n, views, r * n, delta, share, centred)
    for (let k = 0; k < n; k++) mean[k] += gain * (delta[k] - mean[k])
  }

  /** The same where views are of several ages, each with its gain. */
  blend(views: Float32Array, rows: number, gain: Float64Array): void {
    blendCovariance(this.matrix, this.mean, this.size, views, rows, gain, this.#workspace)
  }

  /** Precision matrix and factor from the covariance, given the time of day; `rows` were learned so far. */
  invert(daily: RidgeDaily, rows: number): void {
    const { size: n, matrix, sigma } = this
    for (let k = 0; k < n; k++) sigma[k] = Math.max(Math.sqrt(Math.max(0, matrix[k * n + k])), SIGMA_FLOOR)
    daily.solve(sigma, rows)
    const [factor, inverse, work] = this.#workspace.squares(n)
    this.#factorise(factor, RESIDUAL_RIDGE, daily)
    inverseFromCholesky(factor, n, inverse, work)
    this.precision.set(inverse)
    this.#factorise(factor, FORM_RIDGE, daily)
    this.factor.set(factor)
  }

  /** Cholesky factor of R + ridge·I. Blended covariances of metrics of several ages may need a larger ridge. */
  #factorise(factor: Float64Array, ridge: number, daily: RidgeDaily): void {
    const { size: n, matrix, sigma } = this
    for (let more = ridge; ; more *= 2) {
      for (let a = 0; a < n; a++) {
        for (let b = 0; b <= a; b++) factor[a * n + b] = matrix[a * n + b] / (sigma[a] * sigma[b])
        factor[a * n + a] += more
      }
      daily.takeFrom(factor, sigma)
      // A ridge as large as the matrix makes any correlation matrix definite.
      if (choleskyInPlace(factor, n) || more > n) return
    }
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

/**
 * The covariance after a block of rows when views are of several ages: each pair moves by the gain of its younger view.
 * Same equations as for one gain. The result need not be definite; the ridge sees to that.
 */
function blendCovariance(
  c: Float32Array,
  viewMean: Float64Array,
  n: number,
  views: Float32Array,
  rows: number,
  gain: Float64Array,
  workspace: RidgeWorkspace,
): void {
  const [square] = workspace.squares(n)
  const delta = new Float64Array(n)
  const centred = new Float64Array(n)
  square.fill(0)
  for (let r = 0; r < rows; r++) for (let k = 0; k < n; k++) delta[k] += views[r * n + k] / rows
  for (let r = 0; r < rows; r++) {
    for (let k = 0; k < n; k++) centred[k] = views[r * n + k] - delta[k]
    for (let a = 0; a < n; a++) for (let b = 0; b <= a; b++) square[a * n + b] += centred[a] * centred[b]
  }
  for (let k = 0; k < n; k++) delta[k] -= viewMean[k]
  for (let a = 0; a < n; a++) {
    for (let b = 0; b <= a; b++) {
      const g = Math.max(gain[a], gain[b])
      const i = a * n + b
      c[i] = (1 - g) * (c[i] + g * delta[a] * delta[b]) + (g * square[i]) / rows
    }
  }
  for (let k = 0; k < n; k++) viewMean[k] += gain[k] * delta[k]
}

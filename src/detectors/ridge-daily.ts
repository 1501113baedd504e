import { choleskyInPlace, inverseFromCholesky } from '../math/cholesky.ts'

/**
 * Time of day as context of a ridge block: eight waves (four daily harmonics, cosine and sine, each of spread one) stand
 * beside the views as columns that condition the others and are not judged themselves. Kept are the covariances of the
 * waves with the views, X, and among themselves, W (I over whole days, not over the half days that forgetting cuts).
 * Given the waves, a view is expected at its `season`, and what remains has covariance C − XᵀW⁻¹X (Schur complement).
 * Plain distances keep the season in.
 */
const HARMONICS = 4
export const WAVES = 2 * HARMONICS
/** Shrinks what the waves say, as the ridge does with the views: this, and more while few days were seen. */
const WAVE_RIDGE = 0.05
/** … by this over the days seen: one day alone is believed by half, since any drift of it looks like a season. */
const WAVE_RIDGE_DAYS = 1
/** Least spread of a wave, so that a few hours are not stretched into a day. */
const WAVE_SIGMA_LEAST = 0.5
/** A day of fewer rows cannot tell four harmonics apart. */
const DAY_ROWS_LEAST = 4 * HARMONICS

/** Waves at a share 0..1 of the day; all 0 where it is NaN: time of day unknown. */
export function dailyWaves(dayShare: number, out: Float64Array): void {
  for (let h = 0; h < HARMONICS; h++) {
    const angle = 2 * Math.PI * (h + 1) * dayShare
    out[2 * h] = Number.isNaN(angle) ? 0 : Math.SQRT2 * Math.cos(angle)
    out[2 * h + 1] = Number.isNaN(angle) ? 0 : Math.SQRT2 * Math.sin(angle)
  }
}

export class RidgeDaily {
  /** Covariance of wave c with view k at [c × views + k], and sums of wave × (view − mean) over the open block. */
  readonly cross: Float64Array
  readonly crossSum: Float64Array
  /** Means and covariances of the waves, then their sums over the open block: [WAVES], [WAVES²], twice. */
  readonly own = new Float64Array(2 * WAVES * (WAVES + 1))
  /** What the time of day adds to each standardised view. */
  readonly season: Float64Array
  readonly #mean = this.own.subarray(0, WAVES)
  readonly #covariance = this.own.subarray(WAVES, WAVES * (WAVES + 1))
  readonly #meanSum = this.own.subarray(WAVES * (WAVES + 1), WAVES * (WAVES + 2))
  readonly #squareSum = this.own.subarray(WAVES * (WAVES + 2))
  /** Standardised views per wave, given all waves: what the last `solve` made of X and W. */
  readonly #slopes: Float64Array
  readonly #waves = new Float64Array(WAVES)
  readonly #sigma = new Float64Array(WAVES)
  readonly #square = new Float64Array(WAVES * WAVES)
  readonly #inverse = new Float64Array(WAVES * WAVES)
  readonly #work = new Float64Array(WAVES * WAVES)
  readonly #dayRows: number
  readonly #isKept: boolean

  constructor(views: number, dayRows: number) {
    this.cross = new Float64Array(WAVES * views)
    this.crossSum = new Float64Array(WAVES * views)
    this.season = new Float64Array(views)
    this.#slopes = new Float64Array(WAVES * views)
    for (let c = 0; c < WAVES; c++) this.#covariance[c * WAVES + c] = 1
    this.#dayRows = dayRows
    this.#isKept = dayRows >= DAY_ROWS_LEAST
  }

  /** Sets `season` for a row at a share of the day. */
  at(dayShare: number): void {
    const isKnown = this.#isKept && !Number.isNaN(dayShare)
    dailyWaves(isKnown ? dayShare : NaN, this.#waves)
    const n = this.season.length
    this.season.fill(0)
    for (let c = 0; c < WAVES && isKnown; c++) {
      const wave = (this.#waves[c] - this.#mean[c]) / this.#sigma[c]
      for (let k = 0; k < n; k++) this.season[k] += wave * this.#slopes[c * n + k]
    }
  }

  /** Adds the row of `at` to the open block. */
  remember(views: Float64Array, viewMean: Float64Array, weight: number): void {
    const n = this.season.length
    for (let c = 0; c < WAVES; c++) {
      const wave = this.#waves[c]
      this.#meanSum[c] += wave
      for (let b = 0; b <= c; b++) this.#squareSum[c * WAVES + b] += wave * this.#waves[b]
      const weighted = weight * wave
      for (let k = 0; k < n; k++) this.crossSum[c * n + k] += weighted * (views[k] - viewMean[k])
    }
  }

  /**
   * Learns the open block of `rows`, in which view k lay `delta[k]` above its mean: `gain` per view and of the block, but
   * never faster than a day is long, since a few hours are no wave.
   */
  learn(delta: Float64Array, gain: Float64Array, blockGain: number, rows: number): void {
    const n = this.season.length
    const most = Math.min(1, rows / this.#dayRows)
    for (let c = 0; c < WAVES; c++) {
      const mean = this.#meanSum[c] / rows
      const moved = mean - this.#mean[c]
      for (let k = 0; k < n; k++) {
        const i = c * n + k
        const g = Math.min(gain[k], most)
        const within = this.crossSum[i] / rows - delta[k] * mean
        this.cross[i] = (1 - g) * (this.cross[i] + g * delta[k] * moved) + g * within
      }
    }
    this.crossSum.fill(0)
    const g = Math.min(blockGain, most)
    for (let c = 0; c < WAVES; c++) {
      for (let b = 0; b <= c; b++) {
        const i = c * WAVES + b
        const [meanC, meanB] = [this.#meanSum[c] / rows, this.#meanSum[b] / rows]
        const product = (meanC - this.#mean[c]) * (meanB - this.#mean[b])
        const within = this.#squareSum[i] / rows - meanC * meanB
        this.#covariance[i] = (1 - g) * (this.#covariance[i] + g * product) + g * within
      }
    }
    for (let c = 0; c < WAVES; c++) this.#mean[c] += g * (this.#meanSum[c] / rows - this.#mean[c])
    this.#meanSum.fill(0)
    this.#squareSum.fill(0)
  }

  /** Learns the rows of the first day: `views` row-major, the last row at `lastShare` of the day. */
  learnFirst(views: Float32Array, viewMean: Float64Array, rows: number, lastShare: number): void {
    const n = this.season.length
    if (rows < this.#dayRows || Number.isNaN(lastShare) || !this.#isKept) return
    const row = new Float64Array(n)
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < n; k++) row[k] = views[r * n + k]
      dailyWaves(this.shareOf(r, rows, lastShare), this.#waves)
      this.remember(row, viewMean, 1)
    }
    this.learn(new Float64Array(n), new Float64Array(n).fill(1), 1, rows)
  }

  /** Share of the day of row r of `rows` that lie a step apart, the last at `lastShare`. */
  shareOf(r: number, rows: number, lastShare: number): number {
    return lastShare - (rows - 1 - r) / this.#dayRows
  }

  /** Works out slopes from what was learned over `rows` rows; `sigma` are the spreads of the views. */
  solve(sigma: Float64Array, rows: number): void {
    const n = this.season.length
    const ridge = WAVE_RIDGE + (WAVE_RIDGE_DAYS * this.#dayRows) / Math.max(1, rows)
    const s = this.#sigma
    for (let c = 0; c < WAVES; c++)
      s[c] = Math.max(WAVE_SIGMA_LEAST, Math.sqrt(Math.max(0, this.#covariance[c * WAVES + c])))
    for (let c = 0; c < WAVES; c++) {
      for (let b = 0; b <= c; b++)
        this.#square[c * WAVES + b] = this.#covariance[c * WAVES + b] / (s[c] * s[b])
      this.#square[c * WAVES + c] += ridge
    }
    choleskyInPlace(this.#square, WAVES)
    inverseFromCholesky(this.#square, WAVES, this.#inverse, this.#work)
    this.#slopes.fill(0)
    for (let c = 0; c < WAVES; c++) {
      for (let b = 0; b < WAVES; b++) {
        const factor = this.#inverse[c * WAVES + b] / s[b]
        for (let k = 0; k < n; k++) this.#slopes[c * n + k] += (factor * this.cross[b * n + k]) / sigma[k]
      }
    }
  }

  /** Takes what the waves explain from a correlation matrix, lower triangle. After `solve`. */
  takeFrom(correlation: Float64Array, sigma: Float64Array): void {
    const n = this.season.length
    for (let c = 0; c < WAVES; c++) {
      for (let a = 0; a < n; a++) {
        const factor = this.cross[c * n + a] / (sigma[a] * this.#sigma[c])
        if (factor === 0) continue
        const row = a * n
        for (let b = 0; b <= a; b++) correlation[row + b] -= factor * this.#slopes[c * n + b]
      }
    }
  }
}

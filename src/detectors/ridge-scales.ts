/** Values of a metric seen before it is judged beside the others. */
export const JOIN_ROWS = 30
/** Normalised values are held within that many scales. */
export const Z_CLIP = 20
/** Learned values are held within that many scales, so that a fault does not become the new normal at once. */
export const LEARN_CLIP = 5

/**
 * Level and spread of each metric of a ridge block: what its values are normalised by, and from when on it has been seen
 * often enough to be judged.
 */
export class RidgeScales {
  readonly mean: Float64Array
  readonly variance: Float64Array
  /** Largest value by size. */
  readonly largest: Float64Array
  /** Values seen, up to JOIN_ROWS. */
  readonly seen: Float64Array

  constructor(metrics: number) {
    this.mean = new Float64Array(metrics)
    this.variance = new Float64Array(metrics)
    this.largest = new Float64Array(metrics)
    this.seen = new Float64Array(metrics)
  }

  isKnown(j: number): boolean {
    return this.seen[j] >= JOIN_ROWS
  }

  /** What one normalised unit is in the metric's own. */
  of(j: number): number {
    return Math.max(Math.sqrt(this.variance[j]), 0.01 * this.largest[j], 1e-9)
  }

  /** z of a row; what is missing is told by `imputed` and stands at the mean. */
  normalise(values: Float64Array, z: Float64Array, imputed: Uint8Array): void {
    for (let j = 0; j < values.length; j++) {
      const x = values[j]
      const isMissing = Number.isNaN(x) || !this.isKnown(j)
      imputed[j] = isMissing ? 1 : 0
      z[j] = isMissing ? 0 : clip((x - this.mean[j]) / this.of(j), Z_CLIP)
    }
  }

  /** Takes a value of a metric that is too young to be judged; `variance` is a sum of squares until it is settled. */
  meet(j: number, x: number): void {
    const seen = ++this.seen[j]
    const delta = x - this.mean[j]
    this.mean[j] += delta / seen
    this.variance[j] += delta * (x - this.mean[j])
    this.largest[j] = Math.max(this.largest[j], Math.abs(x))
  }

  /** Ends the acquaintance with a metric of which so many values were met. */
  settle(j: number, seen: number): void {
    this.variance[j] /= seen
  }

  /** The first rows, [rows × metrics] with NaN where there is none. */
  learnFirst(values: Float32Array, rows: number): void {
    const m = this.mean.length
    for (let j = 0; j < m; j++) {
      let seen = 0
      for (let r = 0; r < rows; r++) {
        const x = values[r * m + j]
        if (Number.isNaN(x)) continue
        seen++
        this.meet(j, x)
      }
      if (seen >= JOIN_ROWS) this.settle(j, seen)
    }
  }

  /** Later rows, [rows × metrics]: metric j moves by `gain[j]`, by less where values are missing. */
  learn(values: Float32Array, rows: number, gain: Float64Array): void {
    const m = this.mean.length
    for (let j = 0; j < m; j++) {
      if (!this.isKnown(j)) continue
      const scale = this.of(j)
      const low = this.mean[j] - LEARN_CLIP * scale
      const high = this.mean[j] + LEARN_CLIP * scale
      let seen = 0
      let sum = 0
      let squares = 0
      for (let r = 0; r < rows; r++) {
        const x = values[r * m + j]
        if (Number.isNaN(x)) continue
        const clipped = Math.max(low, Math.min(high, x)) - this.mean[j]
        seen++
        sum += clipped
        squares += clipped * clipped
        const size = Math.abs(clipped + this.mean[j])
        if (size > this.largest[j]) this.largest[j] = size
      }
      if (seen === 0) continue
      const g = (gain[j] * seen) / rows
      const delta = sum / seen
      const variance = Math.max(0, squares / seen - delta * delta)
      this.mean[j] += g * delta
      this.variance[j] = (1 - g) * (this.variance[j] + g * delta * delta) + g * variance
    }
  }
}

export function clip(x: number, limit: number): number {
  return x > limit ? limit : x < -limit ? -limit : x
}

/** Durations as counts on a logarithmic scale: eight bins an octave from 0.01 ms, so quantiles are 9 % off at most. */

const LEAST_MS = 0.01
const PER_OCTAVE = 8
/** Up to 0.01 ms × 2^25, five and a half minutes. */
const BINS = 200

export class Latencies {
  readonly counts = new Float64Array(BINS)
  total = 0
  max = 0

  add(ms: number): void {
    this.counts[binOf(ms)]++
    this.total++
    if (ms > this.max) this.max = ms
  }

  /** How many took longer, those of the same bin not counted. */
  longerThan(ms: number): number {
    let count = 0
    for (let bin = binOf(ms) + 1; bin < BINS; bin++) count += this.counts[bin]
    return count
  }

  /** Upper edge of the bin in which the quantile lies, never above the longest; NaN while empty. */
  quantile(q: number): number {
    let left = q * this.total
    if (this.total === 0) return NaN
    for (let bin = 0; bin < BINS; bin++) {
      left -= this.counts[bin]
      if (left <= 0) return Math.min(this.max, LEAST_MS * 2 ** (bin / PER_OCTAVE))
    }
    return this.max
  }
}

function binOf(ms: number): number {
  return ms > LEAST_MS ? Math.min(BINS - 1, Math.ceil(PER_OCTAVE * Math.log2(ms / LEAST_MS))) : 0
}

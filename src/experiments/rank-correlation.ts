/**
 * Spearman's rank correlation of two streams in bounded memory: pairs are counted in a grid of bins, and values of one
 * bin share their middle rank. Bins are equal steps of log₂(1 + value), which is fine near 0, where most lie.
 */

const SIDE = 64
/** Bins an octave of 1 + value: the last begins at a surprise of 16. */
const PER_OCTAVE = 15.5

export class RankCorrelation {
  readonly counts = new Float64Array(SIDE * SIDE)

  add(a: number, b: number): void {
    this.counts[binOf(a) * SIDE + binOf(b)]++
  }

  /** −1..1; NaN when either never varied. */
  get value(): number {
    const rows = new Float64Array(SIDE)
    const columns = new Float64Array(SIDE)
    for (let i = 0; i < SIDE; i++) {
      for (let j = 0; j < SIDE; j++) {
        rows[i] += this.counts[i * SIDE + j]
        columns[j] += this.counts[i * SIDE + j]
      }
    }
    const { ranks: a, total, variance: ofRows } = middleRanks(rows)
    const { ranks: b, variance: ofColumns } = middleRanks(columns)
    const middle = (total + 1) / 2
    let together = 0
    for (let i = 0; i < SIDE; i++) {
      for (let j = 0; j < SIDE; j++) together += this.counts[i * SIDE + j] * (a[i] - middle) * (b[j] - middle)
    }
    return together / Math.sqrt(ofRows * ofColumns)
  }
}

function binOf(value: number): number {
  return value > 0 ? Math.min(SIDE - 1, Math.floor(PER_OCTAVE * Math.log2(1 + value))) : 0
}

function middleRanks(counts: Float64Array): { ranks: Float64Array; total: number; variance: number } {
  const ranks = new Float64Array(SIDE)
  let total = 0
  for (let i = 0; i < SIDE; i++) {
    ranks[i] = total + (counts[i] + 1) / 2
    total += counts[i]
  }
  let variance = 0
  for (let i = 0; i < SIDE; i++) variance += counts[i] * (ranks[i] - (total + 1) / 2) ** 2
  return { ranks, total, variance }
}

/** Views of each metric: the value, the one before, and averages over three spans. */
export const VIEWS = 5
const AVERAGE_ROWS = [5, 20, 60] as const

/** Five temporal views of each of m metrics, normalised: [VIEWS × m], view-major. */
export class RidgeViews {
  /** Normalised values of the row. */
  readonly z: Float64Array
  readonly previousZ: Float64Array
  /** Before the row: [3 × m]. */
  readonly averages: Float64Array
  /** Views of the row, once they are built. */
  readonly row: Float64Array

  constructor(metrics: number) {
    this.z = new Float64Array(metrics)
    this.previousZ = new Float64Array(metrics)
    this.averages = new Float64Array(metrics * AVERAGE_ROWS.length)
    this.row = new Float64Array(metrics * VIEWS)
  }

  build(): void {
    const { z, previousZ, row } = this
    const m = z.length
    for (let j = 0; j < m; j++) {
      row[j] = z[j]
      row[m + j] = previousZ[j]
    }
    row.set(this.averages, 2 * m)
  }

  /** Once the views of the row are built: the averages move on to it. */
  advance(): void {
    const { z, averages } = this
    const m = z.length
    for (let a = 0; a < AVERAGE_ROWS.length; a++) {
      const rate = 2 / (AVERAGE_ROWS[a] + 1)
      for (let j = 0; j < m; j++) averages[a * m + j] += rate * (z[j] - averages[a * m + j])
    }
    this.previousZ.set(z)
  }
}

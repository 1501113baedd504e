import { type FeatureBatch, featureBatch, rowsOf } from '../core/batch.ts'

/** All rows of a window, which are given out a part at a time. Grows with the series, never shrinks: 24 bytes a row. */
export class WholeWindow {
  rows: FeatureBatch
  readonly #partRows: number
  /** Views of the rows, made once. */
  #parts: FeatureBatch[] = []
  /** Rows given out. */
  #given = 0

  constructor(partRows: number, width: number) {
    this.#partRows = partRows
    this.rows = featureBatch(0, width)
  }

  /** Empties it; it then has room for so many rows. */
  begin(rows: number): FeatureBatch {
    if (this.rows.capacity < rows) {
      this.rows = featureBatch(Math.max(this.#partRows, rows + (rows >> 3)), this.rows.width)
      this.#parts = []
    }
    this.#given = 0
    return this.rows
  }

  get isNew(): boolean {
    return this.#given === 0
  }

  /** Whether all rows were given out. */
  get isOver(): boolean {
    return this.#given >= this.rows.length
  }

  /** The next rows, as many as a part may have; none where there are none. */
  next(): FeatureBatch {
    const at = this.#given / this.#partRows
    const to = Math.min(this.rows.capacity, this.#given + this.#partRows)
    this.#parts[at] ??= rowsOf(this.rows, this.#given, to)
    const part = this.#parts[at]
    part.length = Math.min(this.#partRows, this.rows.length - this.#given)
    this.#given += this.#partRows
    return part
  }

  bytes(): number {
    const { capacity, width } = this.rows
    return capacity * (24 + 4 * width)
  }
}

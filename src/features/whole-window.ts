import { type FeatureBatch, featureBatch, rowsOf } from '../core/batch.ts'

/** Rows of a window, all or as many as may be, which are given out a part at a time. Grows with the series, never shrinks: 24 bytes a row. */
export class WholeWindow {
  rows: FeatureBatch
  readonly #partRows: number
  readonly #rowsMax: number
  /** Views of the rows, made once. */
  #parts: FeatureBatch[] = []
  /** Rows given out. */
  #given = 0

  constructor(partRows: number, rowsMax: number, width: number) {
    this.#partRows = partRows
    this.#rowsMax = Math.max(partRows, rowsMax)
    this.rows = featureBatch(0, width)
  }

  /** Empty, and with room for so many rows, if that may be. */
  begin(rows: number): FeatureBatch {
    if (this.rows.capacity < Math.min(rows, this.#rowsMax)) {
      const room = Math.max(this.#partRows, Math.min(this.#rowsMax, rows + (rows >> 3)))
      this.rows = featureBatch(room, this.rows.width)
      this.#parts = []
    }
    this.empty()
    return this.rows
  }

  empty(): void {
    this.rows.length = 0
    this.#given = 0
  }

  /** Nothing was given out yet. */
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

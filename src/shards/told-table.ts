import { SubTable } from '../detectors/sub-table.ts'

/** A sub-table that notes who came and who went, for whoever keeps something for those in it elsewhere. */
export class ToldTable extends SubTable {
  #moves: number[] = []

  override take(series: number): number {
    const had = this.of(series)
    const row = super.take(series)
    if (had < 0 && row >= 0) this.#moves.push(series + 1)
    return row
  }

  override give(series: number): void {
    if (this.of(series) >= 0) this.#moves.push(-series - 1)
    super.give(series)
  }

  /** What came, plus one, and what went, minus one less, since the last time, in order; undefined when nothing did. */
  moves(): Int32Array | undefined {
    if (this.#moves.length === 0) return undefined
    const moves = Int32Array.from(this.#moves)
    this.#moves = []
    return moves
  }

  /** As if all that are held had come just now. */
  tellAll(): void {
    this.#moves = []
    for (let row = 0; row < this.capacity; row++) if (this.has(row)) this.#moves.push(this.seriesAt(row) + 1)
  }
}

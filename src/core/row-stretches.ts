import type { Cut, CutPiece, Stretch } from './cut.ts'

/**
 * Where rows of a table of its own come to be written: with the first of them that a window changes. `seriesRows` are their
 * rows in the series table, which windows change in ascending order. Without these, or in no checkpoint of such, in their own order.
 */
export function ranksBy(
  cut: Cut,
  rows: number,
  shift: number,
  seriesRows: Uint32Array | undefined,
): (from: number) => number {
  if (seriesRows === undefined || cut.rows === 0) return ranksOf(cut, rows)
  return from => {
    let least = cut.rows
    const end = Math.min(rows, from + 2 ** shift, seriesRows.length)
    for (let row = from; row < end; row++) if (seriesRows[row] < least) least = seriesRows[row]
    return least / cut.rows
  }
}

/** Rows that are those of the series table, or of a table of its own that is longer: fewer are the first of that table. */
function ranksOf(cut: Cut, rows: number): (from: number) => number {
  const all = Math.max(rows, cut.rows)
  return from => from / all
}

/** Live memory of many rows, in stretches of 2^`shift` rows each, so that only those are copied that change. */
export class RowStretches {
  readonly shift: number
  readonly #cut: Cut
  readonly #stretches: readonly Stretch[]

  /** `piecesOf` gives the pieces of rows [from, to), of `rows` in all; `rankOf` the rank of those from `from` on. */
  constructor(
    cut: Cut,
    rows: number,
    shift: number,
    piecesOf: (from: number, to: number) => CutPiece[],
    rankOf = ranksOf(cut, rows),
  ) {
    this.shift = shift
    this.#cut = cut
    this.#stretches = Array.from({ length: Math.ceil(rows / 2 ** shift) }, (_, i) => {
      const from = i * 2 ** shift
      return cut.stretch(rankOf(from), () => piecesOf(from, Math.min(rows, from + 2 ** shift)))
    })
  }

  /** While true owners must touch before they write. */
  get isOpen(): boolean {
    return this.#cut.isOpen
  }

  touch(row: number): void {
    this.#stretches[row >> this.shift]?.touch()
  }

  touchStretch(index: number): void {
    this.#stretches[index]?.touch()
  }

  /** Rows of a batch, best in ascending order. */
  touchRows(rows: Uint32Array, length: number): void {
    let stretch = -1
    for (let i = 0; i < length; i++) {
      if (rows[i] >> this.shift === stretch) continue
      stretch = rows[i] >> this.shift
      this.#stretches[stretch]?.touch()
    }
  }

  touchAll(): void {
    for (const stretch of this.#stretches) stretch.touch()
  }
}

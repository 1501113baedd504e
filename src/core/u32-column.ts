import { type Cut, CutColumn } from './cut.ts'
import { RowStretches } from './row-stretches.ts'

/** Numbers in a chunk; a power of two. */
const CHUNK_SHIFT = 16
const CHUNK_LENGTH = 1 << CHUNK_SHIFT
const MASK = CHUNK_LENGTH - 1
/** Numbers there is room for at first: most tables stay small. */
const FIRST_LENGTH = 64

/** Numbers by row, in chunks: it grows without copying, but for the first chunk while that is small. */
export class U32Column {
  readonly #chunks: Uint32Array[] = []
  /** What a cut that is being written still needs of them. */
  #cut: RowStretches | undefined

  /** Makes room for rows below `length`; new ones are 0. */
  ensure(length: number): void {
    const chunks = this.#chunks
    const first = chunks.length === 0 ? 0 : chunks[0].length
    if (first < CHUNK_LENGTH && length > first) {
      const longer = new Uint32Array(Math.min(CHUNK_LENGTH, Math.max(FIRST_LENGTH, 2 * first, length)))
      if (first > 0) longer.set(chunks[0])
      chunks[0] = longer
    }
    while (chunks.length << CHUNK_SHIFT < length) chunks.push(new Uint32Array(CHUNK_LENGTH))
  }

  at(row: number): number {
    return this.#chunks[row >>> CHUNK_SHIFT][row & MASK]
  }

  set(row: number, value: number): void {
    if (this.#cut !== undefined) this.#touch(row)
    this.#chunks[row >>> CHUNK_SHIFT][row & MASK] = value
  }

  /** The first `length` numbers as a column of a cut, of which nothing is copied now. */
  cut(cut: Cut, length: number): CutColumn {
    const column = new CutColumn(Uint32Array, length)
    this.#cut?.touchAll()
    // What the first chunk grows out of stays as it is, and no other one moves.
    const chunks = [...this.#chunks]
    const held = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    this.#cut = new RowStretches(cut, Math.min(length, held), CHUNK_SHIFT, (from, to) => [
      { column, at: from, values: chunks[from >>> CHUNK_SHIFT].subarray(0, to - from) },
    ])
    return column
  }

  #touch(row: number): void {
    if (this.#cut?.isOpen) this.#cut.touch(row)
    else this.#cut = undefined
  }

  /** A copy of the first `length` numbers; 0 where there is no room yet. */
  slice(length: number): Uint32Array {
    const out = new Uint32Array(length)
    for (let from = 0, c = 0; from < length && c < this.#chunks.length; from += CHUNK_LENGTH, c++)
      out.set(this.#chunks[c].subarray(0, length - from), from)
    return out
  }

  /** Fills an empty one; `isGiven`: with the numbers as they lie, since nobody else has them. */
  load(from: Uint32Array, isGiven = false): void {
    for (let at = 0; at < from.length; at += CHUNK_LENGTH) {
      const some = from.subarray(at, at + CHUNK_LENGTH)
      if (isGiven && some.length === CHUNK_LENGTH) this.#chunks[at >>> CHUNK_SHIFT] = some
      else {
        this.ensure(at + some.length)
        this.#chunks[at >>> CHUNK_SHIFT].set(some)
      }
    }
  }

  bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
  }
}

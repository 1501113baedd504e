import { type Cut, CutColumn } from '../core/cut.ts'
import { RowStretches } from '../core/row-stretches.ts'
import { PAGE_BYTES } from '../kernels/load.ts'
import type { WireMemory } from './wire-memory.ts'

/** Where records lie in the memory of a wire table; see _wire-layout.ts. */
export interface ChunkLayout {
  /** Byte address of the word addresses of all chunks. */
  readonly directory: number
  /** Byte address of the marks of all chunks that a cut keeps. */
  readonly kept: number
  /** Records in a chunk, as a power of two. */
  readonly shift: number
  /** Words of a record. */
  readonly words: number
}

/**
 * Records of one kind in a wire table's memory, given out by chunks. A cut copies a chunk only when one of its records is
 * about to change before it is written: whoever writes says `touch` first, and the kernel, which cannot, leaves chunks with
 * a mark to those who can.
 */
export class WireChunks {
  readonly #memory: WireMemory
  readonly #layout: ChunkLayout
  #cut: RowStretches | undefined

  constructor(memory: WireMemory, layout: ChunkLayout) {
    this.#memory = memory
    this.#layout = layout
  }

  /** Word where a record begins. */
  at(index: number): number {
    const { directory, shift, words } = this.#layout
    const first = this.#memory.i32[(directory >> 2) + (index >>> shift)]
    return first + (index & ((1 << shift) - 1)) * words
  }

  /** Makes room for a record behind the others; false when there is none. */
  reserve(index: number): boolean {
    const { directory, shift, words } = this.#layout
    if ((index & ((1 << shift) - 1)) !== 0) return true
    const address = this.#memory.take(Math.ceil((4 * words * 2 ** shift) / PAGE_BYTES))
    if (address === 0) return false
    this.#memory.i32[(directory >> 2) + (index >>> shift)] = address >>> 2
    return true
  }

  /** A record is about to change. */
  touch(index: number): void {
    const chunk = index >>> this.#layout.shift
    if (this.#memory.u8[this.#layout.kept + chunk] !== 0) this.#touchChunk(chunk)
  }

  #touchChunk(chunk: number): void {
    this.#cut?.touchStretch(chunk)
    this.#memory.u8[this.#layout.kept + chunk] = 0
  }

  /** The first `count` records as a column of a cut. Senders repeat their order, and go on from `next`. */
  cut(cut: Cut, count: number, next: number): CutColumn {
    const { kept, shift, words } = this.#layout
    // Whatever an earlier cut still needs is copied before this one takes its place.
    this.#cut?.touchAll()
    const column = new CutColumn(Int32Array, count * words)
    const first = next - (next & ((1 << shift) - 1))
    this.#cut = new RowStretches(
      cut,
      count,
      shift,
      (from, to) => {
        const at = this.at(from)
        const values = this.#memory.i32.subarray(at, at + (to - from) * words)
        return [{ column, at: from * words, values }]
      },
      from => (from < first ? from - first : from - first - count) / count - 1,
    )
    this.#memory.u8.fill(1, kept, kept + Math.ceil(count / 2 ** shift))
    return column
  }

  /** Fills empty chunks. False when there is no room for all. */
  restore(from: Int32Array): boolean {
    const { shift, words } = this.#layout
    for (let first = 0; first * words < from.length; first += 1 << shift) {
      if (!this.reserve(first)) return false
      this.#memory.i32.set(from.subarray(first * words, (first + 2 ** shift) * words), this.at(first))
    }
    return true
  }
}

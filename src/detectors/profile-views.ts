import { fillViews, LOUD_POINT, type RecentChunk } from './combiner-views.ts'
import { FullDetector } from './full-detector.ts'
import { FULL, FULL_WIDTH } from './full-kernel.ts'
import type { SlotDetector } from './slot-detector.ts'
import { AT, SCRATCH_WIDTH } from './slot-kernel.ts'

/** What a profile detector worked out of the rows of the batch it scored or learned last, for the combiner to read. */
export class ProfileViews {
  readonly #slots: SlotDetector
  readonly #full: FullDetector | undefined

  constructor(inner: SlotDetector | FullDetector) {
    this.#full = inner instanceof FullDetector ? inner : undefined
    this.#slots = inner instanceof FullDetector ? inner.slots : inner
  }

  /** Point evidence of a row; NaN while there is none. */
  pointOf(row: number): number {
    return this.#full
      ? this.#full.scratch[row * FULL_WIDTH + FULL.point]
      : this.#slots.scratch[this.#at(row) + AT.point]
  }

  /** The same before it is set against the usual day; a number also while there is no evidence. */
  rawPointOf(row: number): number {
    return this.#full
      ? this.#full.scratch[row * FULL_WIDTH + FULL.rawPoint]
      : this.#slots.scratch[this.#at(row) + AT.rawPoint]
  }

  /** Whether a row is worth the model's time, by the profile's evidence or that of its phase slots. */
  isLoud(row: number): boolean {
    return this.pointOf(row) >= LOUD_POINT || this.#slots.scratch[this.#at(row) + AT.point] >= LOUD_POINT
  }

  /** Fills the views of a row from place `o` of `out`; its recent past lies in place `i` of `recent`. */
  fill(row: number, recent: RecentChunk, i: number, out: Float32Array, o: number): void {
    const s = this.#slots.scratch
    const so = this.#at(row)
    fillViews(recent, i, s[so + AT.observed], s, so, this.#full?.scratch, row * FULL_WIDTH, out, o)
  }

  #at(row: number): number {
    return this.#slots.scratchAt + row * SCRATCH_WIDTH
  }
}

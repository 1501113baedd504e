import type { ColumnData } from '../core/snapshot.ts'
import { MatrixProfileSegment } from '../kernels/matrix-profile.ts'
import {
  learnProfile,
  type ProfileShape,
  type ProfileState,
  profileColumns,
  rescaleProfile,
  scoreProfile,
} from '../math/left-profile.ts'
import { type SegmentPlace, SegmentRows } from './segment-rows.ts'

/** Series of one memory. */
const ROWS = 16

type ProfileSegment = MatrixProfileSegment<ReturnType<typeof profileColumns>>

/** Left profiles of some series where the kernel can work on them, or plainly; both find the same to the bit. */
export class LeftProfileHome {
  readonly rows: SegmentRows<ProfileSegment>
  readonly #shape: ProfileShape
  readonly #places = new WeakMap<ColumnData, SegmentPlace<ProfileSegment>>()

  /** `isPlain`: the twin, even where the kernel is to be had. */
  constructor(shape: ProfileShape, isPlain = false) {
    this.#shape = shape
    const make = (rows: number) => new MatrixProfileSegment(shape, profileColumns(shape), rows)
    this.rows = new SegmentRows(make, ROWS, 'sums', this.#places, isPlain)
  }

  /** As `scoreProfile`. */
  score(s: ProfileState, value: number): void {
    const place = this.#places.get(s.sums)
    if (place) place.segment.score(place.row, value)
    else scoreProfile(s, this.#shape, value)
  }

  /** As `learnProfile`. */
  learn(s: ProfileState, value: number): boolean {
    const place = this.#places.get(s.sums)
    return place ? place.segment.learn(place.row, value) : learnProfile(s, this.#shape, value)
  }

  /** As `rescaleProfile`. */
  rescale(s: ProfileState): void {
    const place = this.#places.get(s.sums)
    if (place) place.segment.rescale(place.row)
    else rescaleProfile(s, this.#shape)
  }
}

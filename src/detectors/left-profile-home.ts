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
import type { RowHome } from './lazy-rows.ts'

/** Series of one memory. */
const ROWS = 16

interface Place {
  readonly segment: MatrixProfileSegment<ReturnType<typeof profileColumns>>
  readonly row: number
}

/**
 * Left profiles of some series where the kernel can work on them: rows of WebAssembly memories, more of them as series come. Where there is
 * no WebAssembly with SIMD they lie in arrays of their own, and the plain twin works on them; both find the same to the bit.
 */
export class LeftProfileHome implements RowHome {
  readonly #shape: ProfileShape
  readonly #places = new WeakMap<ColumnData, Place>()
  readonly #free: Place[] = []
  #isPlain: boolean

  /** `isPlain`: the twin, even where the kernel is to be had. */
  constructor(shape: ProfileShape, isPlain = false) {
    this.#shape = shape
    this.#isPlain = isPlain
  }

  take(): Record<string, ColumnData> {
    if (this.#free.length === 0 && !this.#isPlain) this.#grow()
    const place = this.#free.pop()
    if (place === undefined) return {}
    const fields = place.segment.fields(place.row)
    this.#places.set(fields.sums, place)
    return fields
  }

  #grow(): void {
    try {
      const segment = new MatrixProfileSegment(this.#shape, profileColumns(this.#shape), ROWS)
      for (let row = ROWS - 1; row >= 0; row--) this.#free.push({ segment, row })
    } catch {
      this.#isPlain = true
    }
  }

  give({ sums }: Readonly<Record<string, ColumnData>>): void {
    const place = this.#places.get(sums)
    if (place === undefined) return
    this.#places.delete(sums)
    place.segment.clear(place.row)
    this.#free.push(place)
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

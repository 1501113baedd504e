import type { ColumnData } from '../core/snapshot.ts'
import type { RowHome } from './lazy-rows.ts'

/** Some series in a kernel's memory. */
export interface Segment {
  /** The state of a row itself, by field. */
  fields(row: number): Readonly<Record<string, ColumnData>>
  /** All of a row is zero again. */
  clear(row: number): void
}

export interface SegmentPlace<S extends Segment> {
  readonly segment: S
  readonly row: number
}

/**
 * Rows of kernels' memories, more of these as series come. Where there is no WebAssembly with SIMD series lie in arrays of their own, and
 * the plain twin works on them.
 */
export class SegmentRows<S extends Segment> implements RowHome {
  readonly #make: (rows: number) => S
  readonly #rows: number
  /** Field by which a row is known. */
  readonly #mark: string
  readonly #places: WeakMap<ColumnData, SegmentPlace<S>>
  readonly #free: SegmentPlace<S>[] = []
  #isPlain: boolean

  /**
   * `make` may throw where there is no kernel; `rows` of one memory; `places`: where the places of rows that are taken are noted, by the
   * field `mark`, and looked up by whoever asks the kernel; `isPlain`: without the kernel, even where it is to be had.
   */
  constructor(
    make: (rows: number) => S,
    rows: number,
    mark: string,
    places: WeakMap<ColumnData, SegmentPlace<S>>,
    isPlain = false,
  ) {
    this.#make = make
    this.#rows = rows
    this.#mark = mark
    this.#places = places
    this.#isPlain = isPlain
  }

  take(): Record<string, ColumnData> {
    if (this.#free.length === 0 && !this.#isPlain) this.#grow()
    const place = this.#free.pop()
    if (place === undefined) return {}
    const fields = place.segment.fields(place.row)
    this.#places.set(fields[this.#mark], place)
    return fields
  }

  #grow(): void {
    try {
      const segment = this.#make(this.#rows)
      for (let row = this.#rows - 1; row >= 0; row--) this.#free.push({ segment, row })
    } catch {
      this.#isPlain = true
    }
  }

  give(fields: Readonly<Record<string, ColumnData>>): void {
    const place = this.#places.get(fields[this.#mark])
    if (place === undefined) return
    this.#places.delete(fields[this.#mark])
    place.segment.clear(place.row)
    this.#free.push(place)
  }
}

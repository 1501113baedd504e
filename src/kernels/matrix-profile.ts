import { instantiateKernel, pagesOf } from './load.ts'
import { type FieldSpec, type Fields, fieldBytes, fieldsAt } from './row-fields.ts'

/** Rows of a block of a batch. */
export const PROFILE_BLOCK = 1024

/** See `ProfileShape` of math/left-profile.ts. */
interface Shape {
  readonly length: number
  readonly history: number
  readonly exclusion: number
  readonly refresh: number
  readonly flat: number
  readonly wants: 'shape' | 'level' | 'both'
  readonly rank: number
}

interface Exports {
  configure(
    length: number,
    history: number,
    exclusion: number,
    refresh: number,
    flat: number,
    wants: number,
    rank: number,
  ): number
  layoutRows(): number
  begin(row: number): void
  clear(row: number): void
  scoreRow(row: number, value: number): void
  learnRow(row: number, value: number): number
  scoreBlock(count: number): void
  learnBlock(count: number): number
  rescaleRow(row: number): void
}

/** Distances by number, as the kernel knows them. */
const WANTS = { shape: 1, level: 2, both: 3 } as const
/** Bytes before the rows: the block and what lanes found. */
const ROWS_AT = 16 * PROFILE_BLOCK + 32

/**
 * Left matrix profiles of up to `rows` series in a WebAssembly memory of its own, scored and learned a row or a block at a time;
 * math/left-profile.ts is the twin, and says what the functions mean. The memory is as large as it will ever be and costs what is written of it.
 */
export class MatrixProfileSegment<C extends FieldSpec> {
  readonly rows: number
  /** Bytes of one row. */
  readonly rowBytes: number
  /** A block: rows, their values (NaN: missing), and the distances found, NaN for none. */
  readonly batch: {
    readonly row: Int32Array
    readonly value: Float32Array
    readonly shape: Float32Array
    readonly level: Float32Array
  }
  readonly #kernel: Exports
  readonly #buffer: ArrayBuffer
  readonly #columns: C

  /** `columns`: what the twin keeps of a series. Throws where WebAssembly with SIMD is not to be had. */
  constructor(shape: Shape, columns: C, rows: number) {
    const bytes = fieldBytes(columns)
    const pages = pagesOf(ROWS_AT + (bytes + 8) * rows)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    this.#kernel = instantiateKernel<Exports>('matrix-profile', memory)
    const { length, history, exclusion, refresh, flat, wants, rank } = shape
    this.rowBytes = this.#kernel.configure(length, history, exclusion, refresh, flat, WANTS[wants], rank)
    if (
      this.#kernel.layoutRows() !== ROWS_AT ||
      this.rowBytes < bytes ||
      this.rowBytes >= bytes + 8 ||
      history % 8 !== 0 ||
      history < 8 ||
      exclusion < 1 ||
      refresh < 1 ||
      rank < 1 ||
      rank > 8
    )
      throw new RangeError(
        `the kernel matrix-profile lies elsewhere than its wrapper says, or ${history}: not by eight`,
      )
    this.rows = rows
    this.#columns = columns
    this.#buffer = memory.buffer
    this.batch = {
      row: new Int32Array(this.#buffer, 0, PROFILE_BLOCK),
      value: new Float32Array(this.#buffer, 4 * PROFILE_BLOCK, PROFILE_BLOCK),
      shape: new Float32Array(this.#buffer, 8 * PROFILE_BLOCK, PROFILE_BLOCK),
      level: new Float32Array(this.#buffer, 12 * PROFILE_BLOCK, PROFILE_BLOCK),
    }
  }

  /** The columns of a row: the state itself. */
  fields(row: number): Fields<C> {
    return fieldsAt(this.#buffer, ROWS_AT + row * this.rowBytes, this.#columns)
  }

  begin(row: number): void {
    this.#kernel.begin(row)
  }

  /** All of a row is zero again. */
  clear(row: number): void {
    this.#kernel.clear(row)
  }

  score(row: number, value: number): void {
    this.#kernel.scoreRow(row, value)
  }

  learn(row: number, value: number): boolean {
    return this.#kernel.learnRow(row, value) !== 0
  }

  /** The first `count` rows of the block. */
  scoreBlock(count: number): void {
    this.#kernel.scoreBlock(count)
  }

  /** The first `count` rows of the block; returns how many slid. */
  learnBlock(count: number): number {
    return this.#kernel.learnBlock(count)
  }

  rescale(row: number): void {
    this.#kernel.rescaleRow(row)
  }
}

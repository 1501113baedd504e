import { instantiateKernel, pagesOf } from './load.ts'

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

type Columns = Readonly<Record<string, readonly ['f64' | 'f32' | 'i32', number]>>
const ARRAYS = { f64: Float64Array, f32: Float32Array, i32: Int32Array } as const
type Fields<C extends Columns> = { readonly [K in keyof C]: InstanceType<(typeof ARRAYS)[C[K][0]]> }

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
export class MatrixProfileSegment<C extends Columns> {
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
    const bytes = Object.values(columns).reduce(
      (sum, [type, width]) => sum + ARRAYS[type].BYTES_PER_ELEMENT * width,
      0,
    )
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
    let at = ROWS_AT + row * this.rowBytes
    const fields: Record<string, Float64Array | Float32Array | Int32Array> = {}
    for (const [name, [type, width]] of Object.entries(this.#columns)) {
      fields[name] = new ARRAYS[type](this.#buffer, at, width)
      at += ARRAYS[type].BYTES_PER_ELEMENT * width
    }
    return fields as Fields<C>
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

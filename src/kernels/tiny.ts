import { instantiateKernel, pagesOf } from './load.ts'
import { shapeNumbers } from './shape-numbers.ts'

/** Series whose state one segment holds, rows of a block that it takes at once, and rows that `score` may leave for `learn`. */
export const TINY_SHIFT = 20
export const TINY_ROWS = 1 << TINY_SHIFT
export const TINY_BLOCK = 1024
export const TINY_SCRATCH_ROWS = 65_536

/** Bytes between columns beside their own: see the kernel. */
const SKEW = 192

/** Fields of a series' state in the kernel's order, as detectors/slot-profile.ts names them, with the values of each. */
const COLUMNS = {
  n: [Uint32Array, 1],
  firstWindow: [Float64Array, 1],
  lastAge: [Uint32Array, 1],
  level: [Float64Array, 1],
  mean: [Float64Array, 1],
  previous: [Float64Array, 1],
  shapeMean: [Float64Array, 1],
  shapeDev: [Float32Array, 1],
  deviation: [Float32Array, 1],
  jump: [Float32Array, 1],
  magnitude: [Float32Array, 1],
  offset: [Float32Array, 1],
  scale1: [Float32Array, 1],
  scale2: [Float32Array, 1],
  scale3: [Float32Array, 1],
  scale4: [Float32Array, 1],
  scale5: [Float32Array, 1],
  shortSquare: [Float32Array, 1],
  longSquare: [Float32Array, 1],
  shift: [Float32Array, 1],
  codeBase: [Float32Array, 1],
  codeStep: [Float32Array, 1],
  visitMax: [Float32Array, 1],
  visitSum: [Float32Array, 1],
  visitCount: [Uint16Array, 1],
  dayMax: [Float32Array, 1],
  usualMax: [Float32Array, 1],
  pointUsual: [Float32Array, 1],
  shapeUsual: [Float32Array, 1],
  shape: [Float32Array, 1],
  dayMaxima: [Uint8Array, 28],
  levels: [Int8Array, 48],
  envelopes: [Uint8Array, 48],
  pointTail: [Uint16Array, 16],
  shapeTail: [Uint16Array, 16],
  shapes: [Int8Array, 64],
} as const

/**
 * A block of a batch: rows of the segment (only their low bits are read), values (NaN: a gap) and how much each may teach, 0..1; then what
 * is said of the block scored last, NaN without an opinion. `young` is the residual in scales of a series of less than a day, of which
 * the others have no opinion yet.
 */
const BATCH = {
  row: Uint32Array,
  value: Float64Array,
  weight: Float32Array,
  point: Float32Array,
  incident: Float32Array,
  young: Float32Array,
  expected: Float64Array,
  lower: Float64Array,
  upper: Float64Array,
} as const

type Batch = { readonly [K in keyof typeof BATCH]: InstanceType<(typeof BATCH)[K]> }
type Columns = { readonly [K in keyof typeof COLUMNS]: InstanceType<(typeof COLUMNS)[K][0]> }

/** What follows from the window step: see `SlotRates` of detectors/slot-profile.ts. */
export interface TinyRates {
  readonly day: number
  readonly slots: number
  readonly width: number
  readonly level: number
  readonly scale3: number
  readonly scale7: number
  readonly slow: number
}

/** Tables that kernel and twin read alike: log2 of mantissas (257), envelopes by code and shapes by code + 128 (256 each). */
export interface TinyTables {
  readonly log: Float64Array
  readonly envelopes: Float64Array
  readonly decoded: Float64Array
}

interface Exports {
  configure(
    day: number,
    slots: number,
    width: number,
    level: number,
    scale3: number,
    scale7: number,
    slow: number,
  ): void
  score(length: number, from: number, window: number, phase: number): void
  learn(length: number, from: number, isScored: boolean, window: number, phase: number): number
  layoutTables(): number
  layoutBatch(): number
  layoutState(): number
  layoutEnd(): number
}

/** Bytes of a row that was scored and not yet learned. */
export const TINY_SCRATCH_BYTES = 70
/** Bytes before the state: tables, batch and scratch. */
const STATE_AT = 24_576 + 52 * TINY_BLOCK + TINY_SCRATCH_BYTES * TINY_SCRATCH_ROWS + 11 * SKEW

/**
 * The phase-slot detector `tiny@1` of up to TINY_ROWS series in a WebAssembly memory of its own, scored and learned a block at a time;
 * detectors/slot-kernel.ts is the twin. The memory is as large as it will ever be and costs what is written of it. Segments share nothing.
 */
export class TinySegment {
  /** One typed array a field, [TINY_ROWS × width]: the state itself. */
  readonly columns: Columns
  readonly batch: Batch
  readonly #kernel: Exports

  /** Throws where WebAssembly with SIMD is not to be had. */
  constructor(rates: TinyRates, tables: TinyTables) {
    const pages = pagesOf(STATE_AT + TINY_ROW_BYTES * TINY_ROWS + SKEW * Object.keys(COLUMNS).length)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    this.#kernel = instantiateKernel<Exports>('tiny', memory, {
      exp: Math.exp,
      log: Math.log,
      exp2: x => 2 ** x,
    })
    const { buffer } = memory
    this.#writeTables(buffer, tables)
    let at = this.#kernel.layoutBatch()
    const batch: Record<string, unknown> = {}
    for (const [name, Column] of Object.entries(BATCH)) {
      batch[name] = new Column(buffer, at, TINY_BLOCK)
      at += Column.BYTES_PER_ELEMENT * TINY_BLOCK
    }
    this.batch = batch as Batch
    at = this.#kernel.layoutState()
    const columns: Record<string, unknown> = {}
    for (const [name, [Column, width]] of Object.entries(COLUMNS)) {
      columns[name] = new Column(buffer, at, TINY_ROWS * width)
      at += Column.BYTES_PER_ELEMENT * TINY_ROWS * width + SKEW
    }
    if (at !== this.#kernel.layoutEnd() || at > buffer.byteLength)
      throw new RangeError(`the kernel tiny has its state elsewhere than its wrapper: ${at}`)
    this.columns = columns as Columns
    const { day, slots, width, level, scale3, scale7, slow } = rates
    this.#kernel.configure(day, slots, width, level, scale3, scale7, slow)
  }

  #writeTables(buffer: ArrayBuffer, { log, envelopes, decoded }: TinyTables): void {
    const powers = Float64Array.from({ length: 64 }, (_, k) => 2 ** (k / 64))
    const { numbers, factors, error } = shapeNumbers(decoded)
    let at = this.#kernel.layoutTables()
    for (const table of [log, envelopes, decoded, powers, numbers, factors, error]) {
      new Uint8Array(buffer, at, table.byteLength).set(
        new Uint8Array(table.buffer, table.byteOffset, table.byteLength),
      )
      at += table.byteLength
    }
  }

  /**
   * Scores the first `length` rows of the block. Changes no state; what `learn` of the same rows needs is left in places `from`… of
   * the scratch. `window`: number of the window since 1970; `phase`: its place in the day.
   */
  score(length: number, from: number, window: number, phase: number): void {
    this.#kernel.score(length, from, window, phase)
  }

  /** Learns the first `length` rows of the block; places `from`… of the scratch may hold what `score` found, if `isScored`. Returns how many are new. */
  learn(length: number, from: number, isScored: boolean, window: number, phase: number): number {
    return this.#kernel.learn(length, from, isScored, window, phase)
  }
}

/** Bytes of one series' state. */
export const TINY_ROW_BYTES = Object.values(COLUMNS).reduce(
  (sum, [Column, width]) => sum + Column.BYTES_PER_ELEMENT * width,
  0,
)

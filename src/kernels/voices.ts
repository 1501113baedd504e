import { instantiateKernel, pagesOf } from './load.ts'

/** Rows of a block that it takes at once, rows that `opine` may leave for `count`, classes, bins of a pool. */
export const VOICES_BLOCK = 1024
export const VOICES_SCRATCH_ROWS = 65_536
const CLASSES = 256
const BINS = 256
/** Numbers of a pool before its edges, which are of BINS + 1 places. */
const KNOWN = 8

/**
 * A block of a batch: values, what was expected of them (NaN: nothing), how much each may teach, three raw scores, which become surprises,
 * NaN without an opinion; then what is said of the block; the class of each row is given.
 */
const BATCH = {
  value: Float64Array,
  expected: Float64Array,
  weight: Float32Array,
  first: Float32Array,
  second: Float32Array,
  third: Float32Array,
  surprise: Float32Array,
  point: Float32Array,
  incident: Float32Array,
  score: Float32Array,
  evidence: Float32Array,
  direction: Int8Array,
  kind: Uint8Array,
} as const

export type VoicesBatch = { readonly [K in keyof typeof BATCH]: InstanceType<(typeof BATCH)[K]> }

/** What is known of one class for one voice, as the kernel reads it: see PoolPlace of detectors/pooled-calibration.ts. */
export interface VoicePool {
  readonly known: Float64Array
  readonly edges: Float64Array
  readonly fresh: Uint32Array
}

/** Tables that kernel and twin read alike: log2 of mantissas (257), 10^−d and pairs (129 each), log10 of sums (258) and counts (4), scores (257). */
export interface VoicesTables {
  readonly log: Float64Array
  readonly power: Float64Array
  readonly pair: Float64Array
  readonly logSum: Float64Array
  readonly logCount: Float64Array
  readonly scores: Float64Array
}

interface Exports {
  configure(end: number): void
  opine(length: number, from: number): void
  count(length: number, from: number): void
  layoutTables(): number
  layoutTablesEnd(): number
  layoutBatch(): number
  layoutPools(): number
  layoutFresh(): number
  layoutEnd(): number
  poolBytes(): number
}

/**
 * Three voices' raw scores of plain series → opinions, in WebAssembly, and the counting of what was said;
 * detectors/plain-voices.ts is the twin. The memory costs what is written of it.
 */
export class VoicesKernel {
  readonly batch: VoicesBatch
  /** By class: 1 when up is bad, −1 when down is, 0 when both are. */
  readonly bad: Float64Array
  readonly #kernel: Exports
  readonly #buffer: ArrayBuffer

  /** Throws where WebAssembly with SIMD is not to be had. `end`: log10 of the share that tails with an end are continued from. */
  constructor(tables: VoicesTables, end: number) {
    const pages = pagesOf(MEMORY_BYTES)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    this.#kernel = instantiateKernel<Exports>('voices', memory)
    this.#buffer = memory.buffer
    if (this.#kernel.layoutEnd() > memory.buffer.byteLength)
      throw new RangeError('the kernel voices has more state than its wrapper gives it room')
    this.#writeTables(tables)
    this.bad = new Float64Array(this.#buffer, this.#kernel.layoutTablesEnd() - 8 * CLASSES, CLASSES)
    const batch: Record<string, unknown> = {}
    let at = this.#kernel.layoutBatch()
    for (const [name, Column] of Object.entries(BATCH)) {
      batch[name] = new Column(this.#buffer, at, VOICES_BLOCK)
      at += Column.BYTES_PER_ELEMENT * VOICES_BLOCK
    }
    this.batch = batch as VoicesBatch
    this.#kernel.configure(end)
  }

  #writeTables({ log, power, pair, logSum, logCount, scores }: VoicesTables): void {
    let at = this.#kernel.layoutTables()
    for (const table of [log, power, pair, logSum, logCount, scores]) {
      new Float64Array(this.#buffer, at).set(table)
      at += table.byteLength
    }
  }

  /** Where the pool of a class lies for one voice, 0..2. */
  pool(voice: number, kind: number): VoicePool {
    const place = voice * CLASSES + kind
    const at = this.#kernel.layoutPools() + place * this.#kernel.poolBytes()
    const fresh = this.#kernel.layoutFresh() + 4 * BINS * place
    return {
      known: new Float64Array(this.#buffer, at, KNOWN),
      edges: new Float64Array(this.#buffer, at + 8 * KNOWN, BINS + 1),
      fresh: new Uint32Array(this.#buffer, fresh, BINS),
    }
  }

  /** Opinions of the first `length` rows of the block; what `count` needs of them is left in places `from`… of the scratch. */
  opine(length: number, from: number): void {
    this.#kernel.opine(length, from)
  }

  /** Counts what was said of rows in places `from`… of the scratch, with the block's weights. */
  count(length: number, from: number): void {
    this.#kernel.count(length, from)
  }
}

/** Tables and block, scratch, and of each class and voice a pool and its counts. */
const MEMORY_BYTES =
  16_384 + 54 * VOICES_BLOCK + 8 * VOICES_SCRATCH_ROWS + 3 * CLASSES * (8 * (KNOWN + BINS + 2) + 4 * BINS)

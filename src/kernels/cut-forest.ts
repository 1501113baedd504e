import { instantiateKernel, pagesOf } from './load.ts'
import { type FieldSpec, type Fields, fieldBytes, fieldsAt } from './row-fields.ts'

interface Exports {
  layoutRows(): number
  layoutRow(): number
  clear(row: number): void
  shallowness(row: number, x: number): number
  learn(row: number, x: number, chance: number, fullChance: number): void
}

const TREES = 30
const SAMPLES = 256
const CUTS = SAMPLES - 1
const DIMENSIONS = 8

/** What is kept of a series, in the kernel's order; detectors/cut-tree.ts and detectors/cut-forest.ts say what the fields mean. */
const FIELDS = {
  points: ['f32', TREES * SAMPLES * DIMENSIONS],
  boxes: ['f32', TREES * CUTS * 2 * DIMENSIONS],
  cutAt: ['f32', TREES * CUTS],
  left: ['i16', TREES * CUTS],
  right: ['i16', TREES * CUTS],
  mass: ['u16', TREES * CUTS],
  count: ['u16', TREES * SAMPLES],
  root: ['i16', TREES],
  samples: ['u16', TREES],
  random: ['u32', 1],
  recent: ['f32', DIMENSIONS],
  base: ['f64', 1],
  cutDimension: ['u8', TREES * CUTS],
} as const satisfies FieldSpec

/** Bytes before the rows: a table of logarithms and what lies there during a call. */
const ROWS_AT = 11_904
/** A row begins where a line of the cache does. */
const ROW_BYTES = Math.ceil(fieldBytes(FIELDS) / 64) * 64

/**
 * Random cut forests of up to `rows` series in a WebAssembly memory of its own; detectors/cut-tree.ts is the twin, and says what they are. The
 * memory is as large as it will ever be and costs what is written of it.
 */
export class CutForestSegment {
  readonly #kernel: Exports
  readonly #buffer: ArrayBuffer

  /** Throws where WebAssembly with SIMD is not to be had. */
  constructor(rows: number) {
    const pages = pagesOf(ROWS_AT + ROW_BYTES * rows)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    this.#kernel = instantiateKernel<Exports>('cut-forest', memory)
    this.#buffer = memory.buffer
    if (this.#kernel.layoutRows() !== ROWS_AT || this.#kernel.layoutRow() !== ROW_BYTES)
      throw new RangeError('the kernel cut-forest lies elsewhere than its wrapper says')
    const logarithms = new Float64Array(this.#buffer, 0, SAMPLES + 1)
    for (let n = 0; n <= SAMPLES; n++) logarithms[n] = Math.log2(n + 1)
  }

  /** What is kept of a row: the state itself. */
  fields(row: number): Fields<typeof FIELDS> {
    return fieldsAt(this.#buffer, ROWS_AT + row * ROW_BYTES, FIELDS)
  }

  /** All of a row is zero again. */
  clear(row: number): void {
    this.#kernel.clear(row)
  }

  /** How shallow the point of the last values and `x` would lie, 0..1, summed over all trees. */
  shallowness(row: number, x: number): number {
    return this.#kernel.shallowness(row, x)
  }

  /** The point of the last values and `x` comes into each tree with a chance, another where the tree is full. */
  learn(row: number, x: number, chance: number, fullChance: number): void {
    this.#kernel.learn(row, x, chance, fullChance)
  }
}

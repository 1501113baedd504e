import { instantiateKernel, pagesOf } from './load.ts'

/** Series of a block, and values of each at most. */
export const PASTS_BLOCK = 128
export const PASTS_VALUES = 64
/** Numbers said of a series: see PAST of disruptions/usual.ts. */
const WIDTH = 5

interface Exports {
  read(length: number): void
  layoutCount(): number
  layoutBad(): number
  layoutValues(): number
  layoutEnd(): number
}

const MEMORY_BYTES = PASTS_BLOCK * (8 * WIDTH + 8 + 8 * PASTS_VALUES)

/** What series are usually like, a block at a time, in WebAssembly; `readPast` of disruptions/usual.ts is the twin. */
export class PastsKernel {
  /** WIDTH numbers a series. */
  readonly past: Float64Array
  /** Values that a series has, 0: it is passed over. */
  readonly count: Int32Array
  /** Which way is bad: 1 up, −1 down, 0 both. */
  readonly bad: Int32Array
  /** Finite values: those of series i begin at `placeOf(i)` and are two apart. They are sorted by `read`. */
  readonly values: Float64Array
  readonly #kernel: Exports

  /** Throws where WebAssembly with SIMD is not to be had. */
  constructor() {
    const pages = pagesOf(MEMORY_BYTES)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const kernel = instantiateKernel<Exports>('pasts', memory)
    if (kernel.layoutEnd() !== MEMORY_BYTES)
      throw new RangeError('the kernel pasts lies elsewhere than its wrapper says')
    this.#kernel = kernel
    this.past = new Float64Array(memory.buffer, 0, WIDTH * PASTS_BLOCK)
    this.count = new Int32Array(memory.buffer, kernel.layoutCount(), PASTS_BLOCK)
    this.bad = new Int32Array(memory.buffer, kernel.layoutBad(), PASTS_BLOCK)
    this.values = new Float64Array(memory.buffer, kernel.layoutValues(), PASTS_BLOCK * PASTS_VALUES)
  }

  /** Where the values of a series begin. */
  placeOf(i: number): number {
    return (i >> 1) * 2 * PASTS_VALUES + (i & 1)
  }

  /** Says of the first `length` series what they are usually like. */
  read(length: number): void {
    this.#kernel.read(length)
  }
}

import type { BadDirection } from '../core/series.ts'
import { PASTS_BLOCK, PASTS_VALUES, PastsKernel } from '../kernels/pasts.ts'
import { finiteOf, PAST_WIDTH, readPast } from './usual.ts'

/** Series whose pasts are read together. */
export const PASTS_AT_ONCE = PASTS_BLOCK

const BAD_CODE: Readonly<Record<BadDirection, number>> = { up: 1, down: -1, both: 0 }

/**
 * What a block of series is usually like: of few values each in the kernel `pasts`, of more, and without WebAssembly, by the plain twin.
 * Both say the same to the bit.
 */
export class Pasts {
  /** PAST_WIDTH numbers a series, by PAST of usual.ts; good after `settle`. */
  readonly past: Float64Array
  readonly #kernel: PastsKernel | undefined
  #values = new Float64Array(PASTS_VALUES)
  #distances = new Float64Array(PASTS_VALUES)

  /** `plain`: without WebAssembly. */
  constructor(kernel: PastsKernel | 'plain' = pastsKernelOrNone()) {
    this.#kernel = kernel === 'plain' ? undefined : kernel
    this.past = this.#kernel?.past ?? new Float64Array(PAST_WIDTH * PASTS_BLOCK)
  }

  /** Takes `n` values as the past of series i of the block, NaN where there is none; returns how many there are, 0: nothing will be said. */
  take(i: number, before: Float64Array, n: number, bad: BadDirection): number {
    const kernel = this.#kernel
    if (kernel !== undefined && n <= PASTS_VALUES) {
      const from = kernel.placeOf(i)
      const known = finiteOf(before, n, kernel.values, from, 2)
      kernel.count[i] = known
      kernel.bad[i] = BAD_CODE[bad]
      return known
    }
    if (kernel !== undefined) kernel.count[i] = 0
    if (this.#values.length < n) {
      this.#values = new Float64Array(n)
      this.#distances = new Float64Array(n)
    }
    const known = finiteOf(before, n, this.#values, 0, 1)
    if (known > 0) readPast(this.#values, known, bad, this.#distances, this.past, PAST_WIDTH * i)
    return known
  }

  /** The first `length` series of the block are taken. */
  settle(length: number): void {
    this.#kernel?.read(length)
  }
}

function pastsKernelOrNone(): PastsKernel | 'plain' {
  try {
    return new PastsKernel()
  } catch {
    return 'plain'
  }
}

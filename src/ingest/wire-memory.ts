import type { SampleBatch } from '../core/batch.ts'
import {
  BATCH_ROWS,
  BATCH_SERIES,
  BATCH_TIME_MS,
  BATCH_VALUE,
  FIRST_FREE_PAGE,
} from '../kernels/assembly/_wire-layout.ts'
import { PAGE_BYTES } from '../kernels/load.ts'

/** Pages that are asked of the machine at once, at least: 1 MiB. */
const GROW_PAGES = 16
/** Pages of a memory with 32-bit addresses. */
const PAGES_MAX = 65_536

interface Run {
  readonly page: number
  readonly pages: number
}

/**
 * One WebAssembly memory that grows in place, without a copy, and whose untouched pages cost nothing: the wire table lies in
 * it, the batch that samples are lent in, and the bodies that the kernel reads. Views are made anew when it grows, so
 * nobody keeps one over a call that may add something.
 */
export class WireMemory {
  readonly memory = new WebAssembly.Memory({ initial: GROW_PAGES })
  i32: Int32Array
  f64: Float64Array
  u8: Uint8Array
  /** The batch that is being filled. */
  batch: SampleBatch
  readonly #free: Run[] = []
  #next = FIRST_FREE_PAGE

  constructor() {
    const { buffer } = this.memory
    this.i32 = new Int32Array(buffer)
    this.f64 = new Float64Array(buffer)
    this.u8 = new Uint8Array(buffer)
    this.batch = batchOver(buffer, 0)
  }

  /** The address of so many pages together, all zero when they were never in use; 0 when there is no room. */
  take(pages: number): number {
    const at = this.#free.findIndex(run => run.pages >= pages)
    if (at >= 0) {
      const run = this.#free[at]
      if (run.pages === pages) this.#free.splice(at, 1)
      else this.#free[at] = { page: run.page + pages, pages: run.pages - pages }
      const address = run.page * PAGE_BYTES
      this.u8.fill(0, address, address + pages * PAGE_BYTES)
      return address
    }
    if (!this.#fit(this.#next + pages)) return 0
    const address = this.#next * PAGE_BYTES
    this.#next += pages
    return address
  }

  /** Gives pages back, for others to take. */
  give(address: number, pages: number): void {
    if (pages > 0) this.#free.push({ page: address / PAGE_BYTES, pages })
  }

  /** Bytes given out. */
  bytes(): number {
    const free = this.#free.reduce((sum, run) => sum + run.pages, 0)
    return (this.#next - free) * PAGE_BYTES
  }

  #fit(pages: number): boolean {
    const held = this.memory.buffer.byteLength / PAGE_BYTES
    if (pages <= held) return true
    if (pages > PAGES_MAX) return false
    try {
      this.memory.grow(Math.min(PAGES_MAX - held, Math.max(pages - held, GROW_PAGES)))
    } catch {
      return false
    }
    const { buffer } = this.memory
    this.i32 = new Int32Array(buffer)
    this.f64 = new Float64Array(buffer)
    this.u8 = new Uint8Array(buffer)
    this.batch = batchOver(buffer, this.batch.length)
    return true
  }
}

function batchOver(buffer: ArrayBuffer, length: number): SampleBatch {
  return {
    length,
    capacity: BATCH_ROWS,
    series: new Uint32Array(buffer, BATCH_SERIES, BATCH_ROWS),
    timeMs: new Float64Array(buffer, BATCH_TIME_MS, BATCH_ROWS),
    value: new Float64Array(buffer, BATCH_VALUE, BATCH_ROWS),
  }
}

import { kernelOrNone } from './load.ts'

/** Reads columns in the memory of a wire table; numbers are addresses in it, but for times and counts. */
export interface ColumnsKernel {
  /** Differences of `count` times at [from, to) → times at `out`; where they end, 0 where only the plain way reads them. */
  times(from: number, to: number, count: number, firstMs: number, out: number): number
  /** Takes samples from `from` to `to`, all at `timeMs` where `times` is 0; the first that was not taken, BATCH_LENGTH says whether for want of room. */
  take(ids: number, values: number, times: number, timeMs: number, from: number, to: number): number
}

/** The kernel over a memory; undefined where it cannot run. */
export const columnsKernel = (memory: WebAssembly.Memory) => kernelOrNone<ColumnsKernel>('columns', memory)

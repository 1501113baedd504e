import { CHUNK_SHIFT } from '../core/columns.ts'

/** End of the run of rows from `from` that lie in one chunk of state; rows ascend, so most batches are one run. */
export function runEnd(series: Uint32Array, from: number, length: number): number {
  const chunk = series[from] >> CHUNK_SHIFT
  if (series[length - 1] >> CHUNK_SHIFT === chunk) return length
  let low = from + 1
  let high = length - 1
  while (low < high) {
    const mid = (low + high) >> 1
    if (series[mid] >> CHUNK_SHIFT === chunk) low = mid + 1
    else high = mid
  }
  return low
}

/** Rows of state that a batch needs room for. */
export function rowsNeeded(series: Uint32Array, length: number): number {
  return length === 0 ? 0 : series[length - 1] + 1
}

/** What a detector returns that had nothing to wait for: its caller need not wait either. */
export const DONE: Promise<void> = Promise.resolve()

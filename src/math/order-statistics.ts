/** Order statistics of small samples. All functions read, none keeps or changes its input unless it says so. */

/** Linear-interpolated quantile (type 7) of values sorted ascending; NaN when empty. */
export function quantileOfSorted(sorted: Float64Array, p: number, length = sorted.length): number {
  if (length === 0) return Number.NaN
  const at = (length - 1) * p
  const low = Math.floor(at)
  const high = Math.min(low + 1, length - 1)
  return sorted[low] + (at - low) * (sorted[high] - sorted[low])
}

/** Copies the finite values of `values[0..length)` into `out`, sorted ascending; returns how many. */
export function sortFinite(values: Float64Array, length: number, out: Float64Array): number {
  let n = 0
  for (let i = 0; i < length; i++) if (Number.isFinite(values[i])) out[n++] = values[i]
  out.subarray(0, n).sort()
  return n
}

/** Mean of the `count` largest of values sorted ascending; NaN when empty. */
export function meanOfLargest(sorted: Float64Array, count: number, length = sorted.length): number {
  if (length === 0) return Number.NaN
  const k = Math.min(Math.max(1, count), length)
  let sum = 0
  for (let i = length - k; i < length; i++) sum += sorted[i]
  return sum / k
}

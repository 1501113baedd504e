/** Order statistics of small samples. All functions read, none keeps or changes its input unless it says so. */

/** Below this many, moving elements is quicker than calling the engine's sort. */
const INSERTION_MAX = 24

/** Sorts a[0..n) ascending in place; no NaN. */
export function sortAscending(a: Float64Array, n: number): void {
  if (n > INSERTION_MAX) {
    a.subarray(0, n).sort()
    return
  }
  for (let i = 1; i < n; i++) {
    const value = a[i]
    let j = i - 1
    while (j >= 0 && a[j] > value) {
      a[j + 1] = a[j]
      j--
    }
    a[j + 1] = value
  }
}

/** Mean of the `count` largest of values sorted ascending; NaN when empty. */
export function meanOfLargest(sorted: Float64Array, count: number, length = sorted.length): number {
  if (length === 0) return Number.NaN
  const k = Math.min(Math.max(1, count), length)
  let sum = 0
  for (let i = length - k; i < length; i++) sum += sorted[i]
  return sum / k
}

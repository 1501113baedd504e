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

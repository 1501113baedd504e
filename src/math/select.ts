/** The k-th smallest (from 0) of a[0..n); reorders a (Hoare's quickselect, middle pivot). */
export function selectKth(a: Float64Array, n: number, k: number): number {
  let left = 0
  let right = n - 1
  while (left < right) {
    const pivot = a[(left + right) >> 1]
    let i = left
    let j = right
    while (i <= j) {
      while (a[i] < pivot) i++
      while (a[j] > pivot) j--
      if (i <= j) {
        const swap = a[i]
        a[i] = a[j]
        a[j] = swap
        i++
        j--
      }
    }
    if (k <= j) right = j
    else if (k >= i) left = i
    else return a[k]
  }
  return a[k]
}

/** The median of a[0..n), n ≥ 1; reorders a. */
export function medianInPlace(a: Float64Array, n: number): number {
  const upper = selectKth(a, n, n >> 1)
  if (n % 2 === 1) return upper
  let lower = -Infinity
  for (let i = 0; i < n >> 1; i++) if (a[i] > lower) lower = a[i]
  return lower / 2 + upper / 2
}

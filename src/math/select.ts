/** The k-th smallest (from 0) of a[0..n); reorders a (Hoare's quickselect, middle pivot). */
export function selectKth(a: Float64Array, n: number, k: number): number {
  return selectWithin(a, 0, n - 1, k)
}

/** As `selectKth` within a[from..to], both inclusive; what lies outside is smaller and larger already. */
export function selectWithin(a: Float64Array, from: number, to: number, k: number): number {
  settleKth(a, from, to, k)
  return a[k]
}

/** Puts the number that `selectWithin` finds in its place, a[k], and returns nothing: a number returned may be boxed. */
export function settleKth(a: Float64Array, from: number, to: number, k: number): void {
  let left = from
  let right = to
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
    else return
  }
}

/** The median of a[0..n), n ≥ 1; reorders a. */
export function medianInPlace(a: Float64Array, n: number): number {
  medianAt(a, n, MEDIAN, 0)
  return MEDIAN[0]
}

const MEDIAN = new Float64Array(1)

/** `medianInPlace` into `out[place]`. */
export function medianAt(a: Float64Array, n: number, out: Float64Array, place: number): void {
  const half = n >> 1
  settleKth(a, 0, n - 1, half)
  const upper = a[half]
  out[place] = upper
  if (n % 2 === 1) return
  let lower = -Infinity
  for (let i = 0; i < half; i++) if (a[i] > lower) lower = a[i]
  out[place] = lower / 2 + upper / 2
}

/**
 * Linear-interpolated quantile (type 7) of a[0..n), n ≥ 1, whose place is known to lie in [left, right]; reorders
 * a so that the place found splits it.
 */
export function selectQuantile(a: Float64Array, n: number, p: number, left: number, right: number): number {
  const at = (n - 1) * p
  const low = Math.floor(at)
  const first = selectWithin(a, left, right, low)
  if (low === at) return first
  let second = Number.POSITIVE_INFINITY
  for (let i = low + 1; i < n; i++) if (a[i] < second) second = a[i]
  return first + (at - low) * (second - first)
}

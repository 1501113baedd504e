/** Up to this many pairs an insertion sort is quicker than a heap sort, and almost sorted input is the rule. */
const INSERTION_MAX = 48

/**
 * Sorts `key[from..to)` ascending and carries `value` along; equal keys end in ascending value, NaN last, so
 * that the result does not depend on the order at the start. In place, without allocation, O(n log n) at worst.
 */
export function sortPairs(key: Float64Array, value: Float64Array, from: number, to: number): void {
  let sorted = true
  for (let i = from + 1; i < to; i++) {
    if (after(key[i - 1], value[i - 1], key[i], value[i])) {
      sorted = false
      break
    }
  }
  if (sorted) return
  if (to - from <= INSERTION_MAX) insertionSort(key, value, from, to)
  else heapSort(key, value, from, to)
}

function after(keyA: number, valueA: number, keyB: number, valueB: number): boolean {
  if (keyA !== keyB) return keyA > keyB
  if (Number.isNaN(valueB)) return false
  return Number.isNaN(valueA) || valueA > valueB
}

function insertionSort(key: Float64Array, value: Float64Array, from: number, to: number): void {
  for (let i = from + 1; i < to; i++) {
    const k = key[i]
    const v = value[i]
    let j = i - 1
    while (j >= from && after(key[j], value[j], k, v)) {
      key[j + 1] = key[j]
      value[j + 1] = value[j]
      j--
    }
    key[j + 1] = k
    value[j + 1] = v
  }
}

function heapSort(key: Float64Array, value: Float64Array, from: number, to: number): void {
  const n = to - from
  for (let i = (n >> 1) - 1; i >= 0; i--) sink(key, value, from, i, n)
  for (let end = n - 1; end > 0; end--) {
    swap(key, value, from, from + end)
    sink(key, value, from, 0, end)
  }
}

function sink(key: Float64Array, value: Float64Array, base: number, root: number, n: number): void {
  let at = root
  for (;;) {
    let child = 2 * at + 1
    if (child >= n) return
    const right = child + 1
    if (right < n && after(key[base + right], value[base + right], key[base + child], value[base + child])) {
      child = right
    }
    if (!after(key[base + child], value[base + child], key[base + at], value[base + at])) return
    swap(key, value, base + at, base + child)
    at = child
  }
}

function swap(key: Float64Array, value: Float64Array, a: number, b: number): void {
  const k = key[a]
  const v = value[a]
  key[a] = key[b]
  value[a] = value[b]
  key[b] = k
  value[b] = v
}

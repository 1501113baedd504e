const DIGIT_BITS = 11
const DIGITS = 1 << DIGIT_BITS

/**
 * Sorts numbers of rows by a key of each: a radix sort from the lowest digit, O(rows) for every eleven bits of the largest key, in
 * memory that is used again.
 */
export class RadixSort {
  readonly #spare: Uint32Array
  readonly #places = new Uint32Array(DIGITS)

  /** `rows`: the most that are sorted at once. */
  constructor(rows: number) {
    this.#spare = new Uint32Array(rows)
  }

  /** Brings `order[0..length)` into ascending order of `keys[order[i]]`; equal keys stay in the order in which they come. */
  sort(order: Uint32Array, length: number, keys: Uint32Array): void {
    let bits = 0
    for (let i = 0; i < length; i++) bits |= keys[order[i]]
    let from = order
    let to = this.#spare
    for (let shift = 0; shift < 32 && bits >>> shift !== 0; shift += DIGIT_BITS) {
      sortDigit(from, to, length, keys, shift, this.#places)
      const swap = from
      from = to
      to = swap
    }
    if (from !== order) order.set(from.subarray(0, length))
  }
}

function sortDigit(
  from: Uint32Array,
  to: Uint32Array,
  length: number,
  keys: Uint32Array,
  shift: number,
  places: Uint32Array,
): void {
  const mask = DIGITS - 1
  places.fill(0)
  for (let i = 0; i < length; i++) places[(keys[from[i]] >>> shift) & mask]++
  let next = 0
  for (let digit = 0; digit < places.length; digit++) {
    const count = places[digit]
    places[digit] = next
    next += count
  }
  for (let i = 0; i < length; i++) {
    const row = from[i]
    to[places[(keys[row] >>> shift) & mask]++] = row
  }
}

/**
 * Seedless stochastic rounding. Slow averages kept in small integers stall under plain rounding, because a step of
 * less than half a code never arrives; rounding up with the probability of the fraction keeps the mean right. The
 * "random" number is a hash of the value and a counter, so repeat runs give the same bytes in any row order.
 */
const FLOAT = new Float64Array(1)
const WORDS = new Uint32Array(FLOAT.buffer)

/** Hash of the number in FLOAT and `counter` (murmur3's finaliser over both words); a small integer is never boxed. */
function hashHeld(counter: number): number {
  let h = Math.imul(WORDS[0] ^ 0x9e3779b9, 0x85ebca6b) ^ WORDS[1]
  h = Math.imul(h ^ (h >>> 15) ^ counter, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 13), 0x27d4eb2f)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  return h ^ (h >>> 13)
}

/** A number in [0, 1) from the bits of `value` and `counter`. */
export function hashUnit(value: number, counter: number): number {
  FLOAT[0] = value
  return (hashHeld(counter) >>> 0) / 4_294_967_296
}

/** `roundStochastic` of values[at]: a number given to a function may be boxed, the small integer returned is not. */
export function roundStochasticAt(values: Float64Array, at: number, counter: number): number {
  const value = values[at]
  const down = Math.floor(value)
  FLOAT[0] = value
  return (hashHeld(counter) >>> 0) / 4_294_967_296 < value - down ? down + 1 : down
}

/** `value` rounded down or up, up with the probability of its fraction. */
export function roundStochastic(value: number, counter: number): number {
  const down = Math.floor(value)
  return hashUnit(value, counter) < value - down ? down + 1 : down
}

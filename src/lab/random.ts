/**
 * Seeded random numbers for the lab, so that two runs with one seed draw the same users and the same journeys.
 */

/** Uniform in [0, 1). Mulberry32 (T. Ettinger, public domain): 32 bits of state, period 2^32. */
export type Random = () => number

export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Exponential waiting time with the given mean, in the mean's unit. */
export function exponential(random: Random, mean: number): number {
  return -mean * Math.log(1 - random())
}

/** An index in 0..length−1; small indices are asked for far more often, as with real queries (Zipf-like). */
export function skewedIndex(random: Random, length: number): number {
  return Math.min(length - 1, Math.floor(length * random() ** 3))
}

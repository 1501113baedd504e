/** Powers of ten for which 128 bits are kept: beyond them a number of 19 digits is 0 or infinite. */
export const LEAST_POWER = -348
export const MOST_POWER = 347

/**
 * The 128 highest bits of 10^power for all powers from LEAST_POWER to MOST_POWER, cut off, not rounded: pairs of words, the
 * high one first. Lemire, "Number parsing at a gigabyte per second" (2021), section 5.
 */
export function powersOfTen(): BigUint64Array {
  const out = new BigUint64Array(2 * (MOST_POWER - LEAST_POWER + 1))
  for (let power = LEAST_POWER; power <= MOST_POWER; power++) {
    // More bits than the smallest power takes away.
    const whole = power >= 0 ? (10n ** BigInt(power)) << 128n : (1n << 1400n) / 10n ** BigInt(-power)
    const top = whole >> BigInt(whole.toString(2).length - 128)
    out[2 * (power - LEAST_POWER)] = top >> 64n
    out[2 * (power - LEAST_POWER) + 1] = BigInt.asUintN(64, top)
  }
  return out
}

/**
 * The surprise that ranks windows: root mean squares of the seasonal strangeness over a short and a long stretch, and
 * the level shift. Squares, because a loud minute says more than a murmuring hour. It is the shift that keeps long
 * anomalies strange after their onset: unlike the long stretch it ends when they do. The shares were chosen on kpi
 * `train/`. Windows are counted, not minutes.
 */
const SHORT_WINDOWS = 14
const LONG_WINDOWS = 120
const SHORT_RATE = 2 / (SHORT_WINDOWS + 1)
const LONG_RATE = 2 / (LONG_WINDOWS + 1)
export const LONG_SHARE = 0.15
export const SHIFT_SHARE = 1.5
/** One window's strangeness is held here before it is squared. */
const STRANGE_MAX = 1e3

/** Written as a product, which is exact on every engine; a power is not promised to be. */
export function nextShort(meanSquare: number, strangeness: number): number {
  const held = Math.min(strangeness, STRANGE_MAX)
  return meanSquare + SHORT_RATE * (held * held - meanSquare)
}

export function nextLong(meanSquare: number, strangeness: number): number {
  const held = Math.min(strangeness, STRANGE_MAX)
  return meanSquare + LONG_RATE * (held * held - meanSquare)
}

/**
 * Surprise of a window of row `i`, whose strangeness and level shift lie in `w`, into `w[to]`, and its mean square of the
 * long stretch into `w[longTo]`. As the three functions above and below it, without a number given or returned: where those
 * are not inlined, each would be put on the heap.
 */
export function surpriseAt(
  shortSquares: Float32Array,
  longSquares: Float32Array,
  i: number,
  w: Float64Array,
  strangeness: number,
  shift: number,
  longTo: number,
  to: number,
): void {
  const held = Math.min(w[strangeness], STRANGE_MAX)
  const square = held * held
  const longSquare = longSquares[i] + LONG_RATE * (square - longSquares[i])
  const shortSquare = shortSquares[i] + SHORT_RATE * (square - shortSquares[i])
  w[longTo] = longSquare
  w[to] = Math.sqrt(shortSquare) + LONG_SHARE * Math.sqrt(longSquare) + SHIFT_SHARE * w[shift]
}

/** Both mean squares of row `i` follow the strangeness in `w`, slowed down by the weight in it. */
export function learnSquares(
  shortSquares: Float32Array,
  longSquares: Float32Array,
  i: number,
  w: Float64Array,
  strangeness: number,
  weights: Float64Array,
  weightAt: number,
): void {
  const weight = weights[weightAt]
  const held = Math.min(w[strangeness], STRANGE_MAX)
  const square = held * held
  const short = shortSquares[i]
  const long = longSquares[i]
  shortSquares[i] = short + weight * (short + SHORT_RATE * (square - short) - short)
  longSquares[i] = long + weight * (long + LONG_RATE * (square - long) - long)
}

export function surpriseOf(shortSquare: number, longSquare: number, shift: number): number {
  return Math.sqrt(shortSquare) + LONG_SHARE * Math.sqrt(longSquare) + SHIFT_SHARE * shift
}

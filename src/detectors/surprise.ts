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

export function surpriseOf(shortSquare: number, longSquare: number, shift: number): number {
  return Math.sqrt(shortSquare) + LONG_SHARE * Math.sqrt(longSquare) + SHIFT_SHARE * shift
}

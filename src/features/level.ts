import type { Chunk } from '../core/columns.ts'

/** Exponentially weighted level of a series and the usual size of its residuals and of its steps. */
export const LEVEL_COLUMNS = {
  level: 'f64',
  /** Mean absolute residual, in the series' unit. */
  residual: 'f64',
  /** The window before, in the series' unit. */
  previous: 'f64',
  /** Mean absolute change between windows, in the series' unit. */
  change: 'f64',
  /** Windows learned, up to LEVEL_WINDOWS. */
  windows: 'u8',
} as const
export type LevelChunk = Chunk<typeof LEVEL_COLUMNS>

/** Memory in windows: 1/0.05, three minutes at 10 s, long enough to smooth and short enough to follow. */
const LEVEL_WINDOWS = 20
/** A residual teaches as at most this many usual ones, so that an anomaly does not widen its own scale. */
const CLIP = 8
/** Standard deviation of a normal variable per mean absolute deviation, √(π/2). */
export const SIGMA_PER_MAD = 1.2533141373155001
/** Scale below which a difference is rounding, relative to the level. */
export const RELATIVE_FLOOR = 1e-6

/** Standard scores are kept within ±Z_MAX: beyond it a model learns nothing more. */
export const Z_MAX = 20

/** Deviation in units of `scale` (mean absolute), 0 when nothing is known. */
export function zScore(deviation: number, scale: number, level: number): number {
  const sigma = SIGMA_PER_MAD * scale + RELATIVE_FLOOR * Math.abs(level)
  if (!(sigma > 0)) return deviation === 0 || Number.isNaN(deviation) ? 0 : Math.sign(deviation) * Z_MAX
  const z = deviation / sigma
  return Math.max(-Z_MAX, Math.min(Z_MAX, z))
}

export function levelZ(c: LevelChunk, at: number, x: number): number {
  return c.windows[at] < 2 ? 0 : zScore(x - c.level[at], c.residual[at], c.level[at])
}

export function deltaZ(c: LevelChunk, at: number, x: number): number {
  return c.windows[at] < 2 ? 0 : zScore(x - c.previous[at], c.change[at], c.level[at])
}

/** Learns one window, after it was described. */
export function learnLevel(c: LevelChunk, at: number, x: number): void {
  const windows = c.windows[at]
  if (windows === 0) {
    c.level[at] = x
    c.previous[at] = x
    c.windows[at] = 1
    return
  }
  // The first windows count as a plain mean, so that the start does not linger.
  const rate = 1 / Math.min(windows + 1, LEVEL_WINDOWS)
  const deviation = x - c.level[at]
  const delta = Math.abs(x - c.previous[at])
  c.level[at] += rate * clipped(deviation, windows < 4 ? 0 : c.residual[at])
  c.residual[at] += rate * (clipped(Math.abs(deviation), windows < 4 ? 0 : c.residual[at]) - c.residual[at])
  c.change[at] += rate * (clipped(delta, windows < 4 ? 0 : c.change[at]) - c.change[at])
  c.previous[at] = x
  if (windows < LEVEL_WINDOWS) c.windows[at] = windows + 1
}

function clipped(x: number, scale: number): number {
  if (!(scale > 0)) return x
  const most = CLIP * scale
  return Math.max(-most, Math.min(most, x))
}

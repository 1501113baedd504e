import type { Chunk, ColumnSpec } from '../core/columns.ts'
import { countTail, tailQuantile99 } from '../math/log-histogram.ts'
import { againstUsualDay, closeDay, DAYS_KEPT } from './day-maxima.ts'
import { nextScale } from './robust-scale.ts'
import { nextShort, surpriseOf } from './surprise.ts'

/**
 * Strangeness of any unit → the three outputs, the way the phase slots do it: in units of its own usual size (half-life
 * three days), against its own 99 % point, and for the point against the usual loudest moment of a day. Beside it the
 * short-term level, which is what such a detector expects: a forest has no expectation of its own.
 */
const BINS = 32
const BINS_PER_OCTAVE = 4
/** Strangeness is held here, in usual sizes. */
const SIZES_MAX = 1e3
/** The 99 % point is read anew every so many values, at first each time. */
const TAIL_STRIDE = 16
const TAIL_OFTEN = 200
/** Added to the 99 % point of incident evidence, as for the shape term of the phase slots. */
const INCIDENT_FLOOR = 0.5
/** Half-width of the band, in standard deviations as the mean absolute deviation from the level gives them. */
const BAND_SCALES = 2.8 * Math.sqrt(Math.PI / 2)

export const LOUDNESS_COLUMNS = {
  /** Values seen. */
  n: 'u32',
  firstWindow: 'f64',
  lastAge: 'u32',
  level: 'f64',
  deviation: 'f32',
  /** Usual strangeness. */
  size: 'f32',
  shortSquare: 'f32',
  usual: 'f32',
  dayMax: 'f32',
  usualMax: 'f32',
  tail: ['u16', BINS],
  dayMaxima: ['u8', DAYS_KEPT],
} as const satisfies ColumnSpec
type LoudnessState = Chunk<typeof LOUDNESS_COLUMNS>

export interface LoudnessRates {
  /** Windows a day. */
  readonly day: number
  readonly level: number
  readonly scale: number
}

/** Numbers given to a function would be boxed. */
const SIZE = new Float64Array(1)

export function loudnessRates(stepMs: number): LoudnessRates {
  const day = Math.max(1, Math.round(86_400_000 / stepMs))
  return {
    day,
    level: 2 / (Math.max(12, 1_800_000 / stepMs) + 1),
    scale: 1 - 2 ** (-1 / (3 * day)),
  }
}

/** Outputs of one row: places in LOUD. */
export const LOUD_AT = { surprise: 0, point: 1, incident: 2, expected: 3, band: 4 } as const
export const LOUD = new Float64Array(5)

const sizes = (strangeness: number, size: number, floor: number) =>
  Math.min(SIZES_MAX, strangeness / (size + floor))
const pointOf = (z: number, usual: number) => z / (1 + usual)

/** Fills LOUD from what the state knows before this value. */
export function loudness(s: LoudnessState, strangeness: number, floor: number): void {
  const z = sizes(strangeness, s.size[0], floor)
  LOUD[LOUD_AT.surprise] = surpriseOf(nextShort(s.shortSquare[0], z), 0, 0)
  LOUD[LOUD_AT.point] = againstUsualDay(pointOf(z, s.usual[0]), s.usualMax[0])
  LOUD[LOUD_AT.incident] = z / (INCIDENT_FLOOR + s.usual[0])
  LOUD[LOUD_AT.expected] = s.level[0]
  LOUD[LOUD_AT.band] = BAND_SCALES * s.deviation[0]
}

/** Learns a value and its strangeness, NaN while there is none; `window` is start ÷ step. */
export function learnLoudness(
  s: LoudnessState,
  rates: LoudnessRates,
  x: number,
  window: number,
  strangeness: number,
  floor: number,
  weight: number,
): void {
  const n = s.n[0]
  if (n === 0) {
    s.firstWindow[0] = window
    s.level[0] = x
  }
  const age = Math.max(window - s.firstWindow[0], s.lastAge[0])
  const today = Math.floor(age / rates.day)
  const lastDay = Math.floor(s.lastAge[0] / rates.day)
  if (today > lastDay) {
    // The first day is spent learning what is usual and says nothing about it.
    if (lastDay > 0 && s.dayMax[0] > 0) s.usualMax[0] = closeDay(s.dayMaxima, 0, lastDay, s.dayMax[0])
    s.dayMax[0] = 0
  }
  if (!Number.isNaN(strangeness)) {
    const z = sizes(strangeness, s.size[0], floor)
    s.shortSquare[0] += weight * (nextShort(s.shortSquare[0], z) - s.shortSquare[0])
    if (weight > 0.5) {
      SIZE[0] = z
      countTail(s.tail, 0, BINS, BINS_PER_OCTAVE, SIZE, 0)
      const point = pointOf(z, s.usual[0])
      if (point > s.dayMax[0]) s.dayMax[0] = point
    }
    if (n < TAIL_OFTEN || n % TAIL_STRIDE === 0) s.usual[0] = tailQuantile99(s.tail, 0, BINS, BINS_PER_OCTAVE)
    s.size[0] = nextScale(s.size[0], strangeness, floor, n, rates.scale, weight)
  }
  const rate = weight * Math.max(1 / (n + 1), rates.level)
  s.deviation[0] += rate * (Math.abs(x - s.level[0]) - s.deviation[0])
  s.level[0] += rate * (x - s.level[0])
  s.lastAge[0] = age
  s.n[0] = n + 1
}

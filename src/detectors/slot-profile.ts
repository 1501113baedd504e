import type { Chunk, ColumnSpec } from '../core/columns.ts'
import { DAYS_KEPT } from './day-maxima.ts'

const DAY_MS = 86_400_000
const LN2 = Math.log(2)

/**
 * What sets the memory profiles of the phase-slot detector apart. The daily shape is a ring of `slots` phase slots,
 * each a level code and an envelope byte; tails are small log histograms; recent shapes a ring of normalised codes.
 */
export interface SlotProfile {
  readonly id: string
  /** Phase slots a day. */
  readonly slots: number
  /** Largest level code: 127 for int8, 32767 for int16. */
  readonly levelMax: number
  /** Bins of a tail histogram, and bins per octave. */
  readonly bins: number
  readonly binsPerOctave: number
  /** Shingles ending `firstLag`..`lastLag` samples earlier are neighbours of the latest one. */
  readonly firstLag: number
  readonly lastLag: number
  /** Codes of recent shapes: true for linear ones in int16, false for logarithmic ones in int8. */
  readonly linearCodes: boolean
  /** A quiet series looks for its nearest shapes only every so many windows: what is near a quiet one is quiet. */
  readonly quietStride: number
  /**
   * Until some windows before the end of its first day nobody hears of a series' shapes and tails: it looks for shapes as a quiet one
   * does, however loud it is, and reads its tails as one of some age. What is said is the same, but after a pause at that day's end.
   */
  readonly quietYoung: boolean
}

export const TINY_PROFILE: SlotProfile = {
  id: 'tiny@1',
  slots: 48,
  levelMax: 127,
  bins: 16,
  binsPerOctave: 2,
  firstLag: 8,
  lastLag: 57,
  linearCodes: false,
  quietStride: 4,
  quietYoung: false,
}

/** `tiny@1` as plain series have it. */
export const PLAIN_PROFILE: SlotProfile = { ...TINY_PROFILE, quietYoung: true }

export const COMPACT_PROFILE: SlotProfile = {
  id: 'compact@1',
  slots: 96,
  levelMax: 32_767,
  bins: 32,
  binsPerOctave: 4,
  firstLag: 8,
  lastLag: 393,
  linearCodes: true,
  quietStride: 4,
  quietYoung: false,
}

/** Samples in a shingle. */
export const SHINGLE = 8

/** Fields both profiles share; `n` is samples so far, 0 for an empty row. */
const COMMON = {
  n: 'u32',
  /** Window number (start ÷ step) of the first sample. */
  firstWindow: 'f64',
  /** Windows from the first sample to the last. */
  lastAge: 'u32',
  /** Short-term level m, running mean μ, previous sample, long-term mean of the shape term. */
  level: 'f64',
  mean: 'f64',
  previous: 'f64',
  shapeMean: 'f64',
  shapeDev: 'f32',
  /** Mean |x−μ|, mean |x−x₋₁|, mean |x|: what the noise floor is made of. */
  deviation: 'f32',
  jump: 'f32',
  magnitude: 'f32',
  /** Level correction of the daily shape. */
  offset: 'f32',
  /** Scales of the five normalisers N1..N5. */
  scale1: 'f32',
  scale2: 'f32',
  scale3: 'f32',
  scale4: 'f32',
  scale5: 'f32',
  /** Mean squares behind the surprise, and the EWMA g of the residual. */
  shortSquare: 'f32',
  longSquare: 'f32',
  shift: 'f32',
  /** Level codes mean `codeBase + code·codeStep`. */
  codeBase: 'f32',
  codeStep: 'f32',
  /** The visit of the current phase slot: largest L, sum of what its level learns from, samples. */
  visitMax: 'f32',
  visitSum: 'f32',
  visitCount: 'u16',
  /** Largest point evidence of the day so far, its usual daily maximum, and the daily maxima as codes. */
  dayMax: 'f32',
  usualMax: 'f32',
  /** The 99 % points of both tails as read last, and the shape distance found last. */
  pointUsual: 'f32',
  shapeUsual: 'f32',
  shape: 'f32',
  dayMaxima: ['u8', DAYS_KEPT],
} as const

/** Samples in the ring of recent shapes; of linear codes one more than is looked at, as snapshots have it. */
export function shapeRing(profile: SlotProfile): number {
  return profile.lastLag + (profile.linearCodes ? SHINGLE : SHINGLE - 1)
}

export function slotColumns(profile: SlotProfile) {
  return {
    ...COMMON,
    levels: [profile.levelMax > 127 ? 'i16' : 'i8', profile.slots],
    envelopes: ['u8', profile.slots],
    pointTail: ['u16', profile.bins],
    shapeTail: ['u16', profile.bins],
    shapes: [profile.linearCodes ? 'i16' : 'i8', shapeRing(profile)],
  } as const satisfies ColumnSpec
}

export type SlotColumns = ReturnType<typeof slotColumns>
export type SlotChunk = Chunk<SlotColumns>

/** Rates and sizes that follow from profile and step. */
export interface SlotRates {
  /** Windows a day, at least 1. */
  readonly day: number
  /** Phase slots used: no more than windows a day. */
  readonly slots: number
  /** Windows a phase slot, may be fractional. */
  readonly width: number
  readonly level: number
  readonly scale3: number
  readonly scale7: number
  readonly slow: number
}

export function slotRates(profile: SlotProfile, stepMs: number): SlotRates {
  const day = Math.max(1, Math.round(DAY_MS / stepMs))
  const slots = Math.min(profile.slots, day)
  return {
    day,
    slots,
    width: day / slots,
    level: 2 / (Math.max(12, 1_800_000 / stepMs) + 1),
    scale3: 1 - Math.exp(-LN2 / (3 * day)),
    scale7: 1 - Math.exp(-LN2 / (7 * day)),
    slow: 2 / (3 * (day + 1)),
  }
}

/** Position of a window within its day, in windows: 0..day−1. */
export function phaseOf(startMs: number, stepMs: number, day: number): number {
  const inDay = startMs - Math.floor(startMs / DAY_MS) * DAY_MS
  return Math.min(day - 1, Math.floor(inDay / stepMs))
}

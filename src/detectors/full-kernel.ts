import type { Chunk, ColumnSpec } from '../core/columns.ts'
import { countTail, readTail99 } from '../math/log-histogram.ts'
import { againstUsualDayAt, closeDayAt, DAYS_KEPT } from './day-maxima.ts'
import { READ } from './full-rings.ts'
import { CLIP_SCALES, SETTLING } from './robust-scale.ts'
import { AT, SCALES_MAX } from './slot-kernel.ts'
import type { SlotChunk } from './slot-profile.ts'
import { learnSquares, surpriseAt } from './surprise.ts'

/** What the rings add to a row of the phase-slot detector, and the evidence of both together. */
const BINS = 32
const BINS_PER_OCTAVE = 4
const SHIFT_RATE = 2 / 61

export const FULL_COLUMNS = {
  /** Scales of the four normalisers on the ring's residual. */
  scale1: 'f32',
  scale2: 'f32',
  scale3: 'f32',
  scale4: 'f32',
  offset: 'f32',
  shift: 'f32',
  /** Mean squares behind the surprise. */
  shortSquare: 'f32',
  longSquare: 'f32',
  jointTail: ['u16', BINS],
  n: 'u32',
  /** Largest point evidence of the day so far, its usual daily maximum, and the daily maxima as codes. */
  dayMax: 'f32',
  usualMax: 'f32',
  dayMaxima: ['u8', DAYS_KEPT],
  /** Window before which the rings are too young to speak; 0 when they were there from the start. */
  youngUntil: 'f64',
} as const satisfies ColumnSpec

export type FullChunk = Chunk<typeof FULL_COLUMNS>

/** Places in the scratch of a row of this detector. */
export const FULL = {
  surprise: 0,
  point: 1,
  incident: 2,
  expected: 3,
  residual: 4,
  excess: 5,
  joint: 6,
  strangeness: 7,
  shift: 8,
  rawPoint: 9,
  /** The ring's residual corrected for the level (L), as it is (Q), its neighbour distance (P) and shift (G), in scales. */
  corrected: 10,
  residualRatio: 11,
  excessRatio: 12,
  shiftRatio: 13,
  /** Mean square of the long stretch of both views, and their level shift. */
  longSquare: 14,
  bothShift: 15,
} as const
export const FULL_WIDTH = 16

/**
 * Scores s[so + AT.value]. READ holds what its ring says; `s` (from `so`) what the phase slots worked out, `w` (from `o`)
 * takes the result.
 */
export function scoreFull(
  c: FullChunk,
  i: number,
  s: Float64Array,
  so: number,
  w: Float64Array,
  o: number,
): void {
  const x = s[so + AT.value]
  const floor = s[so + AT.floor]
  const ready = c.n[i] >= 3
  const level = x - s[so + AT.offLevel]
  const usual = Number.isNaN(READ[0]) ? level : READ[0]
  const r = x - usual
  const L = ready ? Math.min(SCALES_MAX, Math.abs(r - c.offset[i]) / (c.scale1[i] + floor)) : 0
  const P = ready ? Math.min(SCALES_MAX, Math.abs(READ[1]) / (c.scale2[i] + floor)) : 0
  const Q = ready ? Math.min(SCALES_MAX, Math.abs(r) / (c.scale3[i] + floor)) : 0
  const shift = c.shift[i] + SHIFT_RATE * (r - c.shift[i])
  const G = ready ? Math.min(SCALES_MAX, Math.abs(shift) / (c.scale4[i] + floor)) : 0
  // Geometric mean of both views: each vetoes what only the other finds strange.
  const joint = Math.sqrt(s[so + AT.joint] * Math.sqrt(Math.sqrt(Q * L) * P))
  const both = (s[so + AT.excessRatio] + P) / 2
  const bothShift = Math.sqrt(s[so + AT.shiftRatio] * G)
  const isWarm = !Number.isNaN(s[so + AT.surprise])
  w[o + FULL.strangeness] = both
  w[o + FULL.bothShift] = bothShift
  const { strangeness, bothShift: shiftAt, longSquare, surprise, rawPoint } = FULL
  surpriseAt(c.shortSquare, c.longSquare, i, w, o + strangeness, o + shiftAt, o + longSquare, o + surprise)
  if (!isWarm) w[o + surprise] = NaN
  // The tail first, where its quotient is going to lie.
  readTail99(c.jointTail, i * BINS, BINS, BINS_PER_OCTAVE, w, o + rawPoint)
  w[o + rawPoint] = joint / (w[o + rawPoint] + 1)
  w[o + FULL.point] = NaN
  if (isWarm) againstUsualDayAt(w, o + rawPoint, c.usualMax, i, o + FULL.point)
  w[o + FULL.incident] = isWarm ? bothShift + s[so + AT.shapeRatio] : NaN
  w[o + FULL.expected] = usual + c.offset[i]
  w[o + FULL.residual] = r
  w[o + FULL.excess] = READ[1]
  w[o + FULL.joint] = joint
  w[o + FULL.shift] = shift
  w[o + FULL.corrected] = L
  w[o + FULL.residualRatio] = Q
  w[o + FULL.excessRatio] = P
  w[o + FULL.shiftRatio] = G
}

/** Learns what `scoreFull` worked out; s[so + AT.weight], 0..1, slows everything it moves. */
export function learnFull(
  c: FullChunk,
  i: number,
  rates: { readonly level: number; readonly scale3: number; readonly scale7: number },
  s: Float64Array,
  so: number,
  w: Float64Array,
  o: number,
): void {
  const n = c.n[i]
  const floor = s[so + AT.floor]
  const weight = s[so + AT.weight]
  const r = w[o + FULL.residual]
  // nextScale four times, written out: given to it, each number would be boxed.
  const young = 1 / (n + 1)
  const rate3 = weight * Math.max(young, rates.scale3)
  const rate7 = weight * Math.max(young, rates.scale7)
  const isSettled = n > SETTLING
  const s1 = c.scale1[i]
  const s2 = c.scale2[i]
  const s3 = c.scale3[i]
  const s4 = c.scale4[i]
  c.scale1[i] =
    s1 + rate3 * (Math.min(Math.abs(r - c.offset[i]), isSettled ? CLIP_SCALES * (s1 + floor) : Infinity) - s1)
  c.scale2[i] =
    s2 + rate3 * (Math.min(w[o + FULL.excess], isSettled ? CLIP_SCALES * (s2 + floor) : Infinity) - s2)
  c.scale3[i] = s3 + rate3 * (Math.min(Math.abs(r), isSettled ? CLIP_SCALES * (s3 + floor) : Infinity) - s3)
  c.scale4[i] =
    s4 +
    rate7 * (Math.min(Math.abs(w[o + FULL.shift]), isSettled ? CLIP_SCALES * (s4 + floor) : Infinity) - s4)
  c.offset[i] += weight * rates.level * (r - c.offset[i])
  c.shift[i] += weight * (w[o + FULL.shift] - c.shift[i])
  learnSquares(c.shortSquare, c.longSquare, i, w, o + FULL.strangeness, s, so + AT.weight)
  if (weight > 0.5) countTail(c.jointTail, i * BINS, BINS, BINS_PER_OCTAVE, w, o + FULL.joint)
  if (weight > 0.5 && w[o + FULL.rawPoint] > c.dayMax[i]) c.dayMax[i] = w[o + FULL.rawPoint]
  c.n[i] = n + 1
}

/** A new day begins; `lastDay` counts from the series' first, and the first says nothing about what is usual. */
export function closeFullDay(c: FullChunk, i: number, lastDay: number): void {
  if (lastDay > 0 && c.dayMax[i] > 0) closeDayAt(c.dayMaxima, i * DAYS_KEPT, lastDay, c.dayMax, c.usualMax, i)
  c.dayMax[i] = 0
}

/** A row begins with what its phase slots know of usual days and of how strange it has been lately. */
export function adoptSlots(c: FullChunk, i: number, slots: SlotChunk, j: number, youngUntil: number): void {
  c.youngUntil[i] = youngUntil
  c.shortSquare[i] = slots.shortSquare[j]
  c.longSquare[i] = slots.longSquare[j]
  c.dayMax[i] = slots.dayMax[j]
  c.usualMax[i] = slots.usualMax[j]
  for (let d = 0; d < DAYS_KEPT; d++) c.dayMaxima[i * DAYS_KEPT + d] = slots.dayMaxima[j * DAYS_KEPT + d]
}

/** The opinion of the phase slots in place of the one of both views; what is usual is learned from it as well. */
export function speakAlone(s: Float64Array, so: number, w: Float64Array, o: number): void {
  w[o + FULL.surprise] = s[so + AT.surprise]
  w[o + FULL.point] = s[so + AT.point]
  w[o + FULL.incident] = s[so + AT.incident]
  w[o + FULL.expected] = s[so + AT.expected]
  w[o + FULL.strangeness] = s[so + AT.excessRatio]
  w[o + FULL.rawPoint] = s[so + AT.rawPoint]
  // Says that the rings have no view of this window.
  w[o + FULL.corrected] = NaN
}

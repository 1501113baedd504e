import { countTail, readTail99 } from '../math/log-histogram.ts'
import { againstUsualDayAt, closeDayAt, DAYS_KEPT } from './day-maxima.ts'
import { CLIP_SCALES, SETTLING } from './robust-scale.ts'
import { closeVisit, ENVELOPES, emptyCode, tightenLevels, VISIT, visited } from './slot-levels.ts'
import type { SlotChunk, SlotProfile, SlotRates } from './slot-profile.ts'
import { pushShape, shapeCode, thirdNearest } from './slot-shapes.ts'
import { learnSquares, surpriseAt } from './surprise.ts'

/**
 * The phase-slot detector of one row: what `score` works out and what `learn` then does with it. A day is cut
 * into 48–96 phase slots, each with a median-like level and an envelope of its usual largest residual.
 */

/** Places in the scratch of a row. */
export const AT = {
  surprise: 0,
  point: 1,
  incident: 2,
  expected: 3,
  band: 4,
  /** Residual against the daily shape, its level-corrected size in scales, and the two excesses over the envelope. */
  residual: 5,
  corrected: 6,
  excess: 7,
  softExcess: 8,
  joint: 9,
  shape: 10,
  floor: 11,
  /** 1 when the sample opens a new visit of a phase slot. */
  opensVisit: 12,
  /** What was worked out: row of the series, end of the window, value. */
  series: 13,
  windowEnd: 14,
  observed: 15,
  /** The excess in its own usual size (P), the residual EWMA in its own (G), the value against the level (e). */
  excessRatio: 16,
  shiftRatio: 17,
  offLevel: 18,
  /** The third nearest shape over its own usual tail. */
  shapeRatio: 19,
  /** Point evidence before it is set against the usual day. */
  rawPoint: 20,
  /** Code of the normalised value, for the ring of recent shapes. */
  shapeCode: 21,
  /** The value as it is taken, and how much it may teach: numbers given to a function would be boxed. */
  value: 22,
  weight: 23,
  /**
   * The residual in usual residuals (Q), the soft excess in its own usual size (P'), the envelope in scales (h), the mean
   * square of the long stretch: views of the learned combiner.
   */
  residualRatio: 24,
  softRatio: 25,
  envelope: 26,
  longSquare: 27,
  /** The daily shape at this hour, not level-corrected; NaN where no day has shown it. */
  dayLevel: 28,
  /** How much farther than ordinary noise values of this hour usually lie from the shape: its envelope beyond NOISE_REACH. */
  slack: 29,
} as const
export const SCRATCH_WIDTH = 30

/** Not quiet: a residual or a level shift of that many scales, or shapes lately this share of the usual tail. */
const LOUD_SCALES = 3
const LOUD_SHIFT = 1.5
const LOUD_SHAPE = 0.5
/** The 99 % points of a tail are read again that often. */
const TAIL_STRIDE = 8
/** … and in the first windows always. */
const TAIL_OFTEN = 100

/** Half-width of the band in scales where the envelope asks for no more. */
const NOISE_REACH = 3
/** A residual of that many scales no longer says more; keeps squares inside float32. */
export const SCALES_MAX = 1e6

/** Whether anybody is about to hear of shapes and tails (see SlotProfile): so early that both were looked at since when they are. */
function isReady(profile: SlotProfile, age: number, day: number): boolean {
  return !profile.quietYoung || age + TAIL_STRIDE + profile.quietStride >= day
}

/** Makes a row ready for its first sample. */
export function startRow(c: SlotChunk, i: number, profile: SlotProfile, x: number, window: number): void {
  c.firstWindow[i] = window
  c.level[i] = x
  c.mean[i] = x
  c.previous[i] = x
  c.magnitude[i] = Math.abs(x)
  c.levels.fill(emptyCode(profile), i * profile.slots, (i + 1) * profile.slots)
}

/** The phase slot of the row's last window, `back` windows before one of `phase`. */
function slotBefore(rates: SlotRates, phase: number, back: number): number {
  let last = (phase - (back % rates.day)) | 0
  if (last < 0) last += rates.day
  return (last / rates.width) | 0
}

/**
 * Scores w[o + AT.value]; changes nothing but `w` (SCRATCH_WIDTH places from `o`). `window` is the window's number since
 * 1970, `phase` its place in the day. The row must have been started.
 */
export function scoreRow(
  c: SlotChunk,
  i: number,
  profile: SlotProfile,
  rates: SlotRates,
  window: number,
  phase: number,
  w: Float64Array,
  o: number,
): void {
  const x = w[o + AT.value]
  const n = c.n[i]
  const back = Math.max(0, window - c.firstWindow[i] - c.lastAge[i]) | 0
  const age = c.lastAge[i] + back
  const floor = 0.05 * c.jump[i] + 0.05 * c.deviation[i] + 1e-6 * c.magnitude[i] + 1e-12
  const slots = rates.slots
  // Integers all along: a remainder of floats is a call that costs more than all the rest of this.
  const current = (phase / rates.width) | 0
  const previousSlot = slotBefore(rates, phase, back)
  const opens = n > 0 && (current !== previousSlot || back >= rates.day)

  const u = (phase + 0.5) / rates.width - 0.5
  const below = Math.floor(u)
  const f = u - below
  const a = below < 0 ? slots - 1 : below | 0
  const b = a + 1 === slots ? 0 : a + 1
  const rowAt = i * profile.slots
  const empty = emptyCode(profile)
  const closing = opens && c.visitCount[i] > 0 ? previousSlot : -1
  const hasA = c.levels[rowAt + a] !== empty || a === closing
  const hasB = c.levels[rowAt + b] !== empty || b === closing
  // levelOf, written out: what is not inlined into a function as long as this one puts its result on the heap.
  let levelA = c.codeBase[i] + c.levels[rowAt + a] * c.codeStep[i]
  let levelB = c.codeBase[i] + c.levels[rowAt + b] * c.codeStep[i]
  let envA = ENVELOPES[c.envelopes[rowAt + a]]
  let envB = ENVELOPES[c.envelopes[rowAt + b]]
  if (closing >= 0 && (a === closing || b === closing)) {
    visited(c, i, profile, closing, rates.day)
    if (a === closing) {
      levelA = VISIT[0]
      envA = VISIT[1]
    }
    if (b === closing) {
      levelB = VISIT[0]
      envB = VISIT[1]
    }
  }
  let p = c.level[i]
  w[o + AT.dayLevel] = NaN
  if (age >= rates.day && (f < 0.5 ? hasA : hasB)) {
    p = hasA && hasB ? (1 - f) * levelA + f * levelB : f < 0.5 ? levelA : levelB
    w[o + AT.dayLevel] = p
  }
  const r = x - p
  const e = x - c.level[i]
  const sigma = c.scale1[i] + floor
  const ready = n >= 3
  const corrected = Math.min(SCALES_MAX, Math.abs(r - c.offset[i]) / sigma)
  const L = ready ? corrected : 0
  const Q = ready ? Math.min(SCALES_MAX, Math.abs(r) / (c.scale3[i] + floor)) : 0
  const h = Math.max(hasA ? envA : 0, hasB ? envB : 0)
  let k = Math.abs(e)
  let soft = k
  if (hasA && hasB && age >= 2 * rates.day) {
    k = Math.max(0, L - h) * sigma
    soft = (sigma * L * L) / (L + 3 * h + 0.1)
  }
  const P = ready ? Math.min(SCALES_MAX, k / (c.scale2[i] + floor)) : 0
  const P5 = ready ? Math.min(SCALES_MAX, soft / (c.scale5[i] + floor)) : 0
  const joint = Math.sqrt(Math.sqrt(Q * L) * P5)
  const g = c.shift[i] + (2 / 61) * (r - c.shift[i])
  const G = ready ? Math.min(SCALES_MAX, Math.abs(g) / (c.scale4[i] + floor)) : 0
  shapeCode(profile, c.shapeMean, c.shapeDev, i, w, o + AT.value, o + AT.shapeCode)
  const shapeUsual = c.shapeUsual[i] + 0.5
  const isLoud = L >= LOUD_SCALES || G >= LOUD_SHIFT || c.shape[i] >= LOUD_SHAPE * shapeUsual
  w[o + AT.shape] = c.shape[i]
  if ((isLoud && isReady(profile, age, rates.day)) || n % profile.quietStride === 0) {
    const ringAt = (c.shapes.length / c.n.length) * i
    thirdNearest(profile, c.shapes, ringAt, n, w, o + AT.shapeCode, o + AT.shape)
  }
  const shape = w[o + AT.shape]
  const warm = age >= rates.day
  w[o + AT.excessRatio] = P
  w[o + AT.shiftRatio] = G
  surpriseAt(
    c.shortSquare,
    c.longSquare,
    i,
    w,
    o + AT.excessRatio,
    o + AT.shiftRatio,
    o + AT.longSquare,
    o + AT.surprise,
  )
  if (!warm) w[o + AT.surprise] = NaN
  const raw = joint / (c.pointUsual[i] + 1)
  w[o + AT.rawPoint] = raw
  w[o + AT.point] = NaN
  if (warm) againstUsualDayAt(w, o + AT.rawPoint, c.usualMax, i, o + AT.point)
  w[o + AT.shapeRatio] = shape / shapeUsual
  w[o + AT.incident] = warm ? G + w[o + AT.shapeRatio] : NaN
  w[o + AT.expected] = p + c.offset[i]
  w[o + AT.band] = Math.max(h, NOISE_REACH) * sigma
  w[o + AT.slack] = Math.max(0, h - NOISE_REACH) * sigma
  w[o + AT.residual] = r
  w[o + AT.corrected] = corrected
  w[o + AT.excess] = k
  w[o + AT.softExcess] = soft
  w[o + AT.joint] = joint
  w[o + AT.floor] = floor
  w[o + AT.opensVisit] = opens ? 1 : 0
  w[o + AT.offLevel] = e
  w[o + AT.residualRatio] = Q
  w[o + AT.softRatio] = P5
  w[o + AT.envelope] = h
}

/** Learns the value that `scoreRow` has just worked out into `w`; w[o + AT.weight], 0..1, slows everything it moves. */
export function learnRow(
  c: SlotChunk,
  i: number,
  profile: SlotProfile,
  rates: SlotRates,
  window: number,
  phase: number,
  w: Float64Array,
  o: number,
): void {
  const x = w[o + AT.value]
  const weight = w[o + AT.weight]
  const n = c.n[i]
  const back = Math.max(0, window - c.firstWindow[i] - c.lastAge[i]) | 0
  const age = c.lastAge[i] + back
  const floor = w[o + AT.floor]
  const r = w[o + AT.residual]
  const slot = (phase / rates.width) | 0
  if (w[o + AT.opensVisit] === 1) {
    const previousSlot = slotBefore(rates, phase, back)
    closeVisit(c, i, profile, previousSlot, rates.day)
    if (slot <= previousSlot) tightenLevels(c, i, profile)
  }
  const reach = n <= rates.day ? Infinity : 2 * (c.scale3[i] + floor)
  const clipped = Math.max(-reach, Math.min(reach, r))
  const isEmpty = c.levels[i * profile.slots + slot] === emptyCode(profile)
  if (c.visitCount[i] < 65_535) {
    c.visitSum[i] += isEmpty ? x : weight * clipped
    c.visitCount[i]++
  }
  const corrected = w[o + AT.corrected]
  if (n >= 3 && corrected > c.visitMax[i]) c.visitMax[i] = corrected

  const shift = c.shift[i] + weight * (2 / 61) * (r - c.shift[i])
  learnSquares(c.shortSquare, c.longSquare, i, w, o + AT.excessRatio, w, o + AT.weight)
  c.shift[i] = shift
  learnScales(c, i, rates, w, o)
  const { bins, binsPerOctave } = profile
  if (weight > 0.5) {
    countTail(c.pointTail, i * bins, bins, binsPerOctave, w, o + AT.joint)
    // Only what the stride made look at: loud windows are looked at more often and would outweigh the quiet.
    if (n % profile.quietStride === 0) countTail(c.shapeTail, i * bins, bins, binsPerOctave, w, o + AT.shape)
  }
  if (n % TAIL_STRIDE === 0 || (n < TAIL_OFTEN && isReady(profile, age, rates.day))) {
    readTail99(c.pointTail, i * bins, bins, binsPerOctave, c.pointUsual, i)
    readTail99(c.shapeTail, i * bins, bins, binsPerOctave, c.shapeUsual, i)
  }
  c.shape[i] = w[o + AT.shape]
  pushShape(profile, c.shapes, (c.shapes.length / c.n.length) * i, n, w[o + AT.shapeCode] | 0)
  c.shapeDev[i] += (Math.abs(x - c.shapeMean[i]) - c.shapeDev[i]) / (n + 1)
  c.shapeMean[i] += (x - c.shapeMean[i]) / (n + 1)

  const today = (age / rates.day) | 0
  const lastDay = (c.lastAge[i] / rates.day) | 0
  if (today > lastDay) {
    // The first day has no opinion and says nothing about what is usual.
    if (lastDay > 0 && c.dayMax[i] > 0)
      closeDayAt(c.dayMaxima, i * DAYS_KEPT, lastDay, c.dayMax, c.usualMax, i)
    c.dayMax[i] = 0
  }
  if (weight > 0.5 && w[o + AT.rawPoint] > c.dayMax[i]) c.dayMax[i] = w[o + AT.rawPoint]

  const slow = weight * Math.max(1 / (n + 1), rates.slow)
  c.offset[i] += weight * rates.level * (clipped - c.offset[i])
  c.level[i] += weight * Math.max(1 / (n + 1), rates.level) * (x - c.level[i])
  c.deviation[i] += slow * (Math.abs(x - c.mean[i]) - c.deviation[i])
  c.mean[i] += slow * (x - c.mean[i])
  c.jump[i] += slow * (Math.abs(x - c.previous[i]) - c.jump[i])
  c.magnitude[i] += slow * (Math.abs(x) - c.magnitude[i])
  c.previous[i] = x
  c.lastAge[i] = age
  c.n[i] = n + 1
}

/** The five scales as nextScale would move them, which is written out: given to it, each number would be boxed. */
function learnScales(c: SlotChunk, i: number, rates: SlotRates, w: Float64Array, o: number): void {
  const n = c.n[i]
  const weight = w[o + AT.weight]
  const floor = w[o + AT.floor]
  const r = w[o + AT.residual]
  const young = 1 / (n + 1)
  const rate3 = weight * (young > rates.scale3 ? young : rates.scale3)
  const rate7 = weight * (young > rates.scale7 ? young : rates.scale7)
  const isSettled = n > SETTLING
  const { scale1, scale2, scale3, scale4, scale5 } = c
  const s1 = scale1[i]
  const s2 = scale2[i]
  const s3 = scale3[i]
  const s4 = scale4[i]
  const s5 = scale5[i]
  scale1[i] =
    s1 + rate3 * (Math.min(Math.abs(r - c.offset[i]), isSettled ? CLIP_SCALES * (s1 + floor) : Infinity) - s1)
  scale2[i] =
    s2 + rate3 * (Math.min(w[o + AT.excess], isSettled ? CLIP_SCALES * (s2 + floor) : Infinity) - s2)
  scale3[i] = s3 + rate3 * (Math.min(Math.abs(r), isSettled ? CLIP_SCALES * (s3 + floor) : Infinity) - s3)
  scale4[i] =
    s4 + rate7 * (Math.min(Math.abs(c.shift[i]), isSettled ? CLIP_SCALES * (s4 + floor) : Infinity) - s4)
  scale5[i] =
    s5 + rate3 * (Math.min(w[o + AT.softExcess], isSettled ? CLIP_SCALES * (s5 + floor) : Infinity) - s5)
}

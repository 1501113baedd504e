import { LOG_BITS, LOG_FLOAT, LOG_TABLE } from '../math/fast-log.ts'
import { SHINGLE, type SlotProfile, shapeRing } from './slot-profile.ts'

/**
 * Shape term of the phase-slot detector: how far the latest eight normalised samples are from the third nearest
 * eight that ended a while ago. Samples are kept as small codes in a ring, and distances are worked out only in windows
 * that look: running ones (kept for every lag, moved on in O(1)) cost four multiplications a lag in every window, these
 * about five in the windows that look, which are one in four of a quiet series, and no memory.
 */

/** Normalised samples are clipped here: beyond it only "far away" matters. */
const Z_CLIP = 30
/** Log codes ±27·ln(1+|z|/.3): fine near 0, at most 125 at the clip. */
const LOG_GAIN = 27
const LOG_KNEE = 0.3
/** Linear codes: 8·(2·30·272)² still fits i32, so that the loop over lags stays in integers. */
const LINEAR_GAIN = 272
/** Above every distance, and still a small integer for the loop. */
const NONE = 0x7fffffff
/** Samples before the shape term speaks. */
const SHAPE_WARM_UP = 69

/** Normalised values by their logarithmic codes, plus 128. */
export const DECODED = new Float64Array(256)
for (let code = -128; code < 128; code++) {
  DECODED[code + 128] = Math.sign(code) * LOG_KNEE * (Math.exp(Math.abs(code) / LOG_GAIN) - 1)
}

const recent = new Float64Array(1024)
const recentCodes = new Int32Array(1024)

/** Writes the code of `w[from]` against the long-term mean and mean absolute deviation of row `i` to `w[to]`. */
export function shapeCode(
  profile: SlotProfile,
  mean: Float64Array,
  dev: Float32Array,
  i: number,
  w: Float64Array,
  from: number,
  to: number,
): void {
  const m = mean[i]
  let z = (w[from] - m) / (dev[i] + 1e-6 * Math.abs(m) + 1e-12)
  if (z > Z_CLIP) z = Z_CLIP
  else if (z < -Z_CLIP) z = -Z_CLIP
  if (profile.linearCodes) {
    w[to] = Math.round(z * LINEAR_GAIN)
    return
  }
  // fastLog2At, written out: called from here it is not always inlined, and then its result is boxed.
  LOG_FLOAT[0] = 1 + Math.abs(z) / LOG_KNEE
  const bits = LOG_BITS[0]
  const step = (bits >>> 15) & 255
  const low = LOG_TABLE[step]
  const log = (bits >>> 23) - 127 + low + ((bits & 0x7fff) / 0x8000) * (LOG_TABLE[step + 1] - low)
  const size = Math.round(LOG_GAIN * Math.LN2 * log)
  w[to] = z < 0 ? -size : size
}

/** The normalised value a code stands for. */
export function decodeShape(profile: SlotProfile, code: number): number {
  return profile.linearCodes ? code / LINEAR_GAIN : DECODED[code + 128]
}

/** The code of a normalised value. */
export function encodeShape(profile: SlotProfile, z: number): number {
  const held = Math.max(-Z_CLIP, Math.min(Z_CLIP, z))
  if (profile.linearCodes) return Math.round(held * LINEAR_GAIN)
  return Math.sign(held) * Math.round(LOG_GAIN * Math.log(1 + Math.abs(held) / LOG_KNEE))
}

/** A code that is far from everything but its like, for samples that are not known; signs change from place to place. */
export function farCode(profile: SlotProfile, place: number): number {
  return encodeShape(profile, place % 2 === 0 ? Z_CLIP : -Z_CLIP)
}

/** Writes the third smallest shingle distance with `w[from]` as the newest code to `w[to]`; 0 while there are few samples. */
export function thirdNearest(
  profile: SlotProfile,
  ring: Int8Array | Int16Array,
  at: number,
  n: number,
  w: Float64Array,
  from: number,
  to: number,
): void {
  if (n < SHAPE_WARM_UP) {
    w[to] = 0
    return
  }
  const code = w[from] | 0
  const lastLag = Math.min(profile.lastLag, n - SHINGLE + 1)
  if (profile.linearCodes) {
    unrollCodes(ring as Int16Array, at, shapeRing(profile), n, code, lastLag + SHINGLE - 1)
    const third = nearestCodes(profile.firstLag, lastLag)
    w[to] = third === NONE ? 0 : Math.sqrt(third) / LINEAR_GAIN
  } else nearestDecoded(profile, ring as Int8Array, at, n, code, lastLag, w, to)
}

function nearestDecoded(
  profile: SlotProfile,
  ring: Int8Array,
  at: number,
  n: number,
  code: number,
  lastLag: number,
  w: Float64Array,
  to: number,
): void {
  const size = shapeRing(profile)
  // recent[j] is the sample j earlier: newest first, so that a lag is an offset.
  recent[0] = DECODED[code + 128]
  let position = n % size
  for (let j = 1; j <= size; j++) {
    position = position === 0 ? size - 1 : position - 1
    recent[j] = DECODED[ring[at + position] + 128]
  }
  const a0 = recent[0]
  const a1 = recent[1]
  const a2 = recent[2]
  const a3 = recent[3]
  const a4 = recent[4]
  const a5 = recent[5]
  const a6 = recent[6]
  const a7 = recent[7]
  let first = Infinity
  let second = Infinity
  let third = Infinity
  for (let lag = profile.firstLag; lag <= lastLag; lag++) {
    let d = a0 - recent[lag]
    let sum = d * d
    d = a1 - recent[lag + 1]
    sum += d * d
    d = a2 - recent[lag + 2]
    sum += d * d
    d = a3 - recent[lag + 3]
    sum += d * d
    if (sum >= third) continue
    d = a4 - recent[lag + 4]
    sum += d * d
    d = a5 - recent[lag + 5]
    sum += d * d
    d = a6 - recent[lag + 6]
    sum += d * d
    d = a7 - recent[lag + 7]
    sum += d * d
    if (sum >= third) continue
    if (sum < first) {
      third = second
      second = first
      first = sum
    } else if (sum < second) {
      third = second
      second = sum
    } else third = sum
  }
  w[to] = third === Infinity ? 0 : Math.sqrt(third)
}

/** recentCodes[j] becomes the code j samples before the newest, 0 ≤ j ≤ `count`: newest first, so that a lag is an offset. */
function unrollCodes(
  ring: Int16Array,
  at: number,
  size: number,
  n: number,
  code: number,
  count: number,
): void {
  recentCodes[0] = code
  const head = n % size
  // The ring runs the other way, and in two pieces: the one below its head, then the one that ends it.
  const first = Math.min(head, count)
  for (let j = 1; j <= first; j++) recentCodes[j] = ring[at + head - j]
  const end = at + size + head
  for (let j = first + 1; j <= count; j++) recentCodes[j] = ring[end - j]
}

/** The third smallest squared distance of the newest shingle in recentCodes, NONE while there are fewer. */
function nearestCodes(firstLag: number, lastLag: number): number {
  const codes = recentCodes
  const a0 = codes[0]
  const a1 = codes[1]
  const a2 = codes[2]
  const a3 = codes[3]
  const a4 = codes[4]
  const a5 = codes[5]
  const a6 = codes[6]
  const a7 = codes[7]
  let first = NONE
  let second = NONE
  let third = NONE
  for (let lag = firstLag; lag <= lastLag; lag++) {
    const d0 = a0 - codes[lag]
    const d1 = a1 - codes[lag + 1]
    const d2 = a2 - codes[lag + 2]
    const d3 = a3 - codes[lag + 3]
    const half = (Math.imul(d0, d0) + Math.imul(d1, d1) + Math.imul(d2, d2) + Math.imul(d3, d3)) | 0
    // Sums only grow: most lags end here.
    if (half >= third) continue
    const d4 = a4 - codes[lag + 4]
    const d5 = a5 - codes[lag + 5]
    const d6 = a6 - codes[lag + 6]
    const d7 = a7 - codes[lag + 7]
    const sum = (half + Math.imul(d4, d4) + Math.imul(d5, d5) + Math.imul(d6, d6) + Math.imul(d7, d7)) | 0
    if (sum >= third) continue
    if (sum < first) {
      third = second
      second = first
      first = sum
    } else if (sum < second) {
      third = second
      second = sum
    } else third = sum
  }
  return third
}

/** Puts `code` into the ring as sample number `n`. */
export function pushShape(
  profile: SlotProfile,
  ring: Int8Array | Int16Array,
  at: number,
  n: number,
  code: number,
): void {
  ring[at + (n % shapeRing(profile))] = code
}

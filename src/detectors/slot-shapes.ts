import { LOG_BITS, LOG_FLOAT, LOG_TABLE } from '../math/fast-log.ts'
import { SHINGLE, type SlotProfile } from './slot-profile.ts'

/**
 * Shape term of the phase-slot detector: how far the latest eight normalised samples are from the third nearest
 * eight that ended a while ago. Samples are kept as small codes in a ring; lag distances either running or redone.
 */

/** Normalised samples are clipped here: beyond it only "far away" matters. */
const Z_CLIP = 30
/** Log codes ±27·ln(1+|z|/.3): fine near 0, at most 125 at the clip. */
const LOG_GAIN = 27
const LOG_KNEE = 0.3
/** Linear codes of the running distances: 8·(2·30·272)² still fits i32, so that the loops stay in integers. */
const LINEAR_GAIN = 272
/** Above every distance, and still a small integer for the loop. */
const NONE = 0x7fffffff
/** Samples before the shape term speaks. */
const SHAPE_WARM_UP = 69

const DECODED = new Float64Array(256)
for (let code = -128; code < 128; code++) {
  DECODED[code + 128] = Math.sign(code) * LOG_KNEE * (Math.exp(Math.abs(code) / LOG_GAIN) - 1)
}

const recent = new Float64Array(1024)

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
  if (profile.keptDistances) {
    w[to] = Math.round(z * LINEAR_GAIN)
    return
  }
  // fastLog2, written out: called from here it is not always inlined, and then its result is boxed.
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
  return profile.keptDistances ? code / LINEAR_GAIN : DECODED[code + 128]
}

/** The code of a normalised value. */
export function encodeShape(profile: SlotProfile, z: number): number {
  const held = Math.max(-Z_CLIP, Math.min(Z_CLIP, z))
  if (profile.keptDistances) return Math.round(held * LINEAR_GAIN)
  return Math.sign(held) * Math.round(LOG_GAIN * Math.log(1 + Math.abs(held) / LOG_KNEE))
}

/** A code that is far from everything but its like, for samples that are not known; signs change from place to place. */
export function farCode(profile: SlotProfile, place: number): number {
  return encodeShape(profile, place % 2 === 0 ? Z_CLIP : -Z_CLIP)
}

/** Works the running distances out from the ring after `n` samples: what `pushShape` would have kept. */
export function measureDistances(
  profile: SlotProfile,
  ring: Int16Array,
  at: number,
  distances: Int32Array,
  distanceAt: number,
  n: number,
): void {
  const size = profile.lastLag + SHINGLE
  const place = (back: number) => at + ((((n - back) % size) + size) % size)
  for (let lag = profile.firstLag; lag <= profile.lastLag; lag++) {
    let sum = 0
    for (let k = 1; k <= SHINGLE; k++) {
      const difference = ring[place(k)] - ring[place(k + lag)]
      sum = (sum + Math.imul(difference, difference)) | 0
    }
    distances[distanceAt + lag - profile.firstLag] = sum
  }
}

/** Writes the third smallest shingle distance with `w[from]` as the newest code to `w[to]`; 0 while there are few samples. */
export function thirdNearest(
  profile: SlotProfile,
  ring: Int8Array | Int16Array,
  at: number,
  distances: Int32Array,
  distanceAt: number,
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
  if (profile.keptDistances) {
    const third = nearestKept(profile, ring as Int16Array, at, distances, distanceAt, n, code, lastLag)
    w[to] = third === NONE ? 0 : Math.sqrt(third) / LINEAR_GAIN
  } else nearestRedone(profile, ring as Int8Array, at, n, code, lastLag, w, to)
}

function nearestRedone(
  profile: SlotProfile,
  ring: Int8Array,
  at: number,
  n: number,
  code: number,
  lastLag: number,
  w: Float64Array,
  to: number,
): void {
  const size = profile.lastLag + SHINGLE - 1
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

/** The third smallest squared distance in linear codes, NONE while there are fewer. */
function nearestKept(
  profile: SlotProfile,
  ring: Int16Array,
  at: number,
  distances: Int32Array,
  distanceAt: number,
  n: number,
  code: number,
  lastLag: number,
): number {
  const size = profile.lastLag + SHINGLE
  const head = n % size
  const eighth = ring[at + ((head + size - SHINGLE) % size)]
  let first = NONE
  let second = NONE
  let third = NONE
  // Lags run backwards through the ring; `near` and `far` wrap at different lags, so they are walked in runs.
  let near = (head + size - profile.firstLag) % size
  let far = (head + 2 * size - profile.firstLag - SHINGLE) % size
  let lag = profile.firstLag
  while (lag <= lastLag) {
    const run = Math.min(lastLag - lag + 1, near + 1, far + 1)
    const nearAt = at + near
    const farAt = at + far
    const keptAt = distanceAt + lag - profile.firstLag
    for (let k = 0; k < run; k++) {
      const arriving = code - ring[nearAt - k]
      const leaving = eighth - ring[farAt - k]
      const sum = (distances[keptAt + k] + Math.imul(arriving, arriving) - Math.imul(leaving, leaving)) | 0
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
    lag += run
    near = near === run - 1 ? size - 1 : near - run
    far = far === run - 1 ? size - 1 : far - run
  }
  return third
}

/** Puts `code` into the ring as sample number `n` and brings the running distances up to it. */
export function pushShape(
  profile: SlotProfile,
  ring: Int8Array | Int16Array,
  at: number,
  distances: Int32Array,
  distanceAt: number,
  n: number,
  code: number,
): void {
  if (!profile.keptDistances) {
    ring[at + (n % (profile.lastLag + SHINGLE - 1))] = code
    return
  }
  const size = profile.lastLag + SHINGLE
  const head = n % size
  const eighth = ring[at + ((head + size - SHINGLE) % size)]
  let near = (head + size - profile.firstLag) % size
  let far = (head + 2 * size - profile.firstLag - SHINGLE) % size
  const count = profile.lastLag - profile.firstLag + 1
  let done = 0
  while (done < count) {
    const run = Math.min(count - done, near + 1, far + 1)
    moveDistances(ring as Int16Array, at + near, at + far, distances, distanceAt + done, run, code, eighth)
    done += run
    near = near === run - 1 ? size - 1 : near - run
    far = far === run - 1 ? size - 1 : far - run
  }
  ring[at + head] = code
}

function moveDistances(
  ring: Int16Array,
  nearAt: number,
  farAt: number,
  distances: Int32Array,
  keptAt: number,
  run: number,
  code: number,
  eighth: number,
): void {
  for (let k = 0; k < run; k++) {
    const arriving = code - ring[nearAt - k]
    const leaving = eighth - ring[farAt - k]
    distances[keptAt + k] =
      (distances[keptAt + k] + Math.imul(arriving, arriving) - Math.imul(leaving, leaving)) | 0
  }
}

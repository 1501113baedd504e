import { medianAt, settleKth } from '../math/select.ts'

/**
 * Fifteen days of one series, window by window: its values and how far each lay from the short-term level. What was
 * usual at this time of day is read from it without a model.
 */
export const RING_DAYS = 15
const DAYS_BACK = 14
/** Windows this close to the same time of day count as the same: ±3 min absorbs small shifts of daily jobs. */
const NEAR_MS = 180_000
/** Neighbours looked at on each side at most; with a short step they are taken further apart. */
const NEAR_MAX = 3

export interface RingPlan {
  readonly day: number
  readonly length: number
  readonly near: number
  readonly stride: number
}

export function ringPlan(day: number, stepMs: number): RingPlan {
  const reach = Math.round(NEAR_MS / stepMs)
  const near = Math.min(reach, NEAR_MAX)
  return {
    day,
    length: RING_DAYS * day,
    near,
    stride: near === 0 ? 1 : Math.max(1, Math.round(reach / near)),
  }
}

/** [values, then distances from the level], NaN where nothing was seen. */
export type Ring = Float32Array

export function newRing(plan: RingPlan): Ring {
  return new Float32Array(2 * plan.length).fill(NaN)
}

const values = new Float64Array(DAYS_BACK * (2 * NEAR_MAX + 1))
const distances = new Float64Array(DAYS_BACK)

/**
 * What the ring says of a window: `[0]` the usual value (NaN if none), `[1]` distance to the third nearest day. Numbers come
 * and go in arrays here: given to a function or returned they would be boxed.
 */
export const READ = new Float64Array(2)

/**
 * Reads the ring, last written at window `last`, for window `window` whose value lies `s[offLevelAt]` from the short-term
 * level. The third nearest
 * of the days absorbs weekends and past incidents without a weekly model; with fewer days the farther, then |e|.
 */
export function readRing(
  ring: Ring,
  plan: RingPlan,
  window: number,
  s: Float64Array,
  offLevelAt: number,
  last: number,
): void {
  const { day, length, near, stride } = plan
  const offLevel = s[offLevelAt]
  let count = 0
  let days = 0
  for (let d = 1; d <= DAYS_BACK; d++) {
    let nearest = Infinity
    for (let j = -near; j <= near; j++) {
      const other = window - d * day + j * stride
      // Older than the ring: its place holds a later window's value, or one that is due to be emptied.
      if (other >= window || other > last || other <= last - length) continue
      const at = ((other % length) + length) % length
      const value = ring[at]
      if (Number.isNaN(value)) continue
      values[count++] = value
      const distance = Math.abs(offLevel - ring[length + at])
      if (distance < nearest) nearest = distance
    }
    if (nearest < Infinity) distances[days++] = nearest
  }
  READ[0] = NaN
  if (count > 0) medianAt(values, count, READ, 0)
  if (days >= 3) {
    settleKth(distances, 0, days - 1, 2)
    READ[1] = distances[2]
  } else READ[1] = days === 2 ? Math.max(distances[0], distances[1]) : Math.abs(offLevel)
}

/** Puts a window in, its value and how far off the level that is in `s`; windows skipped since `last` (NaN: none yet) are emptied, they hold values of 15 days ago. */
export function writeRing(
  ring: Ring,
  plan: RingPlan,
  window: number,
  last: number,
  s: Float64Array,
  valueAt: number,
  offLevelAt: number,
): void {
  const { length } = plan
  const from = Number.isNaN(last) ? window : Math.max(last + 1, window - length + 1)
  for (let w = from; w < window; w++) {
    const at = ((w % length) + length) % length
    ring[at] = NaN
    ring[length + at] = NaN
  }
  const at = ((window % length) + length) % length
  ring[at] = s[valueAt]
  ring[length + at] = s[offLevelAt]
}

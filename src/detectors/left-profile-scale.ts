import { PLACE, type ProfileShape, type ProfileState } from '../math/left-profile.ts'

/**
 * A left profile holds values in float32, as so many mean deviations from a centre. Both are those of the values it holds, looked at
 * when its buffers slide and, while the series is young, at every doubling of its age; all values are then put on the new scale, so that a
 * level that moved for good loses no digits and an early guess does no harm.
 */

/** Codes beyond so many mean deviations grow as a logarithm: a spike of a million then leaves the products of others their digits. */
const KNEE = 8
/** The scale stays while the centre is within a quarter of a deviation and the deviation within a quarter of itself. */
const CENTRE_SLACK = 0.25
const SPREAD_LEAST = 0.8
const SPREAD_MOST = 1.25
/** Ages at which a young series is looked at: powers of two from here to there. */
const YOUNGEST = 8
const OLDEST = 1024

export interface Scaled extends ProfileState {
  /** Value of code 0, and of one mean deviation. */
  readonly centre: Float64Array
  readonly unit: Float64Array
}

function bend(deviations: number): number {
  const size = Math.abs(deviations)
  return size <= KNEE ? deviations : Math.sign(deviations) * (KNEE + Math.log(1 + size - KNEE))
}

function straighten(code: number): number {
  const size = Math.abs(code)
  return size <= KNEE ? code : Math.sign(code) * (KNEE - 1 + Math.exp(size - KNEE))
}

/** A millionth of the level is nothing. */
const leastUnit = (centre: number) => 1e-6 * Math.abs(centre) + 1e-12

export function startScale(s: Scaled, x: number): void {
  s.centre[0] = x
  s.unit[0] = leastUnit(x)
}

export function codeOf(s: Scaled, x: number): number {
  return bend((x - s.centre[0]) / s.unit[0])
}

export function decoded(s: Scaled, code: number): number {
  return s.centre[0] + straighten(code) * s.unit[0]
}

/** Whether a series that has seen so many values and did not slide is to be looked at. */
export function isDoubling(windows: number): boolean {
  return windows >= YOUNGEST && windows <= OLDEST && (windows & (windows - 1)) === 0
}

/** True when the values were put on another scale: all that follows from them must be worked out anew. */
export function rescaled(s: Scaled, { length, history, exclusion }: ProfileShape, windows: number): boolean {
  const { values } = s
  const to = s.place[PLACE.at] + length
  const count = Math.min(windows, history + exclusion)
  let sum = 0
  for (let t = to - count + 1; t <= to; t++) sum += values[t]
  const middle = sum / count
  let apart = 0
  for (let t = to - count + 1; t <= to; t++) apart += Math.abs(values[t] - middle)
  const spread = apart / count
  if (Math.abs(middle) < CENTRE_SLACK && spread > SPREAD_LEAST && spread < SPREAD_MOST) return false
  const centre = decoded(s, middle)
  const wide = (decoded(s, middle + spread) - decoded(s, middle - spread)) / 2
  const unit = Math.max(leastUnit(centre), wide)
  // A series that is as good as constant keeps the scale it has.
  if (unit === s.unit[0] && Math.abs(middle) < CENTRE_SLACK) return false
  for (let t = 0; t <= to; t++) values[t] = bend((decoded(s, values[t]) - centre) / unit)
  s.centre[0] = centre
  s.unit[0] = unit
  return true
}

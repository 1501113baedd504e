import type { ModelPlan } from './model-plan.ts'

/**
 * Raw score of a metric from a model's output, by the task of its card. All are at least 0 but those of `score`; what is
 * not finite is no opinion.
 *
 * `score`: the number itself. `reconstruction`: how far the newest value lies from what was made of it (point), and the
 * root mean square of all its windows (incident), in normalised units. `forecast`: half plus how far outside the outer
 * two quantiles the value lies, over their distance; a value in the middle has 0, one at the edge a half.
 */
const BAND_LEAST = 1e-3
const RAW_MAX = 1e30

/** Places in the five numbers that `readOutput` writes. */
export const RAW = { point: 0, incident: 1, expected: 2, lower: 3, upper: 4 } as const

/**
 * Reads what output row says of metric `slot` into `out` (five numbers, see RAW): the raw scores, and what was expected
 * in normalised units, NaN where the task says nothing of it. `newest`: the value in normalised units, NaN for a gap.
 */
export function readOutput(
  plan: ModelPlan,
  input: Float32Array,
  output: Float32Array,
  row: number,
  slot: number,
  newest: number,
  out: Float64Array,
): void {
  out.fill(NaN)
  if (plan.task === 'score') readScore(plan, output, row, slot, out)
  else if (plan.task === 'forecast') readForecast(plan, output, row, slot, newest, out)
  else readReconstruction(plan, input, output, row, slot, newest, out)
  out[RAW.point] = usable(out[RAW.point])
  out[RAW.incident] = usable(out[RAW.incident])
}

function usable(raw: number): number {
  if (!Number.isFinite(raw)) return NaN
  return raw > RAW_MAX ? RAW_MAX : raw < -RAW_MAX ? -RAW_MAX : raw
}

function readScore(
  plan: ModelPlan,
  output: Float32Array,
  row: number,
  slot: number,
  out: Float64Array,
): void {
  const found = output[row * plan.outputWidth + (plan.outputWidth > 1 ? slot : 0)]
  out[RAW.point] = found
  out[RAW.incident] = found
}

function readForecast(
  plan: ModelPlan,
  output: Float32Array,
  row: number,
  slot: number,
  newest: number,
  out: Float64Array,
): void {
  const n = plan.quantiles.length
  const at = row * plan.outputWidth + slot * n
  // Quantiles of a net may cross.
  let lower = output[at]
  let upper = output[at + n - 1]
  if (lower > upper) [lower, upper] = [upper, lower]
  const middle = n % 2 === 1 ? output[at + (n >> 1)] : (output[at + n / 2 - 1] + output[at + n / 2]) / 2
  const band = Math.max(upper - lower, BAND_LEAST)
  const raw = Math.max(0, 0.5 + Math.max(lower - newest, newest - upper) / band)
  out[RAW.point] = raw
  out[RAW.incident] = raw
  out[RAW.expected] = middle
  out[RAW.lower] = lower
  out[RAW.upper] = upper
}

function readReconstruction(
  plan: ModelPlan,
  input: Float32Array,
  output: Float32Array,
  row: number,
  slot: number,
  newest: number,
  out: Float64Array,
): void {
  const at = row * plan.inputWidth + slot * plan.length
  const last = output[at + plan.length - 1]
  let sum = 0
  for (let i = 0; i < plan.length; i++) {
    const error = output[at + i] - input[at + i]
    sum += error * error
  }
  out[RAW.point] = Math.abs(last - newest)
  out[RAW.incident] = Number.isNaN(newest) ? NaN : Math.sqrt(sum / plan.length)
  out[RAW.expected] = last
}

/** A forgetting centre and size of raw scores, a row each. */
export interface RawColumns {
  readonly centre: Float64Array
  readonly size: Float64Array
  readonly count: Float64Array
}

/** A raw score teaches at most this many times the usual. */
const CLIP = 8
/** Scores before one can be set against the usual ones. */
const COUNT_LEAST = 3
const SIZE_LEAST = 1e-6

/**
 * A raw score over its usual size, 0 and up, about 1 on ordinary windows: the scale that calibration counts on. Errors
 * are set against their forgetting mean (RECIPES' N); the numbers of a `score`, which may lie anywhere, are taken minus
 * their mean, over their mean distance from it. NaN for the first three of a row.
 */
export function standardised(own: RawColumns, at: number, raw: number, isError: boolean): number {
  if (own.count[at] < COUNT_LEAST) return NaN
  if (isError) return raw / (own.size[at] + SIZE_LEAST)
  const size = own.size[at] + SIZE_LEAST * (1 + Math.abs(own.centre[at]))
  return Math.max(0, (raw - own.centre[at]) / size)
}

/** Takes a raw score into row `at`; `rate` is the share that it replaces at least, `weight` 0..1 how much it counts. */
export function learnRaw(
  own: RawColumns,
  at: number,
  raw: number,
  isError: boolean,
  rate: number,
  weight: number,
): void {
  if (Number.isNaN(raw)) return
  const n = own.count[at]
  own.count[at] = n + 1
  const gain = Math.max(1 / (n + 1), rate) * (n < COUNT_LEAST ? 1 : weight)
  const centre = isError ? 0 : own.centre[at]
  if (n === 0 && !isError) {
    own.centre[at] = raw
    return
  }
  const most = n < COUNT_LEAST ? Infinity : CLIP * (own.size[at] + SIZE_LEAST * (1 + Math.abs(centre)))
  const distance = Math.max(-most, Math.min(most, raw - centre))
  own.size[at] += gain * (Math.abs(distance) - own.size[at])
  if (!isError) own.centre[at] += gain * distance
}

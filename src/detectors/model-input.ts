import { medianInPlace } from '../math/select.ts'

/**
 * Windows of values → rows of a model's input, as model-card.ts says. Whoever trains makes them by the same formulas;
 * golden numbers lie in test/detectors/model-input.json.
 *
 * `running`, with the rate g = 1 − exp(−step/days) and n values seen so far: the first value is the mean, its deviation
 * 0; of each later one, with gain h = max(1/(n+1), g), first d += h(|x − m| − d), then m += h(x − m). Gaps change
 * nothing. All values of a window are taken minus m, over max(d, 1e-3·|m|, 1e-9), with m and d as they were before the
 * newest (of a forecast: before the value that is forecast), within ±20.
 * `window`: minus the median M of the values there are, over max(1.4826·median|x − M|, 1e-3·|M|, 1e-9).
 * Then gaps are 0. In float64 until the last step, which rounds to float32.
 */
const DAY_MS = 86_400_000
const RUNNING_CLIP = 20
const MAD_TO_SIGMA = 1.4826
/** Least scale relative to the level, and of all. */
const RELATIVE_LEAST = 1e-3
const SCALE_LEAST = 1e-9
/** Beyond it a value is taken for this one: differences must stay finite. */
export const VALUE_MAX = 1e100
/** Largest that float32 holds, nearly. */
const FLOAT_MAX = 3e38

/** A forgetting mean and mean deviation a row. */
export interface RunningColumns {
  readonly mean: Float64Array
  readonly deviation: Float64Array
  readonly count: Float64Array
}

/** What is taken off, and what the rest is divided by. */
export const CENTRE = 0
export const SCALE = 1

/** Share of what is known that one window replaces. */
export function runningRate(days: number, stepMs: number): number {
  return 1 - Math.exp(-stepMs / (days * DAY_MS))
}

export function bounded(value: number): number {
  return value > VALUE_MAX ? VALUE_MAX : value < -VALUE_MAX ? -VALUE_MAX : value
}

/** Takes one value into row `at`; NaN changes nothing. */
export function learnRunning(own: RunningColumns, at: number, value: number, rate: number): void {
  if (Number.isNaN(value)) return
  const n = own.count[at]
  own.count[at] = n + 1
  if (n === 0) {
    own.mean[at] = value
    own.deviation[at] = 0
    return
  }
  const gain = Math.max(1 / (n + 1), rate)
  const distance = value - own.mean[at]
  own.deviation[at] += gain * (Math.abs(distance) - own.deviation[at])
  own.mean[at] += gain * distance
}

/** Mean and scale of row `at` into `out`; NaN while nothing was seen. */
export function runningScale(own: RunningColumns, at: number, out: Float64Array): void {
  const known = own.count[at] > 0
  out[CENTRE] = known ? own.mean[at] : NaN
  out[SCALE] = known ? leastScale(own.deviation[at], own.mean[at]) : NaN
}

/** Median and scale of line[0..length) into `out`; NaN when it is all gaps. `scratch` has room for it. */
export function windowScale(
  line: Float64Array,
  length: number,
  scratch: Float64Array,
  out: Float64Array,
): void {
  let n = 0
  for (let i = 0; i < length; i++) if (!Number.isNaN(line[i])) scratch[n++] = line[i]
  if (n === 0) {
    out[CENTRE] = NaN
    out[SCALE] = NaN
    return
  }
  const median = medianInPlace(scratch, n)
  for (let i = 0; i < n; i++) scratch[i] = Math.abs(scratch[i] - median)
  out[CENTRE] = median
  out[SCALE] = leastScale(MAD_TO_SIGMA * medianInPlace(scratch, n), median)
}

function leastScale(spread: number, level: number): number {
  return Math.max(spread, RELATIVE_LEAST * Math.abs(level), SCALE_LEAST)
}

/** One value in the model's units; NaN stays NaN. `clips`: within ±20, as `running` wants. */
export function normalised(value: number, centre: number, scale: number, clips: boolean): number {
  const z = (value - centre) / scale
  const most = clips ? RUNNING_CLIP : FLOAT_MAX
  return z > most ? most : z < -most ? -most : z
}

/** line[0..length) in the model's units into out[at..), gaps as 0; how many values there were. */
export function fillInput(
  line: Float64Array,
  length: number,
  centre: number,
  scale: number,
  clips: boolean,
  out: Float32Array,
  at: number,
): number {
  let present = 0
  for (let i = 0; i < length; i++) {
    const z = normalised(line[i], centre, scale, clips)
    if (Number.isNaN(z)) out[at + i] = 0
    else {
      out[at + i] = z
      present++
    }
  }
  return present
}

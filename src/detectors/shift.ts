import type { ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK } from '../core/columns.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import { clampValue, ResidualDetector, type Run, scaleOf } from './residual-detector.ts'

/**
 * Level shift: two-sided CUSUM of clipped standardised residuals against a slow reference
 *   z = clip((x − m)/sc, ±4);  up = max(0, up + z − k);  down = max(0, down − z − k)
 * Source: Page 1954, "Continuous inspection schemes", Biometrika 41; k = 1¼ is tuned for shifts of 2.5 scales
 * (Montgomery, Statistical Quality Control, §9.1: k = half the shift). Deviations: residuals are clipped, so one
 * wild window cannot signal alone; the reference drifts (half-life 240 windows); after a shift was held for a
 * while the reference jumps to the recent level and both sums start anew, so it is told once.
 */
const SPEC = {
  mean: 'f32',
  spread: 'f32',
  recent: 'f32',
  up: 'f32',
  down: 'f32',
  n: 'u16',
  held: 'u8',
} as const

const ID = 'shift@1'
const VERSION = 1
const WARM_UP_WINDOWS = 15
const RATE = 1 - 2 ** (-1 / 240)
/** The rate by windows seen: a plain mean at first. */
const RATES = Float64Array.from({ length: Math.ceil(1 / RATE) }, (_, n) => Math.max(1 / (n + 1), RATE))
/** EWMA rate of the recent level: a half-life of 4 windows. */
const RECENT_RATE = 1 - 2 ** (-1 / 4)
const MAD_TO_SD = Math.sqrt(Math.PI / 2)
const CLIP_SCALES = 4
/**
 * Slack per window, scales. A sine has its peak at 1.25 of the scale it teaches, so a load that swings faster than
 * the reference follows adds nothing up; with .75 it was called a shift once a period.
 */
const SLACK = 1.25
/** Sum at which a shift is taken as real. */
const DECIDED = 12
/** Windows a decided shift is told before the reference follows it. */
const HELD_WINDOWS = 20
/** A series that shifted will shift back: the jump widens the spread, or a slow swing is told twice a period. */
const JUMP_TEACHES = 0.4
const SUM_MAX = 60
const GOOD_SHARE = 0.25
const LEARN_LEAST = 0.5
const VALUE_MAX = 1e37
const N_MAX = 65_535
const BAND_SCALES = 2.8

export class ShiftDetector extends ResidualDetector<typeof SPEC> implements Detector {
  readonly warmUpWindows = WARM_UP_WINDOWS
  readonly voices: readonly DetectorVoice[] = [{ column: 'incident', feeds: ['surprise', 'incident'] }]

  constructor(context: DetectorContext) {
    super(ID, VERSION, SPEC, context)
  }

  protected scoreRun(run: Run<typeof SPEC>, out: ScoreBatch): void {
    scoreRun(run, out)
  }

  protected findRun(run: Run<typeof SPEC>): void {
    findRun(run)
  }

  protected learnRun(run: Run<typeof SPEC>, weight: Float32Array): void {
    learnRun(run, weight)
  }
}

/** The residuals are clipped. */
function scoreRun(run: Run<typeof SPEC>, out: ScoreBatch): void {
  const { state, classes, traits, batch, residuals, offset, from, to } = run
  const { series, observed } = batch
  const { mean, spread, up, down, n } = state
  const { relative, absolute, bad, least } = traits
  const { incident: incidents, expected, lower, upper } = out
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    if (n[row] < WARM_UP_WINDOWS) {
      incidents[i] = Number.NaN
      expected[i] = Number.NaN
      lower[i] = Number.NaN
      upper[i] = Number.NaN
      continue
    }
    const value = observed[i]
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const m = mean[row]
    // scaleOf, and the lower edge below, written out as well.
    let scale = MAD_TO_SD * spread[row]
    const floor = relative[kind] * (m < 0 ? -m : m)
    if (!(scale > floor)) scale = floor
    if (!(scale > absolute[kind])) scale = absolute[kind]
    let incident = Number.NaN
    if (!Number.isNaN(value)) {
      let z = (Math.max(-VALUE_MAX, Math.min(VALUE_MAX, value)) - m) / scale
      if (z > CLIP_SCALES) z = CLIP_SCALES
      else if (z < -CLIP_SCALES) z = -CLIP_SCALES
      residuals[offset + i] = z
      // Half of a number and its size is the number when positive, else 0: no branch. Written out, here and in
      // `learnRun`: a function is not always inlined, and then a number given to it is boxed.
      let rising = up[row] + z - SLACK
      let falling = down[row] - z - SLACK
      rising = 0.5 * (rising + Math.abs(rising))
      falling = 0.5 * (falling + Math.abs(falling))
      if (rising > SUM_MAX) rising = SUM_MAX
      if (falling > SUM_MAX) falling = SUM_MAX
      const side = bad[kind]
      if (side < 0) rising *= GOOD_SHARE
      else if (side > 0) falling *= GOOD_SHARE
      incident = rising > falling ? rising : falling
    }
    incidents[i] = incident
    const band = BAND_SCALES * scale
    expected[i] = m
    // A band does not reach below what can be, unless the level itself does.
    const edge = m - band
    lower[i] = edge < least[kind] && m >= least[kind] ? least[kind] : edge
    upper[i] = m + band
  }
  out.score.fill(Number.NaN, from, to)
  out.point.fill(Number.NaN, from, to)
}

function findRun({ state, classes, traits, batch, residuals, offset, from, to }: Run<typeof SPEC>): void {
  const { series, observed } = batch
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const m = state.mean[row]
    const scale = scaleOf(state.spread[row], Math.abs(m), traits.relative[kind], traits.absolute[kind])
    const z = (clampValue(observed[i]) - m) / scale
    residuals[offset + i] = z > CLIP_SCALES ? CLIP_SCALES : z < -CLIP_SCALES ? -CLIP_SCALES : z
  }
}

function learnRun(run: Run<typeof SPEC>, weight: Float32Array): void {
  const { state, classes, traits, batch, residuals, offset, from, to } = run
  const { series, observed } = batch
  const { mean, spread, recent, up, down, n, held } = state
  for (let i = from; i < to; i++) {
    if (Number.isNaN(observed[i])) continue
    const row = series[i] & CHUNK_MASK
    const value = Math.max(-VALUE_MAX, Math.min(VALUE_MAX, observed[i]))
    const count = n[row]
    if (count === 0) {
      mean[row] = value
      recent[row] = value
      n[row] = 1
      continue
    }
    recent[row] += RECENT_RATE * (value - recent[row])
    const m = mean[row]
    let level = m
    let step = value - m
    let g = count < RATES.length ? RATES[count] : RATE
    if (count >= WARM_UP_WINDOWS) {
      const z = residuals[offset + i]
      if (z === CLIP_SCALES || z === -CLIP_SCALES) {
        const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
        step = z * scaleOf(spread[row], Math.abs(m), traits.relative[kind], traits.absolute[kind])
      }
      let rising = up[row] + z - SLACK
      let falling = down[row] - z - SLACK
      rising = 0.5 * (rising + Math.abs(rising))
      falling = 0.5 * (falling + Math.abs(falling))
      if (rising > SUM_MAX) rising = SUM_MAX
      if (falling > SUM_MAX) falling = SUM_MAX
      up[row] = rising
      down[row] = falling
      if (rising > DECIDED || falling > DECIDED) {
        if (++held[row] > HELD_WINDOWS) {
          const jump = Math.abs(recent[row] - m)
          if (jump > spread[row]) spread[row] += JUMP_TEACHES * (jump - spread[row])
          level = recent[row]
          up[row] = 0
          down[row] = 0
          held[row] = 0
        }
      } else if (held[row] !== 0) held[row] = 0
      const w = weight[i]
      if (w < 1) g *= w < LEARN_LEAST ? LEARN_LEAST : w
    }
    mean[row] = level + g * step
    spread[row] += g * (Math.abs(step) - spread[row])
    n[row] = count === N_MAX ? N_MAX : count + 1
  }
}

import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT } from '../core/columns.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import { clampValue, ResidualDetector, type Run, scaleOf } from './residual-detector.ts'
import { readTail, TAIL_BINS, tailAdd, tailDecay } from './tail-histogram.ts'

/**
 * EWMA residual with the metric kind's floors: the per-series stream score of the disruption recipe
 *   g = max(1/(n+1), 1 − 2^(−1/120));  r = x − m;  sc = max(1.2533·s, rel·l, unit);  z = r/sc
 *   m += g·clip(r, ±4sc);  s += g(min(|r|, 4sc) − s);  l += g(|x| − l);  a = min(8, z/(1 + q97 of own z))
 * Source: EWMA control charts (Roberts 1959) with a mean-absolute-deviation scale (1.2533 = √(π/2) makes it a
 * standard deviation under normality) and Huber-clipped updates. Deviations: while windows are anomalous the
 * baseline learns at a quarter speed; the state is float32 and q97 counts in 1/32 windows.
 */
const SPEC = {
  mean: 'f32',
  spread: 'f32',
  level: 'f32',
  q97: 'f32',
  total: 'u32',
  above: 'u32',
  n: 'u16',
  at: 'u8',
  hist: ['u16', TAIL_BINS],
} as const

const ID = 'deviation@1'
const VERSION = 1
/** EWMA rate of a half-life of 120 windows. */
const RATE = 1 - 2 ** (-1 / 120)
/** The rate by windows seen: a plain mean at first. */
const RATES = Float64Array.from({ length: Math.ceil(1 / RATE) }, (_, n) => Math.max(1 / (n + 1), RATE))
/** Mean absolute deviation → standard deviation under normality. */
const MAD_TO_SD = Math.sqrt(Math.PI / 2)
/** Residuals teach at most this many scales. */
const CLIP_SCALES = 4
/** Samples before a score: the mean and spread are too rough earlier. */
const WARM_UP_WINDOWS = 10
/** Largest evidence: beyond it more distance says nothing more. */
export const EVIDENCE_MAX = 8
/** A move in the good direction is this much as strange. */
const GOOD_SHARE = 0.25
/** That share without a branch: these add to 1 and differ by it. */
const GOOD_HALF = (1 + GOOD_SHARE) / 2
const BAD_HALF = (1 - GOOD_SHARE) / 2
/** Least share of its speed at which a baseline learns, so that a lasting change is accepted in the end. */
const LEARN_LEAST = 0.25
/** Histogram units of a whole window: one tenth of a window must still count. */
const UNITS = 32
/** Windows between decays of the histogram; a half-life of 720 windows in ten steps. */
const DECAY_WINDOWS = 72
/** Half-width of the expected band, scales: 99.5 % of a normal law. */
export const BAND_SCALES = 2.8
/** Float32 holds no more; what is larger counts as this. */
const VALUE_MAX = 1e37
const SCORE_MAX = 1e6
const N_MAX = 65_535

/** A detector that also grades each row for grouping: `evidence[i]` belongs to row i of the batch scored last. */
export interface EvidenceSource {
  readonly evidence: Float32Array
  /** Windows learned of a series, as far as they are counted. */
  learned(series: number): number
}

export class DeviationDetector extends ResidualDetector<typeof SPEC> implements Detector, EvidenceSource {
  readonly warmUpWindows = WARM_UP_WINDOWS
  readonly voices: readonly DetectorVoice[] = [{ column: 'score', feeds: ['surprise', 'point'] }]
  evidence = new Float32Array(0)

  constructor(context: DetectorContext) {
    super(ID, VERSION, SPEC, context)
  }

  override score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    if (this.evidence.length < batch.length) this.evidence = new Float32Array(batch.capacity)
    return super.score(batch, out)
  }

  protected scoreRun(run: Run<typeof SPEC>, out: ScoreBatch): void {
    scoreRun(run, out, this.evidence)
  }

  protected findRun(run: Run<typeof SPEC>): void {
    findRun(run)
  }

  protected learnRun(run: Run<typeof SPEC>, weight: Float32Array): void {
    learnRun(run, weight)
  }

  learned(series: number): number {
    return this.store.chunks[series >> CHUNK_SHIFT]?.n[series & CHUNK_MASK] ?? 0
  }
}

/** The residuals are distances in scales, positive towards bad. */
function scoreRun(run: Run<typeof SPEC>, out: ScoreBatch, evidence: Float32Array): void {
  const { state, classes, traits, batch, residuals: toward, offset, from, to } = run
  const { series, observed } = batch
  const { mean, spread, level, q97, n } = state
  const { relative, absolute, bad, least } = traits
  const { score: scores, expected, lower, upper } = out
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    const value = observed[i]
    const known = n[row] >= WARM_UP_WINDOWS
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const m = mean[row]
    // scaleOf, and the lower edge below, written out: a function is not always inlined, and then numbers are boxed.
    let scale = MAD_TO_SD * spread[row]
    const floor = relative[kind] * level[row]
    if (!(scale > floor)) scale = floor
    if (!(scale > absolute[kind])) scale = absolute[kind]
    let score = Number.NaN
    let strength = 0
    if (known && !Number.isNaN(value)) {
      const z = (Math.max(-VALUE_MAX, Math.min(VALUE_MAX, value)) - m) / scale
      const side = bad[kind]
      const distance = Math.abs(z)
      const signed = side === 0 ? distance : z * side
      toward[offset + i] = signed
      // The sign of a residual cannot be predicted, so nothing branches on it.
      score = GOOD_HALF * distance + BAD_HALF * signed
      // `min`, not a choice: a choice between a number and a constant of the module puts the number on the heap.
      score = Math.min(SCORE_MAX, score)
      strength = Math.min(EVIDENCE_MAX, (0.5 * (signed + distance)) / (1 + q97[row]))
    }
    scores[i] = score
    evidence[i] = strength
    if (known) {
      const band = BAND_SCALES * scale
      expected[i] = m
      // A band does not reach below what can be, unless the level itself does.
      const edge = m - band
      lower[i] = edge < least[kind] && m >= least[kind] ? least[kind] : edge
      upper[i] = m + band
    } else {
      expected[i] = Number.NaN
      lower[i] = Number.NaN
      upper[i] = Number.NaN
    }
  }
  // A view costs garbage: most blocks are one run of as many rows as there is room for.
  out.point.set(to - from === scores.length ? scores : scores.subarray(from, to), from)
  out.incident.fill(Number.NaN, from, to)
}

function findRun({ state, classes, traits, batch, residuals, offset, from, to }: Run<typeof SPEC>): void {
  const { series, observed } = batch
  const { relative, absolute, bad } = traits
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const scale = scaleOf(state.spread[row], state.level[row], relative[kind], absolute[kind])
    const z = (clampValue(observed[i]) - state.mean[row]) / scale
    const side = bad[kind]
    residuals[offset + i] = side === 0 ? Math.abs(z) : z * side
  }
}

function learnRun(run: Run<typeof SPEC>, weight: Float32Array): void {
  const { state, classes, traits, batch, residuals: toward, offset, from, to } = run
  const { series, observed } = batch
  const { mean, spread, level, q97, n } = state
  for (let i = from; i < to; i++) {
    if (Number.isNaN(observed[i])) continue
    const row = series[i] & CHUNK_MASK
    const value = Math.max(-VALUE_MAX, Math.min(VALUE_MAX, observed[i]))
    const size = Math.abs(value)
    const count = n[row]
    if (count === 0) {
      mean[row] = value
      level[row] = size
      n[row] = 1
      q97[row] = 1
      continue
    }
    const w = weight[i]
    const m = mean[row]
    // Young series learn everything, and every window, or a fault at their start would keep them young.
    let pace = 1
    let step = value - m
    if (count >= WARM_UP_WINDOWS) {
      const distance = Math.abs(toward[offset + i])
      tailAdd(state, row, toward, offset + i, (w * UNITS + 0.5) | 0)
      if (count % DECAY_WINDOWS === 0) tailDecay(state, row)
      if (count >= WARM_UP_WINDOWS + 5) readTail(state, row, q97)
      if (w < 1) pace = w < LEARN_LEAST ? LEARN_LEAST : w
      if (distance > CLIP_SCALES) {
        const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
        const scale = scaleOf(spread[row], level[row], traits.relative[kind], traits.absolute[kind])
        step = step < 0 ? -CLIP_SCALES * scale : CLIP_SCALES * scale
      }
    }
    const g = pace * (count < RATES.length ? RATES[count] : RATE)
    mean[row] = m + g * step
    spread[row] += g * (Math.abs(step) - spread[row])
    level[row] += g * (size - level[row])
    // Past the cap the count cycles by whole decay periods, so that decays go on.
    n[row] = count === N_MAX ? N_MAX - DECAY_WINDOWS * 2 + 1 : count + 1
  }
}

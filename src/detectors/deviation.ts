import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk, ColumnStore } from '../core/columns.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { KindClasses } from './kind-classes.ts'
import { rowsNeeded, runEnd } from './runs.ts'
import { TAIL_BINS, tailAdd, tailDecay, tailValue } from './tail-histogram.ts'

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
type State = Chunk<typeof SPEC>

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
const EVIDENCE_MAX = 8
/** A move in the good direction is this much as strange. */
const GOOD_SHARE = 0.25
/** Least share of its speed at which a baseline learns, so that a lasting change is accepted in the end. */
const LEARN_LEAST = 0.25
/** Histogram units of a whole window: one tenth of a window must still count. */
const UNITS = 32
/** Windows between decays of the histogram; a half-life of 720 windows in ten steps. */
const DECAY_WINDOWS = 72
/** Half-width of the expected band, scales: 99.5 % of a normal law. */
const BAND_SCALES = 2.8
/** Float32 holds no more; what is larger counts as this. */
const VALUE_MAX = 1e37
const SCORE_MAX = 1e6
const N_MAX = 65_535

/** A detector that also grades each row for grouping: `evidence[i]` belongs to row i of the batch scored last. */
export interface EvidenceSource {
  readonly evidence: Float32Array
}

export class DeviationDetector implements Detector, EvidenceSource {
  readonly id = ID
  readonly width = 0
  readonly warmUpWindows = WARM_UP_WINDOWS
  readonly voices: readonly DetectorVoice[] = [{ column: 'score', feeds: ['surprise', 'point'] }]
  evidence = new Float32Array(0)
  readonly #context: DetectorContext
  readonly #store = new ColumnStore(SPEC)
  readonly #classes: KindClasses

  constructor(context: DetectorContext) {
    this.#context = context
    this.#classes = new KindClasses(context.series)
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length, series } = batch
    out.length = length
    if (this.evidence.length < length) this.evidence = new Float32Array(batch.capacity)
    this.#store.ensure(rowsNeeded(series, length))
    this.#classes.ensure(rowsNeeded(series, length))
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      const chunk = series[from] >> CHUNK_SHIFT
      const of = this.#classes.chunks[chunk].of
      scoreRun(this.#store.chunks[chunk], of, this.#classes, batch, out, this.evidence, from, to)
      from = to
    }
    return DONE
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length, series } = batch
    this.#store.ensure(rowsNeeded(series, length))
    this.#classes.ensure(rowsNeeded(series, length))
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      const chunk = series[from] >> CHUNK_SHIFT
      learnRun(
        this.#store.chunks[chunk],
        this.#classes.chunks[chunk].of,
        this.#classes,
        batch,
        weight,
        from,
        to,
      )
      from = to
    }
  }

  forget(series: number): void {
    this.#store.clear(series)
    this.#classes.forget(series)
  }

  snapshot(): Snapshot {
    return this.#store.snapshot(ID, VERSION, this.#context.series)
  }

  restore(from: Snapshot): void {
    this.#store.restore(from, ID, VERSION, this.#context.series)
  }

  bytes(): number {
    return this.#store.bytes() + this.#classes.bytes()
  }

  async close(): Promise<void> {}
}

const DONE = Promise.resolve()

function clampValue(value: number): number {
  return value > VALUE_MAX ? VALUE_MAX : value < -VALUE_MAX ? -VALUE_MAX : value
}

/** A band does not reach below what can be, unless the level itself does. */
function lowerEdge(level: number, band: number, least: number): number {
  const edge = level - band
  return edge < least && level >= least ? least : edge
}

function scaleOf(spread: number, level: number, relative: number, absolute: number): number {
  const own = MAD_TO_SD * spread
  const floor = relative * level
  const scale = own > floor ? own : floor
  return scale > absolute ? scale : absolute
}

function scoreRun(
  state: State,
  classes: Uint8Array,
  traits: KindClasses,
  batch: FeatureBatch,
  out: ScoreBatch,
  evidence: Float32Array,
  from: number,
  to: number,
): void {
  const { series, observed } = batch
  const { mean, spread, level, q97, n } = state
  const { relative, absolute, bad, least } = traits
  const { score: scores, expected, lower, upper } = out
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    const value = observed[i]
    const count = n[row]
    const known = count >= WARM_UP_WINDOWS
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const m = mean[row]
    const scale = scaleOf(spread[row], level[row], relative[kind], absolute[kind])
    let score = Number.NaN
    let strength = 0
    if (known && !Number.isNaN(value)) {
      const z = (clampValue(value) - m) / scale
      const side = bad[kind]
      const distance = z < 0 ? -z : z
      const isBad = side === 0 || z * side > 0
      score = Math.min(SCORE_MAX, isBad ? distance : GOOD_SHARE * distance)
      if (isBad) strength = Math.min(EVIDENCE_MAX, distance / (1 + q97[row]))
    }
    scores[i] = score
    const band = BAND_SCALES * scale
    expected[i] = known ? m : Number.NaN
    lower[i] = known ? lowerEdge(m, band, least[kind]) : Number.NaN
    upper[i] = known ? m + band : Number.NaN
    evidence[i] = strength
  }
  out.point.set(scores.subarray(from, to), from)
  out.incident.fill(Number.NaN, from, to)
}

function learnRun(
  state: State,
  classes: Uint8Array,
  traits: KindClasses,
  batch: FeatureBatch,
  weight: Float32Array,
  from: number,
  to: number,
): void {
  const { series, observed } = batch
  const { mean, spread, level, q97, n } = state
  const { relative, absolute, bad } = traits
  for (let i = from; i < to; i++) {
    if (Number.isNaN(observed[i])) continue
    const row = series[i] & CHUNK_MASK
    const value = clampValue(observed[i])
    const count = n[row]
    const w = weight[i]
    if (count === 0) {
      mean[row] = value
      level[row] = value < 0 ? -value : value
      n[row] = 1
      q97[row] = 1
      continue
    }
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const m = mean[row]
    const scale = scaleOf(spread[row], level[row], relative[kind], absolute[kind])
    const r = value - m
    if (count >= WARM_UP_WINDOWS) {
      const z = r / scale
      const side = bad[kind]
      const strength = side === 0 ? (z < 0 ? -z : z) : z * side > 0 ? z * side : 0
      tailAdd(state, row, strength, (w * UNITS + 0.5) | 0)
      if (count % DECAY_WINDOWS === 0) tailDecay(state, row)
      if (count >= WARM_UP_WINDOWS + 5) q97[row] = tailValue(state, row)
    }
    // A young series counts every window, or a fault at its start would keep it young.
    const pace = count < WARM_UP_WINDOWS ? 1 : w < LEARN_LEAST ? LEARN_LEAST : w
    const g = pace * (count < RATES.length ? RATES[count] : RATE)
    const reach = CLIP_SCALES * scale
    const young = count < WARM_UP_WINDOWS
    const step = young ? r : r > reach ? reach : r < -reach ? -reach : r
    mean[row] = m + g * step
    spread[row] += g * ((step < 0 ? -step : step) - spread[row])
    level[row] += g * ((value < 0 ? -value : value) - level[row])
    // Past the cap the count cycles by whole decay periods, so that decays go on.
    n[row] = count === N_MAX ? N_MAX - DECAY_WINDOWS * 2 + 1 : count + 1
  }
}

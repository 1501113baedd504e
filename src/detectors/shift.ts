import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk, ColumnStore } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { KindClasses } from './kind-classes.ts'
import { DONE, rowsNeeded, runEnd } from './runs.ts'
import { ScoredRows } from './scored-rows.ts'

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
type State = Chunk<typeof SPEC>

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

export class ShiftDetector implements Detector {
  readonly id = ID
  readonly width = 0
  readonly warmUpWindows = WARM_UP_WINDOWS
  readonly timeless = true
  readonly voices: readonly DetectorVoice[] = [{ column: 'incident', feeds: ['surprise', 'incident'] }]
  readonly #context: DetectorContext
  readonly #store = new ColumnStore(SPEC)
  readonly #classes: KindClasses
  /** Clipped standardised residual of each scored row. */
  readonly #scored = new ScoredRows()

  constructor(context: DetectorContext) {
    this.#context = context
    this.#classes = new KindClasses(context.series, context.direction)
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length, series } = batch
    out.length = length
    this.#prepare(batch)
    const offset = this.#scored.begin(batch)
    const residuals = this.#scored.values
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      const chunk = series[from] >> CHUNK_SHIFT
      const of = this.#classes.chunks[chunk].of
      const state = this.#store.chunks[chunk]
      scoreRun(state, of, this.#classes, batch, out, residuals, offset, from, to)
      from = to
    }
    return DONE
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length, series } = batch
    this.#prepare(batch)
    let offset = this.#scored.take(batch)
    const known = offset >= 0
    if (!known) offset = this.#scored.begin(batch)
    const residuals = this.#scored.values
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      const chunk = series[from] >> CHUNK_SHIFT
      const of = this.#classes.chunks[chunk].of
      const state = this.#store.writable(chunk)
      if (!known) residualRun(state, of, this.#classes, batch, residuals, offset, from, to)
      learnRun(state, of, this.#classes, batch, weight, residuals, offset, from, to)
      from = to
    }
    if (!known) this.#scored.clear()
  }

  #prepare(batch: FeatureBatch): void {
    this.#store.ensure(rowsNeeded(batch.series, batch.length))
    this.#classes.ensure(rowsNeeded(batch.series, batch.length))
  }

  forget(series: number): void {
    this.#scored.clear()
    this.#store.clear(series)
    this.#classes.forget(series)
  }

  snapshot(): Snapshot {
    return this.#store.snapshot(ID, VERSION, this.#context.series)
  }

  cut(cut: Cut): CutSnapshot {
    return this.#store.cut(cut, ID, VERSION, this.#context.series)
  }

  restore(from: Snapshot): void {
    this.#scored.clear()
    this.#store.restore(from, ID, VERSION, this.#context.series)
  }

  bytes(): number {
    return this.#store.bytes() + this.#classes.bytes() + this.#scored.bytes()
  }

  async close(): Promise<void> {}
}

function clampValue(value: number): number {
  return value > VALUE_MAX ? VALUE_MAX : value < -VALUE_MAX ? -VALUE_MAX : value
}

function scaleOf(spread: number, mean: number, relative: number, absolute: number): number {
  const level = mean < 0 ? -mean : mean
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
  residuals: Float32Array,
  offset: number,
  from: number,
  to: number,
): void {
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

/** What `scoreRun` leaves in `residuals`, for rows that are learned without having been scored. */
function residualRun(
  state: State,
  classes: Uint8Array,
  traits: KindClasses,
  batch: FeatureBatch,
  residuals: Float32Array,
  offset: number,
  from: number,
  to: number,
): void {
  const { series, observed } = batch
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const m = state.mean[row]
    const scale = scaleOf(state.spread[row], m, traits.relative[kind], traits.absolute[kind])
    const z = (clampValue(observed[i]) - m) / scale
    residuals[offset + i] = z > CLIP_SCALES ? CLIP_SCALES : z < -CLIP_SCALES ? -CLIP_SCALES : z
  }
}

function learnRun(
  state: State,
  classes: Uint8Array,
  traits: KindClasses,
  batch: FeatureBatch,
  weight: Float32Array,
  residuals: Float32Array,
  offset: number,
  from: number,
  to: number,
): void {
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
        step = z * scaleOf(spread[row], m, traits.relative[kind], traits.absolute[kind])
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

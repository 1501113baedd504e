import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk, ColumnStore } from '../core/columns.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { KindClasses } from './kind-classes.ts'
import { rowsNeeded, runEnd } from './runs.ts'

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
  readonly voices: readonly DetectorVoice[] = [{ column: 'incident', feeds: ['surprise', 'incident'] }]
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
    this.#prepare(batch)
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      const chunk = series[from] >> CHUNK_SHIFT
      scoreRun(this.#store.chunks[chunk], this.#classes.chunks[chunk].of, this.#classes, batch, out, from, to)
      from = to
    }
    return DONE
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length, series } = batch
    this.#prepare(batch)
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

  #prepare(batch: FeatureBatch): void {
    this.#store.ensure(rowsNeeded(batch.series, batch.length))
    this.#classes.ensure(rowsNeeded(batch.series, batch.length))
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

function scaleOf(spread: number, mean: number, relative: number, absolute: number): number {
  const level = mean < 0 ? -mean : mean
  const own = MAD_TO_SD * spread
  const floor = relative * level
  const scale = own > floor ? own : floor
  return scale > absolute ? scale : absolute
}

function clipped(z: number): number {
  return z > CLIP_SCALES ? CLIP_SCALES : z < -CLIP_SCALES ? -CLIP_SCALES : z
}

function next(sum: number, step: number): number {
  const value = sum + step - SLACK
  return value > 0 ? (value < SUM_MAX ? value : SUM_MAX) : 0
}

function scoreRun(
  state: State,
  classes: Uint8Array,
  traits: KindClasses,
  batch: FeatureBatch,
  out: ScoreBatch,
  from: number,
  to: number,
): void {
  const { series, observed } = batch
  const { mean, spread, up, down, n } = state
  const { relative, absolute, bad, least } = traits
  const { incident: incidents, expected, lower, upper } = out
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    const value = observed[i]
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const known = n[row] >= WARM_UP_WINDOWS
    const m = mean[row]
    const scale = scaleOf(spread[row], m, relative[kind], absolute[kind])
    let incident = Number.NaN
    if (known && !Number.isNaN(value)) {
      const z = clipped((clampValue(value) - m) / scale)
      const side = bad[kind]
      // `next` written out: here it is not inlined, and a number given to a call is boxed.
      let rising = up[row] + z - SLACK
      let falling = down[row] - z - SLACK
      rising = rising > 0 ? (rising < SUM_MAX ? rising : SUM_MAX) : 0
      falling = falling > 0 ? (falling < SUM_MAX ? falling : SUM_MAX) : 0
      if (side < 0) rising *= GOOD_SHARE
      else if (side > 0) falling *= GOOD_SHARE
      incident = rising > falling ? rising : falling
    }
    incidents[i] = incident
    const band = BAND_SCALES * scale
    expected[i] = known ? m : Number.NaN
    lower[i] = known ? lowerEdge(m, band, least[kind]) : Number.NaN
    upper[i] = known ? m + band : Number.NaN
  }
  out.score.fill(Number.NaN, from, to)
  out.point.fill(Number.NaN, from, to)
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
  const { mean, spread, recent, up, down, n, held } = state
  const { relative, absolute } = traits
  for (let i = from; i < to; i++) {
    if (Number.isNaN(observed[i])) continue
    const row = series[i] & CHUNK_MASK
    const value = clampValue(observed[i])
    const count = n[row]
    if (count === 0) {
      mean[row] = value
      recent[row] = value
      n[row] = 1
      continue
    }
    recent[row] += RECENT_RATE * (value - recent[row])
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const m = mean[row]
    const scale = scaleOf(spread[row], m, relative[kind], absolute[kind])
    const z = clipped((value - m) / scale)
    const young = count < WARM_UP_WINDOWS
    let rising = up[row]
    let falling = down[row]
    if (!young) {
      rising = next(rising, z)
      falling = next(falling, -z)
      up[row] = rising
      down[row] = falling
    }
    if (rising > DECIDED || falling > DECIDED) {
      if (++held[row] > HELD_WINDOWS) {
        const jump = Math.abs(recent[row] - m)
        if (jump > spread[row]) spread[row] += JUMP_TEACHES * (jump - spread[row])
        mean[row] = recent[row]
        up[row] = 0
        down[row] = 0
        held[row] = 0
      }
    } else if (held[row] !== 0) held[row] = 0
    const w = young ? 1 : weight[i] < LEARN_LEAST ? LEARN_LEAST : weight[i]
    const g = w * (count < RATES.length ? RATES[count] : RATE)
    const step = young ? value - m : z * scale
    mean[row] += g * step
    spread[row] += g * ((step < 0 ? -step : step) - spread[row])
    n[row] = count === N_MAX ? N_MAX : count + 1
  }
}

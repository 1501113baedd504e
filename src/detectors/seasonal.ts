import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk, ColumnStore } from '../core/columns.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { KindClasses } from './kind-classes.ts'
import { rowsNeeded, runEnd } from './runs.ts'

/**
 * Seasonal robust residual: a level per phase slot of the season, interpolated between slots, plus a slow offset
 * for days that lie higher or lower as a whole; the residual is scaled and clipped as in deviation@1.
 * Source: seasonal exponential smoothing (Holt 1957, Winters 1960, additive, without trend) with Huber-clipped
 * updates (Gelper, Fried & Croux 2010, "Robust forecasting with exponential and Holt–Winters smoothing").
 * Silent during the first season: what has been seen once is not yet a rhythm.
 */
const SLOTS = 24
const SPEC = {
  firstMs: 'f64',
  offset: 'f32',
  spread: 'f32',
  level: 'f32',
  n: 'u32',
  slot: ['f32', SLOTS],
  seen: ['u16', SLOTS],
} as const
type State = Chunk<typeof SPEC>

const ID = 'seasonal@1'
const VERSION = 1
const DAY_MS = 86_400_000
const MAD_TO_SD = Math.sqrt(Math.PI / 2)
const CLIP_SCALES = 4
/** A slot forgets over about a week of visits. */
const VISITS = 7
/** EWMA rate of the offset and of the spread, windows: half-lives of 60 and 720. */
const OFFSET_RATE = 1 - 2 ** (-1 / 60)
const SPREAD_RATE = 1 - 2 ** (-1 / 720)
const GOOD_SHARE = 0.25
const LEARN_LEAST = 0.25
const BAND_SCALES = 2.8
const VALUE_MAX = 1e37
const RESOLUTION = 1e-6
const SCORE_MAX = 1e6
const SEEN_MAX = 65_535

export interface SeasonalOptions {
  /** Length of the season, ms. */
  readonly seasonMs: number
}

/** Phase geometry, the same for every series. */
interface Season {
  readonly seasonMs: number
  /** Slots in use: no more than there are windows in a season. */
  readonly slots: number
  readonly slotMs: number
  /** Windows that a slot must have before its mean forgets. */
  readonly memory: number
}

export class SeasonalDetector implements Detector {
  readonly id = ID
  readonly width = 0
  readonly warmUpWindows: number
  readonly voices: readonly DetectorVoice[] = [{ column: 'score', feeds: ['surprise', 'point'] }]
  readonly #context: DetectorContext
  readonly #store = new ColumnStore(SPEC)
  readonly #classes: KindClasses
  readonly #season: Season

  constructor(context: DetectorContext, options: SeasonalOptions = { seasonMs: DAY_MS }) {
    this.#context = context
    this.#classes = new KindClasses(context.series)
    const windows = Math.max(2, Math.round(options.seasonMs / context.stepMs))
    const slots = Math.min(SLOTS, windows)
    this.#season = {
      seasonMs: options.seasonMs,
      slots,
      slotMs: options.seasonMs / slots,
      memory: VISITS * Math.max(1, Math.round(windows / slots)),
    }
    // Half a season of windows at least, spread over a whole one.
    this.warmUpWindows = windows >> 1
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length, series } = batch
    out.length = length
    this.#prepare(batch)
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      const at = series[from] >> CHUNK_SHIFT
      scoreRun(
        this.#store.chunks[at],
        this.#classes.chunks[at].of,
        this.#classes,
        this.#season,
        this.warmUpWindows,
        batch,
        out,
        from,
        to,
      )
      from = to
    }
    return DONE
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length, series } = batch
    this.#prepare(batch)
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      const at = series[from] >> CHUNK_SHIFT
      const of = this.#classes.chunks[at].of
      learnRun(this.#store.chunks[at], of, this.#classes, this.#season, batch, weight, from, to)
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
    return this.#store.snapshot(ID, VERSION, this.#context.series, { seasonMs: this.#season.seasonMs })
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

/** Phase in slots, 0..slots, of the middle of the window's end. */
function phaseOf(season: Season, endMs: number): number {
  const inside = (endMs - 1) % season.seasonMs
  return (inside < 0 ? inside + season.seasonMs : inside) / season.slotMs
}

/** Level at a phase: linear between the centres of two slots; one empty: the other; both: NaN. */
function seasonalLevel(state: State, row: number, phase: number, slots: number): number {
  const place = phase - 0.5
  const floor = Math.floor(place)
  const share = place - floor
  const a = row * SLOTS + (floor < 0 ? slots - 1 : floor)
  const b = row * SLOTS + (floor + 1 >= slots ? 0 : floor + 1)
  if (state.seen[a] === 0) return state.seen[b] === 0 ? Number.NaN : state.slot[b]
  if (state.seen[b] === 0) return state.slot[a]
  return state.slot[a] * (1 - share) + state.slot[b] * share
}

function scaleOf(spread: number, level: number, relative: number, absolute: number): number {
  const scale = Math.max(MAD_TO_SD * spread, relative * level, absolute, RESOLUTION * level)
  return scale > 1e-300 ? scale : 1e-300
}

function scoreRun(
  state: State,
  classes: Uint8Array,
  traits: KindClasses,
  season: Season,
  warmUp: number,
  batch: FeatureBatch,
  out: ScoreBatch,
  from: number,
  to: number,
): void {
  const { series, observed, windowEndMs } = batch
  const { firstMs, offset, spread, level, n } = state
  const { relative, absolute, bad, least } = traits
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    const end = windowEndMs[i]
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const ripe = n[row] >= warmUp && end - firstMs[row] >= season.seasonMs
    const usual = ripe ? seasonalLevel(state, row, phaseOf(season, end), season.slots) : Number.NaN
    const expected = usual + offset[row]
    const scale = scaleOf(spread[row], level[row], relative[kind], absolute[kind])
    const z = (clampValue(observed[i]) - expected) / scale
    const distance = z < 0 ? -z : z
    const side = bad[kind]
    const score = side === 0 || z * side > 0 ? distance : GOOD_SHARE * distance
    out.score[i] = score > SCORE_MAX ? SCORE_MAX : score
    out.point[i] = out.score[i]
    out.incident[i] = Number.NaN
    const band = BAND_SCALES * scale
    const lower = expected - band
    out.expected[i] = expected
    out.lower[i] = lower < least[kind] && expected >= least[kind] ? least[kind] : lower
    out.upper[i] = expected + band
  }
}

function learnRun(
  state: State,
  classes: Uint8Array,
  traits: KindClasses,
  season: Season,
  batch: FeatureBatch,
  weight: Float32Array,
  from: number,
  to: number,
): void {
  const { series, observed, windowEndMs } = batch
  const { firstMs, offset, spread, level, n, slot, seen } = state
  const { relative, absolute } = traits
  for (let i = from; i < to; i++) {
    if (Number.isNaN(observed[i])) continue
    const row = series[i] & CHUNK_MASK
    const value = clampValue(observed[i])
    const end = windowEndMs[i]
    const count = n[row]
    if (count === 0) firstMs[row] = end
    const phase = phaseOf(season, end)
    const usual = seasonalLevel(state, row, phase, season.slots)
    const at = row * SLOTS + Math.min(season.slots - 1, phase | 0)
    const w = weight[i] < LEARN_LEAST ? LEARN_LEAST : weight[i]
    const kind = classes[row] === 0 ? traits.classOf(series[i]) : classes[row]
    const scale = scaleOf(spread[row], level[row], relative[kind], absolute[kind])
    const reach = CLIP_SCALES * scale
    const ripe = end - firstMs[row] >= season.seasonMs
    if (ripe && !Number.isNaN(usual)) {
      const r = value - usual - offset[row]
      const step = r > reach ? reach : r < -reach ? -reach : r
      // The spread starts from the second season's first residuals, so its mean starts there, too.
      const rate = w * Math.max(SPREAD_RATE, 1 / (count + 1))
      spread[row] += rate * ((step < 0 ? -step : step) - spread[row])
      offset[row] += w * OFFSET_RATE * step
    } else if (!Number.isNaN(usual)) {
      // During the first season neighbouring slots give a first idea of the spread.
      const r = value - usual
      spread[row] += ((r < 0 ? -r : r) - spread[row]) / (count + 1)
    }
    const visits = seen[at]
    const g = visits < season.memory ? 1 / (visits + 1) : 1 / season.memory
    const d = value - offset[row] - slot[at]
    const move = visits === 0 || !ripe ? d : d > reach ? reach : d < -reach ? -reach : d
    slot[at] += (ripe ? w : 1) * g * move
    seen[at] = visits === SEEN_MAX ? SEEN_MAX : visits + 1
    level[row] += Math.max(1 / (count + 1), SPREAD_RATE) * ((value < 0 ? -value : value) - level[row])
    n[row] = count + 1
  }
}

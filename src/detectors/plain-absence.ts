import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk } from '../core/columns.ts'
import type { DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import {
  RATE_MIN,
  RUN_MAX,
  RUN_TEACHES,
  runSurprise,
  STAY_COUNT_MAX,
  STAY_MOST,
  STAY_PRIOR,
  STAY_WEIGHT,
  WARM_UP_WINDOWS,
} from './absence.ts'
import { DONE, runEnd } from './runs.ts'
import { SeriesState } from './series-state.ts'
import type { SilenceSource } from './silent-rows.ts'
import type { SlotRow } from './slot-convert.ts'

/**
 * The silence half of absence@1 for plain series, in eight bytes that are written only when a series falls silent or comes
 * back: the same two-state Markov chain (see absence.ts), in closed form between the two.
 *
 * While a series is there, absence@1 moves the probability that it falls silent towards RATE_MIN, at a rate of 1/(n + 2) until
 * that is 1/1000. What lies above RATE_MIN therefore shrinks in proportion to
 *   D(n) = 1/(n + 1) up to n = 998, then .999 of it a window,
 * whatever it was, and n is what the daily shape counts anyway. So only the logarithm of (start − RATE_MIN)/D(n) is kept, which
 * does not change while a series is there: a series that never was silent has all zeros and takes no time.
 *
 * Deviations from absence@1: windows of an anomaly teach in full that a series is there; a run of silent windows is no part of n;
 * the probability of staying silent is kept in steps of 3 % of its distance from 1. A stuck value is not looked for.
 */
const SPEC = {
  /** ln of (start − RATE_MIN)/D(n), above that of a series that never was silent. */
  habit: 'f32',
  /** Probability of staying silent, as −STAY_STEPS · log2(1 − p); 0 is STAY_PRIOR. */
  stay: 'u8',
  /** Silent windows that taught it, up to STAY_COUNT_MAX. */
  seen: 'u8',
  /** Silent windows in a row until now. */
  run: 'u16',
} as const
type State = Chunk<typeof SPEC>

const ID = 'plain-absence@1'
const VERSION = 1
/** (start − RATE_MIN)/D(n) of a series that never was silent: after one window start is one half. */
const PRIOR_HABIT = Math.log(2 * (0.5 - RATE_MIN))
/** From so many windows on the rate stays at RATE_MIN. */
const SLOWEST_FROM = 1 / RATE_MIN - 2
const LOG_SLOWEST = Math.log(SLOWEST_FROM + 1)
const LOG_KEPT = Math.log(1 - RATE_MIN)
const STAY_STEPS = 24

/** Who counts a plain series' windows and remembers its last value. */
export interface PlainMemory {
  exportRow(series: number): SlotRow | undefined
}

export class PlainAbsence extends SeriesState<typeof SPEC> implements SilenceSource {
  readonly width = 0
  readonly warmUpWindows = WARM_UP_WINDOWS
  readonly voices: readonly DetectorVoice[] = [
    { column: 'score', feeds: ['surprise', 'point', 'incident'], calibrated: true },
  ]
  readonly #memory: PlainMemory
  /** Series that are silent now, in each chunk. */
  #silent: number[] = []

  constructor({ series }: DetectorContext, memory: PlainMemory) {
    super(ID, VERSION, SPEC, series)
    this.#memory = memory
  }

  concerns({ length, observed }: FeatureBatch): boolean {
    for (let i = 0; i < length; i++) if (Number.isNaN(observed[i])) return true
    return false
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length, series, observed } = batch
    out.length = length
    for (const column of [out.score, out.point, out.incident, out.expected, out.lower, out.upper])
      column.fill(Number.NaN, 0, length)
    for (let i = 0; i < length; i++) if (Number.isNaN(observed[i])) this.#scoreRow(series[i], out, i)
    return DONE
  }

  #scoreRow(series: number, out: ScoreBatch, i: number): void {
    const known = this.#memory.exportRow(series)
    if (known === undefined || known.chunk.n[known.at] < WARM_UP_WINDOWS) return
    const chunk = this.store.chunks[series >> CHUNK_SHIFT]
    const at = series & CHUNK_MASK
    const n = known.chunk.n[known.at]
    const score = chunk
      ? runSurprise(startOf(chunk.habit[at], n), stayOf(chunk.stay[at]), chunk.run[at] + 1)
      : runSurprise(startOf(0, n), STAY_PRIOR, 1)
    out.score[i] = score
    out.point[i] = score
    out.incident[i] = score
    out.expected[i] = known.chunk.previous[known.at]
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length, series } = batch
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      this.#learnRun(batch, weight, series[from] >> CHUNK_SHIFT, from, to)
      from = to
    }
  }

  #learnRun(batch: FeatureBatch, weight: Float32Array, c: number, from: number, to: number): void {
    const { series, observed } = batch
    // Of a chunk without silence nothing is looked at.
    const run = (this.#silent[c] ?? 0) > 0 ? this.store.chunks[c].run : undefined
    for (let i = from; i < to; i++) {
      if (Number.isNaN(observed[i])) this.#fallsSilent(series[i])
      else if (run !== undefined && run[series[i] & CHUNK_MASK] > 0) this.#comesBack(series[i], weight[i])
    }
  }

  /** Nothing is known of a series before its first value, so that it cannot be missed. */
  #fallsSilent(series: number): void {
    if (this.#memory.exportRow(series) === undefined) return
    const c = series >> CHUNK_SHIFT
    this.store.ensure(series + 1)
    const { run } = this.store.writable(c)
    const at = series & CHUNK_MASK
    if (run[at] === 0) this.#silent[c] = (this.#silent[c] ?? 0) + 1
    if (run[at] < RUN_MAX) run[at]++
  }

  #comesBack(series: number, weight: number): void {
    const c = series >> CHUNK_SHIFT
    const at = series & CHUNK_MASK
    const known = this.#memory.exportRow(series)
    const chunk = this.store.writable(c)
    if (known) teach(chunk, at, known.chunk.n[known.at], weight)
    chunk.run[at] = 0
    this.#silent[c]--
  }

  override forget(series: number): void {
    const c = series >> CHUNK_SHIFT
    const chunk = this.store.chunks[c]
    if (chunk === undefined) return
    if (chunk.run[series & CHUNK_MASK] > 0) this.#silent[c]--
    super.forget(series)
  }

  counts(): Readonly<Record<string, number>> {
    return { silent: this.#silent.reduce((sum, count) => sum + count, 0) }
  }

  override restore(from: Snapshot): void {
    super.restore(from)
    this.#silent = this.store.chunks.map(({ run }) => run.reduce((sum, one) => sum + (one > 0 ? 1 : 0), 0))
  }

  async close(): Promise<void> {}
}

/** ln D(n). */
function logKept(n: number): number {
  return n <= SLOWEST_FROM ? -Math.log(n + 1) : (n - SLOWEST_FROM) * LOG_KEPT - LOG_SLOWEST
}

/** Probability that a series that has been there for n windows falls silent in the next. */
function startOf(habit: number, n: number): number {
  return Math.min(1, RATE_MIN + Math.exp(PRIOR_HABIT + habit + logKept(n)))
}

function stayOf(code: number): number {
  return code === 0 ? STAY_PRIOR : 1 - 2 ** (-code / STAY_STEPS)
}

/** A run of silence teaches when it has ended: once that it began, and its further windows that it stayed. */
function teach({ habit, stay, seen, run }: State, at: number, n: number, weight: number): void {
  const rate = weight * Math.max(1 / (n + 2), RATE_MIN)
  const start = startOf(habit[at], n)
  const above = start + rate * (1 - start) - RATE_MIN
  if (above > 0) habit[at] = Math.log(above) - PRIOR_HABIT - logKept(n)
  const stays = weight * Math.min(run[at] - 1, RUN_TEACHES)
  const before = seen[at] + STAY_WEIGHT
  const p = Math.min(STAY_MOST, (stayOf(stay[at]) * before + stays) / (before + stays + weight))
  stay[at] = Math.max(1, Math.min(255, Math.round(-STAY_STEPS * Math.log2(1 - p))))
  seen[at] = Math.min(STAY_COUNT_MAX, Math.round(before - STAY_WEIGHT + stays + weight))
}

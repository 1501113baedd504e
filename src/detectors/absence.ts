import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk } from '../core/columns.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import { DONE, rowsNeeded, runEnd } from './runs.ts'
import { SeriesState } from './series-state.ts'

/**
 * Silence and stuck values, each as a two-state Markov chain learned per series: present/silent and moving/frozen.
 * A run of k windows in the rare state has probability start · stay^(k−1); the score is −log10 of that, so it
 * needs no calibration. A series that was always sparse has a high `start` and is never strange, nor is one that
 * was always constant. Source: runs of a first-order Markov chain (Cox & Miller 1965, §3.2) with Krichevsky–
 * Trofimov style pseudo-counts for what was never seen.
 */
const SPEC = {
  /** Probability that a present series falls silent, and that a silent one stays so. */
  silentStart: 'f32',
  silentStay: 'f32',
  frozenStart: 'f32',
  frozenStay: 'f32',
  last: 'f64',
  n: 'u16',
  seen: 'u16',
  silentRun: 'u16',
  frozenRun: 'u16',
  silentSeen: 'u8',
  frozenSeen: 'u8',
  /** Changes seen, up to MOVED_LEAST. */
  moved: 'u8',
} as const
type State = Chunk<typeof SPEC>

const ID = 'absence@1'
const VERSION = 1
export const WARM_UP_WINDOWS = 20
/** Prior of staying silent or frozen once it began: what has begun tends to last a while. */
export const STAY_PRIOR = 0.3
/** Pseudo-windows of that prior. */
export const STAY_WEIGHT = 4
/** Slowest learning: a habit is that of the last thousand windows. */
export const RATE_MIN = 1 / 1000
/** The rate by windows seen: a plain mean at first. */
const RATES = Float64Array.from({ length: 1 / RATE_MIN }, (_, n) => Math.max(1 / (n + 2), RATE_MIN))
export const STAY_COUNT_MAX = 200
export const STAY_MOST = 0.999
/** Windows of one run that teach how long runs last. */
export const RUN_TEACHES = 50
/** A series that rests this readily is never stuck: zero errors for long is not a broken sensor, nor is zero. */
const RESTS = 0.5
/** Changes seen before a series counts as one that varies. */
const MOVED_LEAST = 10
/** Equal values in a row before a series is called stuck: quantised values repeat. */
const FROZEN_LEAST_WINDOWS = 8
/** A stuck value is worth a warning, not a page: it may as well be idle. */
const FROZEN_MAX = 4
const SCORE_MAX = 12
export const RUN_MAX = 60_000
const N_MAX = 65_535

export class AbsenceDetector extends SeriesState<typeof SPEC> implements Detector {
  readonly width = 0
  readonly warmUpWindows = WARM_UP_WINDOWS
  readonly voices: readonly DetectorVoice[] = [
    { column: 'score', feeds: ['surprise', 'point', 'incident'], calibrated: true },
  ]

  constructor({ series }: DetectorContext) {
    super(ID, VERSION, SPEC, series)
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const { length, series } = batch
    out.length = length
    this.store.ensure(rowsNeeded(series, length))
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      scoreRun(this.store.chunks[series[from] >> CHUNK_SHIFT], batch, out, from, to)
      from = to
    }
    return DONE
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length, series } = batch
    this.store.ensure(rowsNeeded(series, length))
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      learnRun(this.store.writable(series[from] >> CHUNK_SHIFT), batch, weight, from, to)
      from = to
    }
  }

  async close(): Promise<void> {}
}

/** −log10(start · stay^(run − 1)), at most SCORE_MAX. */
export function runSurprise(start: number, stay: number, run: number): number {
  const value = -Math.log10(start) - (run - 1) * Math.log10(stay)
  return value < 0 ? 0 : value < SCORE_MAX ? value : SCORE_MAX
}

function scoreRun(state: State, batch: FeatureBatch, out: ScoreBatch, from: number, to: number): void {
  const { series, observed } = batch
  const { silentStart, silentStay, frozenStart, frozenStay, last, seen, silentRun, frozenRun, moved } = state
  const { score: scores, expected: usual } = out
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    const value = observed[i]
    let score = Number.NaN
    let expected = Number.NaN
    if (seen[row] >= WARM_UP_WINDOWS) {
      score = 0
      if (Number.isNaN(value)) {
        score = runSurprise(silentStart[row], silentStay[row], silentRun[row] + 1)
        expected = last[row]
      } else if (
        value === last[row] &&
        value !== 0 &&
        moved[row] >= MOVED_LEAST &&
        frozenStay[row] < RESTS &&
        frozenStart[row] < RESTS &&
        frozenRun[row] + 1 >= FROZEN_LEAST_WINDOWS
      ) {
        score = Math.min(FROZEN_MAX, runSurprise(frozenStart[row], frozenStay[row], frozenRun[row] + 1))
      }
    }
    scores[i] = score
    usual[i] = expected
  }
  // A view costs garbage: most blocks are one run of as many rows as there is room for.
  const own = to - from === scores.length ? scores : scores.subarray(from, to)
  out.point.set(own, from)
  out.incident.set(own, from)
  out.lower.fill(Number.NaN, from, to)
  out.upper.fill(Number.NaN, from, to)
}

function learnRun(state: State, batch: FeatureBatch, weight: Float32Array, from: number, to: number): void {
  const { series, observed } = batch
  const { last, n, seen, silentRun, frozenRun, silentStart, frozenStart, moved } = state
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    const value = observed[i]
    const silent = Number.isNaN(value)
    if (seen[row] === 0) {
      // Nothing is known of a series before its first value.
      if (silent) continue
      last[row] = value
      seen[row] = 1
      n[row] = 1
      silentStart[row] = 0.5
      frozenStart[row] = 0.5
      state.silentStay[row] = STAY_PRIOR
      state.frozenStay[row] = STAY_PRIOR
      continue
    }
    const w = weight[i]
    const count = n[row]
    // The last of the rates is RATE_MIN. A choice between a number and a constant that is exported is put on the heap.
    const rate = w * RATES[count < RATES.length ? count : RATES.length - 1]
    if (count < N_MAX) n[row] = count + 1
    if (silent) {
      if (silentRun[row] < RUN_MAX) silentRun[row]++
      continue
    }
    if (silentRun[row] > 0) {
      ended(silentStart, state.silentStay, state.silentSeen, row, silentRun[row], rate, w)
      silentRun[row] = 0
    } else silentStart[row] += rate * (RATE_MIN - silentStart[row])
    if (value === last[row]) {
      if (frozenRun[row] < RUN_MAX) frozenRun[row]++
    } else {
      if (frozenRun[row] > 0) {
        ended(frozenStart, state.frozenStay, state.frozenSeen, row, frozenRun[row], rate, w)
        frozenRun[row] = 0
      } else frozenStart[row] += rate * (RATE_MIN - frozenStart[row])
      if (moved[row] < MOVED_LEAST) moved[row]++
    }
    last[row] = value
    if (seen[row] < N_MAX) seen[row]++
  }
}

/**
 * A run teaches when it has ended, never while it lasts, or it would excuse itself: once that it began, and its
 * further windows, up to RUN_TEACHES, that it stayed. The prior counts in as STAY_WEIGHT windows.
 */
function ended(
  start: Float32Array,
  stay: Float32Array,
  count: Uint8Array,
  row: number,
  run: number,
  rate: number,
  weight: number,
): void {
  start[row] += rate * (1 - start[row])
  const stays = weight * Math.min(run - 1, RUN_TEACHES)
  const before = count[row] + STAY_WEIGHT
  stay[row] = Math.min(STAY_MOST, (stay[row] * before + stays) / (before + stays + weight))
  count[row] = Math.min(STAY_COUNT_MAX, Math.round(count[row] + stays + weight))
}

import { CHUNK_MASK, CHUNK_SHIFT, type Chunk, ColumnStore } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { SeriesRows } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { LOG_BITS, LOG_FLOAT, LOG_TABLE } from '../math/fast-log.ts'
import { EXCESS, excessSurprise, fitTail, type TailFit } from '../math/tail-fit.ts'
import { rowsNeeded, runEnd } from './runs.ts'

/**
 * Raw scores → surprise (−log10 of a tail probability), per series, for one voice of one detector. Scores are
 * counted in 40 log bins of integers; now and then a generalised Pareto tail is fitted above their 95 % point by
 * moments (math/tail-fit.ts), with a heavy-tailed prior mixed in as pseudo-windows: so there is an opinion after a
 * few windows, cautious at first, and the data take over as they come. Per row only the fit is read.
 */
const BINS = 40
/** Eight bins an octave over .5…16: a bin is 9 % of the score. Below .5 nothing is strange. */
const PER_UNIT = 8
const LOWEST = -1
const SPEC = {
  threshold: 'f32',
  surprise: 'f32',
  scale: 'f32',
  shape: 'f32',
  slope: 'f32',
  n: 'u16',
  hist: ['u16', BINS],
} as const
type State = Chunk<typeof SPEC>

const VERSION = 1
/** Beyond 10^-12 no window of any length could tell. */
export const SURPRISE_MAX = 12
/** Windows counted before there is an opinion. */
const OPINION_WINDOWS = 10
/** Pseudo-windows of the prior: as much say as half a minute of one-second windows. */
const PRIOR_WINDOWS = 30
/** Histogram units of a whole window, so that a down-weighted one still counts. */
const UNITS = 8
const COUNT_MAX = 65_535
/** From here on a fit each 128 windows is enough; before, often. */
const OFTEN_WINDOWS = 256
/** A new octave of a score that is this surprising teaches the tail an eighth: one event must not be its rule. */
const WILD_SURPRISE = 5
const WILD_SHARE = 1 / 8
/** First bin that can be wild: a score of 2. */
const WILD_BIN = (1 - LOWEST) * PER_UNIT

/** Two-sided tail of Student's t with 4 degrees of freedom: standardised residuals with a rough scale. */
export function priorTail(z: number): number {
  const sin = z / Math.sqrt(z * z + 4)
  return 1 - sin * (1 + (1 - sin * sin) / 2)
}

const PRIOR = Float64Array.from({ length: BINS }, (_, b) => {
  const edge = (at: number) => (at <= 0 ? 1 : at >= BINS ? 0 : priorTail(2 ** (LOWEST + at / PER_UNIT)))
  return PRIOR_WINDOWS * (edge(b) - edge(b + 1))
})

const PRIOR_TOTAL = PRIOR.reduce((sum, mass) => sum + mass, 0)

/** Bin of a score that is NaN. */
const NO_BIN = 255

export class Calibration {
  readonly #id: string
  readonly #table: SeriesRows
  readonly #store: ColumnStore<typeof SPEC>

  /** `id` names the voice in snapshots, such as `calibration:deviation@1:score`; `rowsMax` where they are few. */
  constructor(id: string, table: SeriesRows, rowsMax?: number) {
    this.#id = id
    this.#table = table
    this.#store = new ColumnStore(SPEC, CHUNK_SHIFT, rowsMax)
  }

  /** Fills `out[i]` for the raw score of row i: 0..12, NaN without an opinion; and `bins[i]`, which `learn` counts. */
  surprise(
    series: Uint32Array,
    length: number,
    raw: Float32Array,
    out: Float32Array,
    bins: Uint8Array,
  ): void {
    this.#store.ensure(rowsNeeded(series, length))
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      surpriseRun(this.#store.chunks[series[from] >> CHUNK_SHIFT], series, raw, out, bins, from, to)
      from = to
    }
  }

  /** Counts scores by what `surprise` said of the same rows, which lie in `bins` and `found`; `weight` 0..1 each. */
  learn(
    series: Uint32Array,
    length: number,
    bins: Uint8Array,
    found: Float32Array,
    weight: Float32Array,
  ): void {
    this.#store.ensure(rowsNeeded(series, length))
    for (let from = 0; from < length; ) {
      const to = runEnd(series, from, length)
      learnRun(this.#store.writable(series[from] >> CHUNK_SHIFT), series, bins, found, weight, from, to)
      from = to
    }
  }

  forget(series: number): void {
    this.#store.clear(series)
  }

  snapshot(): Snapshot {
    return this.#store.snapshot(this.#id, VERSION, this.#table)
  }

  cut(cut: Cut): CutSnapshot {
    return this.#store.cut(cut, this.#id, VERSION, this.#table)
  }

  restore(from: Snapshot): void {
    this.#store.restore(from, this.#id, VERSION, this.#table)
  }

  get id(): string {
    return this.#id
  }

  bytes(): number {
    return this.#store.bytes()
  }
}

/** The excess of a score over the threshold, and what comes of it: numbers given to a function would be boxed. */
const TAIL = new Float64Array(3)

/** Surprise of a score in the tail, whose excess lies in TAIL, into out[i]. */
function tailSurprise(state: State, row: number, out: Float32Array, i: number): void {
  TAIL[EXCESS.scale] = state.scale[row]
  TAIL[EXCESS.shape] = state.shape[row]
  excessSurprise(TAIL)
  // `min`, not a choice: a choice between a number and a constant of the module puts the number on the heap.
  out[i] = Math.min(SURPRISE_MAX, state.surprise[row] + TAIL[EXCESS.excess])
}

function surpriseRun(
  state: State,
  series: Uint32Array,
  raw: Float32Array,
  out: Float32Array,
  bins: Uint8Array,
  from: number,
  to: number,
): void {
  const { n, threshold, surprise, slope } = state
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    const score = raw[i]
    if (Number.isNaN(score)) {
      out[i] = Number.NaN
      bins[i] = NO_BIN
      continue
    }
    let y = LOWEST
    let bin = 0
    if (score > 0.5) {
      // fastLog2At, written out: called from here it is not inlined, and its result is boxed.
      LOG_FLOAT[0] = score
      const bits = LOG_BITS[0]
      const step = (bits >>> 15) & 255
      const low = LOG_TABLE[step]
      y = (bits >>> 23) - 127 + low + ((bits & 0x7fff) / 0x8000) * (LOG_TABLE[step + 1] - low)
      const place = (y - LOWEST) * PER_UNIT
      bin = place >= BINS ? BINS - 1 : place | 0
    }
    bins[i] = bin
    if (n[row] < OPINION_WINDOWS) {
      out[i] = Number.NaN
      continue
    }
    const excess = y - threshold[row]
    if (excess > 0) {
      TAIL[EXCESS.excess] = excess
      tailSurprise(state, row, out, i)
      continue
    }
    const body = surprise[row] + excess * slope[row]
    out[i] = body > 0 ? body : 0
  }
}

const FIT: TailFit = { threshold: 0, surprise: 0, scale: 0, shape: 0, slope: 0 }

function learnRun(
  state: State,
  series: Uint32Array,
  bins: Uint8Array,
  found: Float32Array,
  weight: Float32Array,
  from: number,
  to: number,
): void {
  const { n, hist } = state
  for (let i = from; i < to; i++) {
    const bin = bins[i]
    if (bin === NO_BIN) continue
    const row = series[i] & CHUNK_MASK
    // What lies in the body cannot be wild.
    const share = found[i] > WILD_SURPRISE && bin >= WILD_BIN ? WILD_SHARE : 1
    const units = (share * UNITS * weight[i] + 0.5) | 0
    const slot = row * BINS + bin
    const held = hist[slot]
    if (held > COUNT_MAX - UNITS) {
      halve(hist, row * BINS)
      hist[slot] += units
    } else hist[slot] = held + units
    const next = n[row] + 1
    n[row] = next > COUNT_MAX ? COUNT_MAX - 127 : next
    const due = (next & (next >= OFTEN_WINDOWS ? 127 : next >= 64 ? 63 : next >= 32 ? 15 : 7)) === 0
    if (due || next === OPINION_WINDOWS) refit(state, row)
  }
}

function halve(hist: Uint16Array, from: number): void {
  for (let b = 0; b < BINS; b++) hist[from + b] = (hist[from + b] + 1) >> 1
}

function refit(state: State, row: number): void {
  fitTail(state.hist, row * BINS, BINS, 1 / UNITS, PRIOR, PRIOR_TOTAL, LOWEST, PER_UNIT, FIT)
  state.threshold[row] = FIT.threshold
  state.surprise[row] = FIT.surprise
  state.scale[row] = FIT.scale
  state.shape[row] = FIT.shape
  state.slope[row] = FIT.slope
}

/**
 * The 97 % point of a series' own scores: 80 log bins over .05…2000 with forgetting, held as columns. The bin of
 * the 97 % point and the mass above it move along with each addition, so reading it costs nothing.
 */
import { LOG_BITS, LOG_FLOAT, LOG_TABLE } from '../math/fast-log.ts'

export const TAIL_BINS = 80
const LOWEST = 0.05
const HIGHEST = 2000
const BINS_PER_OCTAVE = TAIL_BINS / Math.log2(HIGHEST / LOWEST)
const LOG2_LOWEST = Math.log2(LOWEST)
/** Share of the mass above the point. */
const SHARE = 0.03
/** Half-life of 720 windows in ten steps of 72. */
const DECAY = 2 ** (-1 / 10)
const EDGES = Float64Array.from({ length: TAIL_BINS + 1 }, (_, b) => LOWEST * 2 ** (b / BINS_PER_OCTAVE))
const COUNT_MAX = 65_535

export interface TailColumns {
  readonly hist: Uint16Array
  readonly total: Uint32Array
  /** Mass in bins higher than `at`. */
  readonly above: Uint32Array
  readonly at: Uint8Array
}

/** Counts the positive part of values[place]: a number given to a function is boxed where it is not inlined. */
export function tailAdd(
  state: TailColumns,
  row: number,
  values: Float32Array,
  place: number,
  units: number,
): void {
  if (units <= 0) return
  const { hist, total } = state
  // fastLog2At, written out: called from here it is not inlined, and its result is boxed. What is 0 or below LOWEST
  // gives a negative bin, which the mask makes 0 without a branch that half of all rows would take.
  const value = values[place]
  LOG_FLOAT[0] = 0.5 * (value + Math.abs(value))
  const bits = LOG_BITS[0]
  const mantissa = (bits >>> 15) & 255
  const low = LOG_TABLE[mantissa]
  const log = (bits >>> 23) - 127 + low + ((bits & 0x7fff) / 0x8000) * (LOG_TABLE[mantissa + 1] - low)
  let bin = ((log - LOG2_LOWEST) * BINS_PER_OCTAVE) | 0
  bin &= ~(bin >> 31)
  if (bin >= TAIL_BINS) bin = TAIL_BINS - 1
  const from = row * TAIL_BINS
  const slot = from + bin
  let count = hist[slot]
  if (count + units > COUNT_MAX) {
    tailDecay(state, row)
    count = hist[slot]
  }
  hist[slot] = count + units
  const mass = total[row] + units
  total[row] = mass
  const allowed = SHARE * mass
  const was = state.at[row]
  let at = was
  let above = state.above[row]
  if (bin > at) above += units
  while (above > allowed) above -= hist[from + ++at]
  while (at > 0 && above + hist[from + at] <= allowed) above += hist[from + at--]
  if (at !== was) state.at[row] = at
  state.above[row] = above
}

/** Moves the point's bin until at most SHARE of the mass lies above it, and no lower bin would do. */
function seek(state: TailColumns, row: number): void {
  const { hist } = state
  const from = row * TAIL_BINS
  const allowed = SHARE * state.total[row]
  let at = state.at[row]
  let above = state.above[row]
  while (above > allowed) above -= hist[from + ++at]
  while (at > 0 && above + hist[from + at] <= allowed) above += hist[from + at--]
  state.at[row] = at
  state.above[row] = above
}

export function tailDecay(state: TailColumns, row: number): void {
  const { hist } = state
  const from = row * TAIL_BINS
  const at = state.at[row]
  let total = 0
  let above = 0
  for (let b = 0; b < TAIL_BINS; b++) {
    const kept = (hist[from + b] * DECAY) | 0
    hist[from + b] = kept
    total += kept
    if (b > at) above += kept
  }
  state.total[row] = total
  state.above[row] = above
  seek(state, row)
}

/** The 97 % point, linear inside its bin, into out[row]; 0 where nothing was added. */
export function readTail(state: TailColumns, row: number, out: Float32Array): void {
  const at = state.at[row]
  const count = state.hist[row * TAIL_BINS + at]
  if (count === 0) {
    out[row] = 0
    return
  }
  const inside = 1 - (SHARE * state.total[row] - state.above[row]) / count
  const low = at === 0 ? 0 : EDGES[at]
  out[row] = low + (inside < 0 ? 0 : inside > 1 ? 1 : inside) * (EDGES[at + 1] - low)
}

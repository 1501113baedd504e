import { LOG_BITS, LOG_FLOAT, LOG_TABLE } from './fast-log.ts'

/** A tail in a few u16 counts: bin 0 holds values up to .25, bin b those from 2^((b−1)/R)/4, the last bin is open. */

const COUNT_MAX = 65_535
const LOWEST = 0.25

/** Counts `values[place]` (a number given to a function would be boxed); halves all counts when one is full, which also forgets slowly. */
export function countTail(
  counts: Uint16Array,
  at: number,
  bins: number,
  perOctave: number,
  values: Float64Array,
  place: number,
): void {
  const value = values[place]
  let bin = 0
  if (value > LOWEST) {
    // fastLog2At, written out: it is not always inlined, and then its argument and its result are boxed.
    LOG_FLOAT[0] = value / LOWEST
    const bits = LOG_BITS[0]
    const step = (bits >>> 15) & 255
    const low = LOG_TABLE[step]
    const octaves = (bits >>> 23) - 127 + low + ((bits & 0x7fff) / 0x8000) * (LOG_TABLE[step + 1] - low)
    bin = Math.min(bins - 1, 1 + ((perOctave * octaves) | 0))
  }
  if (counts[at + bin] === COUNT_MAX) for (let b = at; b < at + bins; b++) counts[b] >>= 1
  counts[at + bin]++
}

const FOUND = new Float64Array(1)

/** The value that 1 % of all counted ones exceed, linear in log₂ inside a bin; 0 while nothing is counted. */
export function tailQuantile99(counts: Uint16Array, at: number, bins: number, perOctave: number): number {
  readTail99(counts, at, bins, perOctave, FOUND, 0)
  return FOUND[0]
}

/** `tailQuantile99` into `out[place]`: a number returned would be boxed. */
export function readTail99(
  counts: Uint16Array,
  at: number,
  bins: number,
  perOctave: number,
  out: Float32Array | Float64Array,
  place: number,
): void {
  let total = 0
  for (let b = 0; b < bins; b++) total += counts[at + b]
  out[place] = total === 0 ? 0 : LOWEST
  const wanted = total * 0.01
  let above = 0
  for (let b = bins - 1; b > 0 && total > 0; b--) {
    const count = counts[at + b]
    if (above + count >= wanted) {
      out[place] = LOWEST * 2 ** ((b - (wanted - above) / count) / perOctave)
      return
    }
    above += count
  }
}

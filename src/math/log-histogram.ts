import { fastLog2 } from './fast-log.ts'

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
    const octaves = fastLog2(value / LOWEST)
    bin = Math.min(bins - 1, 1 + ((perOctave * octaves) | 0))
  }
  if (counts[at + bin] === COUNT_MAX) for (let b = at; b < at + bins; b++) counts[b] >>= 1
  counts[at + bin]++
}

/** The value that 1 % of all counted ones exceed, linear in log₂ inside a bin; 0 while nothing is counted. */
export function tailQuantile99(counts: Uint16Array, at: number, bins: number, perOctave: number): number {
  let total = 0
  for (let b = 0; b < bins; b++) total += counts[at + b]
  if (total === 0) return 0
  const wanted = total * 0.01
  let above = 0
  for (let b = bins - 1; b > 0; b--) {
    const count = counts[at + b]
    if (above + count >= wanted) {
      const fromTop = (wanted - above) / count
      return LOWEST * 2 ** ((b - fromTop) / perOctave)
    }
    above += count
  }
  return LOWEST
}

/** `tailQuantile99` into `out[place]`. */
export function readTail99(
  counts: Uint16Array,
  at: number,
  bins: number,
  perOctave: number,
  out: Float32Array,
  place: number,
): void {
  out[place] = tailQuantile99(counts, at, bins, perOctave)
}

// Not a test: what a history says of windows by number, in the plainest way, for histories that tests make and to compare others with.
import type { SeriesHistory, WindowsAt } from '../../src/core/history.ts'

type Plain = Pick<SeriesHistory, 'stepMs' | 'observed'>

export function plainKnownWithin(history: Plain, fromMs: number, toMs: number): (series: number) => number {
  const out = new Float64Array(Math.max(0, Math.ceil((toMs - fromMs) / history.stepMs) + 1))
  return series => {
    const values = out.subarray(0, history.observed(series, fromMs, toMs, out))
    const first = values.findIndex(value => Number.isFinite(value))
    return first < 0 ? 0 : values.length - first
  }
}

/** `holds` tells whether a series has a history. */
export function plainWindowsAt(
  history: Plain,
  endsMs: Float64Array,
  holds: (series: number) => boolean,
): WindowsAt {
  const one = new Float64Array(1)
  return {
    read(series, out) {
      if (!holds(series)) return false
      for (const [i, end] of endsMs.entries())
        out[i] = history.observed(series, end - history.stepMs, end, one) > 0 ? one[0] : Number.NaN
      return true
    },
  }
}

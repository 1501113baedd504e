// Not a test: what a history says of windows by number, in the plainest way, for histories that tests make and to compare others with.
import type { SeriesHistory, WindowsAt } from '../../src/core/history.ts'

type Plain = Pick<SeriesHistory, 'stepMs' | 'newestEndMs' | 'observed'>

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
  const { stepMs } = history
  const [firstMs, lastMs] = [endsMs[0], endsMs[endsMs.length - 1]]
  const all = new Float64Array(endsMs.length === 0 ? 0 : Math.round((lastMs - firstMs) / stepMs) + 1)
  return {
    read(series, out) {
      if (!holds(series)) return false
      const n = history.observed(series, firstMs - stepMs, lastMs, all)
      const newestMs = Math.min(lastMs, history.newestEndMs)
      for (let i = 0; i < endsMs.length; i++) {
        const back = Math.round((newestMs - endsMs[i]) / stepMs)
        out[i] = back >= 0 && back < n ? all[n - 1 - back] : Number.NaN
      }
      return true
    },
  }
}

import type { Chunk, ColumnSpec } from '../core/columns.ts'
import type { Kernel } from './kernel-detector.ts'

/**
 * Flatline: a series that used to vary and stopped. A run is a stretch of windows that stay within a fiftieth of the
 * usual change of its first value; a run is strange when it is at least twice as long as any before it, and then by the
 * share of runs that were as long: −log10 of an empirical tail (plus a half for what was never seen, as Jeffreys would).
 * What absence@1 says of stuck values is a Markov chain of windows that are exactly equal, for every series in 45
 * bytes; this looks at runs as wholes, so that quantised series with long rests stay quiet, and sees a sensor that
 * still trembles in its last digit. Zero is rest, not a stuck value.
 */
const OCTAVES = 16
const COLUMNS = {
  anchor: 'f64',
  previous: 'f64',
  /** Mean |x − x₋₁|. */
  change: 'f64',
  values: 'u32',
  run: 'u32',
  /** Longest run that counts, and runs that ended. */
  longest: 'f32',
  ended: 'f32',
  /** Ended runs by octave of their length. */
  runs: ['f32', OCTAVES],
} as const satisfies ColumnSpec
type State = Chunk<typeof COLUMNS>

/** Share of the usual change within which a value has not moved. */
const STILL = 0.02
/** Rate of the usual change, per window, after a plain mean at first. */
const CHANGE_RATE = 1 / 500
/** A change teaches at most this many usual ones. */
const CHANGE_CLIP = 8
/** Runs ended before a series counts as one that varies. */
const VARIED_LEAST = 20
const RUN_LEAST = 8
const TIMES_LONGEST = 2
/** A run teaches at most twice the longest so far: one outage is not the rule for all. */
const TEACHES = 2
/** How fast runs are forgotten, per ended run: a habit is that of the last few thousand. */
const FADE = 1 - 1 / 3000
/** A stuck value is worth a warning or a little more; it may as well be idle. */
const SURPRISE_MAX = 6
const WARM_UP = 50

const isStill = (s: State, x: number) => Math.abs(x - s.anchor[0]) <= STILL * s.change[0]
const octaveOf = (run: number) => Math.min(OCTAVES - 1, 31 - Math.clz32(Math.max(1, run)))

/** −log10 of the share of runs that were as long as this, and a little more for each time it is longer than any. */
function surpriseOf(s: State, run: number): number {
  let asLong = 0
  for (let o = octaveOf(run); o < OCTAVES; o++) asLong += s.runs[o]
  const tail = (asLong + 0.5) / (s.ended[0] + 1)
  const beyond = run / Math.max(s.longest[0], RUN_LEAST / TIMES_LONGEST) - TIMES_LONGEST
  const surprise = -Math.log10(Math.min(1, tail)) + Math.LOG10E * Math.LN2 * Math.max(0, beyond)
  return Math.min(SURPRISE_MAX, surprise)
}

function endRun(s: State): void {
  const { runs } = s
  for (let o = 0; o < OCTAVES; o++) runs[o] *= FADE
  s.ended[0] = s.ended[0] * FADE + 1
  runs[octaveOf(s.run[0])]++
  const taught = Math.min(s.run[0], TEACHES * Math.max(s.longest[0], RUN_LEAST))
  s.longest[0] = Math.max(s.longest[0] * FADE, taught)
}

export const FLATLINE: Kernel<typeof COLUMNS> = {
  id: 'flatline@1',
  version: 1,
  warmUp: WARM_UP,
  columns: COLUMNS,
  floor: 1,
  isSurprise: true,
  start(s, _, x) {
    s.anchor[0] = x
    s.previous[0] = x
  },
  strangeness(s, x) {
    if (x === 0 || s.ended[0] < VARIED_LEAST || !isStill(s, x)) return 0
    const run = s.run[0] + 1
    return run < RUN_LEAST || run < TIMES_LONGEST * s.longest[0] ? 0 : surpriseOf(s, run)
  },
  learn(s, x) {
    const n = s.values[0]++
    if (n > 0 && isStill(s, x)) s.run[0]++
    else {
      if (n > 0) endRun(s)
      s.anchor[0] = x
      s.run[0] = 1
    }
    const change = Math.abs(x - s.previous[0])
    const taught = n > WARM_UP && s.change[0] > 0 ? Math.min(change, CHANGE_CLIP * s.change[0]) : change
    // While it rests the usual change is that of before, or a long rest would make a tremble look like life.
    if (s.run[0] < RUN_LEAST) s.change[0] += Math.max(1 / (n + 1), CHANGE_RATE) * (taught - s.change[0])
    s.previous[0] = x
  },
}

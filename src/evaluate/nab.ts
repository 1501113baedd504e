/**
 * The Numenta Anomaly Benchmark's score (Lavin & Ahmad 2015, "Evaluating Real-time Anomaly Detection Algorithms").
 * A file's score is what its positives outside the windows cost plus, per window, what its earliest positive earns.
 */

export interface NabProfile {
  readonly name: string
  readonly truePositive: number
  readonly falseNegative: number
  readonly falsePositive: number
}

export const NAB_PROFILES: readonly NabProfile[] = [
  { name: 'standard', truePositive: 1, falseNegative: 1, falsePositive: 0.11 },
  { name: 'reward_low_FP_rate', truePositive: 1, falseNegative: 1, falsePositive: 0.22 },
  { name: 'reward_low_FN_rate', truePositive: 1, falseNegative: 2, falsePositive: 0.11 },
]

export interface NabFile {
  readonly name: string
  readonly timeMs: Float64Array
  /** NaN never alerts. */
  readonly score: Float64Array
  /** Row ranges of the labelled windows, both ends inclusive, ascending. */
  readonly windows: readonly (readonly [first: number, last: number])[]
}

const sigmoid = (x: number) => (x > 3 ? -1 : 2 / (1 + Math.exp(5 * x)) - 1)
const SIGMOID_MAX = sigmoid(-1)

/** Rows at the start of a file that are never scored. */
export function probationRows(rows: number): number {
  return Math.min(Math.floor(0.15 * rows), 750)
}

/** What a positive at each row is worth, before the profile's weights: > 0 inside a window, ≤ 0 outside. */
export function nabRowWorth(rows: number, windows: NabFile['windows']): Float64Array {
  const worth = new Float64Array(rows).fill(-1)
  for (const [w, [first, last]] of windows.entries()) {
    const width = last - first + 1
    for (let i = first; i <= last; i++) worth[i] = sigmoid(-(last - i + 1) / width) / SIGMOID_MAX
    const until = w + 1 < windows.length ? windows[w + 1][0] : rows
    for (let i = last + 1; i < until; i++) worth[i] = sigmoid((i - last) / (width - 1))
  }
  return worth
}

export interface NabSweep {
  readonly name: string
  /** Windows that count. */
  readonly windows: number
  /** Descending; `scores[p][k]` is the file's score under profile p at any threshold in (thresholds[k+1], thresholds[k]]. */
  readonly thresholds: Float64Array
  readonly scores: readonly Float64Array[]
}

/** A file's score at one threshold, for every profile. */
export function nabFileScore(file: NabFile, threshold: number, refractoryMs = 0): number[] {
  const context = contextOf(file)
  return NAB_PROFILES.map(profile => scoreAt(file, context, threshold, refractoryMs, profile))
}

function contextOf(file: NabFile) {
  const probation = probationRows(file.score.length)
  const kept = file.windows.filter(([, last]) => last >= probation)
  const window = new Int16Array(file.score.length).fill(-1)
  for (const [w, [first, last]] of kept.entries()) window.fill(w, first, last + 1)
  return { probation, kept, window, worth: nabRowWorth(file.score.length, file.windows) }
}

function scoreAt(
  file: NabFile,
  { probation, kept, window, worth }: ReturnType<typeof contextOf>,
  threshold: number,
  refractoryMs: number,
  profile: NabProfile,
): number {
  const best = new Float64Array(kept.length).fill(-Infinity)
  let sum = 0
  let openedMs = -Infinity
  for (let i = 0; i < file.score.length; i++) {
    if (!(file.score[i] >= threshold) || file.timeMs[i] - openedMs < refractoryMs) continue
    openedMs = file.timeMs[i]
    if (i < probation) continue
    if (window[i] < 0) sum += worth[i] * profile.falsePositive
    else best[window[i]] = Math.max(best[window[i]], worth[i] * profile.truePositive)
  }
  for (const value of best) sum += value === -Infinity ? -profile.falseNegative : value
  return sum
}

/**
 * A file's score at each of its own `most` highest distinct scores. Lower thresholds alert on most rows and are
 * never the best of a corpus; they are left out to bound the work.
 */
export function nabSweep(file: NabFile, refractoryMs: number, most = 1500): NabSweep {
  const context = contextOf(file)
  const order = Array.from(file.score.keys()).filter(i => !Number.isNaN(file.score[i]))
  order.sort((a, b) => file.score[b] - file.score[a])
  const thresholds: number[] = []
  const scores: number[][] = NAB_PROFILES.map(() => [])
  const chosen: number[] = []
  for (let k = 0; k < order.length && thresholds.length < most; ) {
    const threshold = file.score[order[k]]
    const fresh: number[] = []
    for (; k < order.length && file.score[order[k]] === threshold; k++) fresh.push(order[k])
    fresh.sort((a, b) => a - b)
    mergeInto(chosen, fresh)
    thresholds.push(threshold)
    const sums = scoreRows(file, context, chosen, refractoryMs)
    for (const [p, sum] of sums.entries()) scores[p].push(sum)
  }
  return {
    name: file.name,
    windows: context.kept.length,
    thresholds: Float64Array.from(thresholds),
    scores: scores.map(list => Float64Array.from(list)),
  }
}

function mergeInto(sorted: number[], fresh: readonly number[]): void {
  let a = sorted.length - 1
  let b = fresh.length - 1
  sorted.length += fresh.length
  for (let at = sorted.length - 1; b >= 0; at--) {
    if (a >= 0 && sorted[a] > fresh[b]) sorted[at] = sorted[a--]
    else sorted[at] = fresh[b--]
  }
}

/** Scores of all profiles when exactly `rows` (ascending) are at or above the threshold. */
function scoreRows(
  file: NabFile,
  { probation, kept, window, worth }: ReturnType<typeof contextOf>,
  rows: readonly number[],
  refractoryMs: number,
): number[] {
  let outside = 0
  let inside = 0
  let hit = 0
  let lastWindow = -1
  let openedMs = -Infinity
  for (const i of rows) {
    if (file.timeMs[i] - openedMs < refractoryMs) continue
    openedMs = file.timeMs[i]
    if (i < probation) continue
    if (window[i] < 0) outside += worth[i]
    else if (window[i] !== lastWindow) {
      // Worth falls inside a window, so its first positive is its best.
      lastWindow = window[i]
      inside += worth[i]
      hit++
    }
  }
  return NAB_PROFILES.map(
    p => outside * p.falsePositive + inside * p.truePositive - (kept.length - hit) * p.falseNegative,
  )
}

export interface NabResult {
  readonly profile: string
  readonly threshold: number
  /** 0 = says nothing, 100 = perfect. */
  readonly final: number
  /** Final score when each file's threshold is chosen without that file. */
  readonly leaveOneOut: number
  readonly perFile: readonly number[]
}

/** One threshold per profile for the whole corpus, from all distinct scores plus "never", ties keep the highest. */
export function nabResult(sweeps: readonly NabSweep[], p: number): NabResult {
  const profile = NAB_PROFILES[p]
  const windows = sweeps.reduce((sum, s) => sum + s.windows, 0)
  const none = sweeps.map(s => -s.windows * profile.falseNegative)
  const events = sweeps.flatMap((s, f) => Array.from(s.thresholds, (threshold, k) => ({ threshold, f, k })))
  events.sort((a, b) => b.threshold - a.threshold)
  const current = [...none]
  let total = none.reduce((a, b) => a + b, 0)
  let best = { total, threshold: Infinity, perFile: [...none] }
  const others = sweeps.map((_, f) => ({ total: total - none[f], own: none[f] }))
  for (let e = 0; e < events.length; e++) {
    const { threshold, f, k } = events[e]
    total += sweeps[f].scores[p][k] - current[f]
    current[f] = sweeps[f].scores[p][k]
    if (e + 1 < events.length && events[e + 1].threshold === threshold) continue
    if (total > best.total + 1e-12) best = { total, threshold, perFile: [...current] }
    for (let g = 0; g < others.length; g++)
      if (total - current[g] > others[g].total + 1e-12)
        others[g] = { total: total - current[g], own: current[g] }
  }
  const low = -windows * profile.falseNegative
  const span = windows * profile.truePositive - low
  const final = (sum: number) => (100 * (sum - low)) / span
  return {
    profile: profile.name,
    threshold: best.threshold,
    final: final(best.total),
    leaveOneOut: final(others.reduce((sum, o) => sum + o.own, 0)),
    perFile: best.perFile,
  }
}

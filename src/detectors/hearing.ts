import type { DetectorShare } from '../core/anomaly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import type { Detector } from '../core/detector.ts'
import { shares } from './fusion.ts'
import type { Moment } from './judge.ts'

/** A detector named in an anomaly has at least this share. */
const SHARE_LEAST = 0.02

/** Surprises of the rows of a batch, by one of the detectors. */
export interface HeardVoice {
  readonly detector: number
  readonly surprise: Float32Array
}

/** All that was said of a batch, and by whom. */
export interface Hearing {
  readonly batch: FeatureBatch
  readonly opinions: OpinionBatch
  readonly voices: readonly HeardVoice[]
  readonly detectors: readonly Detector[]
}

/** What was said of row `at`, with names and reasons. */
export function momentOf(
  { batch, opinions, voices, detectors }: Hearing,
  at: number,
  rest: Pick<Moment, 'surprise' | 'stuck' | 'learned'>,
): Moment {
  const series = batch.series[at]
  const heard = sharesOf(voices, detectors, at, series)
  // Only the first speaker has more to say: the others agree.
  const first = detectors.find(detector => nameOf(detector, series) === heard[0]?.id)
  return { batch, opinions, at, ...rest, detectors: heard, more: first?.why?.(series) ?? [] }
}

/** Shares per detector, the strongest first. */
function sharesOf(
  voices: readonly HeardVoice[],
  detectors: readonly Detector[],
  at: number,
  series: number,
): DetectorShare[] {
  const parts = shares(
    voices.map(voice => voice.surprise),
    at,
  )
  const sums = new Float64Array(detectors.length)
  for (const [v, part] of parts.entries()) sums[voices[v].detector] += part
  const named = [...sums.entries()].filter(([, share]) => share >= SHARE_LEAST)
  const total = named.reduce((sum, [, share]) => sum + share, 0)
  return named
    .sort((a, b) => b[1] - a[1] || a[0] - b[0])
    .map(([d, share]) => ({ id: nameOf(detectors[d], series), share: share / total }))
}

/** What a detector goes by where it spoke for a series. */
function nameOf(detector: Detector, series: number): string {
  return detector.spokeAs?.(series) ?? detector.id
}

import { fastLog2At } from './fast-log.ts'

/**
 * Tail of a distribution known only as a histogram: threshold near the 95 % point, generalised Pareto excesses by
 * the method of moments. Source: Hosking & Wallis 1987, "Parameter and quantile estimation for the generalized
 * Pareto distribution", eq. for moments: ξ = (1 − m²/v)/2, σ = m(m²/v + 1)/2 with m, v mean and variance of the
 * excesses; peaks over threshold for streams after Siffer et al. 2017 (SPOT), without its stored peaks.
 * Deviation: the fit is made on log2 of the score, where even Cauchy-like tails have moments, and ξ is clamped.
 */
export interface TailFit {
  /** Threshold in the histogram's own coordinate. */
  threshold: number
  /** −log10 of the mass above the threshold. */
  surprise: number
  /** GPD scale and shape of the excesses. */
  scale: number
  shape: number
  /** Surprise per unit of the coordinate below the threshold. */
  slope: number
}

/** Share of the mass above the threshold: enough excesses to fit, few enough to be a tail. */
const TAIL_SHARE = 0.05
/** Shapes beyond these come from few excesses, not from data; −0.4 is lighter than the log of a normal tail. */
const SHAPE_MIN = -0.4
const SHAPE_MAX = 0.2
const SCALE_MIN = 0.02
/** A tail with an end point needs evidence: at this many excesses half of SHAPE_MIN is believed. */
const EXCESSES_TRUSTED = 20
/** Where a tail with an end point is continued linearly, as a share of the way to that end. */
const END_SHARE = 0.9
const LEAST = 1 - END_SHARE
const LOG10_E = Math.LOG10E
const LOG10_2 = Math.log10(2)
export const END_SURPRISE = Math.log10(LEAST)

/**
 * `counts` of `bins` bins from `from`, bin b covering [b, b+1)/perUnit + lowest (the last one open); `prior` is a
 * mass per bin that is added, `priorTotal` their sum; `share` of the mass lies above the threshold, and no
 * shape is less than `shapeMin`. Writes into `out`.
 */
export function fitTail(
  counts: Uint16Array | Float64Array,
  from: number,
  bins: number,
  unit: number,
  prior: Float64Array,
  priorTotal: number,
  lowest: number,
  perUnit: number,
  out: TailFit,
  share: number = TAIL_SHARE,
  shapeMin: number = SHAPE_MIN,
): void {
  // Integers are summed apart from the prior: their additions need not wait for one another as floats do.
  let counted = 0
  for (let b = 0; b < bins; b++) counted += counts[from + b]
  const total = counted * unit + priorTotal
  const wanted = share * total
  let above = 0
  let m1 = 0
  let m2 = 0
  let at = bins - 1
  // Moments about the bottom edge of the current bin, moved along while walking down: no second pass.
  for (; at >= 1; at--) {
    const mass = counts[from + at] * unit + prior[at]
    m2 += 2 * m1 + above + mass / 3
    m1 += above + mass / 2
    above += mass
    if (above >= wanted) break
  }
  if (at < 1) at = 1
  const mean = m1 / above
  const variance = Math.max(m2 / above - mean * mean, 1e-6)
  const ratio = (mean * mean) / variance
  const shapeLeast = (shapeMin * above) / (above + EXCESSES_TRUSTED)
  const shape = Math.min(SHAPE_MAX, Math.max(shapeLeast, 0.5 * (1 - ratio)))
  out.threshold = lowest + at / perUnit
  out.surprise = -Math.log10(Math.min(0.9, above / total))
  out.shape = shape
  // The scale is the one that keeps the mean under the clamped shape.
  out.scale = Math.max(SCALE_MIN, (mean * (1 - shape)) / perUnit)
  let half = above
  let mid = at - 1
  for (; mid > 0; mid--) {
    half += counts[from + mid] * unit + prior[mid]
    if (half >= 0.5 * total) break
  }
  const width = Math.max(1, at - mid) / perUnit
  out.slope = Math.max(0.05, (out.surprise - 0.301) / width)
}

/** Places of what `excessSurprise` is given; it leaves its result at `excess`. */
export const EXCESS = { excess: 0, scale: 1, shape: 2 } as const

/** −log10 of the tail probability of an excess ≥ 0 over the threshold, not counting the threshold's own. See EXCESS. */
export function excessSurprise(w: Float64Array): void {
  const t = w[EXCESS.excess] / w[EXCESS.scale]
  const shape = w[EXCESS.shape]
  if (shape > -0.01 && shape < 0.01) {
    w[EXCESS.excess] = t * LOG10_E
    return
  }
  const argument = 1 + shape * t
  if (argument >= LEAST) {
    w[EXCESS.excess] = argument
    fastLog2At(w, EXCESS.excess)
    w[EXCESS.excess] = (w[EXCESS.excess] * LOG10_2) / shape
    return
  }
  const end = -END_SHARE / shape
  w[EXCESS.excess] = END_SURPRISE / shape + ((t - end) * LOG10_E) / LEAST
}

/**
 * Quantile of a classic histogram: `bounds` ascending (the last may be +Inf), `cumulative` counts at or below
 * each, `length` buckets, by linear interpolation within the bucket as Prometheus' histogram_quantile does:
 * the first bucket starts at 0 when its bound is positive, and beyond the last finite bound nothing is known, so
 * that bound is returned. NaN when nothing was observed.
 */
export function bucketQuantile(
  q: number,
  bounds: Float64Array,
  cumulative: Float64Array,
  length: number,
): number {
  if (length === 0) return Number.NaN
  const total = cumulative[length - 1]
  if (!(total > 0)) return Number.NaN
  const rank = q * total
  let i = 0
  while (i < length - 1 && cumulative[i] < rank) i++
  if (bounds[i] === Number.POSITIVE_INFINITY) return i > 0 ? bounds[i - 1] : Number.NaN
  if (i === 0 && bounds[0] <= 0) return bounds[0]
  const lower = i === 0 ? 0 : bounds[i - 1]
  const below = i === 0 ? 0 : cumulative[i - 1]
  const inside = cumulative[i] - below
  return inside > 0 ? lower + ((bounds[i] - lower) * (rank - below)) / inside : bounds[i]
}

/**
 * Quantile of an exponential histogram (OpenTelemetry data model): bucket `i` of `positive` counts values in
 * (base^(offset+i), base^(offset+i+1)] with base = 2^(2^−scale), `negative` mirrors it, `zero` counts those
 * within ±zeroThreshold. Interpolates geometrically within a bucket, linearly in the zero bucket. NaN when empty.
 */
export function exponentialQuantile(
  q: number,
  scale: number,
  zero: number,
  zeroThreshold: number,
  positive: Float64Array,
  positiveOffset: number,
  positiveLength: number,
  negative: Float64Array,
  negativeOffset: number,
  negativeLength: number,
): number {
  let total = zero
  for (let i = 0; i < positiveLength; i++) total += positive[i]
  for (let i = 0; i < negativeLength; i++) total += negative[i]
  if (!(total > 0)) return Number.NaN
  let rank = q * total
  const step = 2 ** -scale
  for (let i = negativeLength - 1; i >= 0; i--) {
    if (negative[i] > 0 && rank <= negative[i]) {
      return -(2 ** ((negativeOffset + i + 1 - rank / negative[i]) * step))
    }
    rank -= negative[i]
  }
  if (zero > 0 && rank <= zero) {
    const lower = negativeLength > 0 ? -zeroThreshold : 0
    return lower + ((zeroThreshold - lower) * rank) / zero
  }
  rank -= zero
  let highest = 0
  for (let i = 0; i < positiveLength; i++) {
    if (positive[i] > 0) {
      if (rank <= positive[i]) return 2 ** ((positiveOffset + i + Math.max(0, rank) / positive[i]) * step)
      highest = 2 ** ((positiveOffset + i + 1) * step)
    }
    rank -= positive[i]
  }
  return highest
}

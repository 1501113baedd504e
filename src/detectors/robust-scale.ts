/** Values beyond that many scales are held there, or an anomaly would inflate its own scale. */
export const CLIP_SCALES = 8
/** Samples during which a scale follows everything. */
export const SETTLING = 20

/** The next value of a running mean size that follows `value` ≥ 0 after n samples, clipped once settled. */
export function nextScale(
  scale: number,
  value: number,
  floor: number,
  n: number,
  rate: number,
  weight: number,
): number {
  const clipped = n > SETTLING ? Math.min(value, CLIP_SCALES * (scale + floor)) : value
  return scale + weight * Math.max(1 / (n + 1), rate) * (clipped - scale)
}

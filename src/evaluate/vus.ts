/**
 * Volume under the precision-recall surface (Paparrizos et al. 2022, VUS; the form of TSB-AD, Liu & Paparrizos
 * 2024): average precision with label edges softened by w samples, averaged over w = 0..W.
 */
import { segmentsOf } from './segments.ts'

const THRESHOLDS = 250

/**
 * VUS-PR of one series. `score`: higher = stranger, NaN counts as the lowest; `label` 0 or 1. NaN when there is no
 * positive label. Every sample is filed once under the first threshold that takes it; each w then only touches
 * samples in or near segments, so the cost is O(n log n + W·(samples near segments)).
 */
export function vusPr(score: Float64Array, label: Uint8Array, maxWindow: number): number {
  const n = score.length
  const segments = segmentsOf(label)
  if (segments.length === 0) return NaN
  const clean = score.map(s => (Number.isNaN(s) ? -Infinity : s))
  const descending = clean.slice().sort().reverse()
  const tau = new Float64Array(THRESHOLDS)
  for (let k = 0; k < THRESHOLDS; k++)
    tau[k] = descending[Math.floor((k * (n - 1)) / (THRESHOLDS - 1) + 1e-9)]
  const bucket = new Uint8Array(n)
  const predicted = new Float64Array(THRESHOLDS)
  for (let i = 0; i < n; i++) {
    bucket[i] = firstTaking(tau, clean[i])
    predicted[bucket[i]]++
  }
  let positives = 0
  for (let i = 0; i < n; i++) positives += label[i]
  accumulate(predicted)
  let sum = 0
  for (let w = 0; w <= maxWindow; w++)
    sum += averagePrecision(bucket, label, segments, predicted, positives, w)
  return sum / (maxWindow + 1)
}

/** Smallest k with value ≥ tau[k]; tau descends, and its last is the smallest score. */
function firstTaking(tau: Float64Array, value: number): number {
  let low = 0
  let high = tau.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (value >= tau[middle]) high = middle
    else low = middle + 1
  }
  return low
}

function accumulate(counts: Float64Array): void {
  for (let k = 1; k < counts.length; k++) counts[k] += counts[k - 1]
}

function averagePrecision(
  bucket: Uint8Array,
  label: Uint8Array,
  segments: Int32Array,
  predicted: Float64Array,
  positives: number,
  w: number,
): number {
  const n = bucket.length
  const half = Math.floor(w / 2)
  const inside = new Float64Array(THRESHOLDS)
  const edge = new Float64Array(THRESHOLDS)
  const found = new Float64Array(THRESHOLDS)
  let merged = 0
  let mergedEnd = -2
  let earliest = THRESHOLDS
  // Softened edges of neighbouring segments add up, clipped at 1: kept in a window between the segments.
  const soft = new Map<number, number>()
  for (let g = 0; g < segments.length; g += 2) {
    const [start, end] = [segments[g], segments[g + 1]]
    for (let i = start; i <= end; i++) inside[bucket[i]]++
    for (let d = 1; d <= half; d++) {
      const value = Math.sqrt(1 - d / w)
      if (end + d < n && label[end + d] === 0) soft.set(end + d, (soft.get(end + d) ?? 0) + value)
      if (start - d >= 0 && label[start - d] === 0) soft.set(start - d, (soft.get(start - d) ?? 0) + value)
    }
    const from = Math.max(0, start - half)
    const to = Math.min(n - 1, end + half)
    if (from > mergedEnd + 1) {
      if (mergedEnd >= 0) found[earliest]++
      merged++
      earliest = THRESHOLDS
    }
    for (let i = Math.max(from, mergedEnd + 1); i <= to; i++) if (bucket[i] < earliest) earliest = bucket[i]
    mergedEnd = Math.max(mergedEnd, to)
  }
  found[earliest]++
  for (const [i, value] of soft) edge[bucket[i]] += Math.min(1, value)
  accumulate(inside)
  accumulate(edge)
  accumulate(found)
  let area = 0
  let lastRate = 0
  for (let k = 0; k < THRESHOLDS; k++) {
    const hits = inside[k] + edge[k]
    const rate = Math.min(hits / (positives + edge[k] / 2), 1) * (found[k] / merged)
    area += (rate - lastRate) * (hits / predicted[k])
    lastRate = rate
  }
  return area
}

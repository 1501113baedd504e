import { mulberry32 } from '../math/mulberry32.ts'

const RESAMPLES = 1000
const SEED = 20_261_120

/**
 * 95 % percentile interval of a statistic over series: `statistic` gets indices drawn with replacement from
 * 0..n−1 (Efron 1979). Seeded: the same series give the same interval.
 */
export function bootstrap95(n: number, statistic: (indices: readonly number[]) => number): [number, number] {
  if (n === 0) return [NaN, NaN]
  const random = mulberry32(SEED)
  const values: number[] = []
  for (let b = 0; b < RESAMPLES; b++) {
    const indices = Array.from({ length: n }, () => Math.floor(random() * n))
    const value = statistic(indices)
    if (!Number.isNaN(value)) values.push(value)
  }
  values.sort((a, b) => a - b)
  const at = (q: number) => values[Math.min(values.length - 1, Math.floor(q * values.length))] ?? NaN
  return [at(0.025), at(0.975)]
}

export function mean(values: readonly number[]): number {
  let sum = 0
  let count = 0
  for (const value of values) {
    if (Number.isNaN(value)) continue
    sum += value
    count++
  }
  return count === 0 ? NaN : sum / count
}

export function median(values: readonly number[]): number {
  const sorted = values.filter(value => !Number.isNaN(value)).sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return NaN
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

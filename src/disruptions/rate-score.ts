import type { Grouping } from './leaf-table.ts'

/** How strongly a combination's rate rose against the rest: likelihood ratio, share and separation. */

/** Numerator and denominator now (v, n) and in the past (hv, hn); `expected` is filled when it is judged. */
export interface RateSums {
  v: number
  n: number
  hv: number
  hn: number
  expected: number
}

/** A combination that may explain the rise: a group of one grouping. */
export interface Candidate {
  readonly grouping: Grouping
  readonly group: number
  readonly sums: RateSums
  readonly share: number
  /** Strength, comparable within one table only. */
  readonly score: number
}

/** Denominators with the usual rate that every expectation is mixed with: rare combinations have no history. */
const PRIOR_COUNT = 10
const SEPARATION_POWER = 0.75

export function rateSums(): RateSums {
  return { v: 0, n: 0, hv: 0, hn: 0, expected: 0 }
}

export function addLeaf(
  into: RateSums,
  columns: {
    readonly numerator: Float64Array
    readonly denominator: Float64Array
    readonly pastNumerator: Float64Array
    readonly pastDenominator: Float64Array
  },
  row: number,
): void {
  into.v += columns.numerator[row]
  into.n += columns.denominator[row]
  into.hv += columns.pastNumerator[row]
  into.hn += columns.pastDenominator[row]
}

/**
 * Score ≥ 0 of `own` against everything else of `total`, 0 unless it rose and rose more than the rest: √likelihood
 * ratio × share² × separation^.75. The share is of what rose: a fall elsewhere takes nothing from it. `parts` is how
 * many combinations `own` sums up. Fills `own.expected`.
 */
export function judgeRate(
  own: RateSums,
  total: RateSums,
  usual: number,
  parts: number,
): { score: number; share: number; llr: number } {
  const { v, n, hv, hn } = own
  own.expected = expectation(n, hv, hn, usual, parts)
  const [vo, no] = [total.v - v, total.n - n]
  const outside = expectation(no, total.hv - hv, total.hn - hn, usual, 1)
  const rose = Math.max(0, v - own.expected)
  if (rose === 0 || (outside > 0 && v / own.expected <= vo / outside)) return { score: 0, share: 0, llr: 0 }
  const share = rose / (rose + Math.max(0, vo - outside))
  const [rate, rest] = [v / n, no > 0 ? vo / no : usual]
  const apart = Math.max(0, (rate - rest) / (rate + rest))
  const llr = term(v, own.expected) + term(vo, outside) - term(total.v, own.expected + outside)
  const score = Math.sqrt(Math.max(0, llr)) * share ** 2 * apart ** SEPARATION_POWER
  return { score, share, llr }
}

/** Logarithm of the likelihood ratio that a combination rose against its own past, whatever the rest did. */
export function riseEvidence({ v, n, hv, hn }: RateSums, usual: number): number {
  const expected = expectation(n, hv, hn, usual, 1)
  return v > expected && expected > 0 ? term(v, expected) - (v - expected) : 0
}

function expectation(n: number, hv: number, hn: number, usual: number, parts: number): number {
  const prior = PRIOR_COUNT * parts
  return (n * (hv + prior * usual)) / (hn + prior)
}

function term(v: number, expected: number): number {
  return v > 0 && expected > 0 ? v * Math.log(v / expected) : 0
}

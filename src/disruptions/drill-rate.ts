import { type Explanation, type Grouping, groupings, type LeafTable } from './leaf-table.ts'

/** Attributes in a combination at most. */
const DEPTH = 3
/** Denominator below which a rate says nothing, and the same as a share of all. */
const LEAST_COUNT = 20
const LEAST_SHARE = 0.005
/** Denominators with the usual rate that every expectation is mixed with: rare combinations have no history. */
const PRIOR_COUNT = 10
const MOST_EXPLANATIONS = 10
const SEPARATION_POWER = 0.75

/** Columns beside a table of leaves: this moment, and what came before it. */
export interface RateColumns {
  readonly numerator: Float64Array
  readonly denominator: Float64Array
  readonly pastNumerator: Float64Array
  readonly pastDenominator: Float64Array
}

interface Sums {
  v: number
  n: number
  hv: number
  hn: number
}

/**
 * Combinations that explain a rise of a ratio (numerator over denominator) against its own past: likelihood
 * ratio of the combination against the rest, times the share of the excess that lies in it, times how far its
 * rate stands from the rate outside. A fall is looked at as a rise of the rest of the denominator.
 * Source: measured recipe of this project; the likelihood ratio is Kulldorff's scan statistic (1997).
 */
export function drillRate(table: LeafTable, columns: RateColumns): Explanation[] {
  const flipped = shouldFlip(table.length, columns)
  const own = flipped ? complement(columns) : columns
  const total = sumOf(table.length, own)
  if (!(total.n > 0 && total.hn > 0)) return []
  const found: {
    grouping: Grouping
    group: number
    sums: Sums
    llr: number
    share: number
    apart: number
  }[] = []
  const usual = total.hv / total.hn
  const excess = total.v - usual * total.n
  if (!(excess > 0)) return []
  const least = Math.max(LEAST_COUNT, LEAST_SHARE * total.n)
  let most = 0
  for (const grouping of groupings(table, DEPTH)) {
    for (const [group, sums] of sumsOf(table.length, grouping, own).entries()) {
      if (sums.n < least) continue
      const { llr, share, apart } = judge(sums, total, usual, excess)
      if (!(llr > 0 && share > 0 && apart > 0)) continue
      found.push({ grouping, group, sums, llr, share, apart })
      most = Math.max(most, llr)
    }
  }
  const scored = found.map(one => ({
    ...one,
    score: Math.sqrt(one.llr / most) * one.share ** 2 * one.apart ** SEPARATION_POWER,
  }))
  // Sorting is stable: equal scores keep small sets first, then the order of rows.
  scored.sort((a, b) => b.score - a.score)
  return scored.slice(0, MOST_EXPLANATIONS).map(({ grouping, group, sums, share, score }, i) => {
    const rate = sums.v / sums.n
    const past = (sums.hv + PRIOR_COUNT * usual) / (sums.hn + PRIOR_COUNT)
    return {
      rank: i + 1,
      where: table.where(grouping.first[group], grouping.set),
      score,
      share,
      observed: flipped ? 1 - rate : rate,
      expected: flipped ? 1 - past : past,
    }
  })
}

function judge(
  { v, n, hv, hn }: Sums,
  total: Sums,
  usual: number,
  excess: number,
): { llr: number; share: number; apart: number } {
  const expected = (n * (hv + PRIOR_COUNT * usual)) / (hn + PRIOR_COUNT)
  const [vo, no] = [total.v - v, total.n - n]
  const expectedOut = (no * (total.hv - hv + PRIOR_COUNT * usual)) / (total.hn - hn + PRIOR_COUNT)
  const share = Math.min(1, Math.max(0, (v - expected) / excess))
  const [rate, outside] = [v / n, no > 0 ? vo / no : usual]
  const apart = rate + outside > 0 ? (rate - outside) / (rate + outside) : 0
  const above = v / expected > Math.max(1, expectedOut > 0 ? vo / expectedOut : 0)
  const llr = above ? term(v, expected) + term(vo, expectedOut) - term(total.v, expected + expectedOut) : 0
  return { llr, share, apart }
}

function term(v: number, expected: number): number {
  return v > 0 && expected > 0 ? v * Math.log(v / expected) : 0
}

function sumOf(length: number, columns: RateColumns): Sums {
  const out = { v: 0, n: 0, hv: 0, hn: 0 }
  for (let row = 0; row < length; row++) add(out, columns, row)
  return out
}

function sumsOf(length: number, { group, count }: Grouping, columns: RateColumns): Sums[] {
  const out: Sums[] = Array.from({ length: count }, () => ({ v: 0, n: 0, hv: 0, hn: 0 }))
  for (let row = 0; row < length; row++) add(out[group[row]], columns, row)
  return out
}

function add(into: Sums, columns: RateColumns, row: number): void {
  into.v += columns.numerator[row]
  into.n += columns.denominator[row]
  into.hv += columns.pastNumerator[row]
  into.hn += columns.pastDenominator[row]
}

/** A ratio within 0..1 that fell is a rise of its complement. */
function shouldFlip(length: number, columns: RateColumns): boolean {
  const { v, n, hv, hn } = sumOf(length, columns)
  return n > 0 && hn > 0 && v / n < hv / hn && hv <= hn && v <= n
}

function complement(columns: RateColumns): RateColumns {
  return {
    ...columns,
    numerator: columns.denominator.map((n, i) => n - columns.numerator[i]),
    pastNumerator: columns.pastDenominator.map((n, i) => n - columns.pastNumerator[i]),
  }
}

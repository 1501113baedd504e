import { type Explanation, type Grouping, groupings, type LeafTable } from './leaf-table.ts'
import { addLeaf, type Candidate, judgeRate, type RateSums, rateSums, riseEvidence } from './rate-score.ts'
import { siblings } from './rate-siblings.ts'

/** Attributes in a combination at most. */
const DEPTH = 3
/** Denominator below which a rate says nothing, and the same as a share of all. */
const LEAST_COUNT = 20
const LEAST_SHARE = 0.005
const MOST_EXPLANATIONS = 10
/** Natural logarithm of the likelihood ratio from which a move in the bad direction is believed: 150 to one. */
const BELIEVED = 5

/** Columns beside a table of leaves: this moment, and what came before it. */
export interface RateColumns {
  readonly numerator: Float64Array
  readonly denominator: Float64Array
  readonly pastNumerator: Float64Array
  readonly pastDenominator: Float64Array
}

/**
 * Combinations that explain a change of a ratio (numerator over denominator) against its own past: likelihood ratio
 * of the combination against the rest, times the share of all that rose that lies in it, times how far its rate
 * stands from the rate outside; values of one attribute that rose together are named one after another. The rarer
 * outcome is the failure: rises of a ratio that is usually below a half are looked at, and falls of one above; the
 * other direction only where that one shows nothing.
 * Source: measured recipe of this project; the likelihood ratio is Kulldorff's scan statistic (1997).
 */
export function drillRate(table: LeafTable, columns: RateColumns): Explanation[] {
  const total = rateSums()
  for (let row = 0; row < table.length; row++) addLeaf(total, columns, row)
  if (!(total.n > 0 && total.hn > 0)) return []
  const sets = groupings(table, DEPTH)
  // A numerator that may exceed its denominator is no share of it, and has no complement.
  if (total.v > total.n || total.hv > total.hn) return told(table, risen(table, sets, columns).found, false)
  const bad = total.hv / total.hn < 0.5
  const first = risen(table, sets, bad ? columns : complement(columns))
  if (first.evidence >= BELIEVED) return told(table, first.found, !bad)
  const second = risen(table, sets, bad ? complement(columns) : columns)
  return first.evidence >= second.evidence ? told(table, first.found, !bad) : told(table, second.found, bad)
}

/** All candidates, strongest first, and the strongest evidence that any of them rose at all. */
function risen(
  table: LeafTable,
  sets: readonly Grouping[],
  columns: RateColumns,
): { found: Candidate[]; evidence: number } {
  const total = rateSums()
  for (let row = 0; row < table.length; row++) addLeaf(total, columns, row)
  const usual = total.hv / total.hn
  const least = Math.max(LEAST_COUNT, LEAST_SHARE * total.n)
  const sums = new Map<string, RateSums[]>()
  const ranked: { readonly names: readonly Candidate[]; readonly score: number }[] = []
  let [evidence, most] = [0, 0]
  for (const grouping of sets) {
    const own = sumsOf(table.length, grouping, columns)
    sums.set(grouping.set.join(), own)
    const candidates: Candidate[] = []
    for (const [group, one] of own.entries()) {
      if (one.n < least) continue
      evidence = Math.max(evidence, riseEvidence(one, usual))
      const { score, share, llr } = judgeRate(one, total, usual, 1)
      if (!(score > 0)) continue
      candidates.push({ grouping, group, sums: one, share, score })
      most = Math.max(most, llr)
    }
    for (const one of candidates) ranked.push({ names: [one], score: one.score })
    const together = siblings(table, candidates, { total, usual, sets, sums })
    if (together) ranked.push(together)
  }
  // Sorting is stable: equal scores keep small sets first, then the order of rows.
  ranked.sort((a, b) => b.score - a.score)
  const seen = new Set<string>()
  const found: Candidate[] = []
  for (const { names, score } of ranked) {
    for (const one of names) {
      const key = `${one.grouping.set.join()} ${one.group}`
      if (seen.has(key)) continue
      seen.add(key)
      found.push({ ...one, score: Math.min(1, score / Math.sqrt(most)) })
    }
    if (found.length >= MOST_EXPLANATIONS) break
  }
  return { found: found.slice(0, MOST_EXPLANATIONS), evidence }
}

function told(table: LeafTable, found: readonly Candidate[], flipped: boolean): Explanation[] {
  return found.map(({ grouping, group, sums, share, score }, i) => {
    const rate = sums.v / sums.n
    const past = sums.expected / sums.n
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

function sumsOf(length: number, { group, count }: Grouping, columns: RateColumns): RateSums[] {
  const out = Array.from({ length: count }, rateSums)
  for (let row = 0; row < length; row++) addLeaf(out[group[row]], columns, row)
  return out
}

function complement(columns: RateColumns): RateColumns {
  return {
    ...columns,
    numerator: columns.denominator.map((n, i) => n - columns.numerator[i]),
    pastNumerator: columns.pastDenominator.map((n, i) => n - columns.pastNumerator[i]),
  }
}

/** Metrics of ranked lists, groupings and attribute combinations; definitions as the evaluation document gives them. */

/** |R[:k] ∩ V| / min(k, |V|): the share of the truth among the first k. NaN without a truth. */
export function accuracyAt(ranked: readonly string[], truth: readonly string[], k: number): number {
  if (truth.length === 0) return Number.NaN
  const wanted = new Set(truth)
  let hits = 0
  for (const name of new Set(ranked.slice(0, k))) if (wanted.has(name)) hits++
  return hits / Math.min(k, wanted.size)
}

/** Mean of AC@1..5. */
export function averageAt5(ranked: readonly string[], truth: readonly string[]): number {
  let sum = 0
  for (let k = 1; k <= 5; k++) sum += accuracyAt(ranked, truth, k)
  return sum / 5
}

/** 1 / rank of the first of the truth; 0 when none is in the list. */
export function reciprocalRank(ranked: readonly string[], truth: readonly string[]): number {
  const wanted = new Set(truth)
  const at = ranked.findIndex(name => wanted.has(name))
  return at < 0 ? 0 : 1 / (at + 1)
}

/** |A ∩ B| / |A ∪ B|; 1 when both are empty. */
export function jaccard(a: Iterable<string>, b: Iterable<string>): number {
  const left = new Set(a)
  const right = new Set(b)
  let both = 0
  for (const one of left) if (right.has(one)) both++
  const all = left.size + right.size - both
  return all === 0 ? 1 : both / all
}

const pairs = (n: number): number => (n * (n - 1)) / 2

/**
 * Adjusted Rand index of two labellings of the same things (Hubert and Arabie 1985): 1 equal, 0 as by chance.
 * NaN for fewer than two things.
 */
export function adjustedRand(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  const n = a.length
  if (n < 2) return Number.NaN
  const cells = new Map<string, number>()
  const rows = new Map<string | number, number>()
  const columns = new Map<string | number, number>()
  for (let i = 0; i < n; i++) {
    const cell = JSON.stringify([a[i], b[i]])
    cells.set(cell, (cells.get(cell) ?? 0) + 1)
    rows.set(a[i], (rows.get(a[i]) ?? 0) + 1)
    columns.set(b[i], (columns.get(b[i]) ?? 0) + 1)
  }
  const sum = (counts: Iterable<number>): number => {
    let total = 0
    for (const count of counts) total += pairs(count)
    return total
  }
  const [together, inA, inB] = [sum(cells.values()), sum(rows.values()), sum(columns.values())]
  const expected = (inA * inB) / pairs(n)
  const most = (inA + inB) / 2
  return most === expected ? 1 : (together - expected) / (most - expected)
}

/** A combination of attribute values in one spelling: `a=1;b=2`, attributes sorted. */
export function combinationText(where: Readonly<Record<string, string>>): string {
  return Object.keys(where)
    .sort()
    .map(name => `${name}=${where[name]}`)
    .join(';')
}

/** Micro counts over sets of combinations, for F1 = 2·hits / (found + wanted). */
export interface CombinationCounts {
  readonly hits: number
  readonly found: number
  readonly wanted: number
}

/** Exact matches between two sets of combinations. */
export function countCombinations(found: readonly string[], wanted: readonly string[]): CombinationCounts {
  const truth = new Set(wanted)
  const own = new Set(found)
  let hits = 0
  for (const one of own) if (truth.has(one)) hits++
  return { hits, found: own.size, wanted: truth.size }
}

export function microF1(counts: readonly CombinationCounts[]): number {
  let hits = 0
  let sum = 0
  for (const one of counts) {
    hits += one.hits
    sum += one.found + one.wanted
  }
  return sum === 0 ? Number.NaN : (2 * hits) / sum
}

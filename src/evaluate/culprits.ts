/**
 * How well an explanation names the metrics that caused an anomaly (Su et al. 2019, OmniAnomaly: HitRate@P%;
 * Järvelin & Kekäläinen 2002: NDCG@k).
 */

/** Share of the true metrics among the first ⌊P·|truth|⌋ of the ranking. */
export function hitRate(ranking: readonly number[], truth: ReadonlySet<number>, share: number): number {
  if (truth.size === 0) return NaN
  const first = ranking.slice(0, Math.floor(share * truth.size + 1e-9))
  return first.filter(metric => truth.has(metric)).length / truth.size
}

export function ndcg(ranking: readonly number[], truth: ReadonlySet<number>, k: number): number {
  if (truth.size === 0) return NaN
  let gain = 0
  let ideal = 0
  for (let i = 0; i < k; i++) {
    const discount = 1 / Math.log2(i + 2)
    if (i < ranking.length && truth.has(ranking[i])) gain += discount
    if (i < truth.size) ideal += discount
  }
  return gain / ideal
}

export interface Interpretation {
  /** Rows from 0, both ends inclusive; the published files are one row off here and there, labels decide. */
  readonly first: number
  readonly last: number
  /** Metrics, from 0. */
  readonly metrics: ReadonlySet<number>
}

/** Lines `start-end:metric,metric,…`, rows counted from 0 and metrics from 1 in the file. */
export function interpretationsOf(text: string): Interpretation[] {
  const found: Interpretation[] = []
  for (const line of text.split('\n')) {
    const match = /^(\d+)-(\d+):([\d,]+)$/.exec(line.trim())
    if (!match) continue
    const metrics = new Set(
      match[3]
        .split(',')
        .filter(Boolean)
        .map(m => Number(m) - 1),
    )
    found.push({ first: Number(match[1]), last: Number(match[2]), metrics })
  }
  return found
}

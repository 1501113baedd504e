/**
 * The public score: 20 points a decade of rarity, so 40 is one window in a hundred, 60 one in a thousand, 100 one in a
 * hundred thousand. How rare a surprise is was read off the training halves of the public sets named beside each
 * table, once; surprise is already in units of the series' own usual strangeness, so one table serves all series.
 */
export type RarityTable = readonly (readonly [surprise: number, decades: number])[]

/** kpi `train/`, second half, 19 series, 1,025,257 windows; the last entry continues the slope. */
export const UNIVARIATE_RARITY: RarityTable = [
  [0.5, 0],
  [1.48, 0.3],
  [4.8, 1],
  [32, 2],
  [206, 3],
  [607, 4],
  [1650, 5],
]

/** asd and jumpstarter `train/` after its first third, 28 entities, 122,880 rows. */
export const MULTIVARIATE_RARITY: RarityTable = [
  [1, 0],
  [1.5, 0.3],
  [2.31, 1],
  [4.26, 2],
  [6.7, 3],
  [10.6, 4],
  [15, 5],
]

const POINTS_A_DECADE = 20

/** 0..100, monotone in surprise: linear in its logarithm between the entries of the table. */
export function publicScore(surprise: number, table: RarityTable): number {
  if (!(surprise > table[0][0])) return 0
  for (let i = 1; i < table.length; i++) {
    const [high, above] = table[i]
    if (surprise > high) continue
    const [low, below] = table[i - 1]
    const share = Math.log(surprise / low) / Math.log(high / low)
    return POINTS_A_DECADE * (below + share * (above - below))
  }
  return 100
}

/** Share of its alert threshold below which evidence says nothing of its own. */
const QUIET_SHARE = 0.5

/**
 * 0..100 from evidence in units of its alert threshold: 50 where it alerts, 75 at half as much again, 94 at two and a
 * half times. A plain fault in a young series is rare by its own evidence long before its surprise has been outdone.
 */
export function evidenceScore(share: number): number {
  return share > QUIET_SHARE ? 100 * (1 - 2 ** (-2 * (share - QUIET_SHARE))) : 0
}

import type { Scoring } from './stages.ts'

/** Series that a tier of detectors does not look at, and why. */
export interface Unscored {
  readonly tier: string
  readonly why: string
  readonly series: number
}

/** Who looks at the series that are not rich. */
const PLAIN = 'plain@1'
/** Counts of the pool that name who is a suspect and has no place, by what there is too little of. */
const WITHOUT = 'without-'
/** Counts of detectors with a budget of their own: `series-waiting`, `latency-ae-series-waiting`. */
const WAITING = /^(?:(.+)-)?series-waiting$/

/**
 * What was not scored by a tier and why, from what its detectors count. Tier 0 looks at every series. Tier 1 is the rich
 * ensemble: a series is plain because nothing asked for more, a suspect that waits for a place, or rich and still learning. Tier 2
 * are the pool and whatever has a budget of its own.
 */
export function unscored(scoring: Pick<Scoring, 'detectors' | 'pool'>, series: number): Unscored[] {
  const out: Unscored[] = []
  const plain = scoring.detectors.find(({ id }) => id === PLAIN)?.counts
  const apprentices = plain?.apprentices ?? 0
  const poor = plain === undefined ? 0 : Math.max(0, (plain.series ?? 0) - apprentices)
  if (plain !== undefined) {
    const waiting = Math.min(poor, plain.waiting ?? 0)
    out.push({ tier: 'rich', why: 'quiet', series: poor - waiting })
    out.push({ tier: 'rich', why: 'no-room', series: waiting })
    out.push({ tier: 'rich', why: 'learning', series: apprentices })
  }
  const pool = scoring.pool()
  if (pool.held !== undefined) {
    const without = Object.entries(pool).filter(([name]) => name.startsWith(WITHOUT))
    const waiting = without.reduce((sum, [, count]) => sum + count, 0)
    out.push({ tier: 'pool', why: 'plain', series: poor })
    out.push({ tier: 'pool', why: 'no-suspect', series: Math.max(0, series - poor - pool.held - waiting) })
    for (const [name, count] of without)
      out.push({ tier: 'pool', why: name.slice(WITHOUT.length), series: count })
  }
  for (const { id, counts } of scoring.detectors) {
    for (const [name, count] of Object.entries(counts)) {
      const found = WAITING.exec(name)
      if (!found) continue
      out.push({ tier: found[1] === undefined ? id : `${id}:${found[1]}`, why: 'no-room', series: count })
    }
  }
  return out
}

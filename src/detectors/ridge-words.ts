import type { SeriesRows } from '../core/series.ts'
import { formatValue, metricWords } from '../core/units.ts'
import type { RidgeRoster } from './ridge-roster.ts'

/** Metrics named beside the one in question at most, each with at least this share of the loudest one's evidence. */
const NAMED_MAX = 3
const NAMED_SHARE = 0.3

/** That it is the combination that is strange, and which metrics of the entity stand out with this one. */
export function companyWords(roster: RidgeRoster, table: SeriesRows, row: number): string[] {
  const entity = roster.entityOf(row)
  const metric = roster.metricOf(row)
  const opinion = entity?.detector?.opinion
  if (entity === undefined || opinion === undefined || Number.isNaN(opinion.score)) return []
  const meta = table.meta(row)
  const others = entity.members.length - 1
  const words = [
    `given the ${others} other metrics of ${entity.name}, ${formatValue(opinion.expected[metric], meta.unit)} would fit: the combination is strange`,
  ]
  const least = NAMED_SHARE * opinion.loudest
  const order = Array.from(opinion.share.keys())
    .filter(j => j !== metric && opinion.share[j] > least)
    .sort((a, b) => opinion.share[b] - opinion.share[a] || a - b)
  const named = order.slice(0, NAMED_MAX).map(j => metricWords(table.meta(entity.members[j]).metric))
  if (named.length > 0) words.push(`not fitting the others either: ${named.join(', ')}`)
  const imputed = opinion.imputed.reduce((sum, flag) => sum + flag, 0)
  if (imputed > 0) words.push(`${imputed} of them missing and taken from the others`)
  return words
}

import type { SeriesHistory } from '../core/history.ts'
import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import { drillRate } from './drill-rate.ts'
import type { SeriesQuestion } from './drill-series.ts'
import { compare } from './graph.ts'
import { type Explanation, invalid, LeafTable } from './leaf-table.ts'

/** A ratio of two live metrics, such as failed requests of all requests. */
export interface RatioQuestion extends SeriesQuestion {
  /** Metric of the denominator; where it is `metric` itself, its series that count failures are the numerator. */
  readonly over: string
}

/** Labels that become dimensions; of more, those with the fewest values. */
const MOST_DIMENSIONS = 12
/** The past that a rate is held against, in stretches as long as the one asked about. */
const PAST_STRETCHES = 10
const PER_SECOND = /\/s$/

interface Part {
  readonly meta: SeriesMeta
  readonly row: number
}

/**
 * Which combination of label values explains that a ratio of two live metrics rose or fell: what failed by label
 * over what was asked by label, in the stretch asked about against the ten stretches before it. Rates become counts
 * by the length of the stretch, so that much traffic says more than little. Throws FS_INPUT_INVALID where there is
 * nothing to divide.
 */
export function drillRatio(
  table: SeriesTable,
  history: SeriesHistory,
  question: RatioQuestion,
): Explanation[] {
  const { above, below } = partsOf(table, question)
  const { newestEndMs, stepMs, depth } = history
  if (Number.isNaN(newestEndMs)) throw invalid('no window is complete yet')
  const untilMs = Math.min(question.atMs ?? newestEndMs, newestEndMs)
  const fromMs = untilMs - question.windows * stepMs
  if (newestEndMs - fromMs > depth * stepMs)
    throw invalid(`that is further back than the ${depth} windows that are kept`)
  const dimensions = dimensionsOf(above, below)
  if (dimensions.length === 0) throw invalid(`the series of "${question.over}" differ in no label`)
  const rows = new LeafTable(dimensions)
  for (const { meta } of [...above, ...below]) rows.add(dimensions.map(name => meta.labels[name] ?? ''))
  const columns = {
    numerator: new Float64Array(rows.length),
    denominator: new Float64Array(rows.length),
    pastNumerator: new Float64Array(rows.length),
    pastDenominator: new Float64Array(rows.length),
  }
  const values = new Float64Array(question.windows * PAST_STRETCHES + 2)
  const sum = ({ meta, row }: Part, from: number, to: number): number => {
    const n = history.observed(row, from, to, values)
    let total = 0
    for (let i = 0; i < n; i++) if (values[i] > 0) total += values[i]
    return PER_SECOND.test(meta.unit) ? (total * stepMs) / 1000 : total
  }
  const pastMs = fromMs - PAST_STRETCHES * question.windows * stepMs
  for (const [i, part] of above.entries()) {
    columns.numerator[i] = sum(part, fromMs, untilMs)
    columns.pastNumerator[i] = sum(part, pastMs, fromMs)
  }
  for (const [i, part] of below.entries()) {
    columns.denominator[above.length + i] = sum(part, fromMs, untilMs)
    columns.pastDenominator[above.length + i] = sum(part, pastMs, fromMs)
  }
  return drillRate(rows, columns)
}

/** Series of numerator and denominator, in order of keys. */
function partsOf(
  table: SeriesTable,
  { tenant, metric, over, entity }: RatioQuestion,
): { above: Part[]; below: Part[] } {
  const above: Part[] = []
  const below: Part[] = []
  for (const [row, meta] of table.metas()) {
    if (entity !== undefined && meta.entity !== entity) continue
    if (tenant !== undefined && meta.tenant !== tenant) continue
    const isPart = meta.metric === metric || meta.metric === over
    if (isPart && (meta.unit === 'ratio' || meta.unit === 'percent'))
      throw invalid(`"${meta.metric}" is a ratio already: name what is counted above and below it`)
    if (meta.metric === metric && (metric !== over || meta.kind === 'error')) above.push({ meta, row })
    if (meta.metric === over) below.push({ meta, row })
  }
  if (above.length === 0) throw invalid(`no series of "${metric}" counts what is above the line`)
  if (below.length === 0) throw invalid(`no series of "${over}" counts what is below the line`)
  const byKey = (a: Part, b: Part): number => compare(a.meta.key, b.meta.key)
  return { above: above.sort(byKey), below: below.sort(byKey) }
}

/**
 * Labels that both sides have, without those that only tell failures from the rest (a status code): of such a label the
 * failing series and the others share no value.
 */
function dimensionsOf(above: readonly Part[], below: readonly Part[]): string[] {
  const failing = new Set(above.map(({ row }) => row))
  const names = new Set(below.flatMap(({ meta }) => Object.keys(meta.labels)))
  const found: { name: string; values: number }[] = []
  for (const name of names) {
    if (!above.some(({ meta }) => meta.labels[name] !== undefined)) continue
    const failed = new Set(above.map(({ meta }) => meta.labels[name] ?? ''))
    const rest = new Set(
      below.filter(one => !failing.has(one.row)).map(({ meta }) => meta.labels[name] ?? ''),
    )
    if (![...failed].some(value => rest.has(value))) continue
    const values = new Set([...failed, ...rest]).size
    if (values > 1) found.push({ name, values })
  }
  return found
    .sort((a, b) => a.values - b.values || compare(a.name, b.name))
    .slice(0, MOST_DIMENSIONS)
    .map(({ name }) => name)
}

import type { Disruption } from '../core/disruption.ts'
import type { SeriesHistory } from '../core/history.ts'
import { type SeriesMeta, type SeriesTable, seriesHead } from '../core/series.ts'
import { drillRatio } from './drill-ratio.ts'
import { drillSeries, type SeriesQuestion } from './drill-series.ts'
import { compare } from './graph.ts'
import { rowsWithPast } from './held-rows.ts'
import { type Explanation, invalid } from './leaf-table.ts'

/** A question about live metrics; with `over`, about their ratio. */
export interface LiveQuestion extends SeriesQuestion {
  readonly over?: string | undefined
}

/** What was asked of the live metrics, and what explains it. */
export interface LiveAnswer {
  readonly question: { readonly metric: string; readonly over?: string; readonly entity?: string }
  readonly explanations: readonly Explanation[]
}

/** Entities and questions of one disruption that are looked at; the probable cause comes first. */
const MOST_ENTITIES = 8
const MOST_QUESTIONS = 12

/** Which combination of label values explains a count or rate, or with `over` a ratio, of live metrics. */
export function drillLive(
  table: SeriesTable,
  history: SeriesHistory,
  { over, ...question }: LiveQuestion,
): Explanation[] {
  return over === undefined
    ? drillSeries(table, history, question)
    : drillRatio(table, history, { ...question, over })
}

/**
 * What of a disruption's entities can be taken apart by labels: shares of failures first, then traffic; of its
 * probable cause, then of where it is felt. The first that is explained is the answer. `windows` from its start on
 * are looked at. Throws FS_INPUT_INVALID when none of its entities counts anything by label.
 */
export function drillDisruption(
  table: SeriesTable,
  history: SeriesHistory,
  disruption: Disruption,
  windows: number,
): LiveAnswer {
  const questions = questionsOf(table, history, disruption)
  if (questions.length === 0) throw invalid('none of its entities counts requests or failures by label')
  const atMs = Date.parse(disruption.startedAt) + windows * history.stepMs
  let refused: unknown
  let answer: LiveAnswer | undefined
  for (const question of questions) {
    try {
      const explanations = drillLive(table, history, {
        tenant: disruption.tenant,
        entity: question.entity,
        metric: question.metric,
        over: question.over,
        atMs,
        windows,
      })
      answer ??= { question, explanations }
      if (explanations.length > 0) return { question, explanations }
    } catch (error) {
      // A metric of series that differ in nothing says nothing; the next may.
      refused ??= error
    }
  }
  if (!answer) throw refused
  return answer
}

function questionsOf(
  table: SeriesTable,
  history: SeriesHistory,
  { tenant, suspects, entity, entities }: Disruption,
) {
  const names = [...new Set([...suspects.slice(0, 3).map(one => one.entity), entity, ...entities])]
  const wanted = names.slice(0, MOST_ENTITIES)
  const counted = new Map<string, Map<string, SeriesMeta[]>>(wanted.map(name => [name, new Map()]))
  const head = seriesHead()
  // In order of rows, so that it does not matter who came to a past first.
  for (const row of Uint32Array.from(rowsWithPast(table, history)).sort()) {
    const own = table.head(row, head) && head.tenant === tenant ? counted.get(head.entity) : undefined
    if (!own || (head.kind !== 'error' && head.kind !== 'traffic')) continue
    if (head.unit === 'ratio' || head.unit === 'percent') continue
    const meta = table.meta(row)
    const metas = own.get(meta.metric)
    if (metas) metas.push(meta)
    else own.set(meta.metric, [meta])
  }
  const ratios: LiveAnswer['question'][] = []
  const counts: LiveAnswer['question'][] = []
  for (const [name, metrics] of counted) {
    for (const metric of [...metrics.keys()].sort(compare)) {
      const metas = metrics.get(metric) ?? []
      const over = metas.some(meta => meta.kind === 'error') ? denominatorOf(metric, metrics) : undefined
      if (over !== undefined) ratios.push({ metric, over, entity: name })
      else if (metas.length > 1 && metas[0].kind === 'traffic') counts.push({ metric, entity: name })
    }
  }
  return [...ratios, ...counts].slice(0, MOST_QUESTIONS)
}

/** The metric itself where it counts successes too, else the traffic that shares most labels with the failures. */
function denominatorOf(metric: string, metrics: ReadonlyMap<string, SeriesMeta[]>): string | undefined {
  const own = metrics.get(metric) ?? []
  if (own.some(meta => meta.kind !== 'error')) return metric
  const names = new Set(own.flatMap(meta => Object.keys(meta.labels)))
  let best: { metric: string; shared: number } | undefined
  for (const other of [...metrics.keys()].sort(compare)) {
    const metas = metrics.get(other) ?? []
    if (other === metric || metas[0].kind !== 'traffic' || metas[0].unit !== own[0].unit) continue
    const labels = new Set(metas.flatMap(meta => Object.keys(meta.labels)))
    const shared = [...names].filter(name => labels.has(name)).length
    if (!best || shared > best.shared) best = { metric: other, shared }
  }
  return best?.metric
}

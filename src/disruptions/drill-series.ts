import { historyColumns, type SeriesHistory } from '../core/history.ts'
import { type SeriesMeta, type SeriesTable, seriesHead } from '../core/series.ts'
import { drillCounts } from './drill-count.ts'
import { compare } from './graph.ts'
import { rowsWithPast } from './held-rows.ts'
import { type Explanation, invalid, LeafTable } from './leaf-table.ts'

/** A stretch of one live metric, of which label values are looked for that explain its deviation. */
export interface SeriesQuestion {
  /** Undefined is all tenants. */
  readonly tenant: string | undefined
  readonly metric: string
  /** Undefined is all entities. */
  readonly entity: string | undefined
  /** End of the stretch, Unix ms; undefined is the newest window. */
  readonly atMs: number | undefined
  /** Windows in the stretch. */
  readonly windows: number
}

/** Labels that become dimensions; of more, those with the fewest values. */
const MOST_DIMENSIONS = 12
/** What can be added up over label values. */
const ADDITIVE: ReadonlySet<string> = new Set(['traffic', 'error', 'io', 'network'])

interface Leaf {
  readonly meta: SeriesMeta
  readonly observed: number
  readonly expected: number
}

/**
 * Which combination of label values explains that the series of a metric add up to something else than expected.
 * What the detectors expected is the forecast; a series they knew nothing of is held against its own past mean,
 * one without a past against nothing. Throws FS_INPUT_INVALID when there is nothing to add up.
 */
export function drillSeries(
  table: SeriesTable,
  history: SeriesHistory,
  question: SeriesQuestion,
): Explanation[] {
  const leaves = leavesOf(table, history, question)
  const dimensions = dimensionsOf(leaves)
  if (dimensions.length === 0) throw invalid(`the series of "${question.metric}" differ in no label`)
  const rows = new LeafTable(dimensions)
  for (const { meta } of leaves) rows.add(dimensions.map(name => meta.labels[name] ?? ''))
  return drillCounts(
    rows,
    Float64Array.from(leaves, leaf => leaf.observed),
    Float64Array.from(leaves, leaf => leaf.expected),
  )
}

function leavesOf(table: SeriesTable, history: SeriesHistory, question: SeriesQuestion): Leaf[] {
  const { tenant, metric, entity, windows } = question
  const { newestEndMs, stepMs, depth } = history
  if (Number.isNaN(newestEndMs)) throw invalid('no window is complete yet')
  const back = Math.max(0, Math.floor((newestEndMs - (question.atMs ?? newestEndMs)) / stepMs))
  if (back + windows > depth) throw invalid(`that is further back than the ${depth} windows that are kept`)
  const columns = historyColumns(depth)
  const out: Leaf[] = []
  const head = seriesHead()
  for (const row of rowsWithPast(table, history)) {
    if (!table.head(row, head) || head.metric !== metric) continue
    if ((entity !== undefined && head.entity !== entity) || (tenant !== undefined && head.tenant !== tenant))
      continue
    const meta = table.meta(row)
    if (!ADDITIVE.has(meta.kind) || meta.unit === 'ratio' || meta.unit === 'percent') {
      throw invalid(`"${metric}" is no count or rate that adds up over its series`)
    }
    const length = history.read(row, columns)
    const end = length - back
    const { observed, expected } = columns
    const past = meanOf(observed, 0, Math.max(0, end - windows))
    let [v, f] = [0, 0]
    for (let i = Math.max(0, end - windows); i < end; i++) {
      if (Number.isFinite(observed[i])) v += Math.max(0, observed[i])
      f += Math.max(0, Number.isFinite(expected[i]) ? expected[i] : past)
    }
    if (v > 0 || f > 0) out.push({ meta, observed: v, expected: f })
  }
  if (out.length === 0) throw invalid(`no series of "${metric}" has values at that time`)
  // In order of keys, so that rows do not matter.
  return out.sort((a, b) => compare(a.meta.key, b.meta.key))
}

/** Mean of the finite values of [from, to), 0 without any. */
function meanOf(values: Float64Array, from: number, to: number): number {
  let sum = 0
  let n = 0
  for (let i = from; i < to; i++) {
    if (!Number.isFinite(values[i])) continue
    sum += values[i]
    n++
  }
  return n === 0 ? 0 : sum / n
}

function dimensionsOf(leaves: readonly Leaf[]): string[] {
  const values = new Map<string, Set<string>>()
  for (const { meta } of leaves) {
    for (const name of Object.keys(meta.labels)) if (!values.has(name)) values.set(name, new Set())
  }
  for (const [name, seen] of values) for (const { meta } of leaves) seen.add(meta.labels[name] ?? '')
  return [...values]
    .filter(([, seen]) => seen.size > 1)
    .sort(([a, left], [b, right]) => left.size - right.size || compare(a, b))
    .slice(0, MOST_DIMENSIONS)
    .map(([name]) => name)
}

import type { Disruption } from '../../core/disruption.ts'
import { type HistoryColumns, historyColumns } from '../../core/history.ts'
import { type SeriesHead, type SeriesMeta, seriesHead } from '../../core/series.ts'
import type { ServeDeps } from '../deps.ts'
import { Pace } from '../pace.ts'
import { everyRow, rowsWithPast } from '../past-rows.ts'
import { type Matcher, QueryError } from './selector.ts'

/** What can be asked for. `anomaly_score` above 1 is anomalous: evidence over the evidence that opens an anomaly. */
export const METRICS = {
  anomaly_score: 'Strangeness of the series over what opens an anomaly: above 1 is anomalous',
  y: 'Observed value of the window',
  yhat: 'Expected value of the window',
  yhat_lower: 'Lower end of what is usual',
  yhat_upper: 'Upper end of what is usual',
  foreshock_disruption: 'Score, 0 to 100, of a disruption while it lasts',
} as const
export type MetricName = keyof typeof METRICS

/** A series as Prometheus sees it. */
export interface PromSeries {
  readonly labels: Readonly<Record<string, string>>
  /** The value at a time, Unix ms; NaN where there is none. */
  readonly at: (timeMs: number) => number
}

/** The value of a label, '' where there is none: what every object inherits, such as `constructor`, is no label. */
export function labelOf(labels: Readonly<Record<string, string>>, name: string): string {
  return Object.hasOwn(labels, name) ? labels[name] : ''
}

/** Series answered at most; a selector that means more is refused and told so. */
const SERIES_MAX = 10_000
/** As Prometheus does, a value is shown for this long after its window, ms, and at least for two windows. */
const LOOKBACK_MS = 300_000

const COLUMN: Record<Exclude<MetricName, 'foreshock_disruption'>, keyof HistoryColumns> = {
  anomaly_score: 'surprise',
  y: 'observed',
  yhat: 'expected',
  yhat_lower: 'lower',
  yhat_upper: 'upper',
}

/**
 * The series that `matchers` want, to be asked one after the other; with `valued` only those that can have values, which
 * are those with a past. Others are let in between while they are looked for. Throws QueryError on too many.
 */
export async function select(
  deps: ServeDeps,
  tenant: string | undefined,
  matchers: readonly Matcher[],
  valued: boolean,
): Promise<PromSeries[]> {
  const found: PromSeries[] = []
  const take = (series: PromSeries) => {
    if (found.length === SERIES_MAX)
      throw new QueryError(`more than ${SERIES_MAX} series match; add a matcher such as entity="checkout"`)
    found.push(series)
  }
  const names = (Object.keys(METRICS) as MetricName[]).filter(name => wants(matchers, '__name__', name))
  // First, so that the series are read at one moment.
  const disruptions = names.includes('foreshock_disruption') ? await disruptionsOf(deps, tenant) : []
  const columns = names.filter(name => name !== 'foreshock_disruption')
  const history = new OneHistory(deps)
  if (columns.length > 0) {
    const wanted = matchers.filter(one => one.name !== '__name__')
    for (const { row, meta } of await matching(deps, tenant, wanted, valued)) {
      const labels = labelsOf(meta)
      for (const name of columns) {
        const at = (timeMs: number) => valueAt(deps, history.of(row, meta.key), COLUMN[name], timeMs)
        take({
          labels: { __name__: name, ...labels },
          at: name === 'anomaly_score' ? timeMs => at(timeMs) / deps.openSurprise : at,
        })
      }
    }
  }
  for (const one of disruptions) {
    const labels = disruptionLabels(one)
    if (!matchers.every(matcher => matcher.matches(labelOf(labels, matcher.name)))) continue
    const from = Date.parse(one.detectedAt)
    const to = one.resolvedAt === null ? Number.POSITIVE_INFINITY : Date.parse(one.resolvedAt)
    take({ labels, at: timeMs => (timeMs >= from && timeMs < to ? one.score : Number.NaN) })
  }
  return found
}

interface Matching {
  readonly row: number
  readonly meta: SeriesMeta
}

/**
 * In order of rows, one more than may be answered at most. Only what the matchers ask for is read of each series: all of it
 * takes ten times as long.
 */
async function matching(
  { series, history }: ServeDeps,
  tenant: string | undefined,
  matchers: readonly Matcher[],
  valued: boolean,
): Promise<Matching[]> {
  const head = seriesHead()
  const pace = new Pace()
  const out: Matching[] = []
  for (const row of valued ? rowsWithPast({ series, history }) : everyRow(series)) {
    if (out.length > SERIES_MAX) break
    if (pace.isDue()) await pace.rest()
    if (!series.head(row, head) || (tenant !== undefined && head.tenant !== tenant)) continue
    if (fits(series, row, head, matchers)) out.push({ row, meta: series.meta(row) })
  }
  return out
}

/** As `labelsOf` has the labels. */
function fits(
  series: ServeDeps['series'],
  row: number,
  head: SeriesHead,
  matchers: readonly Matcher[],
): boolean {
  for (const { name, matches } of matchers) {
    let value: string | undefined
    if (name === 'entity') value = head.entity
    else if (name === 'for') value = head.metric
    else if (name === 'tenant' && head.tenant !== 'default') value = head.tenant
    else value = series.label(row, name)
    if (!matches(value ?? '')) return false
  }
  return true
}

function wants(matchers: readonly Matcher[], name: string, value: string): boolean {
  return matchers.every(one => one.name !== name || one.matches(value))
}

/** The labels of a series, with `for`, its metric, and `entity`, as a label of its own would hide them. */
function labelsOf({ metric, labels, entity, tenant }: SeriesMeta): Record<string, string> {
  return { ...labels, for: metric, entity, ...(tenant === 'default' ? {} : { tenant }) }
}

function disruptionLabels(one: Disruption): Record<string, string> {
  const { id, entity, severity, status, tenant, suspects } = one
  return {
    __name__: 'foreshock_disruption',
    id,
    entity,
    severity,
    status,
    ...(suspects.length === 0 ? {} : { cause: suspects[0].entity }),
    ...(tenant === 'default' ? {} : { tenant }),
  }
}

/** The newest of the record, and those of the board as they stand now. */
async function disruptionsOf(deps: ServeDeps, tenant: string | undefined): Promise<Disruption[]> {
  const query = { limit: 1000, ...(tenant === undefined ? {} : { tenant }) }
  const recorded = await deps.index.disruptions(query)
  const all = new Map(recorded.items.map(one => [one.id, one]))
  for (const one of deps.board()) if (tenant === undefined || one.tenant === tenant) all.set(one.id, one)
  return [...all.values()].filter(one => one.status !== 'retracted')
}

/** The history of one series at a time: the values of a row's names are asked for one after the other. */
class OneHistory {
  readonly #history: ServeDeps['history']
  readonly #columns: HistoryColumns
  readonly #series: ServeDeps['series']
  #row = -1
  #newestEndMs = Number.NaN

  constructor({ history, series }: ServeDeps) {
    this.#history = history
    this.#series = series
    this.#columns = historyColumns(history.depth)
  }

  /** `key`: whose the row was when it was found; since then it may have become another's. */
  of(row: number, key: string): HistoryColumns {
    const { newestEndMs } = this.#history
    if (row !== this.#row || newestEndMs !== this.#newestEndMs) {
      this.#row = row
      this.#newestEndMs = newestEndMs
      if (this.#series.key(row) !== key || this.#history.read(row, this.#columns) === 0)
        for (const column of Object.values(this.#columns)) column.fill(Number.NaN)
    }
    return this.#columns
  }
}

/** The value of the newest window that ended at `timeMs` or shortly before. */
function valueAt(
  { history }: ServeDeps,
  columns: HistoryColumns,
  name: keyof HistoryColumns,
  timeMs: number,
): number {
  const { newestEndMs, stepMs, depth } = history
  const back = Math.max(0, Math.ceil((newestEndMs - timeMs) / stepMs))
  const oldestMs = timeMs - Math.max(LOOKBACK_MS, 2 * stepMs)
  for (let k = back; k < depth && newestEndMs - k * stepMs > oldestMs; k++) {
    const value = columns[name][depth - 1 - k]
    if (!Number.isNaN(value)) return value
    // A window that was seen but has no such value is an answer: a band that ended does not linger.
    if (!Number.isNaN(columns.observed[depth - 1 - k])) return Number.NaN
  }
  return Number.NaN
}

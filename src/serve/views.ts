import type { Anomaly } from '../core/anomaly.ts'
import type { Disruption, Suspect } from '../core/disruption.ts'
import { historyColumns } from '../core/history.ts'
import { type SeriesMeta, seriesKey } from '../core/series.ts'
import type { ExplainedSuspect } from '../core/stages.ts'
import type { ServeDeps } from './deps.ts'
import type { AnomalyView, EvidenceView, ScoresView, SeriesView, StatusView } from './schemas.ts'

/** How things of the core look from outside: ISO times, null for not-a-number. */

export function isoTime(ms: number): string | null {
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : null
}

/** For times that are always known. */
export function timeText(ms: number): string {
  return isoTime(ms) ?? ''
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

export function anomalyView(anomaly: Anomaly): AnomalyView {
  const { series: _row, startMs, endMs, detectedMs, observed, expected, lower, upper, ...rest } = anomaly
  return {
    ...rest,
    labels: { ...rest.labels },
    detectors: [...rest.detectors],
    why: [...rest.why],
    start: timeText(startMs),
    end: timeText(endMs),
    detectedAt: timeText(detectedMs),
    observed: finite(observed),
    expected: finite(expected),
    lower: finite(lower),
    upper: finite(upper),
  }
}

export function seriesView(meta: SeriesMeta): SeriesView {
  const { key, tenant, metric, labels, entity, unit, kind, bad } = meta
  return { key, tenant, metric, labels: { ...labels }, entity, unit, kind, bad }
}

/** Evidence with what leads to its chart. */
export function evidenceView(disruption: Disruption): EvidenceView[] {
  return disruption.evidence.map(evidence => {
    const key = seriesKey(evidence.series.metric, evidence.series.labels, disruption.tenant)
    return { ...evidence, key, scores: `/api/series/${encodeURIComponent(key)}/scores` }
  })
}

export function suspectView(suspect: ExplainedSuspect): Suspect {
  const { onsetMs, observed, expected, ...rest } = suspect
  return {
    ...rest,
    why: [...rest.why],
    onset: timeText(onsetMs),
    observed: finite(observed),
    expected: finite(expected),
  }
}

/** The newest `limit` windows that end in [fromMs, toMs], as columns; from the first that knows anything. */
export function scoresView(
  deps: Pick<ServeDeps, 'history' | 'series'>,
  row: number,
  fromMs: number,
  toMs: number,
  limit: number,
): ScoresView {
  const { history } = deps
  const columns = historyColumns(history.depth)
  const count = history.read(row, columns)
  const timeAt = (i: number) => history.newestEndMs - (count - 1 - i) * history.stepMs
  let end = count
  while (end > 0 && timeAt(end - 1) > toMs) end--
  let start = end
  while (start > 0 && end - start < limit && timeAt(start - 1) >= fromMs) start--
  // A young series has been there for less than the history is deep.
  const { observed, expected } = columns
  while (start < end && Number.isNaN(observed[start]) && Number.isNaN(expected[start])) start++
  const part = (from: Float64Array | Float32Array) => Array.from(from.subarray(start, end), finite)
  return {
    series: seriesView(deps.series.meta(row)),
    stepMs: history.stepMs,
    columns: {
      timeMs: Array.from({ length: end - start }, (_, i) => timeAt(start + i)),
      observed: part(columns.observed),
      expected: part(columns.expected),
      lower: part(columns.lower),
      upper: part(columns.upper),
      surprise: part(columns.surprise),
    },
  }
}

const sumOf = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0)

/** The health strip: is data arriving, is it understood, how far has it been judged. */
export function statusView(deps: ServeDeps, version: string, tenant: string | undefined): StatusView {
  const { ready, why } = deps.ready()
  const sees = (its: string) => tenant === undefined || its === tenant
  return {
    now: timeText(deps.clock()),
    version,
    ready,
    why: [...why],
    stepMs: deps.history.stepMs,
    series: tenant === undefined ? deps.series.size : deps.series.heldBy(tenant),
    seriesLimit: deps.series.limit,
    watermark: isoTime(deps.history.newestEndMs),
    // What is refused is not kept by tenant.
    rejected: tenant === undefined ? sumOf(Object.values(deps.rejects.counts())) : 0,
    anomaliesOpen: deps.anomalies().filter(a => sees(a.tenant) && a.status === 'open').length,
    disruptionsOpen: deps.board().filter(d => sees(d.tenant) && d.status === 'open').length,
  }
}

/** The same while whoever holds the live state cannot be asked. */
export function awayView(
  deps: Pick<ServeDeps, 'clock' | 'board' | 'ready'>,
  version: string,
  tenant: string | undefined,
): StatusView {
  const open = deps.board().filter(one => one.status === 'open')
  return {
    now: timeText(deps.clock()),
    version,
    ready: false,
    why: [...deps.ready().why, 'what holds the live state cannot be reached now'],
    stepMs: 0,
    series: 0,
    seriesLimit: 0,
    watermark: null,
    rejected: 0,
    anomaliesOpen: 0,
    disruptionsOpen: open.filter(one => tenant === undefined || one.tenant === tenant).length,
  }
}

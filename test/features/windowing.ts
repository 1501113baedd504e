import { type FeatureBatch, sampleBatch } from '../../src/core/batch.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable, seriesKey } from '../../src/core/series.ts'
import type { WindowOptions } from '../../src/features/window-options.ts'
import { EventTimeWindows } from '../../src/features/windows.ts'

/** One sample: series, event time in ms, value. */
export type Sample = readonly [series: number, timeMs: number, value: number]

export interface Row {
  series: number
  endMs: number
  observed: number
  coverage: number
  features: number[]
}

export interface Window {
  endMs: number
  rows: Row[]
}

export function intern(table: SeriesTable, metric: string, labels: Record<string, string> = {}): number {
  return table.intern({
    key: seriesKey(metric, labels),
    tenant: 'default',
    metric,
    labels,
    entity: labels.service ?? metric,
    unit: '',
    kind: 'other',
    bad: 'both',
  })
}

export interface Rig {
  windows: EventTimeWindows
  table: SeriesTable
  rejects: Rejects
}

/** Windows of 1 s over `series` plain series, as most tests want them. */
export function rig(options: WindowOptions = {}, series = 4): Rig {
  const table = new SeriesTable()
  for (let i = 0; i < series; i++) intern(table, `m${i}`)
  const rejects = new Rejects()
  const context = { series: table, rejects }
  return {
    windows: new EventTimeWindows({ stepMs: 1000, batchRows: 8, ...options }, context),
    table,
    rejects,
  }
}

/** Adds samples as one batch that arrives at `arrivalMs`, by default with its newest sample. */
export function add(windows: EventTimeWindows, samples: readonly Sample[], arrivalMs?: number): void {
  const batch = sampleBatch(Math.max(samples.length, 1))
  let newest = Number.NEGATIVE_INFINITY
  for (const [series, timeMs, value] of samples) {
    batch.series[batch.length] = series
    batch.timeMs[batch.length] = timeMs
    batch.value[batch.length] = value
    batch.length++
    newest = Math.max(newest, timeMs)
  }
  windows.add(batch, arrivalMs ?? newest)
}

export function copyRow(batch: FeatureBatch, i: number): Row {
  return {
    series: batch.series[i],
    endMs: batch.windowEndMs[i],
    observed: batch.observed[i],
    coverage: batch.coverage[i],
    features: [...batch.features.subarray(i * batch.width, (i + 1) * batch.width)],
  }
}

/** Takes everything that is complete. */
export function drain(windows: EventTimeWindows): Window[] {
  const out: Window[] = []
  let open: Row[] = []
  for (let lent = windows.next(); lent; lent = windows.next()) {
    for (let i = 0; i < lent.batch.length; i++) open.push(copyRow(lent.batch, i))
    if (!lent.last) continue
    out.push({ endMs: lent.windowEndMs, rows: open })
    open = []
  }
  if (open.length > 0) throw new Error('a window without an end')
  return out
}

export function rowsOf(windows: readonly Window[]): Row[] {
  return windows.flatMap(window => window.rows)
}

/** Alerts against labelled segments, counted as people live them: pages, not points. */
import { segmentsOf } from './segments.ts'

export interface EventCounts {
  segments: number
  found: number
  alerts: number
  falseAlerts: number
  /** Time from segment start to the first alert in it, one per found segment, ms. */
  delaysMs: number[]
}

/** `rows`: where alerts open, ascending; an alert hits the segment its row lies in. */
export function eventCounts(label: Uint8Array, timeMs: Float64Array, rows: Int32Array): EventCounts {
  const segments = segmentsOf(label)
  const counts: EventCounts = {
    segments: segments.length / 2,
    found: 0,
    alerts: rows.length,
    falseAlerts: 0,
    delaysMs: [],
  }
  for (const row of rows) if (label[row] === 0) counts.falseAlerts++
  let r = 0
  for (let g = 0; g < segments.length; g += 2) {
    while (r < rows.length && rows[r] < segments[g]) r++
    if (r < rows.length && rows[r] <= segments[g + 1]) {
      counts.found++
      counts.delaysMs.push(timeMs[rows[r]] - timeMs[segments[g]])
    }
  }
  return counts
}

export function addEvents(into: EventCounts, from: EventCounts): void {
  into.segments += from.segments
  into.found += from.found
  into.alerts += from.alerts
  into.falseAlerts += from.falseAlerts
  into.delaysMs.push(...from.delaysMs)
}

export const noEvents = (): EventCounts => ({
  segments: 0,
  found: 0,
  alerts: 0,
  falseAlerts: 0,
  delaysMs: [],
})

/** Harmonic mean of the share of segments found and the share of alerts that hit. */
export function eventF1({ segments, found, alerts, falseAlerts }: EventCounts): number {
  const recall = segments === 0 ? 0 : found / segments
  const precision = alerts === 0 ? 0 : (alerts - falseAlerts) / alerts
  return recall + precision === 0 ? 0 : (2 * recall * precision) / (recall + precision)
}

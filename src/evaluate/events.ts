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

/**
 * `rows`: where alerts open, ascending; `ends`: their last rows, the opening rows themselves unless given. An alert
 * hits every segment it overlaps; one that overlaps none is false. The delay of a found segment is the time from its
 * start to the opening of its first alert, 0 when that was open before.
 */
export function eventCounts(
  label: Uint8Array,
  timeMs: Float64Array,
  rows: Int32Array,
  ends: Int32Array = rows,
): EventCounts {
  const segments = segmentsOf(label)
  const counts: EventCounts = {
    segments: segments.length / 2,
    found: 0,
    alerts: rows.length,
    falseAlerts: 0,
    delaysMs: [],
  }
  let g = 0
  for (let a = 0; a < rows.length; a++) {
    while (g < segments.length && segments[g + 1] < rows[a]) g += 2
    if (g >= segments.length || segments[g] > ends[a]) counts.falseAlerts++
  }
  let a = 0
  for (let s = 0; s < segments.length; s += 2) {
    while (a < rows.length && ends[a] < segments[s]) a++
    if (a < rows.length && rows[a] <= segments[s + 1]) {
      counts.found++
      counts.delaysMs.push(Math.max(0, timeMs[rows[a]] - timeMs[segments[s]]))
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

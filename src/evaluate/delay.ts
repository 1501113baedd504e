/**
 * Delay-k counting of the AIOps Challenge 2018: a labelled segment is wholly found when any prediction lies in its
 * first k+1 points, wholly missed otherwise; normal points count as they are.
 */
import { segmentsOf } from './segments.ts'

export interface Counts {
  truePositive: number
  falsePositive: number
  falseNegative: number
}

/**
 * Counts of one series on its regular grid: gaps are points of label 0 without a prediction. `rows` are the
 * predicted rows, `place[i]` the grid point of row i.
 */
export function delayCounts(label: Uint8Array, place: Int32Array, rows: Int32Array, delay: number): Counts {
  const grid = new Uint8Array(place.length === 0 ? 0 : place[place.length - 1] + 1)
  for (let i = 0; i < label.length; i++) if (label[i] !== 0) grid[place[i]] = 1
  const predicted = new Uint8Array(grid.length)
  for (const row of rows) predicted[place[row]] = 1
  const counts = { truePositive: 0, falsePositive: 0, falseNegative: 0 }
  const segments = segmentsOf(grid)
  for (let g = 0; g < segments.length; g += 2) {
    const [start, end] = [segments[g], segments[g + 1]]
    let found = false
    for (let i = start; i <= Math.min(end, start + delay); i++) if (predicted[i] !== 0) found = true
    if (found) counts.truePositive += end - start + 1
    else counts.falseNegative += end - start + 1
  }
  for (let i = 0; i < grid.length; i++) if (predicted[i] !== 0 && grid[i] === 0) counts.falsePositive++
  return counts
}

export function addCounts(into: Counts, from: Counts): void {
  into.truePositive += from.truePositive
  into.falsePositive += from.falsePositive
  into.falseNegative += from.falseNegative
}

export function f1({ truePositive, falsePositive, falseNegative }: Counts): number {
  const sum = 2 * truePositive + falsePositive + falseNegative
  return sum === 0 ? 0 : (2 * truePositive) / sum
}

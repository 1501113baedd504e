/** Runs of ones in a label column, both ends inclusive: [start0, end0, start1, end1, …]. */
export function segmentsOf(label: Uint8Array): Int32Array {
  const ends: number[] = []
  let start = -1
  for (let i = 0; i <= label.length; i++) {
    const on = i < label.length && label[i] !== 0
    if (on && start < 0) start = i
    if (!on && start >= 0) {
      ends.push(start, i - 1)
      start = -1
    }
  }
  return Int32Array.from(ends)
}

/**
 * Rows at which an alert opens: score ≥ threshold, and at least `refractoryMs` after the last opening. NaN scores
 * never alert. Times are Unix ms, ascending.
 */
export function alertRows(
  score: Float64Array,
  timeMs: Float64Array,
  threshold: number,
  refractoryMs: number,
): Int32Array {
  const rows: number[] = []
  let openedMs = -Infinity
  for (let i = 0; i < score.length; i++) {
    if (!(score[i] >= threshold) || timeMs[i] - openedMs < refractoryMs) continue
    rows.push(i)
    openedMs = timeMs[i]
  }
  return Int32Array.from(rows)
}

import { CHUNK_MASK, CHUNK_SHIFT } from '../core/columns.ts'
import { FORGOTTEN, type PaneChunk } from './panes.ts'
import type { LogChunk, WindowLog } from './sample-log.ts'

/**
 * Takes the samples out of a window that came before their row was given back: in the round that `forgotten` names for
 * the row, or before. Only rows that are marked so are looked up. Returns how many they were.
 */
export function dropForgotten(
  log: WindowLog,
  panes: readonly PaneChunk[],
  forgotten: ReadonlyMap<number, number>,
): number {
  let dropped = 0
  for (const chunk of log.chunks) dropped += dropOf(chunk, panes, forgotten)
  log.length -= dropped
  return dropped
}

function dropOf(
  chunk: LogChunk,
  panes: readonly PaneChunk[],
  forgotten: ReadonlyMap<number, number>,
): number {
  const { series, offsetMs, value, exactMs, length, round } = chunk
  let kept = 0
  for (let i = 0; i < length; i++) {
    const row = series[i]
    const isMarked = ((panes[row >> CHUNK_SHIFT]?.flags[row & CHUNK_MASK] ?? 0) & FORGOTTEN) !== 0
    if (isMarked && round <= (forgotten.get(row) ?? -1)) {
      chunk.stretch?.touch()
      continue
    }
    if (kept < i) {
      series[kept] = row
      offsetMs[kept] = offsetMs[i]
      value[kept] = value[i]
      if (exactMs) exactMs[kept] = exactMs[i]
    }
    kept++
  }
  chunk.length = kept
  return length - kept
}

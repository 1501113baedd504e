import { CHUNK_MASK, CHUNK_SHIFT, type ColumnStore } from '../core/columns.ts'
import { FORGOTTEN, type PANE_COLUMNS, type PaneChunk } from './panes.ts'
import type { LogChunk, SampleLog, WindowLog } from './sample-log.ts'

/** Rows that were given back while samples of their series waited, whose flags say so: those samples are another series'. */
export class Forgotten {
  readonly #panes: ColumnStore<typeof PANE_COLUMNS>
  /** The round of the log up to which samples are of the former series, by row. */
  readonly #rounds = new Map<number, number>()

  constructor(panes: ColumnStore<typeof PANE_COLUMNS>) {
    this.#panes = panes
  }

  get isEmpty(): boolean {
    return this.#rounds.size === 0
  }

  /** Samples of the row up to this round are not its series' any more. */
  add(row: number, round: number): void {
    this.#rounds.set(row, round)
    this.#panes.touch(row)
    this.#panes.chunks[row >> CHUNK_SHIFT].flags[row & CHUNK_MASK] = FORGOTTEN
  }

  /** Takes such samples out of a window; returns how many they were. */
  dropFrom(log: WindowLog): number {
    if (this.isEmpty) return 0
    let dropped = 0
    for (const chunk of log.chunks) dropped += dropOf(chunk, this.#panes.chunks, this.#rounds)
    log.length -= dropped
    return dropped
  }

  /** Takes them out of all windows that wait, and forgets who they were: no others may be on their way. */
  settle(log: SampleLog): void {
    if (this.isEmpty) return
    for (const window of [...log.windows()]) log.dropped(window, this.dropFrom(window))
    for (const row of this.#rounds.keys()) {
      this.#panes.touch(row)
      this.#panes.chunks[row >> CHUNK_SHIFT].flags[row & CHUNK_MASK] &= ~FORGOTTEN
    }
    this.#rounds.clear()
  }
}

/** Only rows that are marked are looked up. */
function dropOf(chunk: LogChunk, panes: readonly PaneChunk[], rounds: ReadonlyMap<number, number>): number {
  const { series, offsetMs, value, exactMs, length, round } = chunk
  let kept = 0
  for (let i = 0; i < length; i++) {
    const row = series[i]
    const isMarked = ((panes[row >> CHUNK_SHIFT]?.flags[row & CHUNK_MASK] ?? 0) & FORGOTTEN) !== 0
    if (isMarked && round <= (rounds.get(row) ?? -1)) {
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

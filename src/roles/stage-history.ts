import type { Snapshot } from '../core/snapshot.ts'
import type { Refill } from './merged-log.ts'
import type { StageWindows } from './stage-windows.ts'

/** Bytes of messages that are read again at most, per byte that the history may take: a row takes about as much in each. */
const REFILL_SHARE = 2
const ID = 'stage-history'
const VERSION = 1

/**
 * How the history of a disruption stage survives a restart: not in the checkpoint, where it would be nearly all of it, but in
 * the log that it was recorded from. The checkpoint says who has a place in it since when, and which messages to read again.
 * Windows that these cannot give back are saved as they are: those of series whose scorer lost its state, and those of a
 * checkpoint that held the history itself.
 */
export class StageHistory {
  readonly #windows: StageWindows
  /** End of the last window that was put back from a checkpoint and is in no message known here, Unix ms. */
  #unloggedMs = Number.NEGATIVE_INFINITY

  constructor(windows: StageWindows) {
    this.#windows = windows
  }

  /** Where to read from, none of it before `first`; undefined when there is nothing to be had. */
  begin(first: number): Refill | undefined {
    const { history } = this.#windows.parts
    return this.#windows.log.begin(first, REFILL_SHARE * history.budgetBytes)
  }

  snapshot(): Snapshot[] {
    const { reader, parts } = this.#windows
    const since = reader.knownSinceMs()
    const unlogged = this.#unloggedMs
    const outline = parts.history.outline(series => Math.max(since[series], unlogged + parts.history.stepMs))
    const meta = { unloggedMs: Number.isFinite(unlogged) ? unlogged : null }
    return [{ id: ID, version: VERSION, keys: [], columns: {}, meta }, ...outline]
  }

  /** After the reader and the log of windows. */
  restore(parts: readonly Snapshot[]): void {
    const { history } = this.#windows.parts
    history.restore(parts)
    const own = parts.find(part => part.id === ID)
    if (own?.version === VERSION)
      this.#unloggedMs = (own.meta as { unloggedMs: number | null }).unloggedMs ?? Number.NEGATIVE_INFINITY
    else if (Number.isFinite(history.newestEndMs)) this.#unloggedMs = history.newestEndMs
  }
}

import type { FeatureBatch } from './core/batch.ts'
import type { Cut } from './core/cut.ts'

/**
 * All batches wait at most so long for one checkpoint, ms; those of long windows, which are many, as long as a window: a
 * checkpoint of ten million series takes seconds to be written. Once to be behind the writer, and once for room.
 */
const WAIT_MS = 2000
/** One batch waits for room at most so long at a time, ms: what it then copies may still fit. */
const ROOM_WAIT_MS = 1000
/** Patience doubles until a checkpoint comes of it. With windows of 15 s, windows then wait for four minutes at most. */
export const LONGEST_PATIENCE = 16

/**
 * Windows at the pace at which a checkpoint is written. A batch waits until its rows are written, so that nothing of them
 * has to be copied; when that has taken too long in all, they are copied, and it waits only while too many copies do.
 */
export class CutPace {
  readonly #cut: Cut
  #behindMs: number
  #roomMs: number
  #waitedMs = 0

  /** `patience`: how many times as long as usual. */
  constructor(cut: Cut, stepMs: number, patience = 1) {
    this.#cut = cut
    this.#behindMs = Math.max(WAIT_MS, stepMs) * patience
    this.#roomMs = this.#behindMs
  }

  /** How long batches have waited, ms. */
  get waitedMs(): number {
    return this.#waitedMs
  }

  /** What a batch about to be scored is to wait for; undefined when nothing. Its rows ascend. */
  wait(batch?: FeatureBatch): Promise<unknown> | undefined {
    const length = batch?.length ?? 0
    const written =
      this.#behindMs > 0 && length > 0 ? this.#cut.reached(batch!.series[length - 1]) : undefined
    if (written !== undefined)
      return this.#atMost(written, this.#behindMs, spentMs => {
        this.#behindMs -= spentMs
      })
    const room = this.#roomMs > 0 ? this.#cut.room() : undefined
    if (room === undefined) return undefined
    return this.#atMost(room, Math.min(ROOM_WAIT_MS, this.#roomMs), spentMs => {
      this.#roomMs -= spentMs
    })
  }

  async #atMost(done: Promise<void>, mostMs: number, spend: (ms: number) => void): Promise<void> {
    const started = performance.now()
    let timer: NodeJS.Timeout | undefined
    // A timer may be a little early: what was to be waited for at most is spent then all the same.
    const late = new Promise<number>(resolve => {
      timer = setTimeout(() => resolve(mostMs), mostMs)
    })
    const leastMs = await Promise.race([done.then(() => 0), late])
    clearTimeout(timer)
    const spentMs = Math.max(leastMs, performance.now() - started)
    spend(spentMs)
    this.#waitedMs += spentMs
  }
}

import { ForeshockError } from '../core/errors.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { HeldReport } from './merge.ts'

const ID = 'merged-log'
const VERSION = 1

/** Where the history of windows is read again. */
export interface Refill {
  /** Offset to begin at. */
  readonly from: number
  readonly windows: number
  readonly bytes: number
}

interface Window {
  readonly endMs: number
  /** Of the messages whose rows are in it. */
  readonly offsets: readonly number[]
  readonly bytes: number
}

/**
 * Which messages the windows of the history were merged from: what a checkpoint holds instead of the history itself. After
 * a restart these messages, and no others, are read again. Those of a scorer that was late, or that told of a window twice,
 * are not among them.
 */
export class MergedLog {
  readonly #spanMs: number
  readonly #windows: Window[] = []
  /** Ends of windows that could not be had again. */
  #missing: number[] = []
  #again = new Float64Array(0)
  #next = 0

  /** `spanMs`: how far back the history goes. */
  constructor(spanMs: number) {
    this.#spanMs = spanMs
  }

  /** Windows of the history that the log did not hold any more, and that are not yet past anyway. */
  get missing(): number {
    return this.#missing.length
  }

  /** A window was recorded; `reports` are the messages that had rows. Windows come in ascending order. */
  note(endMs: number, reports: readonly HeldReport[]): void {
    let bytes = 0
    for (const { value } of reports) bytes += value.length
    if (reports.length > 0) this.#windows.push({ endMs, offsets: reports.map(one => one.offset), bytes })
    const beforeMs = endMs - this.#spanMs
    let old = 0
    while (old < this.#windows.length && this.#windows[old].endMs <= beforeMs) old++
    if (old > 0) this.#windows.splice(0, old)
    if (this.#missing.length > 0) this.#missing = this.#missing.filter(one => one > beforeMs)
  }

  /**
   * To be asked once, after a restart: where to begin, so that the newest windows are had again, `bytesMax` of messages at
   * most and none from before `first`. Undefined where there is nothing to be had.
   */
  begin(first: number, bytesMax: number): Refill | undefined {
    let bytes = 0
    let kept = this.#windows.length
    while (kept > 0) {
      const { offsets, bytes: own } = this.#windows[kept - 1]
      if (bytes + own > bytesMax || offsets.some(one => one < first)) break
      bytes += own
      kept--
    }
    this.#missing.push(...this.#windows.splice(0, kept).map(one => one.endMs))
    this.#again = Float64Array.from(this.#windows.flatMap(one => one.offsets)).sort()
    this.#next = 0
    if (this.#again.length === 0) return undefined
    return { from: this.#again[0], windows: this.#windows.length, bytes }
  }

  /** Whether a message is one of those; asked in ascending order of offsets. */
  isAgain(offset: number): boolean {
    while (this.#next < this.#again.length && this.#again[this.#next] < offset) this.#next++
    return this.#again[this.#next] === offset
  }

  snapshot(): Snapshot[] {
    const columns = {
      endMs: Float64Array.from(this.#windows, one => one.endMs),
      bytes: Float64Array.from(this.#windows, one => one.bytes),
      messages: Uint32Array.from(this.#windows, one => one.offsets.length),
      offsets: Float64Array.from(this.#windows.flatMap(one => one.offsets)),
    }
    return [{ id: ID, version: VERSION, keys: [], columns, meta: { missing: this.#missing } }]
  }

  /** Absent in checkpoints that hold the history itself. */
  restore(parts: readonly Snapshot[]): void {
    const from = parts.find(part => part.id === ID)
    if (!from) return
    const { endMs, bytes, messages, offsets } = from.columns
    if (from.version !== VERSION || !endMs || bytes?.length !== endMs.length || !messages || !offsets)
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `${ID} v${from.version}: of another layout`)
    let at = 0
    for (let i = 0; i < endMs.length; i++) {
      const own = Array.from(offsets.subarray(at, at + messages[i]))
      at += messages[i]
      this.#windows.push({ endMs: endMs[i], offsets: own, bytes: bytes[i] })
    }
    this.#missing = [...(from.meta as { readonly missing: readonly number[] }).missing]
  }
}

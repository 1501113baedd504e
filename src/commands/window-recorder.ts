import type { Assembled } from '../assembly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import { StrangeSpans } from '../core/strange-spans.ts'
import { type WindowFile, type WindowRows, windowRows } from '../core/window-rows.ts'
import type { HistoryWriter, Outcome } from '../pipeline.ts'

/** Windows that pass before a row is written: by then it is known whether its anomaly goes on or has ended. */
const SETTLE_WINDOWS = 60
/** Rows of a row group, some 4 MB as columns. */
const GROUP_ROWS = 65_536
/** Rows that wait at most; with more series than this an hour is not waited for. */
const WAITING_GROUPS_MAX = 32

export interface WindowsWanted {
  /** Windows that end after this, Unix ms. */
  readonly fromMs: number
  /** Windows that end by this, Unix ms. */
  readonly toMs: number
  matches(meta: SeriesMeta): boolean
}

/**
 * Stands beside the pipeline's own history and writes every window it is told of. What was strange is known a little
 * later than the window itself, so rows wait for some windows before they go out.
 */
export class WindowRecorder implements HistoryWriter {
  /** Rows written or waiting. */
  rows = 0
  readonly #parts: Assembled
  readonly #file: WindowFile
  readonly #wanted: WindowsWanted
  readonly #spans = new StrangeSpans()
  /** Whether a series is wanted, by row: 0 unknown, 1 no, 2 yes. Rows of a recording are never given to another. */
  #isWanted = new Uint8Array(0)
  /** Oldest first; the last is being filled. */
  #waiting: WindowRows[] = []
  #free: WindowRows[] = []

  constructor(parts: Assembled, file: WindowFile, wanted: WindowsWanted) {
    this.#parts = parts
    this.#file = file
    this.#wanted = wanted
  }

  record(batch: FeatureBatch, opinions: OpinionBatch, from = 0, to = batch.length): void {
    this.#parts.history.record(batch, opinions, from, to)
    const { fromMs, toMs } = this.#wanted
    const { series } = this.#parts
    for (let i = from; i < to; i++) {
      const timeMs = batch.windowEndMs[i]
      if (timeMs <= fromMs || timeMs > toMs || !this.#wants(batch.series[i], series)) continue
      const rows = this.#room()
      const at = rows.length++
      rows.meta[at] = series.meta(batch.series[i])
      rows.timeMs[at] = timeMs
      rows.observed[at] = batch.observed[i]
      rows.coverage[at] = batch.coverage[i]
      for (const name of ['expected', 'lower', 'upper', 'surprise', 'point', 'incident', 'score'] as const)
        rows[name][at] = opinions[name][i]
      this.rows++
    }
  }

  /** Anomalies and disruptions as the pipeline tells of them. */
  heard({ anomalies, events }: Outcome): void {
    for (const { anomaly } of anomalies) this.#spans.anomaly(anomaly)
    for (const { disruption } of events) this.#spans.disruption(disruption)
  }

  /** Writes the groups that have waited long enough; `nowMs` is the end of the newest window. */
  writeSettled(nowMs: number): void {
    const settledMs = nowMs - SETTLE_WINDOWS * this.#parts.history.stepMs
    while (this.#waiting.length > 1) {
      const [oldest] = this.#waiting
      const isSettled = oldest.timeMs[oldest.length - 1] <= settledMs
      if (!isSettled && this.#waiting.length <= WAITING_GROUPS_MAX) return
      this.#write()
    }
  }

  /** The input has ended: nothing more will be known. `written` is waited for after each group, so that one is held at a time. */
  async finish(written: () => Promise<void>): Promise<void> {
    while (this.#waiting.length > 0) {
      this.#write()
      await written()
    }
    this.#file.finish()
    await written()
  }

  forget(series: number): void {
    this.#parts.history.forget(series)
  }

  bytes(): number {
    return this.#parts.history.bytes()
  }

  #write(): void {
    const rows = this.#waiting.shift() as WindowRows
    // The pipeline tells of anomalies that grow materially; how far the open ones reach stands with the detectors.
    for (const anomaly of this.#parts.scoring.anomalies()) this.#spans.anomaly(anomaly)
    for (let i = 0; i < rows.length; i++) {
      const disruption = this.#spans.at(rows.meta[i].key, rows.timeMs[i])
      rows.anomalous[i] = disruption === undefined ? 0 : 1
      rows.disruption[i] = disruption ?? ''
    }
    this.#file.write(rows)
    if (rows.length > 0) this.#spans.forgetBefore(rows.timeMs[rows.length - 1])
    rows.length = 0
    this.#free.push(rows)
  }

  #room(): WindowRows {
    const last = this.#waiting.at(-1)
    if (last && last.length < last.capacity) return last
    const next = this.#free.pop() ?? windowRows(GROUP_ROWS)
    this.#waiting.push(next)
    return next
  }

  #wants(row: number, series: SeriesTable): boolean {
    if (row >= this.#isWanted.length) {
      const grown = new Uint8Array(Math.ceil(row * 1.5) + 64)
      grown.set(this.#isWanted)
      this.#isWanted = grown
    }
    if (this.#isWanted[row] === 0) this.#isWanted[row] = this.#wanted.matches(series.meta(row)) ? 2 : 1
    return this.#isWanted[row] === 2
  }
}

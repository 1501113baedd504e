import type { StageParts } from '../assembly.ts'
import { entityKey, partitionOf } from '../bus/partition-of.ts'
import { WindowReader } from '../bus/window-report-reader.ts'
import { featureBatch, opinionBatch } from '../core/batch.ts'
import type { DisruptionEvent } from '../core/disruption.ts'
import type { AnomalyChange } from '../core/stages.ts'
import type { HeldReport, MergedWindow } from './merge.ts'
import { MergedLog } from './merged-log.ts'

/** What came of a window. */
export interface Found {
  readonly anomalies: readonly AnomalyChange[]
  readonly events: readonly DisruptionEvent[]
  /** Rows and changes of series that nobody has described. */
  readonly unknown: number
  readonly unreadable: readonly { readonly report: HeldReport; readonly reason: string }[]
}

/** Merged windows → disruptions: what the pipeline does after scoring, over the windows of all scorers. */
export class StageWindows {
  readonly parts: StageParts
  readonly reader: WindowReader
  /** What the history was recorded from. */
  readonly log: MergedLog
  readonly #samplesPartitions: number
  readonly #noRows = featureBatch(1, 0)
  readonly #noOpinions = opinionBatch(1)

  constructor(parts: StageParts, samplesPartitions: number) {
    const { series, history, disruptions } = parts
    this.parts = parts
    this.#samplesPartitions = samplesPartitions
    this.log = new MergedLog(history.depth * history.stepMs)
    this.reader = new WindowReader(series, row => {
      disruptions.forget(row)
      history.forget(row)
      series.evict(row)
    })
  }

  /** A window that is complete. */
  take({ windowEndMs, reports }: MergedWindow): Found {
    const { series, history, disruptions } = this.parts
    const anomalies: AnomalyChange[] = []
    const unreadable: { report: HeldReport; reason: string }[] = []
    let unknown = 0
    let rows = 0
    const recorded: HeldReport[] = []
    for (const report of reports) {
      const read = this.reader.read(report.value)
      if (typeof read === 'string') {
        unreadable.push({ report, reason: read })
        continue
      }
      disruptions.observe(read.batch, read.opinions, read.changes)
      history.record(read.batch, read.opinions)
      for (const change of read.changes) anomalies.push(change)
      rows += read.batch.length
      if (read.batch.length > 0) recorded.push(report)
      unknown += read.unknown
    }
    this.log.note(windowEndMs, recorded)
    // A window in which nobody had rows is no window embedded either; but what is open must end once all series are gone.
    const isWindow = rows > 0 || anomalies.length > 0 || (series.size === 0 && this.#hasOpen())
    const events = isWindow ? disruptions.advance(windowEndMs) : []
    return { anomalies, events, unknown, unreadable }
  }

  /** A report that was recorded before a restart: its rows go back into the history, and nothing follows from them. */
  again(value: Uint8Array): void {
    const past = this.reader.past(value)
    if (past && typeof past !== 'string') this.parts.history.refill(past.batch, past.opinions)
  }

  /** A report whose window went on without it: its rows are of no use now, what began and ended in it is. */
  late(report: HeldReport, mergedMs: number): Found {
    const read = this.reader.read(report.value, mergedMs + 1)
    if (typeof read === 'string')
      return { anomalies: [], events: [], unknown: 0, unreadable: [{ report, reason: read }] }
    return { ...this.#tell(read.changes), unknown: read.unknown }
  }

  /** A scorer lost what it had learned: nobody will tell the end of what was open there. */
  restarted(samplesPartition: number): Found {
    const open = this.parts.disruptions
      .openAnomalies()
      .filter(
        one => partitionOf(entityKey(one.tenant, one.entity), this.#samplesPartitions) === samplesPartition,
      )
    return this.#tell(open.map(one => ({ event: 'closed', anomaly: { ...one, status: 'closed' } })))
  }

  #tell(anomalies: readonly AnomalyChange[]): Found {
    this.parts.disruptions.observe(this.#noRows, this.#noOpinions, anomalies)
    return { anomalies, events: [], unknown: 0, unreadable: [] }
  }

  #hasOpen(): boolean {
    return this.parts.disruptions.board().some(one => one.status === 'open')
  }
}

import { assembleStage, type StageParts } from '../assembly.ts'
import { windowHeader } from '../bus/window-report.ts'
import type { Stateful } from '../checkpoint.ts'
import type { Config } from '../config/schema.ts'
import { modelCommandOf } from '../core/model-word.ts'
import { CONTENT, HEADERS, type StoredMessage, TOPICS } from '../core/stream.ts'
import { modelName } from '../detectors/model-plan.ts'
import { type Line, linesOf } from '../effects.ts'
import { type HeldReport, type MergeOptions, WindowMerge } from './merge.ts'
import type { Refill } from './merged-log.ts'
import { StageModels } from './model-orders.ts'
import { Origins, originOf } from './origins.ts'
import { StageHistory } from './stage-history.ts'
import { StageMemory } from './stage-memory.ts'
import { auditOf, changesOf, maintenanceOf, sealOf } from './stage-orders.ts'
import { type Found, StageWindows } from './stage-windows.ts'

/** A message, or a part of one that waited, that nobody can read. */
export interface Refused {
  readonly message: StoredMessage
  readonly reason: string
}

/** What messages brought about, in order. */
export interface Effects {
  /** For the record. */
  readonly lines: Line[]
  readonly refused: Refused[]
  /** Samples partitions that were heard. */
  readonly heard: Set<number>
  /** Samples partitions that windows go on without from here on. */
  readonly sealed: number[]
  repeats: number
  lateWindows: number
  mergedWindows: number
  unknownRows: number
}

export function noEffects(): Effects {
  return {
    lines: [],
    refused: [],
    heard: new Set(),
    sealed: [],
    repeats: 0,
    lateWindows: 0,
    mergedWindows: 0,
    unknownRows: 0,
  }
}

/**
 * One partition of the topic `anomalies` as a disruption stage sees it: a pure function of its messages in their order. No
 * clock, no lock and no other process has a part in it.
 */
export class StageWork {
  readonly parts: StageParts
  readonly merge: WindowMerge
  readonly memory: StageMemory
  readonly models = new StageModels(modelName)
  readonly #partition: number
  readonly #samplesPartitions: number
  readonly #windows: StageWindows
  readonly #history: StageHistory
  readonly #origins = new Origins()
  /** Offset after the last message that was handed over. */
  #readTo = 0

  constructor(config: Config, partition: number, merge: MergeOptions) {
    this.#partition = partition
    this.#samplesPartitions = merge.partitions
    this.parts = assembleStage(config, names => this.models.digests(names))
    this.merge = new WindowMerge(merge)
    this.memory = new StageMemory(this.merge)
    this.#windows = new StageWindows(this.parts, merge.partitions)
    this.#history = new StageHistory(this.#windows)
  }

  get series(): StageParts['series'] {
    return this.parts.series
  }

  /** Whether what was handled before a restart is still to be read again. */
  get isRefilling(): boolean {
    return this.#readTo < this.memory.handledTo
  }

  /** Windows of the history that are missing because the log did not hold them any more. */
  get missingWindows(): number {
    return this.#windows.log.missing
  }

  /**
   * After a restart: messages up to `position` are handled already, save those that wait. `first` is the oldest that the log
   * holds. Returns where to read from.
   */
  begin(position: number, first: number): { readonly from: number; readonly refill: Refill | undefined } {
    const { memory } = this
    const next = Math.max(position, first)
    memory.handledTo = Math.max(memory.handledTo, next)
    const refill = this.#history.begin(first)
    this.#readTo = Math.min(next, refill?.from ?? next)
    return { from: this.#readTo, refill }
  }

  /** Offset to read from after a restart: whatever waits is read again. */
  get position(): number {
    return Math.min(this.merge.oldestOffset() ?? Number.POSITIVE_INFINITY, this.memory.handledTo)
  }

  /** What survives a restart, in the order in which it is put back: rows need the table, which comes before all. */
  get stateful(): Stateful[] {
    const { disruptions } = this.parts
    const { reader, log } = this.#windows
    return [this.memory, reader, this.#origins, disruptions, log, this.#history, this.models]
  }

  take(message: StoredMessage, out: Effects): void {
    const content = message.headers[HEADERS.content]
    this.#readTo = message.offset + 1
    if (message.offset < this.memory.handledTo) {
      if (content === CONTENT.window) this.#again(message)
      return
    }
    const reason = this.#handle(content, message, out)
    if (reason !== undefined) out.refused.push({ message, reason })
    this.memory.handledTo = message.offset + 1
  }

  /** The reason when it cannot be read. */
  #handle(content: string | undefined, message: StoredMessage, out: Effects): string | undefined {
    switch (content) {
      case CONTENT.window:
        return this.#window(message, out)
      case CONTENT.seal:
        return this.#seal(message, out)
      case CONTENT.change:
        return this.#change(message, out)
      case CONTENT.maintenance: {
        const order = maintenanceOf(message)
        return typeof order === 'string' ? order : this.parts.disruptions.maintain(order, message.timestampMs)
      }
      case CONTENT.model: {
        const command = modelCommandOf(message.value)
        if (typeof command === 'string') return command
        if (!this.models.take(command)) out.repeats++
        return undefined
      }
      case CONTENT.audit: {
        const line = auditOf(message)
        if (typeof line === 'string') return line
        out.lines.push(line)
        return undefined
      }
      default:
        // CloudEvents of anomalies stand here for others.
        return message.headers.ce_type === undefined ? 'nothing that this topic is for' : undefined
    }
  }

  #window(message: StoredMessage, out: Effects): string | undefined {
    const report = this.#reportOf(message)
    if (typeof report === 'string') return report
    out.heard.add(report.partition)
    const { as, restarted } = this.merge.take(report)
    if (restarted) this.#found(this.#windows.restarted(report.partition), out)
    if (as === 'repeat') out.repeats++
    if (as === 'late') {
      if (report.last) out.lateWindows++
      this.#found(this.#windows.late(report, this.merge.mergedMs), out)
    }
    this.#drain(out)
    return undefined
  }

  #seal(message: StoredMessage, out: Effects): string | undefined {
    const order = sealOf(message)
    if (typeof order === 'string') return order
    const known = order.partitions.filter(p => p < this.#samplesPartitions)
    out.sealed.push(...this.merge.seal(order.windowEndMs, known))
    this.#drain(out)
    return undefined
  }

  #change(message: StoredMessage, out: Effects): string | undefined {
    const text = message.headers[HEADERS.origin]
    const origin = text === undefined ? undefined : originOf(text)
    if (typeof origin === 'string') return origin
    if (origin && !this.#origins.take(origin)) {
      out.repeats++
      return undefined
    }
    const changes = changesOf(message)
    if (typeof changes === 'string') return changes
    for (const change of changes) this.parts.disruptions.change(change)
    for (const line of linesOf({ anomalies: [], events: [], changes })) out.lines.push(line)
    return undefined
  }

  #drain(out: Effects): void {
    for (let window = this.merge.next(); window; window = this.merge.next()) {
      out.mergedWindows++
      this.#found(this.#windows.take(window), out)
    }
  }

  #found({ anomalies, events, unknown, unreadable }: Found, out: Effects): void {
    // One by one: those of a large failure are more than a call takes arguments.
    for (const line of linesOf({ anomalies, events, changes: [] })) out.lines.push(line)
    out.unknownRows += unknown
    for (const { report, reason } of unreadable)
      out.refused.push({ message: this.#messageOf(report), reason })
  }

  #again(message: StoredMessage): void {
    if (this.#windows.log.isAgain(message.offset)) {
      this.#windows.again(message.value)
      return
    }
    const report = this.#reportOf(message)
    if (typeof report !== 'string') this.merge.refill(report)
  }

  #reportOf({ value, offset, timestampMs }: StoredMessage): HeldReport | string {
    const header = windowHeader(value)
    if (typeof header === 'string') return header
    const { samplesPartition: partition, epoch, windowEndMs, part, last } = header
    if (partition >= this.#samplesPartitions)
      return `a report of samples partition ${partition}, of which there are ${this.#samplesPartitions}`
    return { partition, epoch, windowEndMs, part, last, offset, timestampMs, value }
  }

  #messageOf({ offset, timestampMs, value }: HeldReport): StoredMessage {
    const headers = { [HEADERS.content]: CONTENT.window }
    return {
      topic: TOPICS.anomalies,
      partition: this.#partition,
      offset,
      key: null,
      value,
      timestampMs,
      headers,
    }
  }
}

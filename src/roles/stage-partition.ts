import type { StageParts } from '../assembly.ts'
import { deadLetter } from '../bus/dead-letters.ts'
import { cutAt, resume } from '../checkpoint.ts'
import type { Config } from '../config/schema.ts'
import type { Anomaly } from '../core/anomaly.ts'
import type { Change } from '../core/change.ts'
import type { Clock } from '../core/clock.ts'
import type { Disruption, DisruptionEvent } from '../core/disruption.ts'
import type { Logger } from '../core/logger.ts'
import type { CheckpointStore, CheckpointStores, RecordLine } from '../core/ports.ts'
import {
  HEADERS,
  type StoredMessage,
  type StreamMessage,
  type StreamProducer,
  type Streams,
  TOPICS,
} from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { type Line, linesOf } from '../effects.ts'
import { ended, orphans } from '../orphans.ts'
import { binaryHeaders } from '../publish/cloudevents.ts'
import { type RecordDraft, type RecordPlace, StreamRecord } from '../store/stream-record.ts'
import type { ControlBook } from './control.ts'
import { Gaps } from './model-orders.ts'
import { missingHere } from './stage-mending.ts'
import { sealMessage } from './stage-orders.ts'
import { type Effects, noEffects, type Refused, StageWork } from './stage-work.ts'

export interface StagePorts {
  readonly config: Config
  readonly streams: Streams
  readonly checkpoints: CheckpointStores
  readonly producer: StreamProducer
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
  /** Time that only passes, ms: what is due after so long is judged by it, as the wall clock may be set. The clock, unless given. */
  readonly elapsed?: Clock
  /** CloudEvents' `source`; the same for every process of the fleet. */
  readonly source: string
  /** Samples partitions that report. */
  readonly samplesPartitions: number
  /** A partition that is silent is waited for so long while others wait, ms. */
  readonly patienceMs: number
  /** Bytes of windows that may wait. */
  readonly waitingBytesMax?: number | undefined
  /** What was said to all partitions; one that never heard it is told again. */
  readonly memory?: { readonly book: ControlBook; readonly anomaliesPartitions: number } | undefined
}

/** Windows that wait for a slow partition: about a minute of 200,000 series. */
const WAITING_BYTES_MAX = 134_217_728

const GAUGES = [
  'foreshock_stage_lag',
  'foreshock_stage_waiting_bytes',
  'foreshock_stage_waiting_windows',
  'foreshock_stage_away',
  'foreshock_stage_watermark_seconds',
  'foreshock_stage_history_missing_windows',
] as const

/** What is open in the record. */
class Open {
  readonly disruptions = new Map<string, Disruption>()
  readonly anomalies = new Map<string, Anomaly>()

  take({ entry }: RecordLine): void {
    if (entry.type === 'disruption') keep(this.disruptions, entry.event.disruption)
    if (entry.type === 'anomaly') keep(this.anomalies, entry.anomaly)
  }
}

function keep<T extends { readonly id: string; readonly status: string }>(map: Map<string, T>, one: T): void {
  if (one.status === 'open') map.set(one.id, one)
  else map.delete(one.id)
}

interface Opened {
  readonly store: CheckpointStore
  readonly record: StreamRecord
  readonly work: StageWork
  readonly open: Open
  /** It knew nothing, or not enough. */
  readonly isCold: boolean
  /** Offset of the next message to be written. */
  readonly end: number
}

/**
 * One partition of the topic `anomalies` in this process's hands. What its messages bring about is in the record and told
 * to the world, in one transaction, before the next are taken. After any error it is given up and opened anew from its
 * checkpoint; what it then finds again is known by its ids.
 */
export class StagePartition {
  readonly partition: number
  readonly #ports: StagePorts
  readonly #store: CheckpointStore
  readonly #record: StreamRecord
  readonly #work: StageWork
  readonly #open: Open
  /** When each samples partition was last heard, by the wall clock. */
  readonly #heardMs: Float64Array
  /** Until it has read all that the former owner may have read, it may find again what is in the record already. */
  readonly #newFrom: number
  /** Where the record stood at the checkpoint that this one began with. */
  readonly #begunAt: RecordPlace
  #isCold: boolean
  #end: number
  #sealedMs = Number.NEGATIVE_INFINITY
  #savedTo = -1
  #saving: Promise<void> | undefined
  #isBusy = false
  readonly #gaps = new Gaps()

  private constructor(ports: StagePorts, partition: number, opened: Opened) {
    this.partition = partition
    this.#ports = ports
    this.#store = opened.store
    this.#record = opened.record
    this.#work = opened.work
    this.#open = opened.open
    this.#isCold = opened.isCold
    this.#newFrom = opened.end
    this.#begunAt = opened.work.memory.record
    this.#end = opened.end
    this.#heardMs = new Float64Array(ports.samplesPartitions).fill(elapsedOf(ports)())
  }

  /**
   * Takes the partition over from whoever held it: the checkpoint first, then the record. Rejects with FS_IO while Redis or
   * Kafka cannot be reached.
   */
  static async open(
    ports: StagePorts,
    partition: number,
  ): Promise<{ readonly stage: StagePartition; readonly from: number }> {
    const { config, streams, checkpoints, logger } = ports
    const name = `stage-${partition}`
    const store = await checkpoints.claim(name)
    const merge = {
      partitions: ports.samplesPartitions,
      bytesMax: ports.waitingBytesMax ?? WAITING_BYTES_MAX,
      returnMs: ports.patienceMs,
    }
    const { parts: work, position } = await resume(
      store,
      () => new StageWork(config, partition, merge),
      ({ stateful }) => stateful,
      text => logger.warn({ partition }, text),
    )
    const { first } = await streams.range(TOPICS.anomalies, partition)
    const { memory } = work
    const isGap = memory.isRestored && position < first
    if (isGap) {
      logger.warn({ partition, position, first }, 'the log no longer holds all since the checkpoint')
      work.parts.disruptions.letGo()
    }
    const isCold = isGap || !memory.isRestored
    const open = new Open()
    const record = await StreamRecord.open({
      streams,
      name,
      partition,
      from: isCold ? undefined : memory.record,
      onLine: line => open.take(line),
    })
    // Whoever had it before is shut out by now: what it took stands before this.
    const { end } = await streams.range(TOPICS.anomalies, partition)
    const stage = new StagePartition(ports, partition, { store, record, work, open, isCold, end })
    const { from, refill } = work.begin(position, first)
    if (refill || work.missingWindows > 0)
      logger.info({ partition, from, ...refill, missing: work.missingWindows }, 'history is read again')
    if (isCold && Math.max(position, first) >= end) await stage.#retract(ports.clock())
    return { stage, from }
  }

  /** The live state, for queries. */
  get parts(): StageParts {
    return this.#work.parts
  }

  /** The newest changes, oldest first. */
  get changes(): readonly Change[] {
    return this.parts.disruptions.changes()
  }

  /** End of the last window, Unix ms; −Infinity before the first. */
  get mergedMs(): number {
    return this.#work.merge.mergedMs
  }

  /** Offset after the last message that was taken. */
  get position(): number {
    return this.#work.memory.handledTo
  }

  /** Messages that it has not taken yet. */
  get lag(): number {
    return Math.max(0, this.#end - this.#work.memory.handledTo)
  }

  /** Resolves to whether anything was found that others are told of. */
  async take(messages: readonly StoredMessage[], end: number): Promise<boolean> {
    this.#isBusy = true
    try {
      const effects = noEffects()
      const started = performance.now()
      for (const message of messages) this.#work.take(message, effects)
      this.#ports.telemetry.observe('foreshock_stage_seconds', (performance.now() - started) / 1000, {
        stage: 'disruptions',
      })
      await this.#settle(effects)
      this.#end = end
      if (this.#isCold && this.position >= this.#newFrom)
        await this.#retract(messages.at(-1)?.timestampMs ?? this.#ports.clock())
      return effects.lines.length > 0
    } finally {
      this.#isBusy = false
    }
  }

  /**
   * Looks whether windows wait for a partition that has been silent for too long, and says in the log that nobody waits
   * for it any more. While this stage is itself behind, it is not for it to judge. `nowMs` by `elapsed`.
   */
  async watch(nowMs: number): Promise<void> {
    const { merge } = this.#work
    const { patienceMs, producer, logger, clock } = this.#ports
    const { partition } = this
    if (this.#isBusy || this.lag > 0 || this.#work.isRefilling) {
      this.#heardMs.fill(nowMs)
      return
    }
    const { oldestEndMs } = merge.waiting
    if (Number.isNaN(oldestEndMs) || nowMs - this.#sealedMs < patienceMs) return
    const silent = merge.missing(oldestEndMs).filter(p => nowMs - this.#heardMs[p] >= patienceMs)
    if (silent.length === 0) return
    this.#sealedMs = nowMs
    logger.warn({ partition, silent }, 'windows wait for silent samples partitions: to go on without them')
    const order = { windowEndMs: oldestEndMs, partitions: silent }
    await producer.send(TOPICS.anomalies, [sealMessage(order, partition, clock())])
  }

  /**
   * Writes into the partition what was said to all, or about its tenants, and never came here: who said it died half way, or
   * the log is younger than that.
   */
  async mend(nowMs: number): Promise<void> {
    const { memory, producer, logger } = this.#ports
    const { position, partition } = this
    if (memory === undefined || this.#isBusy || this.#isCold || position < this.#newFrom) return
    const missing = missingHere(memory.book, this.#work, partition, memory.anomaliesPartitions, nowMs)
    this.#gaps.keep(new Set(missing.map(({ subject }) => subject)))
    for (const { subject, word, message } of missing) {
      if (!this.#gaps.due(subject, word, position, this.#end, nowMs)) continue
      logger.info({ partition, subject, word }, 'an order is missing here and is written anew')
      try {
        await producer.send(TOPICS.anomalies, [message])
      } catch (error) {
        this.#gaps.again(subject)
        throw error
      }
    }
  }

  /**
   * Saves a checkpoint of what has been taken; resolves to the position to commit, undefined when nothing was new or it is
   * not the moment. Rejects with FS_FENCED when another has taken over.
   */
  async save(nowMs: number): Promise<number | undefined> {
    const { memory, position, series, stateful } = this.#work
    const { handledTo } = memory
    // Until all is read again that can be, a checkpoint would hide what must still be retracted, and what still waits.
    const isUnfit = this.#isBusy || this.#saving !== undefined || this.#isCold || this.#work.isRefilling
    if (isUnfit || handledTo === this.#savedTo) return undefined
    memory.record = handledTo < this.#newFrom ? this.#begunAt : this.#record.place
    const checkpoint = cutAt(position, nowMs, series, stateful)
    const started = performance.now()
    this.#saving = this.#store.save(checkpoint)
    try {
      await this.#saving
    } finally {
      this.#saving = undefined
    }
    this.#savedTo = handledTo
    this.#ports.telemetry.observe('foreshock_checkpoint_seconds', (performance.now() - started) / 1000)
    return position
  }

  async close(): Promise<void> {
    await this.#saving?.catch(() => {})
    await this.#record.close()
  }

  /** Another process shows its gauges from now on. */
  forget(): void {
    const { telemetry } = this.#ports
    const labels = { partition: String(this.partition) }
    for (const name of GAUGES) telemetry.remove(name, labels)
  }

  /** Puts its gauges where they are read. */
  report(): void {
    const { telemetry } = this.#ports
    const labels = { partition: String(this.partition) }
    const { merge } = this.#work
    telemetry.set('foreshock_stage_lag', this.lag, labels)
    telemetry.set('foreshock_stage_waiting_bytes', merge.bytes, labels)
    telemetry.set('foreshock_stage_waiting_windows', merge.waiting.windows, labels)
    telemetry.set('foreshock_stage_away', merge.away.length, labels)
    telemetry.set('foreshock_stage_history_missing_windows', this.#work.missingWindows, labels)
    if (Number.isFinite(merge.mergedMs))
      telemetry.set('foreshock_stage_watermark_seconds', merge.mergedMs / 1000, labels)
  }

  async #settle(effects: Effects): Promise<void> {
    const { telemetry, logger } = this.#ports
    const { partition } = this
    const labels = { partition: String(partition) }
    const nowMs = elapsedOf(this.#ports)()
    for (const p of effects.heard) this.#heardMs[p] = nowMs
    if (effects.sealed.length > 0)
      logger.warn({ partition, silent: effects.sealed }, 'windows go on without samples partitions')
    telemetry.count('foreshock_stage_repeats_total', effects.repeats, labels)
    telemetry.count('foreshock_stage_late_windows_total', effects.lateWindows, labels)
    telemetry.count('foreshock_stage_merged_windows_total', effects.mergedWindows, labels)
    telemetry.count('foreshock_stage_unknown_rows_total', effects.unknownRows, labels)
    await this.#bury(effects.refused)
    await this.#commit(effects.lines)
  }

  /** Tells as ended what nobody knows of any more: this stage began without the state that it rested on. */
  async #retract(nowMs: number): Promise<void> {
    const { disruptions } = this.parts
    const { disruptions: told, anomalies } = this.#open
    await this.#commit(
      linesOf({
        anomalies: ended([...anomalies.values()], disruptions.openAnomalies()),
        events: orphans([...told.values()], disruptions.board(), nowMs),
        changes: [],
      }),
    )
    told.clear()
    anomalies.clear()
    this.#isCold = false
  }

  async #commit(lines: readonly Line[]): Promise<void> {
    const { telemetry } = this.#ports
    const fresh = await this.#record.commit(lines.map(line => this.#draft(line)))
    for (const [i, line] of lines.entries()) {
      if (!fresh[i]) continue
      // Until it is known what is open, what this stage itself records counts as well.
      if (this.#isCold) this.#open.take({ ...line, seq: 0 })
      if (line.entry.type === 'disruption')
        telemetry.count('foreshock_disruptions_total', 1, { type: line.entry.event.type })
    }
  }

  #draft(line: Line): RecordDraft {
    const { entry } = line
    if (entry.type !== 'disruption' || entry.event.held) return line
    return { ...line, told: [{ topic: TOPICS.disruptions, message: this.#told(entry.event) }] }
  }

  /** A CloudEvent in Kafka's binary form. */
  #told(event: DisruptionEvent): StreamMessage {
    const { disruption, timeMs: timestampMs } = event
    const headers = {
      ...binaryHeaders(event, this.#ports.source, 'ce_'),
      [HEADERS.tenant]: disruption.tenant,
    }
    return { key: disruption.id, value: Buffer.from(JSON.stringify(disruption)), headers, timestampMs }
  }

  /** The original bytes, with where they stood and what was wrong with them. */
  async #bury(refused: readonly Refused[]): Promise<void> {
    if (refused.length === 0) return
    const { telemetry, producer } = this.#ports
    telemetry.count('foreshock_dead_letters_total', refused.length, { topic: TOPICS.anomalies })
    const letters = refused.map(({ message, reason }) => deadLetter(message, reason))
    await producer.send(TOPICS.deadLetters, letters)
  }
}

const elapsedOf = ({ elapsed, clock }: StagePorts): Clock => elapsed ?? clock

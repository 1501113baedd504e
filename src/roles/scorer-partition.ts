import { type Assembled, assemble, intakeOptions, statefulParts } from '../assembly.ts'
import { deadLetter } from '../bus/dead-letters.ts'
import { WindowWriter } from '../bus/window-report-writer.ts'
import { cutAt, resume, type Stateful } from '../checkpoint.ts'
import type { Config } from '../config/schema.ts'
import { type FeatureBatch, featureBatch, type OpinionBatch, opinionBatch } from '../core/batch.ts'
import type { Clock } from '../core/clock.ts'
import type { Envelope } from '../core/envelope.ts'
import type { Logger } from '../core/logger.ts'
import { encodeModelOrder, modelOrderOf } from '../core/model-order.ts'
import { modelCommandOf, type PackageWord } from '../core/model-word.ts'
import type { CheckpointCut, CheckpointStore } from '../core/ports.ts'
import type { Rejects } from '../core/rejects.ts'
import type { AnomalyChange } from '../core/stages.ts'
import { CONTENT, HEADERS, type StoredMessage, type StreamMessage, TOPICS } from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { windowSettings } from '../features/window-options.ts'
import { Pipeline, type WindowTap } from '../pipeline.ts'
import { anomalyEvent } from '../publish/anomaly-event.ts'
import { ConfigurationMemory, reconciled } from '../reconcile.ts'
import type { ModelsPort } from '../scoring-assembly.ts'
import type { ForeignSplit } from './foreign.ts'
import { ModelOrders } from './model-orders.ts'
import { Origins, originOf } from './origins.ts'
import type { Outbox } from './outbox.ts'

/** What of a message of others is scored here, what belongs to other partitions, or why it cannot be read. */
export type SplitForeign = (message: StoredMessage, partition: number, partitions: number) => ForeignSplit

export interface ScorerContext {
  /** Of one partition: see `partitionShare`. */
  readonly config: Config
  /** Of the samples topic. */
  readonly partitions: number
  readonly anomaliesPartitions: number
  readonly deadLetterPartitions: number
  readonly splitForeign: SplitForeign
  readonly rejects: Rejects
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
  readonly models?: ModelsPort | undefined
  /** Told what an order says of packages, before it is carried out. */
  readonly learnPackages?:
    | ((model: string, packages: Readonly<Record<string, PackageWord>>) => void)
    | undefined
}

interface Parts extends Assembled {
  readonly reports: WindowWriter
  readonly origins: Origins
  readonly orders: ModelOrders
  readonly configuration: ConfigurationMemory
}

/** Where CloudEvents of anomalies come from when no public address is configured. */
const SOURCE = 'foreshock'
const NO_BATCH = featureBatch(0, 0)
const NO_OPINIONS = opinionBatch(0)
const NO_BYTES = new Uint8Array(0)

/**
 * One samples partition: everything that is learned of its series, and what is told of their windows. A pure function of
 * the partition's messages in order; wall time comes in only as ticks that stand in the partition.
 */
export class ScorerPartition implements WindowTap {
  readonly partition: number
  readonly parts: Parts
  readonly #context: ScorerContext
  readonly #outbox: Outbox
  readonly #pipeline: Pipeline
  readonly #stateful: readonly Stateful[]
  readonly #latenessMs: number
  /** Of the message that is being processed: what it brings about bears its time. */
  #timestampMs = 0
  #position: number
  #worked = 0
  #isReplaying = false
  readonly #labels: { readonly partition: string }

  private constructor(
    partition: number,
    position: number,
    parts: Parts,
    context: ScorerContext,
    outbox: Outbox,
  ) {
    this.partition = partition
    this.parts = parts
    this.#position = position
    this.#context = context
    this.#outbox = outbox
    this.#labels = { partition: String(partition) }
    this.#stateful = statefulOf(parts)
    const { features } = context.config
    this.#latenessMs = windowSettings({ stepMs: features.step, latenessMs: features.lateness }).latenessMs
    this.#pipeline = new Pipeline(
      parts,
      async (_, { anomalies }) => this.#announce(anomalies),
      context.telemetry,
      { tap: this },
    )
  }

  /**
   * Builds the partition with what its newest checkpoint holds. `first`: where its log begins now. Without a checkpoint
   * all that the log still holds is read again, as it is told nobody twice.
   */
  static async open(
    partition: number,
    first: number,
    store: CheckpointStore,
    context: ScorerContext,
    outbox: Outbox,
  ): Promise<ScorerPartition> {
    const { config, rejects, logger, models, anomaliesPartitions } = context
    const warn = (text: string) => logger.warn({ partition }, text)
    const build = (epoch: number): Parts => {
      const parts = assemble(config, rejects, warn, models)
      const options = {
        samplesPartition: partition,
        anomaliesPartitions,
        stepMs: config.features.step,
        epoch,
      }
      return {
        ...parts,
        reports: new WindowWriter(options, parts.series),
        origins: new Origins(),
        orders: new ModelOrders(),
        configuration: new ConfigurationMemory(config),
      }
    }
    // A state that is built anew has its beginning where it goes on.
    let epoch = first
    const resumed = await resume(
      store,
      () => build(epoch),
      statefulOf,
      warn,
      checkpoint => {
        epoch = checkpoint.position
        return reconciled(checkpoint, config, intakeOptions(config), warn)
      },
    )
    const position = Math.max(resumed.position, first)
    return new ScorerPartition(partition, position, resumed.parts, context, outbox)
  }

  /** Offset of the next message to process. */
  get position(): number {
    return this.#position
  }

  /** Messages taken that say more than that time passes. */
  get worked(): number {
    return this.#worked
  }

  /** End of the last window told, Unix ms; −Infinity before the first. */
  get reportedMs(): number {
    return this.parts.reports.reportedMs
  }

  /** Takes one message through the pipeline. Never throws on bad input: what cannot be read goes to the dead letters. */
  async take(message: StoredMessage, isReplaying: boolean): Promise<void> {
    // Seen before, such as when the engine's position was behind the checkpoint's.
    if (message.offset < this.#position) return
    this.#timestampMs = message.timestampMs
    this.#isReplaying = isReplaying
    const reason = await this.#process(message)
    if (reason !== undefined) this.#bury(message, reason)
    this.#progress(message)
    if (message.headers[HEADERS.content] !== CONTENT.tick) this.#worked++
    this.#position = message.offset + 1
  }

  /** Everything learned up to now, to be written while messages go on; call it between two messages. */
  capture(): CheckpointCut {
    return cutAt(this.#position, this.#context.clock(), this.parts.series, this.#stateful)
  }

  /** Lets go of opened models; nothing is taken after it. */
  async close(): Promise<void> {
    await this.parts.scoring.close?.()
  }

  window(
    batch: FeatureBatch,
    opinions: OpinionBatch,
    changes: readonly AnomalyChange[],
    windowEndMs: number,
    last: boolean,
  ): void {
    const { reports } = this.parts
    const { telemetry } = this.#context
    if (last && windowEndMs <= reports.reportedMs)
      telemetry.count('foreshock_partition_untold_windows_total', 1, this.#labels)
    if (last && this.#isReplaying)
      telemetry.count('foreshock_partition_replayed_windows_total', 1, this.#labels)
    const parts = reports.write(batch, opinions, changes, windowEndMs, last)
    this.#outbox.put(
      TOPICS.anomalies,
      parts.map(({ anomaliesPartition, bytes }) => ({
        key: null,
        partition: anomaliesPartition,
        value: bytes,
        headers: { [HEADERS.content]: CONTENT.window },
        timestampMs: this.#timestampMs,
      })),
    )
  }

  forget(series: number): void {
    this.parts.reports.forget(series)
  }

  /** What came of a message; the reason when it cannot be read. */
  async #process(message: StoredMessage): Promise<string | undefined> {
    const { headers, timestampMs: arrivalMs, value } = message
    if (message.fault !== undefined) return message.fault
    const origin = headers[HEADERS.origin]
    if (origin !== undefined) {
      const from = originOf(origin)
      if (typeof from === 'string') return from
      if (!this.parts.origins.take(from)) {
        this.#context.telemetry.count('foreshock_partition_repeats_total', 1, this.#labels)
        return undefined
      }
    }
    const tenant = headers[HEADERS.tenant] ?? 'default'
    const encoding = 'identity'
    switch (headers[HEADERS.content]) {
      case undefined:
        return this.#foreign(message)
      case CONTENT.columns:
        return this.#run({ kind: 'columns', encoding, arrivalMs, tenant, bytes: value })
      case CONTENT.tick:
        return this.#run({ kind: 'tick', encoding, arrivalMs, tenant, bytes: NO_BYTES })
      case CONTENT.model:
        return this.#order({ kind: 'model', encoding, arrivalMs, tenant, bytes: value })
      default:
        return `content ${JSON.stringify(headers[HEADERS.content])} is not read from samples`
    }
  }

  async #run(envelope: Envelope): Promise<string | undefined> {
    const { failure } = await this.#pipeline.process(this.#position, envelope)
    return failure && `${failure.code}: ${failure.detail}`
  }

  async #order(envelope: Envelope): Promise<string | undefined> {
    const { telemetry, learnPackages } = this.#context
    const command = modelCommandOf(envelope.bytes)
    if (typeof command === 'string') return this.#plainOrder(envelope, command)
    const { model } = command
    const { orders, scoring } = this.parts
    const live = scoring.models().find(one => one.model === model)
    const due = orders.due(command, live)
    if (due === undefined) {
      telemetry.count('foreshock_partition_model_orders_total', 1, { ...this.#labels, what: 'repeat' })
      return undefined
    }
    learnPackages?.(model, command.packages)
    let refused: string | null = null
    for (const order of due) refused ??= await this.#carryOut({ ...envelope, bytes: encodeModelOrder(order) })
    orders.done(command, refused)
    const what = refused === null ? 'followed' : 'refused'
    telemetry.count('foreshock_partition_model_orders_total', 1, { ...this.#labels, what })
    return undefined
  }

  /** An order without a number, of a fleet of before: it is followed as it comes. */
  async #plainOrder(envelope: Envelope, reason: string): Promise<string | undefined> {
    if (typeof modelOrderOf(envelope.bytes) === 'string') return reason
    await this.#carryOut(envelope)
    return undefined
  }

  /** Why it was not followed: everything is as it was then. Who ordered it looks at the partitions, not at dead letters. */
  async #carryOut(envelope: Envelope): Promise<string | null> {
    const { reasons } = await this.#pipeline.process(this.#position, envelope)
    if (reasons.length === 0) return null
    const [reason] = reasons
    const order = modelOrderOf(envelope.bytes)
    this.#context.logger.warn(
      { partition: this.partition, order },
      `a model order was not followed: ${reason}`,
    )
    return reason
  }

  async #foreign(message: StoredMessage): Promise<string | undefined> {
    const { splitForeign, partitions, telemetry } = this.#context
    const { here, elsewhere, dead } = splitForeign(message, this.partition, partitions)
    if (elsewhere.length > 0) {
      telemetry.count('foreshock_partition_passed_on_total', elsewhere.length, this.#labels)
      this.#outbox.put(TOPICS.samples, elsewhere)
    }
    let failed = dead
    for (const envelope of here) failed = (await this.#run(envelope)) ?? failed
    return failed
  }

  /**
   * Tells how far the partition is where no window says it: one without any series has nothing to wait for but lateness,
   * and one that has been silent for long closes no more windows while its time goes on.
   */
  #progress(message: StoredMessage): void {
    const { step } = this.#context.config.features
    const { watermarkMs } = this.parts.windows
    const isTick = message.headers[HEADERS.content] === CONTENT.tick
    const untilMs = Number.isNaN(watermarkMs) && isTick ? message.timestampMs - this.#latenessMs : watermarkMs
    const endMs = Math.floor(untilMs / step) * step
    if (endMs > this.parts.reports.reportedMs) this.window(NO_BATCH, NO_OPINIONS, [], endMs, true)
  }

  #announce(anomalies: readonly AnomalyChange[]): void {
    const source = this.#context.config.server.publicUrl ?? SOURCE
    const messages: StreamMessage[] = []
    for (const change of anomalies) {
      const event = anomalyEvent(change, source)
      if (event) messages.push({ ...event, timestampMs: this.#timestampMs })
      if (change.event === 'opened' && !this.#isReplaying)
        this.#context.telemetry.count('foreshock_anomalies_total', 1, { severity: change.anomaly.severity })
    }
    this.#outbox.put(TOPICS.anomalies, messages)
  }

  /** The original bytes, with where they stood and what was wrong with them. */
  #bury(message: StoredMessage, reason: string): void {
    const { telemetry, deadLetterPartitions } = this.#context
    telemetry.count('foreshock_dead_letters_total', 1, { topic: TOPICS.samples })
    // It waits to be written, and the value is lent.
    const kept = { ...message, value: new Uint8Array(message.value) }
    const letter = { ...deadLetter(kept, reason), partition: message.partition % deadLetterPartitions }
    this.#outbox.put(TOPICS.deadLetters, [letter])
  }
}

function statefulOf(parts: Parts): Stateful[] {
  const { reports, origins, orders, configuration } = parts
  return [configuration, ...statefulParts(parts), reports, origins, orders]
}

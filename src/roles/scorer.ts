import type { Config } from '../config/schema.ts'
import type { Clock } from '../core/clock.ts'
import { CutColumn } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { CheckpointCut, CheckpointStore, CheckpointStores } from '../core/ports.ts'
import type { Rejects } from '../core/rejects.ts'
import {
  CONTENT,
  HEADERS,
  type PartitionOwner,
  type StoredMessage,
  type StreamGroup,
  type StreamProducer,
  type Streams,
  TOPICS,
} from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { alertingOf } from '../shards/reports.ts'
import { every, readAlerting, type Timer } from '../upkeep.ts'
import { Outbox } from './outbox.ts'
import { partitionShare } from './partition-share.ts'
import type { ScorerModels } from './scorer-models.ts'
import { type ScorerContext, ScorerPartition, type SplitForeign } from './scorer-partition.ts'
import { Turns } from './turns.ts'
import { Unbegun } from './unbegun.ts'

/** Members of this group share the samples partitions. */
export const SCORER_GROUP = 'scorer'
/** When a partition is let go, what it wrote and learned is waited for so long, ms. */
const LEAVE_MS = 10_000
/** A tick is written at least this often into a partition where nothing else is, ms: see `passTime`. */
const TICK_MS_MAX = 5000

export interface ScorerOptions {
  /** Of the fleet. */
  readonly config: Config
  readonly member: string
  readonly streams: Streams
  readonly checkpoints: CheckpointStores
  /** `foreignSplitter` of the configuration. */
  readonly splitForeign: SplitForeign
  readonly rejects: Rejects
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
  /** Time that only passes, ms: what is due after so long is judged by it, as the wall clock may be set. The clock, unless given. */
  readonly elapsed?: Clock
  readonly models?: ScorerModels | undefined
}

/** A partition in this process's hands. */
interface Held {
  readonly scored: ScorerPartition
  readonly store: CheckpointStore
  readonly outbox: Outbox
  readonly producer: StreamProducer
  /** Offset after the last message that was there when it was assigned. */
  readonly replayEnd: number
  savedAt: number
  savedPosition: number
  saving: Promise<void> | undefined
  /** What is being saved. */
  underWay: CheckpointCut | undefined
  isTaking: boolean
  /** Offset after the partition's last message, as of the last take. */
  end: number
  /** How much it had worked when a tick was last thought of, and whether one is on its way. */
  workedAtTick: number
  isTicking: boolean
  /** It is to be let go: no further message is begun. */
  isLeaving: boolean
  /** Another owner has taken over; nothing more is done for it here. */
  isFenced: boolean
}

/**
 * The role `scorer`: holds samples partitions, each with everything learned of its series, and tells the disruption stages
 * of every window. One outbox a partition, so that one that cannot write holds up no other.
 */
export class Scorer implements PartitionOwner {
  readonly #options: ScorerOptions
  readonly #group: StreamGroup
  readonly #held = new Map<number, Held>()
  /** Scoring gives way to heartbeats, probes, checkpoints and other partitions. */
  readonly #turns: Turns
  readonly #unbegun = new Unbegun()
  #context: ScorerContext | undefined
  #ticks: Timer | undefined

  constructor(options: ScorerOptions) {
    this.#options = options
    const { streams, member, elapsed } = options
    this.#turns = new Turns(elapsed)
    this.#group = streams.group({
      topic: TOPICS.samples,
      group: SCORER_GROUP,
      member,
      takesFaults: true,
      lends: true,
    })
  }

  /** Joins the group; resolves when the first partitions are known. */
  async start(): Promise<void> {
    const { config, streams, logger } = this.#options
    const [partitions, anomaliesPartitions, deadLetterPartitions] = await Promise.all([
      streams.partitions(TOPICS.samples),
      streams.partitions(TOPICS.anomalies),
      streams.partitions(TOPICS.deadLetters),
    ])
    const { splitForeign, rejects, telemetry, clock, models } = this.#options
    // One that begins with its first letter has not gone up by it.
    telemetry.count('foreshock_dead_letters_total', 0, { topic: TOPICS.samples })
    this.#context = {
      config: partitionShare(config, partitions),
      partitions,
      anomaliesPartitions,
      deadLetterPartitions,
      splitForeign,
      rejects,
      telemetry,
      logger,
      clock,
      models: models?.port,
      learnPackages: models && ((model, packages) => models.learn(model, packages)),
    }
    await this.#group.run(this)
    const onError = (error: unknown) => logger.error({ err: error }, 'a tick could not be written')
    this.#ticks = every(Math.min(config.features.step, TICK_MS_MAX), () => this.tick(), onError)
    await models?.start(() => this.#held.values())
  }

  /** Leaves the group: every partition is saved and let go. */
  async close(): Promise<void> {
    this.#ticks?.stop()
    this.#options.models?.stop()
    await this.#group.close()
  }

  /** Partitions held now, with what was learned of them, ascending. */
  get partitions(): readonly ScorerPartition[] {
    return [...this.#held.values()].map(held => held.scored).sort((a, b) => a.partition - b.partition)
  }

  /** What is in the way of partitions that it was given, for /readyz. */
  get problems(): readonly string[] {
    return this.#unbegun.said(TOPICS.samples, this.#group.partitions)
  }

  assigned(partition: number): Promise<number> {
    return this.#unbegun.begin(partition, () => this.#begin(partition))
  }

  async #begin(partition: number): Promise<number> {
    const { streams, checkpoints, logger } = this.#options
    if (!this.#context) throw new ForeshockError('FS_ASSERTION', 'a scorer is started before it is assigned')
    const store = await checkpoints.claim(`samples-${partition}`)
    const { first, end } = await streams.range(TOPICS.samples, partition)
    const producer = await streams.producer()
    const outbox = new Outbox(producer, error =>
      logger.warn({ err: error, partition }, 'what was found cannot be written to Kafka yet; trying again'),
    )
    const opened = ScorerPartition.open(partition, first, store, this.#context, outbox)
    const scored = await this.#turns.pressing(opened).catch(async error => {
      await producer.close()
      throw error
    })
    const { position } = scored
    this.#held.set(partition, {
      scored,
      store,
      outbox,
      producer,
      replayEnd: end,
      savedAt: this.#elapsed(),
      savedPosition: position,
      saving: undefined,
      underWay: undefined,
      isTaking: false,
      end,
      workedAtTick: 0,
      isTicking: false,
      isLeaving: false,
      isFenced: false,
    })
    logger.info({ partition, position, end, series: scored.parts.series.size }, 'scoring a partition')
    return position
  }

  async take(partition: number, messages: readonly StoredMessage[], end: number): Promise<void> {
    const held = this.#held.get(partition)
    if (!held) throw new ForeshockError('FS_ASSERTION', `partition ${partition} is not held`)
    held.isTaking = true
    held.end = end
    try {
      for (const message of messages) {
        // Before a message and not behind one: what has taken the last is idle at once, and may be told of time.
        const turn = this.#turns.next()
        if (turn) {
          this.#show(partition, held)
          await turn
        }
        if (held.isFenced || held.isLeaving) return
        await held.scored.take(message, message.offset < held.replayEnd)
        await held.outbox.room()
        this.#saveWhenDue(partition, held)
      }
    } finally {
      held.isTaking = false
    }
    this.#show(partition, held)
  }

  /** A scorer that catches up has seconds of work in a batch, and in those of its other partitions: nobody waits for that. */
  leaving(partition: number): void {
    const held = this.#held.get(partition)
    if (held) held.isLeaving = true
  }

  async revoked(partition: number, orderly: boolean): Promise<void> {
    const held = this.#held.get(partition)
    if (!held) return
    const { logger } = this.#options
    if (orderly && !held.isFenced) await this.#turns.pressing(within(LEAVE_MS, this.#save(partition, held)))
    this.#held.delete(partition)
    held.isFenced = true
    await held.outbox.stop()
    await held.producer.close()
    await held.scored.close()
    this.#options.models?.left(partition)
    this.#forgetMetrics(partition)
    logger.info({ partition, position: held.scored.position, orderly }, 'no longer scoring a partition')
  }

  /** Lets wall time pass in partitions where nothing else does, by a message that their owner reads like any other. */
  async tick(): Promise<void> {
    this.#sum()
    await Promise.all([...this.#held].map(([partition, held]) => this.#tickOne(partition, held)))
  }

  async #tickOne(partition: number, held: Held): Promise<void> {
    const { position, worked } = held.scored
    const isIdle = worked === held.workedAtTick && !held.isTaking && position >= held.end
    held.workedAtTick = worked
    if (!isIdle || held.isTicking || held.isFenced) return
    held.isTicking = true
    const headers = { [HEADERS.content]: CONTENT.tick }
    const timestampMs = this.#options.clock()
    try {
      await held.producer.send(TOPICS.samples, [
        { key: null, partition, value: new Uint8Array(0), headers, timestampMs },
      ])
    } catch (error) {
      this.#options.logger.warn({ err: error, partition }, 'a tick could not be written')
    } finally {
      held.isTicking = false
    }
  }

  #saveWhenDue(partition: number, held: Held): void {
    const due = held.savedAt + this.#options.config.checkpoint.every
    if (held.saving || this.#elapsed() < due) return
    held.saving = this.#save(partition, held).finally(() => {
      held.saving = undefined
    })
  }

  /** Copies the state as it stands now; saves it once everything told of it is written, then tells the engine. */
  async #save(partition: number, held: Held): Promise<void> {
    const { telemetry, logger } = this.#options
    const labels = { partition: String(partition) }
    const before = held.saving
    if (held.scored.position === held.savedPosition) return before
    held.savedAt = this.#elapsed()
    const checkpoint = held.scored.capture()
    // Who waits for this one would wait for that one first, which says less.
    held.underWay?.cut?.giveUp('a newer checkpoint follows')
    held.underWay = checkpoint
    const started = performance.now()
    try {
      await before
      if (!(await held.outbox.settled())) {
        checkpoint.cut?.close()
        return
      }
      await held.store.save(checkpoint)
    } catch (error) {
      if (error instanceof ForeshockError && error.code === 'FS_FENCED') return this.#fence(partition, held)
      if (held.underWay !== checkpoint) return
      telemetry.count('foreshock_partition_checkpoint_failures_total', 1, labels)
      logger.warn({ err: error, partition }, 'no checkpoint could be saved; the log keeps what came since')
      return
    } finally {
      if (held.underWay === checkpoint) held.underWay = undefined
    }
    held.savedPosition = checkpoint.position
    telemetry.set('foreshock_partition_checkpoint_seconds', (performance.now() - started) / 1000, labels)
    telemetry.set('foreshock_partition_checkpoint_time_seconds', checkpoint.savedMs / 1000, labels)
    telemetry.set('foreshock_partition_checkpoint_bytes', bytesOf(checkpoint), labels)
    await this.#group.commit(partition, checkpoint.position).catch(error => {
      // What decides is the checkpoint.
      logger.debug({ err: error, partition }, 'the position could not be told to the group')
    })
  }

  #elapsed(): number {
    const { elapsed, clock } = this.#options
    return (elapsed ?? clock)()
  }

  #fence(partition: number, held: Held): void {
    if (held.isFenced) return
    held.isFenced = true
    this.#options.logger.info({ partition }, 'another scorer has taken over')
    if (this.#held.get(partition) === held) this.#group.pause(partition)
  }

  #show(partition: number, { scored, end }: Held): void {
    const { telemetry } = this.#options
    const labels = { partition: String(partition) }
    telemetry.set('foreshock_partition_lag', Math.max(0, end - scored.position), labels)
    telemetry.set('foreshock_partition_series', scored.parts.series.size, labels)
    if (Number.isFinite(scored.reportedMs))
      telemetry.set('foreshock_partition_watermark_seconds', scored.reportedMs / 1000, labels)
  }

  /** What this process holds, whatever its partitions are. */
  #sum(): void {
    const { telemetry } = this.#options
    let [held, limit, anomalies] = [0, 0, 0]
    const parts = this.partitions.map(one => one.parts)
    for (const { series, scoring } of parts) {
      held += series.size
      limit += series.limit
      anomalies += scoring.anomalies().length
    }
    telemetry.set('foreshock_series', held)
    telemetry.set('foreshock_series_limit', limit)
    telemetry.set('foreshock_anomalies_open', anomalies)
    readAlerting(telemetry, alertingOf(parts.map(({ scoring }) => ({ alerting: scoring.alerting?.() }))))
  }

  /** Another process shows them from now on. */
  #forgetMetrics(partition: number): void {
    const { telemetry } = this.#options
    const labels = { partition: String(partition) }
    telemetry.remove('foreshock_partition_lag', labels)
    telemetry.remove('foreshock_partition_series', labels)
    telemetry.remove('foreshock_partition_watermark_seconds', labels)
    telemetry.remove('foreshock_partition_checkpoint_seconds', labels)
    telemetry.remove('foreshock_partition_checkpoint_time_seconds', labels)
    telemetry.remove('foreshock_partition_checkpoint_bytes', labels)
  }
}

/** Bytes of the columns: what is not a column is small beside them. */
function bytesOf({ parts }: CheckpointCut): number {
  let sum = 0
  for (const { columns } of parts)
    for (const column of Object.values(columns))
      sum += column instanceof CutColumn ? column.length * column.make.BYTES_PER_ELEMENT : column.byteLength
  return sum
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>(done => {
    timer = setTimeout(done, ms)
  })
  await Promise.race([work, limit]).finally(() => clearTimeout(timer))
}

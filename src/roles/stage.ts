import type { Config } from '../config/schema.ts'
import type { Clock } from '../core/clock.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Board, CheckpointStores, Directory } from '../core/ports.ts'
import {
  type PartitionOwner,
  type StoredMessage,
  type StreamGroup,
  type StreamProducer,
  type Streams,
  TOPICS,
} from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { every, readBoard, type Timer } from '../upkeep.ts'
import type { ControlBook } from './control.ts'
import { Relay } from './relay.ts'
import { StagePartition, type StagePorts } from './stage-partition.ts'
import { Unbegun } from './unbegun.ts'

export interface StageOptions {
  readonly config: Config
  readonly streams: Streams
  readonly checkpoints: CheckpointStores
  readonly board: Board
  readonly directory: Directory
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
  /** Time that only passes, ms: what is due after so long is judged by it, as the wall clock may be set. The clock, unless given. */
  readonly elapsed?: Clock
  /** Name of this process, the same after a restart. */
  readonly member: string
  /** Where other processes reach the live state of this one's partitions; told to nobody without. */
  readonly url?: string | undefined
  /** A partition that is silent is waited for so long while others wait, ms. */
  readonly patienceMs: number
  readonly waitingBytesMax?: number | undefined
  /** The latest words of the fleet; without it none that is missing is made up for. */
  readonly book?: ControlBook | undefined
}

/** The group that shares the partitions of the topic `anomalies`. */
export const STAGE_GROUP = 'stage'
/** Where events come from when no public address is configured. */
const SOURCE = 'foreshock'
/** Clocks are looked at this often, ms. */
const WATCH_MS = 1000
/** A board is shown anew after so long even when nothing happened: silence must not look like death, ms. */
const SHOW_MS = 10_000
/** An address is told again this often, and forgotten after thrice as long, ms. */
const ANNOUNCE_MS = 10_000

interface Held {
  readonly stage: StagePartition
  /** Something happened since the board was shown. */
  isNews: boolean
  shownMs: number
  isShowing: boolean
  announcedMs: number
  savedMs: number
  isFenced: boolean
}

/** The part under which a stage's partition stands in the directory, and its shard of the board. */
export const stagePart = (partition: number): string => `stage/${partition}`

/**
 * The role `disruptions`: windows of all scorers become disruptions, a tenant in one partition; changes are passed on here
 * as well. What it decides is a matter
 * of `StagePartition`; this one gives out partitions, saves them, and shows them where others look. Nothing that is found
 * waits for Redis: boards and addresses are told when it is there.
 */
export class Stage implements PartitionOwner {
  readonly #options: StageOptions
  readonly #group: StreamGroup
  readonly #unbegun = new Unbegun()
  readonly #relay: Relay
  readonly #held = new Map<number, Held>()
  #ports: StagePorts | undefined
  #producer: StreamProducer | undefined
  #timer: Timer | undefined

  constructor(options: StageOptions) {
    this.#options = options
    const { streams, member } = options
    this.#relay = new Relay(options)
    this.#group = streams.group({ topic: TOPICS.anomalies, group: STAGE_GROUP, member })
  }

  /** Joins the group; resolves when the first partitions are known. */
  async start(): Promise<void> {
    const {
      config,
      streams,
      checkpoints,
      telemetry,
      logger,
      clock,
      elapsed,
      patienceMs,
      waitingBytesMax,
      book,
    } = this.#options
    // One that begins with its first letter has not gone up by it.
    telemetry.count('foreshock_dead_letters_total', 0, { topic: TOPICS.anomalies })
    this.#producer = await streams.producer()
    const samplesPartitions = await streams.partitions(TOPICS.samples)
    this.#ports = {
      config,
      streams,
      checkpoints,
      producer: this.#producer,
      telemetry,
      logger,
      clock,
      elapsed: elapsed ?? clock,
      source: config.server.publicUrl ?? SOURCE,
      samplesPartitions,
      patienceMs,
      waitingBytesMax,
      memory: book && { book, anomaliesPartitions: await streams.partitions(TOPICS.anomalies) },
    }
    await Promise.all([this.#group.run(this), this.#relay.start()])
    this.#timer = every(WATCH_MS, () => this.tick(), this.#onError)
  }

  /** Leaves the group: every partition is saved and let go. */
  async close(): Promise<void> {
    this.#timer?.stop()
    await this.#relay.close()
    await this.#group.close()
    await this.#producer?.close()
  }

  /** By partition of the topic `changes`, the offset after the last message passed on. */
  get relayed(): ReadonlyMap<number, number> {
    return this.#relay.positions
  }

  /** Partitions held now, with their live state, ascending. */
  get partitions(): readonly StagePartition[] {
    return [...this.#held.values()].map(({ stage }) => stage).sort((a, b) => a.partition - b.partition)
  }

  /** What is in the way of partitions that it was given, for /readyz. */
  get problems(): readonly string[] {
    return this.#unbegun.said(TOPICS.anomalies, this.#group.partitions)
  }

  assigned(partition: number): Promise<number> {
    return this.#unbegun.begin(partition, () => this.#begin(partition))
  }

  async #begin(partition: number): Promise<number> {
    const { logger } = this.#options
    if (!this.#ports) throw new ForeshockError('FS_ASSERTION', 'a stage is started before it is assigned')
    const { stage, from } = await StagePartition.open(this.#ports, partition)
    this.#held.set(partition, {
      stage,
      isNews: true,
      shownMs: Number.NEGATIVE_INFINITY,
      isShowing: false,
      announcedMs: Number.NEGATIVE_INFINITY,
      savedMs: this.#elapsed(),
      isFenced: false,
    })
    logger.info({ partition, from, series: stage.parts.series.size }, 'grouping a partition')
    return from
  }

  async take(partition: number, messages: readonly StoredMessage[], end: number): Promise<void> {
    const held = this.#held.get(partition)
    if (!held) throw new ForeshockError('FS_ASSERTION', `partition ${partition} is not held`)
    const news = await held.stage.take(messages, end)
    held.isNews ||= news
    await this.#saveWhenDue(partition, held)
  }

  async revoked(partition: number, orderly: boolean): Promise<void> {
    const held = this.#held.get(partition)
    if (!held) return
    if (orderly) await this.#save(partition, held)
    this.#held.delete(partition)
    await held.stage.close().catch(this.#onError)
    held.stage.forget()
    this.#options.logger.info({ partition, orderly }, 'no longer grouping a partition')
  }

  /** What the wall clock brings: judging who is silent, saving, and showing how things stand. */
  async tick(): Promise<void> {
    readBoard(
      this.#options.telemetry,
      this.partitions.flatMap(({ parts }) => parts.disruptions.board()),
    )
    await Promise.all([...this.#held].map(([partition, held]) => this.#tickOne(partition, held)))
  }

  async #tickOne(partition: number, held: Held): Promise<void> {
    const nowMs = this.#elapsed()
    held.stage.report()
    this.#show(partition, held, nowMs)
    this.#announce(partition, held, nowMs)
    await held.stage.watch(nowMs).catch(this.#onError)
    await held.stage.mend(this.#options.clock()).catch(this.#onError)
    await this.#saveWhenDue(partition, held)
  }

  async #saveWhenDue(partition: number, held: Held): Promise<void> {
    if (this.#elapsed() < held.savedMs + this.#options.config.checkpoint.every) return
    // In the background: the state was copied, and messages go on.
    this.#save(partition, held).catch(this.#onError)
  }

  async #save(partition: number, held: Held): Promise<void> {
    if (held.isFenced) return
    const { clock, logger } = this.#options
    held.savedMs = this.#elapsed()
    try {
      const position = await held.stage.save(clock())
      if (position === undefined) return
      await this.#group.commit(partition, position)
    } catch (error) {
      if (error instanceof ForeshockError && error.code === 'FS_FENCED') {
        held.isFenced = true
        logger.info({ partition }, 'another stage has taken over')
        return
      }
      logger.warn({ err: error, partition }, 'no checkpoint could be saved; the log keeps what came since')
    }
  }

  /** Replaces what the board shows of the partition; one telling at a time. */
  #show(partition: number, held: Held, nowMs: number): void {
    if (held.isShowing || (!held.isNews && nowMs - held.shownMs < SHOW_MS)) return
    held.isShowing = true
    held.isNews = false
    this.#options.board
      .publish(`stage-${partition}`, held.stage.parts.disruptions.board())
      .then(() => {
        held.shownMs = nowMs
      })
      .catch(error => {
        held.isNews = true
        this.#onError(error)
      })
      .finally(() => {
        held.isShowing = false
      })
  }

  #elapsed(): number {
    const { elapsed, clock } = this.#options
    return (elapsed ?? clock)()
  }

  #announce(partition: number, held: Held, nowMs: number): void {
    const { directory, url } = this.#options
    if (url === undefined || nowMs - held.announcedMs < ANNOUNCE_MS) return
    held.announcedMs = nowMs
    directory.announce(stagePart(partition), url, 3 * ANNOUNCE_MS).catch(this.#onError)
  }

  #onError = (error: unknown): void => {
    this.#options.logger.warn({ err: error }, 'the disruption stage goes on without')
  }
}

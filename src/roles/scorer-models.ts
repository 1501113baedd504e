import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { PackageWord } from '../core/model-word.ts'
import { type StreamProducer, TOPICS } from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { ModelsPort } from '../scoring-assembly.ts'
import { every, type Timer } from '../upkeep.ts'
import type { ControlBook } from './control.ts'
import type { FleetModels } from './fleet-models.ts'
import { Gaps, modelMessage } from './model-orders.ts'
import type { ModelNews, Prepare } from './model-reports.ts'
import type { ScorerPartition } from './scorer-partition.ts'

/** Partitions are compared with what was ordered this often, ms. */
const MEND_MS = 500
/** How models do is told this often, ms, and at once when an order was carried out. */
const TELL_MS = 3000
/** What could not be opened is tried again after this, ms, then after twice as long, and so on up to the most. */
const RETRY_MS = 10_000
const RETRY_MS_MAX = 300_000

/** A partition as a scorer holds it. */
export interface ScoredHere {
  readonly scored: ScorerPartition
  readonly producer: StreamProducer
  /** Offset after the last message that was there when it was assigned, and after the partition's last as of now. */
  readonly replayEnd: number
  readonly end: number
  readonly isFenced: boolean
}

export interface ScorerModelsOptions {
  readonly member: string
  readonly models: FleetModels
  readonly book: ControlBook
  readonly news: ModelNews
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
}

/**
 * The part of a scorer that has to do with learned models. Which version has which part is decided in the log of each
 * partition; where the log lacks what was ordered (who ordered it died half way, or the log is younger than the order), the
 * owner writes it there. How models do is told to whoever shows it.
 */
export class ScorerModels {
  readonly port: ModelsPort
  readonly #options: ScorerModelsOptions
  readonly #gaps = new Map<number, Gaps>()
  /** Of each partition, the orders as they were told last. */
  readonly #told = new Map<number, string>()
  /** When partitions with a problem try again, and after how long then. */
  readonly #retries = new Map<number, { atMs: number; waitMs: number }>()
  #held: () => Iterable<ScoredHere> = () => []
  #timers: readonly Timer[] = []

  constructor(options: ScorerModelsOptions) {
    this.#options = options
    this.port = options.models.port
  }

  learn(model: string, packages: Readonly<Record<string, PackageWord>>): void {
    this.#options.models.learn(model, packages)
  }

  /** Begins to look after partitions. */
  async start(held: () => Iterable<ScoredHere>): Promise<void> {
    this.#held = held
    const { news, logger } = this.#options
    const onError = (error: unknown) => logger.warn({ err: error }, 'orders of models')
    this.#timers = [
      every(MEND_MS, () => this.mend(), onError),
      every(TELL_MS, () => this.#tell(true), onError),
    ]
    await news.listen({
      prepare: what => void this.#prepare(what),
      ask: () => void this.#tell(true).catch(onError),
    })
  }

  stop(): void {
    for (const timer of this.#timers) timer.stop()
    this.#held = () => []
  }

  /** A partition is not held any more. */
  left(partition: number): void {
    this.#gaps.delete(partition)
    this.#told.delete(partition)
    this.#retries.delete(partition)
    this.#options.telemetry.remove('foreshock_partition_model_problems', { partition: String(partition) })
  }

  /** Writes what was ordered, and a partition never heard, into it; tells of orders that were carried out. */
  async mend(): Promise<void> {
    await this.#tell(false)
    for (const held of this.#held()) await this.#mendOne(held)
  }

  #retry({ scored: { partition, parts } }: ScoredHere, isProblem: boolean): void {
    const nowMs = this.#options.clock()
    const known = this.#retries.get(partition)
    if (!isProblem) this.#retries.delete(partition)
    else if (!known) this.#retries.set(partition, { atMs: nowMs + RETRY_MS, waitMs: RETRY_MS })
    else if (nowMs >= known.atMs) {
      known.waitMs = Math.min(2 * known.waitMs, RETRY_MS_MAX)
      known.atMs = nowMs + known.waitMs
      parts.scoring.reopen?.()
    }
  }

  async #mendOne({ scored, producer, replayEnd, end, isFenced }: ScoredHere): Promise<void> {
    const { partition, position } = scored
    // What is read again first may hold it.
    if (isFenced || position < replayEnd) return
    const { book, clock, logger, telemetry } = this.#options
    const gaps = this.#gaps.get(partition) ?? new Gaps()
    this.#gaps.set(partition, gaps)
    for (const { model, command } of book.models.values()) {
      if (command === null) continue
      const { revision } = command
      if (scored.parts.orders.revision(model) >= revision) gaps.closed(model)
      else if (gaps.due(model, String(revision), position, end, clock())) {
        logger.info({ partition, model, revision }, 'an order of a model is missing here and is written anew')
        try {
          await producer.send(TOPICS.samples, [modelMessage(command, partition, clock())])
          const labels = { partition: String(partition), what: 'mended' }
          telemetry.count('foreshock_partition_model_orders_total', 1, labels)
        } catch (error) {
          gaps.again(model)
          logger.warn({ err: error, partition, model }, 'an order of a model could not be written')
        }
      }
    }
  }

  async #prepare({ model, version, digest, packageDigest }: Prepare): Promise<void> {
    if ([...this.#held()].length === 0) return
    const { models, logger } = this.#options
    try {
      await models.cache.folder({ model, version, digest, packageDigest })
      await models.prepare(model, version, digest)
    } catch (error) {
      logger.warn({ err: error, model, version }, 'a model that is about to be ordered cannot be opened yet')
    }
  }

  async #tell(all: boolean): Promise<void> {
    const { member, news, telemetry } = this.#options
    for (const held of this.#held()) {
      const { scored, isFenced } = held
      if (isFenced) continue
      const { partition } = scored
      const { orders, scoring } = scored.parts
      const states = scoring.models()
      const names = [...new Set([...orders.models, ...states.map(({ model }) => model)])]
      const models = names.map(name => ({
        revision: orders.revision(name),
        refused: orders.refused(name),
        state: states.find(({ model }) => model === name) ?? null,
      }))
      this.#retry(
        held,
        states.some(({ problem }) => problem !== undefined),
      )
      const text = names
        .map((name, i) => `${name} ${models[i].revision} ${models[i].state?.problem ?? ''}`)
        .join()
      if (!all && text === this.#told.get(partition)) continue
      this.#told.set(partition, text)
      const problems = models.filter(({ state, refused }) => refused !== null || state?.problem !== undefined)
      telemetry.set('foreshock_partition_model_problems', problems.length, { partition: String(partition) })
      await news.say({ type: 'report', report: { partition, member, names, models } })
    }
  }
}

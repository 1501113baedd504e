import type { Logger } from '../core/logger.ts'
import type { RecordIndex } from '../core/ports.ts'
import {
  type PartitionOwner,
  type StoredMessage,
  type StreamGroup,
  type Streams,
  TOPICS,
} from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { every, type Timer } from '../upkeep.ts'
import { RecordLines } from './record-lines.ts'

/** Members of this group share the partitions of the record. */
export const INDEX_GROUP = 'index'
/** What is older than is kept is dropped this often, ms. */
const PRUNE_MS = 3_600_000

export interface IndexerOptions {
  readonly member: string
  readonly streams: Streams
  /** With `prune`, it is called now and then. */
  readonly index: RecordIndex & { prune?(): Promise<readonly string[]> }
  readonly telemetry: Telemetry
  readonly logger: Logger
}

/**
 * The role `indexer`: brings the record into the index that every gateway queries. How far it is stands in the index
 * itself, in the same transaction as the lines; so nothing is lost or doubled, whoever dies. While the index is away a
 * partition is tried again and again, and the topic keeps what comes meanwhile.
 */
export class Indexer implements PartitionOwner {
  readonly #options: IndexerOptions
  readonly #group: StreamGroup
  readonly #lines: RecordLines
  #timer: Timer | undefined

  constructor(options: IndexerOptions) {
    const { streams, member, index, telemetry, logger } = options
    this.#options = options
    this.#group = streams.group({ topic: TOPICS.record, group: INDEX_GROUP, member })
    this.#lines = new RecordLines({
      streams,
      index,
      onSkipped: (where, reason) => {
        telemetry.count('foreshock_index_skipped_total', 1)
        logger.error({ where, reason }, 'a line of the record cannot be indexed and is passed over')
      },
    })
  }

  /** Joins the group; resolves when the first partitions are known. */
  async start(): Promise<void> {
    await this.#group.run(this)
    const { index, logger } = this.#options
    if (!index.prune) return
    const failed = (error: unknown) => logger.warn({ err: error }, 'what is too old cannot be dropped now')
    this.#timer = every(
      PRUNE_MS,
      async () => {
        const gone = (await index.prune?.()) ?? []
        if (gone.length > 0) logger.info({ gone }, 'dropped what is older than is kept')
      },
      failed,
    )
  }

  /** Leaves the group. */
  async close(): Promise<void> {
    this.#timer?.stop()
    await this.#group.close()
  }

  async assigned(partition: number): Promise<number> {
    const { streams } = this.#options
    const [{ first, end }, told] = await Promise.all([
      streams.range(TOPICS.record, partition),
      this.#group.committed(partition),
    ])
    // While the index is away this is asked again and again, and all that can be told is what it was known to have.
    this.#show(partition, end - (told ?? first))
    const from = await this.#lines.start(partition)
    this.#show(partition, end - from)
    return from
  }

  async take(partition: number, messages: readonly StoredMessage[], end: number): Promise<void> {
    const { telemetry, logger } = this.#options
    const next = messages[messages.length - 1].offset + 1
    await this.#lines.take(partition, messages)
    telemetry.count('foreshock_index_lines_total', messages.length)
    this.#show(partition, end - next)
    // Only shown outside: what decides is what the index says.
    this.#group.commit(partition, next).catch(error => {
      logger.warn({ err: error, partition }, 'how far the index is could not be told to Kafka')
    })
  }

  /** Another process shows how far it is from now on; one that is only tried again stays shown while it waits. */
  async revoked(partition: number, orderly: boolean): Promise<void> {
    if (orderly) this.#options.telemetry.remove('foreshock_index_lag', { partition: String(partition) })
  }

  #show(partition: number, lag: number): void {
    this.#options.telemetry.set('foreshock_index_lag', Math.max(0, lag), { partition: String(partition) })
  }
}

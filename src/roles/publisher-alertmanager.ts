import { partitionOf } from '../bus/partition-of.ts'
import type { Disruption } from '../core/disruption.ts'
import type { Board, RecordIndex } from '../core/ports.ts'
import type { PartitionOwner, StoredMessage, StreamGroup, Streams } from '../core/stream.ts'
import { allOpen } from '../orphans.ts'
import type { AlertmanagerSink } from '../publish/alertmanager-sink.ts'
import { OffsetKeeper } from './offset-keeper.ts'
import { ToldEvents, toldEvent } from './told-events.ts'

export interface AlertmanagerPublisherOptions {
  readonly group: StreamGroup
  readonly streams: Streams
  readonly sink: Pick<AlertmanagerSink, 'publish' | 'restore' | 'release'>
  /** Of the topic of disruptions. */
  readonly partitions: number
  /** What is open is known to one of them at least, though not always what was told last. */
  readonly index: Pick<RecordIndex, 'disruptions'>
  readonly board: Pick<Board, 'list'>
  readonly onError: (error: unknown) => void
}

/** Messages of a partition looked at for what the index, or the board, may not know yet. */
const LOOKED_AT_MAX = 1000

/**
 * Keeps every Alertmanager up with the disruptions of the partitions it is given. An alert has to be sent again and again
 * or it ends by itself: so whoever takes a partition over learns first what is open in it, from the index or else the board,
 * and from what was told last.
 */
export class AlertmanagerPublisher implements PartitionOwner {
  readonly #options: AlertmanagerPublisherOptions
  readonly #told: ToldEvents
  readonly #offsets = new Map<number, OffsetKeeper>()

  constructor(options: AlertmanagerPublisherOptions) {
    this.#options = options
    this.#told = new ToldEvents(options.streams, LOOKED_AT_MAX)
  }

  async assigned(partition: number): Promise<number | 'first'> {
    const { group, sink, onError } = this.#options
    const committed = await group.committed(partition)
    const open = await this.#openIn(partition, committed ?? 0)
    // An Alertmanager that hangs must not hold up the others.
    sink.restore(open).catch(onError)
    this.#offsets.set(partition, new OffsetKeeper(offset => group.commit(partition, offset), onError))
    return committed ?? 'first'
  }

  async take(partition: number, messages: readonly StoredMessage[]): Promise<void> {
    const { sink, onError } = this.#options
    const offsets = this.#offsets.get(partition)
    for (const message of messages) {
      const event = toldEvent(message)
      if (typeof event === 'string') onError(new Error(`offset ${message.offset}: ${event}`))
      else await sink.publish(event)
      offsets?.reached(message.offset + 1)
    }
  }

  async revoked(partition: number, orderly: boolean): Promise<void> {
    const offsets = this.#offsets.get(partition)
    this.#offsets.delete(partition)
    await offsets?.close(orderly)
    this.#options.sink.release(id => this.#isOf(partition, id))
  }

  #isOf(partition: number, disruption: string): boolean {
    return partitionOf(disruption, this.#options.partitions) === partition
  }

  /** What is open in a partition as of an offset. An end that the index did not have yet would be told by nobody any more. */
  async #openIn(partition: number, before: number): Promise<Disruption[]> {
    const known = await this.#told.latest(partition, before)
    for (const one of await this.#open())
      if (this.#isOf(partition, one.id) && one.revision >= (known.get(one.id)?.revision ?? 0))
        known.set(one.id, one)
    // Nobody was told of what a maintenance window keeps back.
    return [...known.values()].filter(one => one.status === 'open' && one.maintenance === undefined)
  }

  #open(): Promise<readonly Disruption[]> {
    const { index, board, onError } = this.#options
    return allOpen(query => index.disruptions(query)).catch(error => {
      onError(error)
      return board.list()
    })
  }
}

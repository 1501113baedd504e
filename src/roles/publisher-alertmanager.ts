import { partitionOf } from '../bus/partition-of.ts'
import type { Disruption } from '../core/disruption.ts'
import type { Board, RecordIndex } from '../core/ports.ts'
import type { PartitionOwner, StoredMessage, StreamGroup } from '../core/stream.ts'
import type { AlertmanagerSink } from '../publish/alertmanager-sink.ts'
import { OffsetKeeper } from './offset-keeper.ts'
import { toldEvent } from './told-events.ts'

export interface AlertmanagerPublisherOptions {
  readonly group: StreamGroup
  readonly sink: Pick<AlertmanagerSink, 'publish' | 'restore' | 'release'>
  /** Of the topic of disruptions. */
  readonly partitions: number
  /** What is open is known to one of them at least. */
  readonly index: Pick<RecordIndex, 'disruptions'>
  readonly board: Pick<Board, 'list'>
  readonly onError: (error: unknown) => void
}

/** Open disruptions taken over at most. */
const OPEN_MAX = 1000

/**
 * Keeps every Alertmanager up with the disruptions of the partitions it is given. An alert has to be sent again and again
 * or it ends by itself: so whoever takes a partition over learns first what is open in it, from the index or else the board.
 */
export class AlertmanagerPublisher implements PartitionOwner {
  readonly #options: AlertmanagerPublisherOptions
  readonly #offsets = new Map<number, OffsetKeeper>()

  constructor(options: AlertmanagerPublisherOptions) {
    this.#options = options
  }

  async assigned(partition: number): Promise<number | 'first'> {
    const { group, sink, onError } = this.#options
    const committed = await group.committed(partition)
    const open = (await this.#open()).filter(one => this.#isOf(partition, one.id))
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

  async #open(): Promise<readonly Disruption[]> {
    const { index, board, onError } = this.#options
    const found = await index
      .disruptions({ status: 'open', limit: OPEN_MAX })
      .then(page => page.items)
      .catch(async error => {
        onError(error)
        return (await board.list()).filter(one => one.status === 'open')
      })
    // Nobody was told of what a maintenance window keeps back.
    return found.filter(one => one.maintenance === undefined)
  }
}

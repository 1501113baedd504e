import { ForeshockError } from '../core/errors.ts'
import type {
  GroupOptions,
  StoredMessage,
  StreamGroup,
  StreamProducer,
  Streams,
  StreamTransactor,
} from '../core/stream.ts'
import { MemoryMember } from './memory-group.ts'
import type { MemoryLog } from './memory-log.ts'

/** `Streams` over a log in memory: one of them is what one process of a fleet has. */
export class MemoryStreams implements Streams {
  readonly #log: MemoryLog
  readonly #failed: (error: unknown) => void
  readonly #open = new Set<{ close(): Promise<void> }>()

  constructor(log: MemoryLog, { failed = () => {} }: { failed?: (error: unknown) => void } = {}) {
    this.#log = log
    this.#failed = failed
  }

  async partitions(topic: string): Promise<number> {
    return this.#log.topic(topic).length
  }

  async range(topic: string, partition: number): Promise<{ first: number; end: number }> {
    return { first: 0, end: this.#log.topic(topic)[partition].length }
  }

  async producer(): Promise<StreamProducer> {
    let open = true
    return {
      send: async (topic, messages) => {
        if (!open) throw new ForeshockError('FS_IO', 'this producer is closed')
        this.#log.append(messages.map(message => ({ topic, message })))
      },
      close: async () => {
        open = false
      },
    }
  }

  async transactor(name: string): Promise<StreamTransactor> {
    const epoch = this.#log.open(name)
    return {
      send: async sends => {
        if (this.#log.epoch(name) !== epoch)
          throw new ForeshockError('FS_FENCED', `transactor ${name} was opened by another process`)
        this.#log.append(sends)
      },
      close: async () => {},
    }
  }

  group(options: GroupOptions): StreamGroup {
    const member = new MemoryMember(this.#log, options, this.#failed)
    this.#open.add(member)
    return member
  }

  read(topic: string, partition: number, from: number): AsyncIterable<StoredMessage> {
    const log = this.#log
    const known = log.reachable && log.has(topic)
    const end = known ? log.topic(topic)[partition].length : 0
    return {
      async *[Symbol.asyncIterator]() {
        const messages = log.topic(topic)[partition]
        for (let offset = Math.max(0, from); offset < end; offset++) yield messages[offset]
      },
    }
  }

  async follow(
    topic: string,
    take: (message: StoredMessage) => Promise<void> | void,
    from?: readonly number[],
  ): Promise<{ close(): Promise<void> }> {
    const partitions = this.#log.topic(topic)
    const next = partitions.map((log, p) => from?.[p] ?? log.length)
    let open = true
    let running = Promise.resolve()
    const drain = async (): Promise<void> => {
      for (let p = 0; p < partitions.length; p++) {
        while (open && this.#log.reachable && next[p] < partitions[p].length) {
          const message = partitions[p][next[p]++]
          await (async () => take(message))().catch(this.#failed)
        }
      }
    }
    const pump = () => {
      running = running.then(drain)
    }
    const unlisten = this.#log.listen(pump)
    const follower = {
      close: async () => {
        open = false
        unlisten()
        this.#open.delete(follower)
        await running
      },
    }
    this.#open.add(follower)
    pump()
    return follower
  }

  async check(): Promise<void> {
    if (!this.#log.reachable) throw new ForeshockError('FS_IO', 'the log in memory is switched off')
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map(one => one.close()))
    this.#open.clear()
  }
}

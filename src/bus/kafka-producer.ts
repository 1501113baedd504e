import { ForeshockError } from '../core/errors.ts'
import type { StreamMessage, StreamProducer, StreamTransactor } from '../core/stream.ts'
import type { KafkaCluster } from './kafka-connection.ts'
import type { KafkaWriter, Send } from './kafka-writer.ts'

/** Sends that wait are written together up to this many messages. */
const TOGETHER_MAX = 10_000

interface Job {
  readonly sends: readonly Send[]
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/** Sends of one process, one after the other; what comes meanwhile waits and goes together. */
export class KafkaProducer implements StreamProducer {
  readonly #cluster: KafkaCluster
  readonly #writer: KafkaWriter
  readonly #jobs: Job[] = []
  #running: Promise<void> | undefined
  #closed = false

  constructor(cluster: KafkaCluster, writer: KafkaWriter) {
    this.#cluster = cluster
    this.#writer = writer
  }

  async send(topic: string, messages: readonly StreamMessage[]): Promise<void> {
    if (this.#closed) throw new ForeshockError('FS_IO', 'this producer is closed')
    if (messages.length === 0) return
    await new Promise<void>((done, failed) => {
      this.#jobs.push({ sends: messages.map(message => ({ topic, message })), done, failed })
      this.#running ??= this.#drain()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    await this.#cluster.close()
  }

  async #drain(): Promise<void> {
    await Promise.resolve()
    while (this.#jobs.length > 0) {
      const jobs = [this.#jobs.shift()!]
      let messages = jobs[0].sends.length
      while (this.#jobs.length > 0 && messages + this.#jobs[0].sends.length <= TOGETHER_MAX) {
        messages += this.#jobs[0].sends.length
        jobs.push(this.#jobs.shift()!)
      }
      await this.#write(jobs)
    }
    this.#running = undefined
  }

  async #write(jobs: readonly Job[]): Promise<void> {
    const placed: Job[] = []
    for (const job of jobs) {
      try {
        await this.#writer.place(job.sends)
        placed.push(job)
      } catch (error) {
        job.failed(error)
      }
    }
    try {
      await this.#writer.write(await this.#writer.place(placed.flatMap(job => job.sends)))
      for (const job of placed) job.done()
    } catch (error) {
      this.#writer.forget()
      for (const job of placed) job.failed(error)
    }
  }
}

/** Transactions of one name, one after the other. */
export class KafkaTransactor implements StreamTransactor {
  readonly #cluster: KafkaCluster
  readonly #writer: KafkaWriter
  #last: Promise<void> = Promise.resolve()

  constructor(cluster: KafkaCluster, writer: KafkaWriter) {
    this.#cluster = cluster
    this.#writer = writer
  }

  send(sends: readonly Send[]): Promise<void> {
    const sent = this.#last.then(async () => this.#writer.transact(await this.#writer.place(sends)))
    this.#last = sent.catch(() => {})
    return sent
  }

  async close(): Promise<void> {
    await this.#last
    await this.#cluster.close()
  }
}

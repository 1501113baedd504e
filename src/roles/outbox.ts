import { setTimeout as wait } from 'node:timers/promises'
import type { StreamMessage, StreamProducer, TopicName } from '../core/stream.ts'

/** Bytes that may wait to be written before whoever makes more has to. */
const WAITING_BYTES_MAX = 16 * 1_048_576
/** Bytes handed to the producer at once. */
const SEND_BYTES = 4 * 1_048_576
/** A send that failed is tried again after so long, doubled each time, ms. */
const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 10_000
/** What a message costs beside its value, bytes. */
const OVERHEAD_BYTES = 200

interface Waiting {
  readonly topic: TopicName
  readonly messages: readonly StreamMessage[]
  readonly bytes: number
}

/**
 * Messages on their way out, written in the order they were put, again and again until they are. What could not be written
 * whole is written anew whole, so readers see repeats and no gaps.
 */
export class Outbox {
  readonly #producer: StreamProducer
  readonly #onFailure: (error: unknown) => void
  readonly #stopped = new AbortController()
  readonly #queue: Waiting[] = []
  #bytes = 0
  #put = 0
  #written = 0
  #running: Promise<void> | undefined
  #waiters: { readonly until: () => boolean; readonly done: () => void }[] = []

  constructor(producer: StreamProducer, onFailure: (error: unknown) => void) {
    this.#producer = producer
    this.#onFailure = onFailure
  }

  /** What is put after `stop` is dropped: another owner makes the same. */
  put(topic: TopicName, messages: readonly StreamMessage[]): void {
    if (messages.length === 0 || this.#stopped.signal.aborted) return
    let bytes = 0
    for (const { value } of messages) bytes += value.length + OVERHEAD_BYTES
    this.#queue.push({ topic, messages, bytes })
    this.#bytes += bytes
    this.#put++
    this.#running ??= this.#run()
  }

  /** Resolves when there is room for more, or at once after `stop`. */
  room(): Promise<void> {
    return this.#until(() => this.#bytes <= WAITING_BYTES_MAX)
  }

  /** Resolves when everything put so far is written: true. False when it was stopped before. */
  async settled(): Promise<boolean> {
    const put = this.#put
    await this.#until(() => this.#written >= put)
    return this.#written >= put
  }

  /** Nothing is written after it resolves. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#wake()
    await this.#running
  }

  #until(until: () => boolean): Promise<void> {
    if (until() || this.#stopped.signal.aborted) return Promise.resolve()
    return new Promise(done => {
      this.#waiters.push({ until, done })
    })
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (waiter.until() || this.#stopped.signal.aborted) waiter.done()
      else this.#waiters.push(waiter)
    }
  }

  async #run(): Promise<void> {
    for (let failures = 0; this.#queue.length > 0 && !this.#stopped.signal.aborted; ) {
      const { topic, messages, count, bytes } = this.#next()
      try {
        await this.#producer.send(topic, messages)
      } catch (error) {
        this.#onFailure(error)
        const delay = Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures++, 20), RETRY_MAX_MS)
        await wait(delay, undefined, { signal: this.#stopped.signal }).catch(() => {})
        continue
      }
      failures = 0
      this.#queue.splice(0, count)
      this.#bytes -= bytes
      this.#written += count
      this.#wake()
    }
    this.#running = undefined
  }

  /** The first that wait for one topic, up to a size. */
  #next(): { topic: TopicName; messages: StreamMessage[]; count: number; bytes: number } {
    const { topic } = this.#queue[0]
    const messages: StreamMessage[] = []
    let count = 0
    let bytes = 0
    for (const one of this.#queue) {
      if (one.topic !== topic || (count > 0 && bytes + one.bytes > SEND_BYTES)) break
      // One by one: a window of many anomalies is more messages than a call takes arguments.
      for (const message of one.messages) messages.push(message)
      bytes += one.bytes
      count++
    }
    return { topic, messages, count, bytes }
  }
}

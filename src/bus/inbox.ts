import type { Envelope, Receipt } from '../core/envelope.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Journal, Position } from '../core/ports.ts'

export interface InboxOptions {
  /** Bytes that may wait; beyond it senders are told to come back. */
  readonly maxQueuedBytes: number
}

interface Waiting {
  readonly position: Position
  readonly envelope: Envelope
  readonly done: (receipt: Receipt) => void
  readonly failed: (error: unknown) => void
}

/**
 * The one queue between senders and the pipeline: envelopes are journaled in arrival order and processed one at a
 * time in that order, so the pipeline is a function of the journal. A sender is answered when its envelope has
 * been processed and would survive a power cut.
 */
export class Inbox {
  readonly #journal: Journal
  readonly #process: (position: Position, envelope: Envelope) => Receipt | Promise<Receipt>
  readonly #maxQueuedBytes: number
  readonly #queue: Waiting[] = []
  readonly #errands: (() => Promise<void>)[] = []
  #queuedBytes = 0
  #running: Promise<void> | undefined
  #closed = false
  #processed: Position

  constructor(
    journal: Journal,
    process: (position: Position, envelope: Envelope) => Receipt | Promise<Receipt>,
    options: InboxOptions,
  ) {
    this.#journal = journal
    this.#process = process
    this.#maxQueuedBytes = options.maxQueuedBytes
    this.#processed = journal.end
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Position of the last envelope that the pipeline has finished. */
  get processed(): Position {
    return this.#processed
  }

  /** Rejects with FS_OVERLOADED when too much is waiting, FS_IO when the journal cannot be written. */
  async submit(envelope: Envelope): Promise<Receipt> {
    if (this.#closed) throw new ForeshockError('FS_OVERLOADED', 'the service is stopping')
    if (this.#queuedBytes + envelope.bytes.length > this.#maxQueuedBytes && this.#queue.length > 0) {
      throw new ForeshockError('FS_OVERLOADED', `${this.#queuedBytes} bytes are waiting to be processed`)
    }
    const position = this.#journal.append(envelope)
    this.#queuedBytes += envelope.bytes.length
    const durable = this.#journal.sync(position)
    const receipt = new Promise<Receipt>((done, failed) => {
      this.#queue.push({ position, envelope, done, failed })
    })
    this.#start()
    return (await Promise.all([receipt, durable]))[0]
  }

  /** Runs an errand between two envelopes, when all parts stand still. */
  between<T>(errand: (processed: Position) => Promise<T>): Promise<T> {
    return new Promise<T>((done, failed) => {
      this.#errands.push(() => errand(this.#processed).then(done, failed))
      this.#start()
    })
  }

  /** Takes nothing more and finishes what is waiting. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#queue.length > 0 || this.#errands.length > 0) this.#start()
    })
  }

  async #run(): Promise<void> {
    await Promise.resolve()
    while (this.#queue.length > 0 || this.#errands.length > 0) {
      const errand = this.#errands.shift()
      if (errand) {
        await errand()
        continue
      }
      const next = this.#queue.shift()!
      try {
        const said = this.#process(next.position, next.envelope)
        next.done(said instanceof Promise ? await said : said)
        // Answers go out between bodies, not after the last that waits.
        if (this.#queue.length > 0) await undefined
      } catch (error) {
        next.failed(error)
      } finally {
        this.#queuedBytes -= next.envelope.bytes.length
        this.#processed = next.position
      }
    }
  }
}

import { entityKey, partitionOf } from '../bus/partition-of.ts'
import type { Envelope, Receipt } from '../core/envelope.ts'
import { ForeshockError, quotaExceeded } from '../core/errors.ts'
import type { Rejects } from '../core/rejects.ts'
import { CONTENT, HEADERS, type StreamMessage, type StreamProducer, TOPICS } from '../core/stream.ts'
import type { IntakeOptions } from '../ingest/options.ts'
import { type Parcel, Splitter } from '../ingest/splitter.ts'

/** What a tenant may send of a body. */
export interface Admission {
  /** 0 when it may pass, else the ms after which it is worth coming back. */
  readonly retryAfterMs: number
  /** Indexes of the fresh series that are one too many. */
  readonly refused: readonly number[]
}

export interface SamplesProducerOptions {
  readonly producer: StreamProducer
  /** Of the topic `samples`. */
  readonly partitions: number
  readonly intake: Partial<IntakeOptions>
  /** How long scorers keep a series that is silent: `features.retention`, ms. It matters when it is below ten minutes. */
  readonly retentionMs?: number
  readonly rejects: Rejects
  /** Bytes of bodies and messages that may wait for Kafka; beyond it senders are told to come back. */
  readonly bytesMax: number
  /**
   * Asked before a body is sent, with how many samples it has and the fingerprints of series that are new (or were not
   * asked about for nearly an hour). Bodies are split one after the other, so it should answer at once as a rule.
   */
  readonly admit?: (tenant: string, samples: number, fresh: BigUint64Array) => Admission | Promise<Admission>
}

interface Waiting {
  readonly messages: readonly StreamMessage[]
  readonly bytes: number
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/** Most bytes of one send; what waits goes together up to this. */
const SEND_BYTES = 4 * 1024 * 1024

/**
 * Bodies → the topic `samples`, as columnar messages. A sender is answered once Kafka has what it sent. There is one send
 * at a time, and all that came meanwhile is the next: messages then stand in the order of their definitions, and a busy
 * gateway sends large batches by itself.
 */
export class SamplesProducer {
  readonly #options: SamplesProducerOptions
  readonly #splitter: Splitter
  readonly #queue: Waiting[] = []
  #turn: Promise<unknown> = Promise.resolve()
  #sending: Promise<void> | undefined
  /** Counts failed sends: what was split before one may rest on a definition that never arrived. */
  #failures = 0
  #waitingBytes = 0
  #closed = false

  constructor(options: SamplesProducerOptions) {
    const { intake, rejects, partitions, retentionMs } = options
    this.#options = options
    this.#splitter = new Splitter(intake, {
      rejects,
      partitions,
      // Half of it, since an expiry is told in steps of windows.
      ...(retentionMs === undefined ? {} : { rememberedMs: retentionMs / 2 }),
      place: (tenant, entity) => partitionOf(entityKey(tenant, entity), partitions),
    })
  }

  /** Bytes of bodies and messages not yet acknowledged. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Bytes of what is remembered of series. */
  bytes(): number {
    return this.#splitter.bytes()
  }

  /**
   * Resolves when Kafka holds what was taken. The receipt says what was refused here; what needs the state of a series to
   * be refused (order, limits of a partition) is counted by the scorer. Rejects with FS_OVERLOADED when too much waits,
   * FS_QUOTA when the tenant sends too much, FS_IO when Kafka cannot be reached: the sender sends it again.
   */
  async submit(envelope: Envelope): Promise<Receipt> {
    const { length } = envelope.bytes
    if (this.#closed) throw new ForeshockError('FS_OVERLOADED', 'the service is stopping')
    if (this.#waitingBytes > 0 && this.#waitingBytes + length > this.#options.bytesMax) {
      throw new ForeshockError('FS_OVERLOADED', `${this.#waitingBytes} bytes are waiting for Kafka`)
    }
    this.#waitingBytes += length
    try {
      const turn = this.#turn.then(() => this.#take(envelope))
      this.#turn = turn.catch(() => {})
      const { receipt, sent } = await turn
      await sent
      return receipt
    } finally {
      this.#waitingBytes -= length
    }
  }

  /** Takes nothing more; resolves when what was taken is acknowledged or failed. The producer stays open. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#turn
    await this.#sending
    this.#splitter.keep()
  }

  async #take(envelope: Envelope): Promise<{ receipt: Receipt; sent: Promise<void> }> {
    const splitter = this.#splitter
    let parcel = splitter.split(envelope)
    const { admit } = this.#options
    const { samples, histograms } = parcel.receipt
    if (admit && samples + histograms > 0) {
      const failures = this.#failures
      const admission = await this.#admission(admit, envelope, parcel)
      if (admission.refused.length > 0) {
        parcel = splitter.again(envelope, admission.refused, 'tenant-series-limit')
      } else if (failures !== this.#failures) {
        splitter.undo()
        parcel = splitter.split(envelope)
      }
    }
    splitter.keep()
    return { receipt: parcel.receipt, sent: this.#send(parcel, envelope) }
  }

  async #admission(
    admit: NonNullable<SamplesProducerOptions['admit']>,
    envelope: Envelope,
    { receipt, fresh }: Parcel,
  ): Promise<Admission> {
    try {
      const admission = await admit(envelope.tenant, receipt.samples + receipt.histograms, fresh)
      if (admission.retryAfterMs <= 0) return admission
      throw quotaExceeded(envelope.tenant, admission.retryAfterMs)
    } catch (error) {
      this.#splitter.undo()
      throw error
    }
  }

  #send({ parts }: Parcel, { tenant, arrivalMs }: Envelope): Promise<void> {
    if (parts.length === 0) return Promise.resolve()
    const headers = { [HEADERS.content]: CONTENT.columns, [HEADERS.tenant]: tenant }
    let bytes = 0
    const messages = parts.map(part => {
      bytes += part.bytes.length
      return { key: null, value: part.bytes, headers, timestampMs: arrivalMs, partition: part.partition }
    })
    this.#waitingBytes += bytes
    const sent = new Promise<void>((done, failed) => {
      this.#queue.push({ messages, bytes, done, failed })
    })
    this.#sending ??= this.#run().finally(() => {
      this.#sending = undefined
    })
    return sent
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch: Waiting[] = []
      let bytes = 0
      while (this.#queue.length > 0 && (bytes === 0 || bytes + this.#queue[0].bytes <= SEND_BYTES)) {
        const next = this.#queue.shift() as Waiting
        bytes += next.bytes
        batch.push(next)
      }
      try {
        await this.#options.producer.send(
          TOPICS.samples,
          batch.flatMap(({ messages }) => messages),
        )
        for (const { done } of batch) done()
      } catch (error) {
        // What waits may rest on definitions that were in this send: its senders send again as well.
        this.#failures++
        this.#splitter.forgetTold()
        batch.push(...this.#queue.splice(0))
        for (const { failed } of batch) failed(error)
      }
      for (const waiting of batch) this.#waitingBytes -= waiting.bytes
    }
  }
}

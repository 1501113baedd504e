import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { ModelCommand, ModelWord } from '../core/model-word.ts'
import { type StreamMessage, type StreamProducer, type Streams, TOPICS } from '../core/stream.ts'
import { CONTROL_TRANSACTOR, type ControlBook, modelWordMessage } from './control.ts'
import { modelMessage } from './model-orders.ts'
import { auditMessage } from './stage-orders.ts'

/** Gateways that order at the same moment shut each other out: so many tries, this far apart at first, ms. */
const TRIES_MAX = 6
const AGAIN_MS = 60

/** What it takes to decide in a fleet, and to tell it. */
export interface DecisionParts {
  readonly streams: Streams
  readonly producer: StreamProducer
  readonly samplesPartitions: number
  readonly anomaliesPartitions: number
  readonly book: ControlBook
  readonly logger: Logger
  readonly clock: Clock
}

/** What is decided under the eyes of no other. */
export interface Decision {
  readonly word: ModelWord
  readonly audit: { readonly who: string; readonly action: string; readonly detail: unknown }
}

/**
 * Words on models in the topic `control`: decided under a transactor that shuts other gateways out, then told to every
 * partition.
 */
export class ModelDecisions {
  readonly #parts: DecisionParts

  constructor(parts: DecisionParts) {
    this.#parts = parts
  }

  /** Decides a word on a model while no other gateway can, with the newest of all words before its eyes. */
  async decide(model: string, decide: (word: ModelWord | undefined) => Decision | undefined): Promise<void> {
    const { streams, book, clock } = this.#parts
    for (let tries = 1; ; tries++) {
      const transactor = await away(() => streams.transactor(CONTROL_TRANSACTOR))
      try {
        await book.catchUp()
        const decision = decide(book.models.get(model))
        if (!decision) return
        const nowMs = clock()
        const note = auditMessage({ timeMs: nowMs, ...decision.audit }, 'default')
        await transactor.send([
          { topic: TOPICS.control, message: modelWordMessage(decision.word, nowMs) },
          { topic: TOPICS.anomalies, message: note },
        ])
        book.said(decision.word)
        return
      } catch (error) {
        if (!(error instanceof ForeshockError) || error.code !== 'FS_FENCED') throw asAway(error)
        if (tries >= TRIES_MAX)
          throw new ForeshockError('FS_AWAY', 'other gateways order models at the same moment; come back', {
            cause: error,
          })
      } finally {
        await transactor.close().catch(() => {}) // what it wrote stands
      }
      await wait(tries * AGAIN_MS * (1 + (process.pid % 5)))
    }
  }

  /** Tells every partition; whom it cannot be told now reads it in `control`. */
  async tell(command: ModelCommand): Promise<void> {
    const { producer, samplesPartitions, anomaliesPartitions, clock, logger } = this.#parts
    const nowMs = clock()
    const all = (count: number): StreamMessage[] =>
      Array.from({ length: count }, (_, partition) => modelMessage(command, partition, nowMs))
    const told = await Promise.allSettled([
      producer.send(TOPICS.samples, all(samplesPartitions)),
      producer.send(TOPICS.anomalies, all(anomaliesPartitions)),
    ])
    for (const one of told)
      if (one.status === 'rejected')
        logger.warn({ err: one.reason, model: command.model }, 'not all partitions could be told of an order')
  }

  /** Writes into the audit trail what needed no decision. */
  async note({ who, action, detail }: Decision['audit']): Promise<void> {
    const { producer, clock, logger } = this.#parts
    await producer
      .send(TOPICS.anomalies, [auditMessage({ timeMs: clock(), who, action, detail }, 'default')])
      .catch(error => logger.error({ err: error, who, action, detail }, 'not written to the audit trail'))
  }
}

/** An engine that is away is no fault of who asks. */
export async function away<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asAway(error)
  }
}

function asAway(error: unknown): unknown {
  if (!(error instanceof ForeshockError) || error.code !== 'FS_IO') return error
  return new ForeshockError('FS_AWAY', error.message, { cause: error })
}

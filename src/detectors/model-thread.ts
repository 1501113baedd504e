import type { Worker } from 'node:worker_threads'
import { type ErrorCode, ForeshockError } from '../core/errors.ts'
import type { ModelCard } from './model-card.ts'
import { type Answers, AskingEnd, channelFor } from './model-channel.ts'
import { startThread } from './model-module.ts'
import type { OpenOptions, Proof } from './model-open.ts'

export interface ThreadData {
  readonly folder: string
  readonly options: OpenOptions
}

export type FromThread =
  | { readonly kind: 'open'; readonly card: ModelCard; readonly proof: Proof }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }

/** JavaScript heap of a thread, MB: weights are outside of it, golden rows are the largest thing within. */
const HEAP_MEGABYTES = 512
/** How long a thread may take to release its model, ms; then it is ended as it is. */
const CLOSE_MS = 1000

export interface ThreadEvents extends Answers {
  /** It ended by itself: out of memory, or by a mistake of the runtime. */
  lost(reason: string): void
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** One life of a model's thread. */
export class ModelThread {
  readonly card: ModelCard
  readonly proof: Proof
  readonly #worker: Worker
  readonly #channel: AskingEnd
  #isEnded = false

  private constructor(worker: Worker, card: ModelCard, proof: Proof) {
    this.#worker = worker
    this.card = card
    this.proof = proof
    const memory = channelFor(card)
    this.#channel = new AskingEnd(memory)
    worker.postMessage(memory)
    // A model that nobody asks anything is no reason for the program to stay.
    worker.unref()
  }

  /** Throws what the package is refused for, FS_MODEL_INVALID when it is not open in time. */
  static open(data: ThreadData, timeoutMs: number): Promise<ModelThread> {
    const worker = startThread('model-worker', {
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MEGABYTES },
    })
    return new Promise((resolve, reject) => {
      const refuse = (code: ErrorCode, message: string) => {
        settle()
        void worker.terminate()
        reject(new ForeshockError(code, message))
      }
      const late = () => refuse('FS_MODEL_INVALID', `${data.folder}: it is not open after ${timeoutMs} ms`)
      const timer = setTimeout(late, timeoutMs)
      const onError = (error: unknown) => refuse('FS_MODEL_RUNTIME', `${data.folder}: ${reasonOf(error)}`)
      const onExit = (code: number) =>
        refuse('FS_MODEL_RUNTIME', `${data.folder}: its thread ended with ${code}`)
      const onMessage = (message: FromThread) => {
        if (message.kind === 'refused') return refuse(message.code, message.message)
        settle()
        resolve(new ModelThread(worker, message.card, message.proof))
      }
      const settle = () => {
        clearTimeout(timer)
        worker.off('error', onError).off('exit', onExit).off('message', onMessage)
        // An error that nobody listens to would end the program.
        worker.on('error', () => {})
      }
      worker.on('error', onError).on('exit', onExit).on('message', onMessage)
    })
  }

  /** To be called once. */
  listen(events: ThreadEvents): void {
    const lost = (reason: string) => {
      if (this.#isEnded) return
      this.#isEnded = true
      this.#channel.stop()
      events.lost(reason)
    }
    this.#worker.on('error', (error: unknown) => lost(reasonOf(error)))
    this.#worker.on('exit', code => lost(`its thread ended with ${code}`))
    void this.#channel.listen(events)
  }

  /** Rows that may be asked for now, in one question. */
  get room(): number {
    return this.#isEnded ? 0 : this.#channel.room
  }

  ask(input: Float32Array, from: number, rows: number): void {
    this.#channel.ask(input, from, rows)
  }

  /** Releases the model and ends; a thread that does not listen any more is ended from outside. */
  async close(): Promise<void> {
    if (this.#isEnded) return
    this.#isEnded = true
    const gone = new Promise<void>(resolve => {
      const timer = setTimeout(resolve, CLOSE_MS)
      this.#worker.once('exit', () => {
        clearTimeout(timer)
        resolve()
      })
    })
    // With every slot on its way there is no room to say so.
    if (this.#channel.room > 0) this.#channel.close()
    this.#channel.stop()
    await gone
    void this.#worker.terminate()
  }

  /** Ends a thread that is stuck. Native code is not interrupted: it ends when it comes back from there. */
  abandon(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#channel.stop()
    void this.#worker.terminate()
    this.#worker.unref()
  }
}

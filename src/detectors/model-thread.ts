import type { Worker } from 'node:worker_threads'
import { type ErrorCode, ForeshockError } from '../core/errors.ts'
import type { ModelCard } from './model-card.ts'
import { startThread } from './model-module.ts'
import type { OpenOptions, Proof } from './model-open.ts'

export interface ThreadData {
  readonly folder: string
  readonly options: OpenOptions
}

export interface Ask {
  readonly input: Float32Array<ArrayBuffer>
  readonly rows: number
}

export type FromThread =
  | { readonly kind: 'open'; readonly card: ModelCard; readonly proof: Proof }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'answer'; readonly output: Float32Array<ArrayBuffer> }
  | { readonly kind: 'failed'; readonly message: string }

/** JavaScript heap of a thread, MB: TF.js keeps weights outside of it, golden rows are the largest thing within. */
const HEAP_MEGABYTES = 512
/** How long a thread may take to release its model, ms; then it is ended as it is. */
const CLOSE_MS = 1000

/** What a thread says once it is open; answers come in the order of the questions. */
export interface ThreadEvents {
  answer(output: Float32Array): void
  failed(reason: string): void
  /** It ended by itself: out of memory, or by a mistake of the runtime. */
  lost(reason: string): void
}

/** One life of a model's thread. */
export class ModelThread {
  readonly card: ModelCard
  readonly proof: Proof
  readonly #worker: Worker
  #events: ThreadEvents | undefined
  #isEnded = false

  private constructor(worker: Worker, card: ModelCard, proof: Proof) {
    this.#worker = worker
    this.card = card
    this.proof = proof
    worker.on('message', (message: FromThread) => {
      if (message.kind === 'answer') this.#events?.answer(message.output)
      else if (message.kind === 'failed') this.#events?.failed(message.message)
    })
    const lost = (reason: string) => {
      if (!this.#isEnded) this.#events?.lost(reason)
      this.#isEnded = true
    }
    worker.on('error', (error: unknown) => lost(error instanceof Error ? error.message : String(error)))
    worker.on('exit', code => lost(`its thread ended with ${code}`))
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
      const onError = (error: unknown) =>
        refuse('FS_MODEL_RUNTIME', `${data.folder}: ${error instanceof Error ? error.message : error}`)
      const onExit = (code: number) =>
        refuse('FS_MODEL_RUNTIME', `${data.folder}: its thread ended with ${code}`)
      const onMessage = (message: FromThread) => {
        if (message.kind === 'refused') refuse(message.code, message.message)
        if (message.kind !== 'open') return
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

  listen(events: ThreadEvents): void {
    this.#events = events
  }

  /** Takes the input's buffer away. */
  ask(question: Ask): void {
    this.#worker.postMessage(question, [question.input.buffer])
  }

  /** Whether the program waits for an answer. */
  hold(isAsked: boolean): void {
    if (isAsked) this.#worker.ref()
    else this.#worker.unref()
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
    this.#worker.ref()
    this.#worker.postMessage('close')
    await gone
    this.#end()
  }

  /** Ends a thread that is stuck. Native code is not interrupted: it ends when it comes back from there. */
  abandon(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#end()
  }

  #end(): void {
    void this.#worker.terminate()
    this.#worker.unref()
  }
}

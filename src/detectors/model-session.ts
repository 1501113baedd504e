import { ForeshockError } from '../core/errors.ts'
import type { ModelCard } from './model-card.ts'
import type { Proof } from './model-open.ts'
import type { ModelSession, RuntimeName } from './model-runtime.ts'
import type { ModelThread } from './model-thread.ts'

/** Rows of one call, and calls that may wait: what is beyond is refused, not stored. */
const ROWS_MAX = 65_536
const CALLS_MAX = 64
/** Calls handed to the thread ahead of time, so that it need not wait for the next one. */
const AHEAD = 2
/** How long a call may take when the caller does not say, ms. */
const TIMEOUT_MS = 10_000
/** A stuck thread may come back for this long, ms, or for so many timeouts; then it is replaced. */
const GRACE_MS = 2000
const GRACE_TIMEOUTS = 4
/** A model whose threads are lost this often is not opened again. */
const REPLACED_MAX = 3

interface Call {
  /** Gone once it is with the thread. */
  input: Float32Array<ArrayBuffer> | undefined
  readonly rows: number
  readonly timeoutMs: number
  readonly resolve: (output: Float32Array) => void
  readonly reject: (error: ForeshockError) => void
  timer: NodeJS.Timeout | undefined
  /** Nobody waits for it any more. */
  isOver: boolean
}

/** A model in a thread of its own: calls in turn, time limits, and a new thread when the old one is lost. */
export class ThreadedSession implements ModelSession {
  readonly card: ModelCard
  readonly runtime: RuntimeName
  readonly proof: Proof
  #thread: ModelThread
  readonly #reopen: () => Promise<ModelThread>
  readonly #onClose: () => void
  /** Those with the thread, then those waiting. */
  readonly #asked: Call[] = []
  readonly #waiting: Call[] = []
  /** Why calls are refused at present. */
  #trouble: string | undefined
  #grace: NodeJS.Timeout | undefined
  #replaced = 0
  #isClosed = false

  constructor(thread: ModelThread, reopen: () => Promise<ModelThread>, onClose: () => void) {
    this.card = thread.card
    this.runtime = thread.proof.runtime
    this.proof = thread.proof
    this.#reopen = reopen
    this.#onClose = onClose
    this.#thread = thread
    this.#listen(thread)
  }

  run(input: Float32Array, rows: number, timeoutMs = TIMEOUT_MS): Promise<Float32Array> {
    const refused = this.#refusal(input, rows)
    if (refused !== undefined) return Promise.reject(this.#error(refused))
    if (rows === 0) return Promise.resolve(new Float32Array(0))
    return new Promise((resolve, reject) => {
      const call: Call = {
        input: new Float32Array(input.subarray(0, rows * this.card.input.width)),
        rows,
        timeoutMs,
        resolve,
        reject,
        timer: undefined,
        isOver: false,
      }
      call.timer = setTimeout(() => this.#expire(call), timeoutMs)
      if (this.#asked.length === 0) this.#thread.hold(true)
      this.#waiting.push(call)
      this.#feed()
    })
  }

  #refusal(input: Float32Array, rows: number): string | undefined {
    if (this.#isClosed) return 'it is closed'
    if (this.#trouble !== undefined) return this.#trouble
    if (!Number.isInteger(rows) || rows < 0 || rows > ROWS_MAX) return `0 to ${ROWS_MAX} rows, not ${rows}`
    if (input.length < rows * this.card.input.width) return `${input.length} numbers are no ${rows} rows`
    if (this.#waiting.length >= CALLS_MAX) return `${CALLS_MAX} calls wait already`
    return undefined
  }

  #feed(): void {
    while (this.#asked.length < AHEAD) {
      const call = this.#waiting.shift()
      if (!call) return
      const { input, rows } = call
      if (!input) continue
      call.input = undefined
      this.#asked.push(call)
      this.#thread.ask({ input, rows })
    }
  }

  #listen(thread: ModelThread): void {
    thread.listen({
      answer: output => this.#answered()?.resolve(output),
      failed: reason => this.#answered()?.reject(this.#error(`it fails: ${reason}`)),
      lost: reason => this.#replace(`its thread was lost: ${reason}`),
    })
  }

  /** The call that the thread is through with, unless nobody waits for it. */
  #answered(): Call | undefined {
    const call = this.#asked.shift()
    // It has come back.
    clearTimeout(this.#grace)
    this.#grace = undefined
    this.#trouble = undefined
    this.#feed()
    if (this.#asked.length === 0) this.#thread.hold(false)
    return call && this.#over(call) ? call : undefined
  }

  /** Marks a call as done with; false when it was already. */
  #over(call: Call): boolean {
    if (call.isOver) return false
    call.isOver = true
    clearTimeout(call.timer)
    return true
  }

  #expire(call: Call): void {
    if (!this.#over(call)) return
    call.reject(this.#error(`it took longer than ${call.timeoutMs} ms`))
    const at = this.#waiting.indexOf(call)
    if (at >= 0) this.#waiting.splice(at, 1)
    // Only the first in the thread's hands can be what it is stuck with.
    if (this.#asked[0] !== call || this.#trouble !== undefined) return
    this.#trouble = `it is stuck: a call takes longer than ${call.timeoutMs} ms`
    this.#refuseAll(this.#trouble)
    const graceMs = Math.max(GRACE_MS, GRACE_TIMEOUTS * call.timeoutMs)
    this.#grace = setTimeout(() => this.#replace('it was stuck'), graceMs)
    // The caller has its answer, the program may end.
    this.#grace.unref()
    this.#thread.hold(false)
  }

  #refuseAll(reason: string): void {
    for (const call of [...this.#asked, ...this.#waiting]) {
      if (this.#over(call)) call.reject(this.#error(reason))
    }
    this.#waiting.length = 0
  }

  /** Lets go of the thread and opens the package in another. */
  #replace(reason: string): void {
    clearTimeout(this.#grace)
    this.#grace = undefined
    this.#thread.abandon()
    if (this.#isClosed) return
    this.#trouble = `${reason}, it is being opened again`
    this.#refuseAll(this.#trouble)
    this.#asked.length = 0
    if (++this.#replaced > REPLACED_MAX) {
      this.#trouble = `${reason}, for the ${this.#replaced}th time: it is not opened again`
      return
    }
    this.#reopen().then(
      thread => {
        if (this.#isClosed) return thread.abandon()
        this.#thread = thread
        this.#listen(thread)
        this.#trouble = undefined
      },
      error => {
        this.#trouble = `${reason}, and it cannot be opened again: ${error instanceof Error ? error.message : error}`
      },
    )
  }

  #error(reason: string): ForeshockError {
    return new ForeshockError('FS_MODEL_RUNTIME', `${this.card.id} ${this.card.version}: ${reason}`)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const isStuck = this.#trouble !== undefined
    clearTimeout(this.#grace)
    this.#refuseAll('it is closed')
    this.#onClose()
    if (isStuck) this.#thread.abandon()
    else await this.#thread.close()
  }
}

import { ForeshockError } from '../core/errors.ts'
import type { ModelCard } from './model-card.ts'
import type { Proof } from './model-open.ts'
import type { ModelSession, RuntimeName } from './model-runtime.ts'
import type { ModelThread } from './model-thread.ts'

/** Rows of one call, and calls that may wait: what is beyond is refused, not stored. */
const ROWS_MAX = 65_536
const CALLS_MAX = 64
/** How long a call may take when the caller does not say, ms. */
const TIMEOUT_MS = 10_000
/** A stuck thread may come back for this long, ms, or for so many timeouts; then it is replaced. */
const GRACE_MS = 2000
const GRACE_TIMEOUTS = 4
/** A model whose threads are lost this often is not opened again. */
const REPLACED_MAX = 3

interface Call {
  /** From row `kept` on: the caller's while it is handed over, a copy of what is left after that. */
  input: Float32Array
  kept: number
  readonly rows: number
  readonly output: Float32Array
  /** Rows with the thread or answered, and rows answered. */
  asked: number
  answered: number
  readonly timeoutMs: number
  readonly resolve: (output: Float32Array) => void
  readonly reject: (error: ForeshockError) => void
  timer: NodeJS.Timeout | undefined
  /** Nobody waits for it any more. */
  isOver: boolean
}

/** Numbers that are all written before anybody sees them need not be zero. */
function unwritten(length: number): Float32Array {
  return new Float32Array(Buffer.allocUnsafeSlow(4 * length).buffer)
}

/** A model in a thread of its own: calls in turn, time limits, and a new thread when the old one is lost. */
export class ThreadedSession implements ModelSession {
  readonly card: ModelCard
  readonly runtime: RuntimeName
  readonly proof: Proof
  #thread: ModelThread
  readonly #reopen: () => Promise<ModelThread>
  readonly #onClose: () => void
  /** Of each question with the thread, whose it is; then those with rows to ask for. */
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
        input,
        kept: 0,
        rows,
        output: unwritten(rows * this.card.output.width),
        asked: 0,
        answered: 0,
        timeoutMs,
        resolve,
        reject,
        timer: undefined,
        isOver: false,
      }
      call.timer = setTimeout(() => this.#expire(call), timeoutMs)
      this.#waiting.push(call)
      this.#feed()
      // What found no room is copied: the caller's numbers may be others soon.
      if (call.asked === rows) return
      const { width } = this.card.input
      call.kept = call.asked
      call.input = input.slice(call.asked * width, rows * width)
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
    for (let room = this.#thread.room; room > 0; room = this.#thread.room) {
      const [call] = this.#waiting
      if (!call) return
      const rows = Math.min(room, call.rows - call.asked)
      this.#thread.ask(call.input, call.asked - call.kept, rows)
      this.#asked.push(call)
      call.asked += rows
      if (call.asked === call.rows) this.#waiting.shift()
    }
  }

  #listen(thread: ModelThread): void {
    thread.listen({
      answer: output => {
        const call = this.#back()
        if (call && !call.isOver) {
          call.output.set(output, call.answered * this.card.output.width)
          call.answered += output.length / this.card.output.width
          if (call.answered === call.rows && this.#over(call)) call.resolve(call.output)
        }
        // Not before: the next question may be answered into the same memory at once.
        this.#feed()
      },
      failed: reason => {
        const call = this.#back()
        if (call && this.#over(call)) call.reject(this.#error(`it fails: ${reason}`))
        this.#feed()
      },
      lost: reason => this.#replace(`its thread was lost: ${reason}`),
    })
  }

  /** The call whose question the thread is through with. */
  #back(): Call | undefined {
    clearTimeout(this.#grace)
    this.#grace = undefined
    this.#trouble = undefined
    return this.#asked.shift()
  }

  /** Marks a call as done with; false when it was already. */
  #over(call: Call): boolean {
    if (call.isOver) return false
    call.isOver = true
    clearTimeout(call.timer)
    const at = this.#waiting.indexOf(call)
    if (at >= 0) this.#waiting.splice(at, 1)
    return true
  }

  #expire(call: Call): void {
    if (!this.#over(call)) return
    call.reject(this.#error(`it took longer than ${call.timeoutMs} ms`))
    // Only the first in the thread's hands can be what it is stuck with: this call, or one given up before the thread came to it.
    if (this.#asked[0]?.isOver !== true || this.#trouble !== undefined) return
    this.#trouble = `it is stuck: a call takes longer than ${call.timeoutMs} ms`
    this.#refuseAll(this.#trouble)
    const graceMs = Math.max(GRACE_MS, GRACE_TIMEOUTS * call.timeoutMs)
    this.#grace = setTimeout(() => this.#replace('it was stuck'), graceMs)
    // The caller has its answer, the program may end.
    this.#grace.unref()
  }

  #refuseAll(reason: string): void {
    for (const call of [...this.#asked, ...this.#waiting]) {
      if (this.#over(call)) call.reject(this.#error(reason))
    }
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

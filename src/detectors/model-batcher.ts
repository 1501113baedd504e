import { ForeshockError } from '../core/errors.ts'
import type { ModelSession } from './model-runtime.ts'

export interface BatcherOptions {
  /** How long the first request of a batch waits for others, ms. */
  readonly waitMs: number
  /** Rows that make a batch full; a larger request is cut into batches. */
  readonly rowsMax: number
  /** Rows that may wait, over all requests: more are refused. */
  readonly queueRowsMax: number
}

export const BATCHER_DEFAULTS: BatcherOptions = { waitMs: 5, rowsMax: 1024, queueRowsMax: 65_536 }

interface Request {
  readonly input: Float32Array
  readonly rows: number
  readonly output: Float32Array
  /** Rows handed to the model, and rows answered. */
  asked: number
  answered: number
  /** When it must be on its way, ms of the monotonic clock. */
  readonly dueMs: number
  readonly timer: NodeJS.Timeout
  readonly resolve: (output: Float32Array) => void
  readonly reject: (error: unknown) => void
  isOver: boolean
}

/** Rows of one request in a batch. */
interface Slice {
  readonly request: Request
  readonly from: number
  readonly rows: number
}

/** A session that many ask, through a batcher of its own; closed with it. */
export function batched(session: ModelSession) {
  const batcher = new ModelBatcher(session)
  return {
    run: (caller: string, input: Float32Array, rows: number, timeoutMs: number) =>
      batcher.run(caller, input, rows, timeoutMs),
    close: () => {
      batcher.close()
      return session.close()
    },
  }
}

/**
 * Joins small requests to one model into batches: a batch goes when it is full, or when the oldest of its requests has
 * waited long enough, and one after the other. Callers take turns, each with its oldest request, so that one who asks
 * for much does not hold up the others. A row's output does not depend on the rows beside it, as the contract of
 * sessions says; a batch that fails fails all that are in it.
 */
export class ModelBatcher {
  readonly #session: ModelSession
  readonly #options: BatcherOptions
  /** Requests with rows not yet asked for, by caller; the caller whose turn is next comes first. */
  readonly #callers = new Map<string, Request[]>()
  #queuedRows = 0
  #timer: NodeJS.Timeout | undefined
  #isRunning = false

  constructor(session: ModelSession, options: BatcherOptions = BATCHER_DEFAULTS) {
    this.#session = session
    this.#options = options
  }

  /** Rows that wait. */
  get queuedRows(): number {
    return this.#queuedRows
  }

  /**
   * Output of `rows` rows of the input's width, row-major; `input` is lent until it is there. `timeoutMs` counts from now,
   * waiting and all. Rejects with FS_OVERLOADED when too much waits, else as the session does.
   */
  run(caller: string, input: Float32Array, rows: number, timeoutMs: number): Promise<Float32Array> {
    const { input: columns, output, id } = this.#session.card
    if (!Number.isInteger(rows) || rows < 0 || input.length < rows * columns.width)
      return Promise.reject(
        new ForeshockError(
          'FS_INPUT_INVALID',
          `${id}: ${input.length} numbers are no ${rows} rows of ${columns.width}`,
        ),
      )
    if (rows === 0) return Promise.resolve(new Float32Array(0))
    const { queueRowsMax, waitMs } = this.#options
    if (this.#queuedRows + rows > queueRowsMax)
      return Promise.reject(
        new ForeshockError(
          'FS_OVERLOADED',
          `${id}: ${this.#queuedRows} rows wait, at most ${queueRowsMax} may`,
        ),
      )
    return new Promise((resolve, reject) => {
      const late = () =>
        this.#fail(request, new ForeshockError('FS_MODEL_RUNTIME', `${id}: no answer within ${timeoutMs} ms`))
      const request: Request = {
        input,
        rows,
        output: new Float32Array(rows * output.width),
        asked: 0,
        answered: 0,
        dueMs: performance.now() + waitMs,
        timer: setTimeout(late, timeoutMs),
        resolve,
        reject,
        isOver: false,
      }
      const waiting = this.#callers.get(caller)
      if (waiting) waiting.push(request)
      else this.#callers.set(caller, [request])
      this.#queuedRows += rows
      this.#schedule()
    })
  }

  /** Starts a batch when one is due, or sees to it that one starts when it is. */
  #schedule(): void {
    if (this.#isRunning || this.#queuedRows === 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    const waitMs = this.#queuedRows >= this.#options.rowsMax ? 0 : this.#oldestDueMs() - performance.now()
    if (waitMs <= 0) void this.#runBatch()
    // Timers count in whole milliseconds and may be early.
    else this.#timer = setTimeout(() => this.#schedule(), Math.ceil(waitMs))
  }

  #oldestDueMs(): number {
    let due = Infinity
    for (const [first] of this.#callers.values()) due = Math.min(due, first.dueMs)
    return due
  }

  async #runBatch(): Promise<void> {
    this.#isRunning = true
    const slices = this.#take()
    const { input, output } = this.#session.card
    const rows = slices.reduce((sum, slice) => sum + slice.rows, 0)
    const tensor = new Float32Array(rows * input.width)
    let at = 0
    for (const { request, from, rows } of slices) {
      tensor.set(request.input.subarray(from * input.width, (from + rows) * input.width), at * input.width)
      at += rows
    }
    try {
      const found = await this.#session.run(tensor, rows)
      at = 0
      for (const slice of slices) {
        this.#answer(slice, found.subarray(at * output.width, (at + slice.rows) * output.width))
        at += slice.rows
      }
    } catch (error) {
      for (const { request } of slices) this.#fail(request, error)
    }
    this.#isRunning = false
    this.#schedule()
  }

  /** The next batch: callers in turn, each with its oldest request, as much of it as there is room for. */
  #take(): Slice[] {
    const slices: Slice[] = []
    let room = this.#options.rowsMax
    while (room > 0) {
      const [next] = this.#callers
      if (!next) break
      const [caller, waiting] = next
      const [request] = waiting
      const rows = Math.min(room, this.#shareOf(request, room))
      slices.push({ request, from: request.asked, rows })
      request.asked += rows
      this.#queuedRows -= rows
      room -= rows
      this.#callers.delete(caller)
      if (request.asked === request.rows) waiting.shift()
      if (waiting.length > 0) this.#callers.set(caller, waiting)
    }
    return slices
  }

  /** Of a request that would fill the batch, as much as leaves the others as much. */
  #shareOf(request: Request, room: number): number {
    return Math.min(request.rows - request.asked, Math.ceil(room / this.#callers.size))
  }

  #answer({ request, from, rows }: Slice, values: Float32Array): void {
    if (request.isOver) return
    request.output.set(values, from * this.#session.card.output.width)
    request.answered += rows
    if (request.answered < request.rows) return
    request.isOver = true
    clearTimeout(request.timer)
    request.resolve(request.output)
  }

  #fail(request: Request, error: unknown): void {
    if (request.isOver) return
    request.isOver = true
    clearTimeout(request.timer)
    request.reject(error)
    for (const [caller, waiting] of this.#callers) {
      const at = waiting.indexOf(request)
      if (at < 0) continue
      waiting.splice(at, 1)
      this.#queuedRows -= request.rows - request.asked
      if (waiting.length === 0) this.#callers.delete(caller)
      return
    }
  }

  /** Refuses what waits; the session stays open. */
  close(): void {
    clearTimeout(this.#timer)
    const error = new ForeshockError('FS_MODEL_RUNTIME', `${this.#session.card.id}: it is closed`)
    for (const request of [...this.#callers.values()].flat()) this.#fail(request, error)
  }
}

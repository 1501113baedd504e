import { setTimeout as pause } from 'node:timers/promises'
import { ForeshockError } from '../../core/errors.ts'

export interface ClientOptions {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Told of every failed try that is made again. */
  readonly onRetry: (why: string) => void
  /** The first wait before a try is made again, ms; each further one is twice as long. */
  readonly retryMs?: number
}

/** An answer that asking less may avoid: too many samples, too long, too slow. */
export class TooMuch extends Error {}

/** Tries of one request: with waits of 1, 2, 4, 8 and 16 s a server that is just starting is waited for. */
const TRIES = 6
const FIRST_WAIT_MS = 1000
/** One request may take this long, ms; Prometheus itself stops a query after two minutes. */
const TIMEOUT_MS = 150_000
/** An answer of more bytes is not read to its end: the question is asked in smaller parts. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024
const DETAIL_LENGTH = 300

/** Asks a Prometheus server, again where that helps: lost connections, 429 and 5xx. */
export class PrometheusClient {
  readonly #options: ClientOptions

  constructor(options: ClientOptions) {
    this.#options = options
  }

  /** Bytes of an answer. Throws TooMuch, or FS_IO when every try failed or the server refused. */
  async ask(path: string, init: RequestInit = {}): Promise<Uint8Array> {
    const { url, signal, onRetry, retryMs = FIRST_WAIT_MS } = this.#options
    const place = `${url.replace(/\/+$/, '')}${path}`
    for (let tried = 1; ; tried++) {
      const answer = await this.#try(place, init)
      if (answer instanceof Uint8Array) return answer
      if (answer.final || tried >= TRIES) throw new ForeshockError('FS_IO', `${place}: ${answer.why}`)
      onRetry(`${place}: ${answer.why}`)
      await pause(retryMs * 2 ** (tried - 1), undefined, { signal })
    }
  }

  /** The `data` of an answer of the HTTP API. */
  async data(path: string, form: URLSearchParams): Promise<unknown> {
    const bytes = await this.ask(path, { method: 'POST', body: form })
    const answer = parsed(bytes) as { status?: string; data?: unknown } | undefined
    if (answer?.status !== 'success')
      throw new ForeshockError('FS_IO', `${path}: not an answer of Prometheus`)
    return answer.data
  }

  /** As `data`, for what a server need not know: undefined when it does not. */
  async hint(path: string): Promise<unknown> {
    const place = `${this.#options.url.replace(/\/+$/, '')}${path}`
    const bytes = await this.#try(place, {})
    const answer = bytes instanceof Uint8Array ? (parsed(bytes) as { data?: unknown } | undefined) : undefined
    return answer?.data
  }

  async #try(place: string, init: RequestInit): Promise<Uint8Array | { why: string; final: boolean }> {
    const { headers, signal } = this.#options
    try {
      const answer = await fetch(place, {
        ...init,
        headers: { ...headers, ...(init.headers as Record<string, string> | undefined) },
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
      const bytes = await bounded(answer)
      if (answer.ok) return bytes
      const detail = new TextDecoder().decode(bytes.subarray(0, DETAIL_LENGTH)).trim()
      const why = `${answer.status} ${detail}`
      if (
        /too many samples|exceeded.*(limit|resolution)|sample limit|query timed out in (?!query queue)/i.test(
          detail,
        )
      )
        throw new TooMuch(why)
      return { why, final: answer.status < 500 && answer.status !== 429 }
    } catch (error) {
      if (error instanceof TooMuch || signal.aborted) throw error
      const { cause } = error as Error
      return { why: cause instanceof Error ? cause.message : (error as Error).message, final: false }
    }
  }
}

async function bounded(answer: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of answer.body ?? []) {
    chunks.push(chunk)
    length += chunk.length
    if (length > ANSWER_BYTES_MAX) throw new TooMuch(`an answer of more than ${ANSWER_BYTES_MAX} bytes`)
  }
  return Buffer.concat(chunks)
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}

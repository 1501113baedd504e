import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { guardedLookup, type TargetPolicy } from './target.ts'

export interface PostAnswer {
  readonly status: number
  /** `Retry-After`, ms from now; undefined when absent or unreadable. */
  readonly retryAfterMs: number | undefined
}

/** Bytes of an answer's body that are read before the connection is cut. */
const ANSWER_BYTES_MAX = 65_536

/** Posts to one target over checked addresses. Redirects are not followed. */
export class Poster {
  readonly #url: URL
  readonly #timeoutMs: number
  readonly #agent: HttpAgent | HttpsAgent
  readonly #lookup: ReturnType<typeof guardedLookup>
  readonly #closing = new AbortController()

  constructor(url: URL, policy: TargetPolicy, timeoutMs: number) {
    this.#url = url
    this.#timeoutMs = timeoutMs
    this.#lookup = guardedLookup(policy)
    // Its own agent: a kept connection was opened under this very policy.
    this.#agent =
      url.protocol === 'https:' ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
  }

  /** Rejects on a refused address, a failed connection or a time-out. */
  post(headers: Readonly<Record<string, string>>, body: string, nowMs: number): Promise<PostAnswer> {
    return new Promise((resolve, reject) => {
      const send = this.#url.protocol === 'https:' ? httpsRequest : httpRequest
      const request = send(this.#url, {
        method: 'POST',
        agent: this.#agent,
        lookup: this.#lookup,
        headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
        signal: AbortSignal.any([AbortSignal.timeout(this.#timeoutMs), this.#closing.signal]),
      })
      request.on('error', error => {
        reject(error.name === 'AbortError' ? new Error(`no answer within ${this.#timeoutMs} ms`) : error)
      })
      request.on('response', response => {
        let read = 0
        response.on('data', chunk => {
          read += chunk.length
          if (read > ANSWER_BYTES_MAX) response.destroy()
        })
        response.on('error', () => {}) // the status is what counts
        response.on('close', () => {
          resolve({
            status: response.statusCode ?? 0,
            retryAfterMs: retryAfterMs(response.headers['retry-after'], nowMs),
          })
        })
      })
      request.end(body)
    })
  }

  /** Cuts what is under way. */
  close(): void {
    this.#closing.abort()
    this.#agent.destroy()
  }
}

/** RFC 9110 §10.2.3: seconds or an HTTP date. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}

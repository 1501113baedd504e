import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { pipeline } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ForeshockError } from '../core/errors.ts'
import { TENANT_HEADER, tenantOf } from './http.ts'

/**
 * In a fleet the live state of a tenant (series, scores, topology) is held by one disruption stage. Gateways pass what asks
 * for it on to that process, with the sender's own key: it is checked on both sides.
 */

/** Where live state is held. */
export interface LiveHolders {
  /** Base URL of who holds a tenant's live state now. Rejects with FS_AWAY, naming the part, when nobody does. */
  find(tenant: string): Promise<string>
  /** Nobody answered there: what is remembered of it is out of date. */
  lost(tenant: string, url: string): void
}

/** Headers of a request that are passed on, and of an answer that are passed back; no others are. */
const PASSED_ON = [
  'accept',
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'idempotency-key',
  'if-none-match',
  'x-api-key',
  TENANT_HEADER,
] as const
const PASSED_BACK = [
  'cache-control',
  'content-length',
  'content-type',
  'etag',
  'idempotency-replayed',
  'retry-after',
  'www-authenticate',
] as const
/** Says that a part has moved to another process since it was looked up. */
export const MOVED_HEADER = 'foreshock-moved'
/** How long the holder may say nothing, ms. */
const SILENT_MS_MAX = 30_000
/** How long a question that an answer can do without may take, ms. */
const ASIDE_MS_MAX = 1500
/** Largest answer of such a question, bytes. */
const ASIDE_BYTES_MAX = 65_536

/** Passes requests on to whoever holds what they ask for. */
export class Forwarder {
  readonly #holders: LiveHolders
  readonly #http = new HttpAgent({ keepAlive: true })
  readonly #https = new HttpsAgent({ keepAlive: true })

  constructor(holders: LiveHolders) {
    this.#holders = holders
  }

  /** Answers with what the holder answers. Rejects with FS_AWAY when it cannot be reached. */
  async forward(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const tenant = tenantOf(request)
    // Without a body it can be asked a second time, should the part have moved meanwhile.
    const tries = request.method === 'GET' || request.method === 'HEAD' ? 2 : 1
    let why: unknown
    for (let one = 0; one < tries; one++) {
      const base = await this.#holders.find(tenant)
      try {
        const answer = await this.#send(base, request, reply)
        if (answer.headers[MOVED_HEADER] === undefined) {
          for (const name of PASSED_BACK) {
            const value = answer.headers[name]
            if (value !== undefined) reply.header(name, value)
          }
          reply.code(answer.statusCode ?? 502).send(answer)
          return
        }
        answer.resume()
        why = new Error('it has moved to another process')
      } catch (error) {
        why = error
        // Who asked has gone: the holder is where it was, and nobody waits for it.
        if (reply.raw.destroyed) break
      }
      this.#holders.lost(tenant, base)
    }
    throw new ForeshockError(
      'FS_AWAY',
      `what holds the live state of tenant ${tenant} cannot be reached: ${(why as Error).message}`,
      { cause: why },
    )
  }

  /** JSON of a GET on behalf of a sender, as far as it comes in time; undefined when it does not. */
  async aside(request: FastifyRequest, path: string): Promise<unknown> {
    try {
      const base = await this.#holders.find(tenantOf(request))
      const answer = await fetch(base + path, {
        headers: passedOn(request),
        signal: AbortSignal.timeout(ASIDE_MS_MAX),
      })
      const text = await answer.text()
      return answer.ok && text.length <= ASIDE_BYTES_MAX ? JSON.parse(text) : undefined
    } catch {
      return undefined
    }
  }

  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }

  #send(base: string, request: FastifyRequest, reply: FastifyReply): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const url = new URL(base.replace(/\/$/, '') + request.url)
      const isSecure = url.protocol === 'https:'
      const upstream = (isSecure ? httpsRequest : httpRequest)(url, {
        method: request.method,
        headers: passedOn(request),
        agent: isSecure ? this.#https : this.#http,
        timeout: SILENT_MS_MAX,
      })
      const gone = () => upstream.destroy()
      reply.raw.once('close', gone)
      upstream.on('timeout', () => upstream.destroy(new Error(`no answer within ${SILENT_MS_MAX} ms`)))
      upstream.on('response', answer => {
        answer.once('close', () => reply.raw.off('close', gone))
        resolve(answer)
      })
      upstream.on('error', reject) // once it is answered nobody waits for this any more
      if (request.method === 'GET' || request.method === 'HEAD') upstream.end()
      else pipeline(request.raw, upstream, error => error && reject(error))
    })
  }
}

function passedOn(request: FastifyRequest): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of PASSED_ON) {
    const value = request.headers[name]
    if (typeof value === 'string') headers[name] = value
  }
  return headers
}

/** Passes on every request to a route whose answer lies in live state; to be called after senders were told apart. */
export function forwardLive(app: FastifyInstance, forwarder: Forwarder): void {
  app.addHook('onRequest', async (request, reply) => {
    const { live } = request.routeOptions.config
    if (live === undefined || (live !== true && !live(request))) return
    await forwarder.forward(request, reply)
    return reply
  })
  app.addHook('onClose', async () => forwarder.close())
}

/** Where the service that answers for a part is mounted. */
export const PART_PREFIX = '/stage/'

/** `/stage/<part>/…` goes to the service that answers for the part; each checks its senders itself. */
export function mountParts(
  app: FastifyInstance,
  find: (part: string) => Pick<FastifyInstance, 'routing'> | undefined,
): void {
  app.all(`${PART_PREFIX}:part/*`, {
    config: { quiet: true },
    schema: { hide: true },
    // Before a body is read: it is the part's to read.
    onRequest: async (request, reply) => {
      const { part } = request.params as { part: string }
      const service = find(part)
      if (service === undefined) {
        reply.header(MOVED_HEADER, '1')
        throw new ForeshockError('FS_AWAY', `stage/${part} is not held by this process`)
      }
      reply.hijack()
      request.raw.url = (request.raw.url ?? '').slice(PART_PREFIX.length + part.length) || '/'
      service.routing(request.raw, reply.raw)
    },
    handler: () => {
      throw new ForeshockError('FS_ASSERTION', 'a request to a part was not handed on')
    },
  })
}

import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { DisruptionEvent } from '../core/disruption.ts'
import { ForeshockError } from '../core/errors.ts'
import type { EventSubscription, ServeDeps, Settings } from './deps.ts'
import { visibleTenant } from './http.ts'

/** What clients are told to wait before they come back, ms. */
const RETRY_MS = 2000
/** One event on the wire (WHATWG HTML, section 9.2). JSON has no raw line ends, so one data line is enough. */
function frame(event: DisruptionEvent): string {
  const type = `io.foreshock.disruption.${event.type}.v1`
  return `id: ${event.id}\nevent: ${type}\ndata: ${JSON.stringify(event.disruption)}\n\n`
}

interface Client {
  readonly response: ServerResponse
  subscription: EventSubscription | undefined
  /** Since when it has left what was written unread, Unix ms; undefined while it keeps up. */
  stuckSinceMs: number | undefined
}

/**
 * The clients of GET /api/events. What a client has not read yet waits in the feed, not in a socket's buffer;
 * one that reads nothing for too long is cut, and comes back where it left off.
 */
export class EventClients {
  readonly #open = new Set<Client>()
  readonly #deps: Pick<ServeDeps, 'events' | 'clock'>
  readonly #settings: Settings
  readonly #heart: NodeJS.Timeout
  /** An event goes to many clients: it is written out once. */
  readonly #frames = new WeakMap<DisruptionEvent, string>()

  constructor(deps: Pick<ServeDeps, 'events' | 'clock'>, settings: Settings) {
    this.#deps = deps
    this.#settings = settings
    this.#heart = setInterval(() => this.#beat(), settings.heartbeatMs)
    this.#heart.unref()
  }

  get size(): number {
    return this.#open.size
  }

  /** Takes over a response whose head is written. */
  add(response: ServerResponse, lastEventId: string | undefined, tenant: string | undefined): void {
    const client: Client = { response, subscription: undefined, stuckSinceMs: undefined }
    this.#open.add(client)
    response.on('close', () => this.#leave(client))
    response.on('error', () => this.#leave(client))
    response.on('drain', () => {
      client.stuckSinceMs = undefined
      client.subscription?.drained()
    })
    response.write(`retry: ${RETRY_MS}\n: welcome\n\n`)
    client.subscription = this.#deps.events.subscribe(lastEventId, {
      send: event => {
        if (tenant !== undefined && event.disruption.tenant !== tenant) return true
        return this.#write(client, this.#frameOf(event))
      },
      end: reason => {
        if (reason === 'slow') response.destroy()
        else response.end()
      },
    })
    if (client.subscription === undefined || response.destroyed) {
      this.#leave(client)
      response.end()
    }
  }

  close(): void {
    clearInterval(this.#heart)
    for (const client of [...this.#open]) {
      this.#leave(client)
      client.response.end()
    }
  }

  #leave(client: Client): void {
    if (this.#open.delete(client)) client.subscription?.close()
  }

  #frameOf(event: DisruptionEvent): string {
    const known = this.#frames.get(event)
    if (known !== undefined) return known
    const made = frame(event)
    this.#frames.set(event, made)
    return made
  }

  /** False when the client has to read first. */
  #write(client: Client, text: string): boolean {
    if (client.response.destroyed || client.response.writableEnded) return false
    const more = client.response.write(text)
    if (!more) client.stuckSinceMs ??= this.#deps.clock()
    return more
  }

  #beat(): void {
    const nowMs = this.#deps.clock()
    for (const client of [...this.#open]) {
      if (client.stuckSinceMs === undefined) this.#write(client, ': still here\n\n')
      else if (nowMs - client.stuckSinceMs >= this.#settings.sseStuckMsMax) client.response.destroy()
    }
  }
}

const eventsQuery = z.object({
  lastEventId: z.string().max(300).optional().describe('Where EventSource cannot set Last-Event-ID'),
})

export function eventRoutes(app: FastifyInstance, deps: ServeDeps, settings: Settings): void {
  const clients = new EventClients(deps, settings)
  app.addHook('preClose', done => {
    clients.close()
    done()
  })
  const schema = {
    tags: ['disruptions'],
    summary: 'Disruption events as they happen (server-sent events); resumes from Last-Event-ID',
    produces: ['text/event-stream'],
    querystring: eventsQuery,
  }
  // A HEAD of an endless stream would never end either.
  const options = { config: { scope: 'read', quiet: true }, schema, exposeHeadRoute: false } as const
  app.get('/api/events', options, (request, reply) => {
    if (clients.size >= settings.sseClientsMax)
      throw new ForeshockError('FS_OVERLOADED', `${settings.sseClientsMax} clients are listening already`)
    const query = request.query as z.infer<typeof eventsQuery>
    const header = request.headers['last-event-id']
    const lastEventId = typeof header === 'string' ? header.slice(0, 300) : query.lastEventId
    reply.hijack()
    request.raw.socket.setNoDelay(true)
    request.raw.socket.setKeepAlive(true, settings.heartbeatMs)
    reply.raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    })
    clients.add(reply.raw, lastEventId === '' ? undefined : lastEventId, visibleTenant(request))
  })
}

import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { DisruptionEvent } from '../core/disruption.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ServeDeps, Settings } from './deps.ts'
import { visibleTenant } from './http.ts'

/** What clients are told to wait before they come back, ms. */
const RETRY_MS = 2000

/** One event on the wire (WHATWG HTML, section 9.2). JSON has no raw line ends, so one data line is enough. */
function frame(event: DisruptionEvent): string {
  const type = `io.foreshock.disruption.${event.type}.v1`
  return `id: ${event.id}\nevent: ${type}\ndata: ${JSON.stringify(event.disruption)}\n\n`
}

/** The clients of GET /api/events: each is cut when it does not keep up, and comes back where it left off. */
export class EventClients {
  readonly #open = new Map<ServerResponse, () => void>()
  readonly #settings: Settings
  readonly #heart: NodeJS.Timeout
  /** An event goes to many clients: it is written out once. */
  readonly #frames = new WeakMap<DisruptionEvent, string>()

  constructor(settings: Settings) {
    this.#settings = settings
    this.#heart = setInterval(() => this.#beat(), settings.heartbeatMs)
    this.#heart.unref()
  }

  get size(): number {
    return this.#open.size
  }

  add(
    response: ServerResponse,
    deps: ServeDeps,
    lastEventId: string | undefined,
    tenant: string | undefined,
  ): void {
    let unsubscribe = () => {}
    const leave = () => {
      unsubscribe()
      this.#open.delete(response)
    }
    response.on('close', leave)
    response.on('error', leave)
    this.#open.set(response, leave)
    response.write(`retry: ${RETRY_MS}\n: welcome\n\n`)
    unsubscribe = deps.events.subscribe(lastEventId, event => {
      if (tenant !== undefined && event.disruption.tenant !== tenant) return
      this.#send(response, this.#frameOf(event))
    })
    if (response.destroyed) leave()
  }

  close(): void {
    clearInterval(this.#heart)
    for (const [response, leave] of [...this.#open]) {
      leave()
      response.end()
    }
  }

  #frameOf(event: DisruptionEvent): string {
    const known = this.#frames.get(event)
    if (known !== undefined) return known
    const made = frame(event)
    this.#frames.set(event, made)
    return made
  }

  #send(response: ServerResponse, text: string): void {
    if (response.destroyed || response.writableEnded) return
    response.write(text)
    if (response.writableLength > this.#settings.sseBufferBytesMax) response.destroy()
  }

  #beat(): void {
    for (const response of [...this.#open.keys()]) this.#send(response, ': still here\n\n')
  }
}

const eventsQuery = z.object({
  lastEventId: z.string().max(300).optional().describe('Where EventSource cannot set Last-Event-ID'),
})

export function eventRoutes(app: FastifyInstance, deps: ServeDeps, settings: Settings): void {
  const clients = new EventClients(settings)
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
  app.get('/api/events', { config: { scope: 'read', quiet: true }, schema }, (request, reply) => {
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
    clients.add(reply.raw, deps, lastEventId === '' ? undefined : lastEventId, visibleTenant(request))
  })
}

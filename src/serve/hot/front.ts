import type { Server } from 'node:http'
import { Socket } from 'node:net'
import type { Logger } from 'pino'
import type { Envelope, EnvelopeKind } from '../../core/envelope.ts'
import type { Telemetry } from '../../core/telemetry.ts'
import type { Answer } from '../answer.ts'
import { isLoopback, type Keyring } from '../auth.ts'
import type { BodyMemory } from '../body-memory.ts'
import type { BodyRoom } from '../body-room.ts'
import { encodingOf, tenantNamed } from '../http.ts'
import { answerOf, INTAKES, type IngestPath } from '../ingest-answers.ts'
import type { IngestDeps } from '../ingest-routes.ts'
import { isFailure, problemAnswer, problemOfError, tooBusy } from '../problems.ts'
import { HotConnection } from './connection.ts'
import type { HotHead } from './head.ts'

/** What is read at a time while no body has begun, bytes: a head and a body of the usual 2,000 samples. */
const SCRATCH_BYTES = 65_536
/** Between two looks for connections that are too slow, ms. */
const LOOK_MS = 5000

export interface HotOptions {
  readonly deps: IngestDeps
  readonly telemetry: Telemetry
  readonly keyring: Keyring
  readonly memory: BodyMemory
  readonly room: BodyRoom
  readonly logger: Logger | undefined
  readonly bodyBytesMax: number
  readonly retryAfterSeconds: number
  /** Whether the service is too busy to take anything in. */
  readonly isPressed: () => boolean
}

/** What is known of a request before its body is read. */
export interface Admitted {
  readonly kind: EnvelopeKind
  readonly encoding: Envelope['encoding']
  readonly tenant: string
}

/** Part of Node's socket handles: reads into memory that it is given. */
interface RawHandle {
  useUserBuffer?: unknown
}

/**
 * Reads the requests of senders of samples off their sockets itself, before Node's HTTP server and the router: bodies go
 * from the socket into memory that is used again, where Node makes a buffer of every piece and the engine has to collect
 * it. Everything that is not the plain form of such a request (`readHead`), and who may not send, is handed over and
 * answered as ever; what is answered here is made by the same functions.
 */
export class HotFront {
  readonly scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  readonly connections = new Set<HotConnection>()
  readonly memory: BodyMemory
  readonly room: BodyRoom
  readonly limits: { readonly bodyBytes: number; readonly keepAliveMs: number; readonly requestMs: number }
  readonly #server: Server
  readonly #options: HotOptions
  readonly #listeners: ((socket: Socket) => void)[]
  readonly #timer: NodeJS.Timeout
  #requests = 0
  isStopping = false

  constructor(server: Server, options: HotOptions, lookMs = LOOK_MS) {
    this.#server = server
    this.#options = options
    this.memory = options.memory
    this.room = options.room
    this.limits = {
      bodyBytes: options.bodyBytesMax,
      keepAliveMs: server.keepAliveTimeout,
      requestMs: server.requestTimeout,
    }
    this.#listeners = server.listeners('connection') as ((socket: Socket) => void)[]
    server.removeAllListeners('connection')
    // A connection is not read before it is known into which memory.
    Object.assign(server, { pauseOnConnect: true })
    server.on('connection', raw => this.#open(raw))
    this.#timer = setInterval(() => {
      const nowMs = performance.now()
      for (const connection of this.connections) connection.look(nowMs)
    }, lookMs).unref()
  }

  /** Who sends what, from a head; undefined for whom the router is to answer. */
  async admit(head: HotHead): Promise<Admitted | undefined> {
    const { keyring } = this.#options
    const { kindOf, encodings, unsaid } = INTAKES[head.path]
    if (keyring.open && !isLoopback(head.hostname)) return undefined
    try {
      const principal = keyring.identify({
        authorization: head.authorization,
        'x-api-key': head.apiKey,
      })
      if (!principal?.scopes.has('ingest')) return undefined
      return {
        kind: kindOf(head.contentType),
        encoding: encodingOf(head.contentEncoding, encodings, unsaid),
        tenant: principal.tenant ?? tenantNamed(head.tenant) ?? 'default',
      }
    } catch {
      // The router meets the same error and says it in its own words.
      return undefined
    }
  }

  /** Takes a body in; what its sender is told. Never rejects on what the pipeline says. */
  async ingest(head: HotHead, { kind, encoding, tenant }: Admitted, bytes: Uint8Array): Promise<Answer> {
    const { deps, retryAfterSeconds } = this.#options
    const { path, contentType } = head
    try {
      if (this.#options.isPressed()) throw tooBusy()
      const receipt = await deps.submit({ kind, encoding, arrivalMs: deps.clock(), tenant, bytes })
      return answerOf({ path, url: path, contentType, kind, retryAfterSeconds }, receipt)
    } catch (error) {
      return this.refusal(head, error)
    }
  }

  /** What a sender is told whose body is not taken in. */
  refusal({ path, contentType }: HotHead, error: unknown): Answer {
    const { logger, retryAfterSeconds } = this.#options
    const problem = problemOfError(error, { url: path })
    if (isFailure(problem)) logger?.error({ err: error, requestId: this.#requestId() }, 'request failed')
    const { speaks } = INTAKES[path]
    return problemAnswer(problem, { speaks, url: path, contentType }, retryAfterSeconds)
  }

  /** One observation and at most one log line a request, as of requests that come through the router. */
  record(route: IngestPath, status: number, ms: number): void {
    const { telemetry, logger } = this.#options
    this.#requests++
    telemetry.observe('foreshock_http_seconds', ms / 1000, { route, status: String(status) })
    const level = status < 400 ? 'debug' : 'info'
    if (logger?.isLevelEnabled(level))
      logger[level]({ reqId: this.#requestId(), method: 'POST', route, status, ms }, 'request')
  }

  /** Gives a connection to Node's HTTP server, with what was read of it already. */
  handOver(socket: Socket, read: Buffer, hasEnded: boolean): void {
    if (socket.destroyed) return
    if (!hasEnded) socket.unshift(read)
    for (const listener of this.#listeners) listener.call(this.#server, socket)
    // Nothing can be put back in front of an end.
    if (hasEnded) socket.emit('data', read)
    if (hasEnded) socket.emit('end')
    socket.resume()
  }

  /** From here on every connection ends with its next answer. */
  stop(waitMs: number): void {
    this.isStopping = true
    clearInterval(this.#timer)
    for (const connection of this.connections) connection.letGo()
    setTimeout(() => {
      for (const connection of this.connections) connection.destroy()
    }, waitMs).unref()
  }

  #requestId(): string {
    return `in-${this.#requests.toString(36)}`
  }

  /**
   * Node accepts a connection into a socket of its own making, which cannot be told where to read to; a second one over the
   * same handle can. The first stays, empty, as what the server counts.
   */
  #open(raw: Socket): void {
    const held = raw as unknown as { _handle: RawHandle | null }
    const handle = held._handle
    if (typeof handle?.useUserBuffer !== 'function') {
      // A Node whose sockets are made otherwise.
      for (const listener of this.#listeners) listener.call(this.#server, raw)
      raw.resume()
      return
    }
    held._handle = null
    const open = (connection: HotConnection): Socket => {
      const onread = { buffer: connection.target, callback: connection.take }
      const socket = new Socket({ handle, allowHalfOpen: true, onread } as object)
      socket.on('close', () => raw.destroy())
      return socket
    }
    this.connections.add(new HotConnection(this, open))
  }
}

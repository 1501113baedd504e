/**
 * The program of every lab process: one service of the fleet, or its users. Settings come in its environment,
 * control over its own HTTP server, and it ends when its parent's channel closes: no orphan is possible.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Bounded } from './bounded.ts'
import { type Handler, surroundings } from './handler.ts'
import { handlerOf } from './handlers.ts'
import { startLoad } from './load.ts'
import { PLAN, type ServiceName } from './plan.ts'
import { seededRandom } from './random.ts'
import {
  CONTROL_PATH,
  RESTING,
  SETTINGS_VARIABLE,
  type ServiceSettings,
  type ServiceStatus,
  type Switches,
  TOKEN_HEADER,
} from './settings.ts'
import { Strain } from './strain.ts'
import { startTelemetry, type Telemetry } from './telemetry.ts'

/** Largest request body read, bytes; the largest that the fleet sends is a search answer of about 1 kB. */
const BODY_BYTES_MAX = 256 * 1024
/** Longer than any pause in the load: an idle connection is closed by its caller, never under its feet. */
const KEEP_ALIVE_MS = 65_000
/** Requests that a silent instance leaves unanswered at most. */
const HELD_MAX = 2000

class Service {
  readonly #settings: ServiceSettings
  readonly #switches: Switches
  readonly #pool: Bounded
  readonly #strain: Strain
  readonly #telemetry: Telemetry | undefined
  readonly #handler: Handler | undefined
  readonly #held: ServerResponse[] = []
  readonly #counts: { requests: number; errors: number; dropped: number }
  readonly #server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (incoming, outgoing) => {
    this.#receive(incoming, outgoing).catch(() => outgoing.destroy())
  })

  constructor(settings: ServiceSettings) {
    this.#settings = settings
    this.#switches = { ...RESTING, exporting: settings.exporting }
    this.#strain = new Strain(this.#switches)
    const random = seededRandom(settings.seed)
    if (settings.role === 'load') {
      this.#pool = new Bounded(1, 0, 0)
      this.#counts = startLoad(this.#switches, random)
    } else {
      const plan = PLAN[settings.role]
      this.#pool = new Bounded(plan.slots, plan.queueMax, plan.waitMsMax)
      this.#counts = { requests: 0, errors: 0, dropped: 0 }
      this.#telemetry = startTelemetry(settings, plan.calls, this.#pool)
      this.#handler = handlerOf(
        settings.role,
        surroundings(settings, this.#switches, random, this.#telemetry),
      )
      this.#telemetry.silence(!settings.exporting)
    }
  }

  listen(): Promise<number> {
    return new Promise((done, failed) => {
      this.#server.once('error', failed)
      this.#server.listen(this.#settings.port, '127.0.0.1', () =>
        done((this.#server.address() as AddressInfo).port),
      )
    })
  }

  /** Takes no more connections, answers what is in hand, exports the last second. */
  async drain(): Promise<void> {
    const closed = new Promise<void>(done => this.#server.close(() => done()))
    this.#server.closeIdleConnections()
    await Promise.race([closed, new Promise(done => setTimeout(done, 1500).unref())])
    await this.#telemetry?.stop().catch(() => undefined)
  }

  async #receive(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const path = incoming.url ?? '/'
    if (path === CONTROL_PATH) {
      await this.#control(incoming, outgoing)
      return
    }
    if (this.#switches.silent) {
      if (this.#held.length < HELD_MAX) this.#held.push(outgoing)
      else outgoing.destroy()
      return
    }
    const startedMs = performance.now()
    const { status, text } = await this.#answer(path, incoming)
    if (this.#switches.silent) {
      this.#held.push(outgoing)
      return
    }
    const failed = status >= 500
    this.#counts.requests++
    if (failed) this.#counts.errors++
    this.#telemetry?.served((performance.now() - startedMs) / 1000, failed)
    reply(outgoing, status, text)
  }

  async #answer(path: string, incoming: IncomingMessage): Promise<{ status: number; text: string }> {
    const handler = this.#handler
    if (!handler) return { status: 404, text: '{}' }
    let holds = false
    try {
      const body = await readBody(incoming)
      await this.#pool.acquire()
      holds = true
      this.#strain.request()
      return { status: 200, text: await handler(path, body) }
    } catch (error) {
      const status = error instanceof Error && 'status' in error ? Number(error.status) : 500
      return { status, text: JSON.stringify({ error: error instanceof Error ? error.message : 'failed' }) }
    } finally {
      if (holds) this.#giveBack()
    }
  }

  #giveBack(): void {
    const every = this.#switches.leakSlotEvery
    if (every > 0 && this.#counts.requests % every === 0) this.#pool.leak()
    else this.#pool.release()
  }

  async #control(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (incoming.headers[TOKEN_HEADER] !== this.#settings.token) {
      reply(outgoing, 403, JSON.stringify({ error: 'wrong token' }))
      return
    }
    const body = await readBody(incoming)
    if (body !== '') {
      Object.assign(this.#switches, JSON.parse(body) as Partial<Switches>)
      this.#strain.apply()
      this.#telemetry?.silence(this.#switches.silent || !this.#switches.exporting)
      if (this.#switches.leakSlotEvery === 0) this.#pool.reclaim()
      if (!this.#switches.silent) for (const response of this.#held.splice(0)) response.destroy()
    }
    const status: ServiceStatus = {
      instance: this.#settings.instance,
      version: this.#settings.version,
      ...this.#counts,
    }
    reply(outgoing, 200, JSON.stringify(status))
  }
}

function reply(outgoing: ServerResponse, status: number, text: string): void {
  outgoing.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  outgoing.end(text)
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) throw Object.assign(new Error('the body is too large'), { status: 413 })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function run(): Promise<void> {
  const text = process.env[SETTINGS_VARIABLE]
  if (text === undefined || process.send === undefined)
    throw new Error('a lab process is started by the lab, never alone')
  const settings = JSON.parse(text) as ServiceSettings & { role: ServiceName | 'load' }
  const service = new Service(settings)
  process.on('disconnect', () => process.exit(0))
  // The terminal sends Ctrl-C to the whole group; only the parent decides when the fleet goes.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => void service.drain().then(() => process.exit(0)))
  const port = await service.listen()
  process.send({ port })
}

run().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
})

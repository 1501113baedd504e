// Shows that requests which are read before they reach the router are answered as the router answers them: the same
// request is sent in the form that is read ahead and in one that is not, and status, headers and body are compared. And that
// connections behave: bodies in any pieces, several requests at once, a change of route, senders that break off.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EMPTY_RECEIPT, type Envelope, type Receipt } from '../../../src/core/envelope.ts'
import { ForeshockError, quotaExceeded } from '../../../src/core/errors.ts'
import { Keyring } from '../../../src/serve/auth.ts'
import { BodyMemory } from '../../../src/serve/body-memory.ts'
import { BodyRoom } from '../../../src/serve/body-room.ts'
import { HotFront } from '../../../src/serve/hot/front.ts'
import { listen, type Running, type World, world } from '../world.ts'

const hash = `sha256:${createHash('sha256').update('fsk_sender').digest('hex')}`
const reader = `sha256:${createHash('sha256').update('fsk_reader').digest('hex')}`
const KEYS = [
  { id: 'sender', hash, scopes: ['ingest' as const], tenant: 'acme' },
  { id: 'reader', hash: reader, scopes: ['read' as const] },
]

let here: World
let open: Running
let keyed: Running
let submit: ((envelope: Envelope) => Promise<Receipt>) | undefined
const bodies: { text: string; tenant: string; kind: string }[] = []

const log: { reqId?: string; route?: string; status?: number; level: number }[] = []

beforeAll(async () => {
  here = world()
  const deps = {
    ...here.deps,
    submit: async (envelope: Envelope) => {
      bodies.push({
        text: Buffer.from(envelope.bytes).toString('latin1'),
        tenant: envelope.tenant,
        kind: envelope.kind,
      })
      return submit ? submit(envelope) : here.deps.submit(envelope)
    },
  }
  const logger = pino({ level: 'debug' }, { write: line => log.push(JSON.parse(line)) })
  open = await listen(deps, { bodyBytesMax: 500_000, retryAfterSeconds: 7, logger })
  keyed = await listen(deps, { bodyBytesMax: 500_000, keys: KEYS })
})
afterAll(() => Promise.all([open.close(), keyed.close()]))

let sockets: Socket[] = []
beforeEach(() => {
  bodies.length = 0
  log.length = 0
  submit = undefined
  here.receipt = { ...EMPTY_RECEIPT, samples: 3 }
  here.overloaded = false
})
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  sockets = []
})

interface Reply {
  readonly status: string
  readonly headers: Record<string, string>
  readonly body: string
}

/** A connection whose answers are read one by one. */
class Sender {
  readonly socket: Socket
  #text = ''
  isClosed = false

  constructor(server: Running) {
    const { hostname, port } = new URL(server.url)
    this.socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    this.socket.setNoDelay(true)
    this.socket.on('data', chunk => {
      this.#text += chunk.toString('latin1')
    })
    this.socket.on('end', () => {
      this.isClosed = true
    })
    this.socket.on('error', () => {
      this.isClosed = true
    })
    sockets.push(this.socket)
  }

  write(text: string): void {
    this.socket.write(Buffer.from(text, 'latin1'))
  }

  async answer(): Promise<Reply> {
    for (let tries = 0; tries < 1500; tries++) {
      const end = this.#text.indexOf('\r\n\r\n')
      if (end >= 0) {
        const [status, ...lines] = this.#text.slice(0, end).split('\r\n')
        const headers = Object.fromEntries(
          lines.map(line => [
            line.slice(0, line.indexOf(':')).toLowerCase(),
            line.slice(line.indexOf(':') + 2),
          ]),
        )
        const to = end + 4 + Number(headers['content-length'] ?? 0)
        if (this.#text.length >= to) {
          const body = this.#text.slice(end + 4, to)
          this.#text = this.#text.slice(to)
          return { status, headers, body }
        }
      }
      if (this.isClosed && end < 0) break
      await pause(10)
    }
    throw new Error(`no whole answer: ${JSON.stringify(this.#text)}`)
  }
}

function request(
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
  host = 'localhost',
): string {
  const lines = Object.entries({ 'content-length': String(body.length), ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  return `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join('')}\r\n${body}`
}

const V1 = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' }
const V2 = { ...V1, 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }
const PROTO = { 'content-type': 'application/x-protobuf' }
const JSON_TYPE = { 'content-type': 'application/json' }
const LINES = { 'content-type': 'application/x-ndjson' }

/** The same request, read ahead and not: a header that changes nothing sends it through the router. */
async function bothWays(server: Running, text: string): Promise<readonly [Reply, Reply]> {
  const answers: Reply[] = []
  for (const one of [text, text.replace('\r\n', '\r\nTE: trailers\r\n')]) {
    const sender = new Sender(server)
    sender.write(one)
    const { headers, ...rest } = await sender.answer()
    const { date, ...compared } = headers
    expect(date).toMatch(/ GMT$/)
    answers.push({ ...rest, headers: compared })
  }
  return answers as unknown as readonly [Reply, Reply]
}

const refused = (error: Error) => () => Promise.reject(error)
const PARTIAL = { samples: 5, histograms: 2, exemplars: 1, rejected: 4, reasons: ['näme', 'no “name”'] }
const NOTHING = { ...EMPTY_RECEIPT, rejected: 2, reasons: ['neither'] }
const BROKEN = { ...EMPTY_RECEIPT, failure: { code: 'FS_INPUT_TOO_LARGE', detail: 'inflated' } } as const
const OUTCOMES: readonly (readonly [string, Receipt | Error])[] = [
  ['everything was taken', { ...EMPTY_RECEIPT, samples: 3 }],
  ['some was refused', PARTIAL],
  ['all was refused', NOTHING],
  ['the body cannot be read', BROKEN],
  ['too much is waiting', new ForeshockError('FS_OVERLOADED', 'too much')],
  ['a quota is used up', quotaExceeded('default', 3200)],
  ['the disk is full', new ForeshockError('FS_IO', '/var/secret: ENOSPC')],
  ['there is a mistake', new Error('a secret')],
]
const ROUTES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['/api/v1/write', V1],
  ['/api/v1/write', V2],
  ['/v1/metrics', PROTO],
  ['/v1/metrics', JSON_TYPE],
  ['/api/samples', LINES],
]

describe('an answer', () => {
  it.each(ROUTES.flatMap(([path, headers]) => OUTCOMES.map(outcome => [path, headers, ...outcome] as const)))(
    'of %s %o is the router’s when %s',
    async (path, headers, _, outcome) => {
      submit = outcome instanceof Error ? refused(outcome) : async () => outcome
      const [ahead, routed] = await bothWays(open, request(path, '{}', headers))
      expect(ahead).toEqual(routed)
      expect(bodies).toHaveLength(2)
      expect(bodies[0]).toEqual(bodies[1])
      // One was read ahead and one was not, and both are in the log alike.
      const lines = log.filter(line => line.route !== undefined)
      expect(lines.map(line => line.reqId?.split('-')[0])).toEqual(['in', 'req'])
      expect(lines[0]).toMatchObject({ route: path, status: lines[1].status, level: lines[1].level })
      const failures = log.filter(line => line.level === 50)
      expect(failures).toHaveLength(ahead.status.includes(' 50') ? 2 : 0)
    },
  )

  it.each([
    ['a host of elsewhere', request('/api/samples', '{}', LINES, 'example.com'), '403'],
    ['a wrong type', request('/api/samples', '{}', { 'content-type': 'text/plain' }), '415'],
    ['no type', request('/api/samples', '{}'), '415'],
    ['a wrong encoding', request('/api/v1/write', '{}', { ...V1, 'content-encoding': 'zstd' }), '415'],
    ['a tenant of no name', request('/api/samples', '{}', { ...LINES, 'foreshock-tenant': 'a b' }), '400'],
    ['a body over the limit', request('/api/samples', 'x'.repeat(500_001), LINES), '413'],
  ])('of %s is the router’s', async (_, text, status) => {
    const [ahead, routed] = await bothWays(open, text)
    expect(ahead.status).toContain(status)
    expect(ahead).toEqual(routed)
    expect(bodies).toHaveLength(0)
  })

  it.each([
    ['the right key', { 'x-api-key': 'fsk_sender' }, '200'],
    ['the right token', { authorization: 'Bearer fsk_sender' }, '200'],
    ['no key', {}, '401'],
    ['an unknown key', { 'x-api-key': 'fsk_other' }, '401'],
    ['a key for something else', { authorization: 'Bearer fsk_reader' }, '403'],
  ])('to %s is the router’s', async (_, headers, status) => {
    const text = request('/api/samples', '{}', { ...LINES, ...headers, 'foreshock-tenant': 'other' })
    const [ahead, routed] = await bothWays(keyed, text)
    expect(ahead.status).toContain(status)
    expect(ahead).toEqual(routed)
    // Whatever tenant is named: the key is tied to one.
    if (status === '200') expect(bodies.map(one => one.tenant)).toEqual(['acme', 'acme'])
    else expect(bodies).toHaveLength(0)
  })
})

describe('a busy service', () => {
  it('answers 503 while its event loop is stuck, then takes samples again, on the same connection', async () => {
    const busy = await listen(here.deps, { eventLoopDelayMsMax: 100 })
    const sender = new Sender(busy)
    const statuses: string[] = []
    const ask = async () => {
      sender.write(request('/api/samples', '{}', LINES))
      const { status, headers } = await sender.answer()
      if (status.includes('503')) expect(headers['retry-after']).toBe('5')
      statuses.push(status.split(' ')[1])
    }
    await ask()
    for (let i = 0; i < 12 && !statuses.includes('503'); i++) {
      const stop = performance.now() + 300
      while (performance.now() < stop) {}
      await ask()
    }
    for (let i = 0; i < 50 && statuses.at(-1) !== '200'; i++) {
      await pause(100)
      await ask()
    }
    expect(statuses[0]).toBe('200')
    expect(statuses).toContain('503')
    expect(statuses.at(-1)).toBe('200')
    await busy.close()
  })
})

describe('room for bodies that are arriving', { timeout: 30_000 }, () => {
  it('is given up by whom it took longest, who is told to come back; nobody else is kept out', async () => {
    const small = await listen(here.deps, { bodyBytesMax: 300_000, bodiesBytesMax: 700_000 })
    const text = request('/api/samples', 'a'.repeat(300_000), LINES)
    const all = text.slice(0, -1)
    const [first, second, third, other] = Array.from({ length: 4 }, () => new Sender(small))
    for (const sender of [first, second]) {
      sender.write(all)
      await pause(200)
    }
    for (let i = 0; i < 20; i++) {
      other.write(request('/api/samples', `{"i":${i}}`, LINES))
      expect((await other.answer()).status).toContain('200')
    }
    third.write(all)
    const { status, headers, body } = await first.answer()
    expect(status).toContain('429')
    expect(headers).toMatchObject({ 'retry-after': '5', connection: 'close' })
    first.socket.destroy()
    expect(JSON.parse(body)).toMatchObject({ code: 'FS_OVERLOADED', instance: '/api/samples' })
    expect(JSON.parse(body).detail).toMatch(
      /^\d+ bytes of bodies are on their way, and none was it for longer/,
    )
    for (const sender of [third, second]) {
      sender.write(text.slice(-1))
      expect((await sender.answer()).status).toContain('200')
    }
    // What was answered or broken off takes no room any more.
    for (let round = 0; round < 6; round++) {
      const leaving = new Sender(small)
      leaving.write(all)
      await pause(50)
      leaving.socket.destroy()
    }
    for (const sender of [second, third]) sender.write(all)
    await pause(200)
    for (const sender of [second, third]) {
      sender.write(text.slice(-1))
      expect((await sender.answer()).status).toContain('200')
    }
    await small.close()
  })

  it('is not asked for by a body that is alone', async () => {
    const small = await listen(here.deps, { bodyBytesMax: 300_000, bodiesBytesMax: 1000 })
    const sender = new Sender(small)
    const text = request('/api/samples', 'a'.repeat(300_000), LINES)
    sender.write(text.slice(0, -1))
    await pause(200)
    sender.write(text.slice(-1))
    expect((await sender.answer()).status).toContain('200')
    await small.close()
  })
})

describe('time', { timeout: 30_000 }, () => {
  /** A front that looks after its connections all the time, and gives them little. */
  const hurried = async (receipt: Receipt) => {
    const server = createServer(() => {})
    server.requestTimeout = 300
    server.keepAliveTimeout = 3000
    const options = {
      deps: { submit: async () => receipt, clock: () => 0 },
      telemetry: here.deps.telemetry,
      keyring: new Keyring([]),
      memory: new BodyMemory(),
      room: new BodyRoom(1e6),
      logger: undefined,
      bodyBytesMax: 1000,
      retryAfterSeconds: 5,
      isPressed: () => false,
    }
    const front = new HotFront(server, options, 50)
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    const running = {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      close: async () => {
        front.stop(1000)
        await new Promise(closed => server.close(closed))
      },
    }
    return { server, front, running }
  }

  it('is short for who reads no answer', async () => {
    // More than all that keeps bytes on their way would keep.
    const { front, running } = await hurried({ ...EMPTY_RECEIPT, samples: 1, reasons: ['x'.repeat(3e7)] })
    const sender = new Sender(running)
    sender.socket.pause()
    sender.write(request('/api/samples', 'abc', LINES))
    for (let i = 0; i < 500 && front.connections.size === 0; i++) await pause(10)
    for (let i = 0; i < 500 && front.connections.size > 0; i++) await pause(10)
    expect(front.connections.size).toBe(0)
    sender.socket.destroy()
    await running.close()
  })

  it('is short for who never ends a request, and for who has nothing more to say', async () => {
    const { server, front, running } = await hurried(EMPTY_RECEIPT)
    const text = request('/api/samples', 'abc', LINES)
    const [silent, slow, done] = [new Sender(running), new Sender(running), new Sender(running)]
    slow.write(text.slice(0, -1))
    done.write(text)
    expect((await done.answer()).status).toContain('200')
    expect((await slow.answer()).status).toContain('408')
    expect((await silent.answer()).status).toContain('408')
    expect(done.isClosed).toBe(false)
    for (let i = 0; i < 800 && !done.isClosed; i++) await pause(10)
    expect(done.isClosed).toBe(true)
    expect((await new Promise<number>(d => server.getConnections((_, n) => d(n)))) <= 2).toBe(true)
    for (const one of [silent, slow, done]) one.socket.destroy()
    for (let i = 0; i < 500 && front.connections.size > 0; i++) await pause(10)
    expect(front.connections.size).toBe(0)
    await running.close()
  })
})

describe('a connection', () => {
  it('reads a body cut anywhere', async () => {
    const text = request('/api/samples', 'abcdefgh', LINES)
    const sender = new Sender(open)
    // First as a whole, so that its head is known; from then on cut in two, at every place.
    sender.write(text)
    await sender.answer()
    const bodyAt = text.length - 8
    for (let at = bodyAt; at < text.length; at++) {
      sender.write(text.slice(0, at))
      await pause(2)
      sender.write(text.slice(at))
      expect((await sender.answer()).status).toContain('200')
    }
    expect(bodies.map(one => one.text)).toEqual(bodies.map(() => 'abcdefgh'))
    expect(bodies).toHaveLength(9)
  })

  it('reads a head cut anywhere', async () => {
    const text = request('/api/samples', 'abcdefgh', LINES)
    for (let at = 1; at < text.length - 8; at += 7) {
      const sender = new Sender(open)
      sender.write(text.slice(0, at))
      await pause(5)
      sender.write(text.slice(at))
      expect((await sender.answer()).status).toContain('200')
    }
    expect(bodies.every(one => one.text === 'abcdefgh')).toBe(true)
  })

  it('reads bodies of any size', async () => {
    const sender = new Sender(open)
    const sizes = [0, 1, 100_000, 65_400, 65_536, 3, 499_999, 131_072, 0, 70_000]
    for (const [i, size] of sizes.entries()) {
      const body = String.fromCharCode(97 + i).repeat(size)
      sender.write(request('/api/samples', body, LINES))
      expect((await sender.answer()).status).toContain('200')
      expect(bodies[i].text === body).toBe(true)
    }
  })

  it('answers requests that come all at once in their order', async () => {
    const sender = new Sender(open)
    submit = async ({ bytes }) => {
      // The first take longest: answers wait for their turn all the same.
      await pause(bytes.length > 50 ? 20 : 1)
      return { ...EMPTY_RECEIPT, samples: bytes.length }
    }
    const sizes = [90, 1, 60, 0, 20_000, 70_000, 2]
    sender.write(sizes.map(size => request('/api/samples', 'x'.repeat(size), LINES)).join(''))
    for (const size of sizes) expect(JSON.parse((await sender.answer()).body).samples).toBe(size)
  })

  it('may change to any other route and back', async () => {
    const sender = new Sender(open)
    const livez = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const samples = request('/api/samples', 'abc', LINES)
    for (const text of [samples, samples, livez, samples, livez + samples + livez]) sender.write(text)
    const got: string[] = []
    for (let i = 0; i < 7; i++) got.push((await sender.answer()).body.slice(0, 10))
    const [one, other] = ['{"samples"', '{"live":tr']
    expect(got).toEqual([one, one, other, one, other, one, other])
    expect(bodies.map(({ text }) => text)).toEqual(['abc', 'abc', 'abc', 'abc'])
  })

  it('does not take another’s word for a sender that is known', async () => {
    const sender = new Sender(keyed)
    const good = request('/api/samples', 'abc', { ...LINES, 'x-api-key': 'fsk_sender' })
    sender.write(good)
    expect((await sender.answer()).status).toContain('200')
    sender.write(good.replace('fsk_sender', 'fsk_sendes'))
    expect((await sender.answer()).status).toContain('401')
    expect(bodies).toHaveLength(1)
  })

  it('answers who has said all and closed its side, then closes', async () => {
    for (const text of ['', 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n']) {
      submit = async () => {
        await pause(30)
        return EMPTY_RECEIPT
      }
      const sender = new Sender(open)
      sender.socket.end(request('/api/samples', 'abc', LINES) + text)
      expect((await sender.answer()).status).toContain('200')
      if (text) expect((await sender.answer()).body).toContain('live')
      for (let i = 0; i < 100 && !sender.isClosed; i++) await pause(10)
      expect(sender.isClosed).toBe(true)
    }
  })

  it('answers 400 to who breaks off in a body, and takes nothing of it', async () => {
    const sender = new Sender(open)
    sender.socket.end(request('/api/samples', 'abcdef', LINES).slice(0, -1))
    expect((await sender.answer()).status).toContain('400')
    expect(bodies).toHaveLength(0)
  })

  it('outlives senders that vanish', async () => {
    submit = async () => {
      await pause(30)
      return EMPTY_RECEIPT
    }
    const text = request('/api/samples', 'x'.repeat(100_000), LINES)
    for (const part of [text, text.slice(0, 90_000), text.slice(0, 20)]) {
      const sender = new Sender(open)
      sender.write(part)
      await pause(15)
      sender.socket.resetAndDestroy()
    }
    await pause(60)
    submit = undefined
    const sender = new Sender(open)
    sender.write(request('/api/samples', 'abc', LINES))
    expect((await sender.answer()).status).toContain('200')
  })

  it('does not mix bodies of many senders', async () => {
    submit = async ({ bytes }) => {
      const before = Buffer.from(bytes).toString('latin1')
      await pause(bytes.length % 7)
      expect(Buffer.from(bytes).toString('latin1') === before).toBe(true)
      return { ...EMPTY_RECEIPT, samples: bytes.length }
    }
    const senders = Array.from({ length: 20 }, () => new Sender(open))
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        senders.map(async (sender, i) => {
          const size = 1000 * (i + 1) + round
          sender.write(request('/api/samples', String.fromCharCode(65 + i).repeat(size), LINES))
          expect(JSON.parse((await sender.answer()).body).samples).toBe(size)
        }),
      )
    }
    for (const { text } of bodies) expect(new Set(text).size).toBe(1)
  })
})

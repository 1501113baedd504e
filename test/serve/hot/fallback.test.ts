// Shows that where sockets lack what the front needs of Node's internals, connections are Node's own from the first byte: the handle of
// each accepted socket is made to lack it, over real connections. Samples are taken in and answered as where it is there, several
// requests follow each other on a connection, in pieces too, and the server ends.
import type { Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Envelope } from '../../../src/core/envelope.ts'
import { buildServer } from '../../../src/serve/server.ts'
import { world } from '../world.ts'

interface Handled {
  _handle: { useUserBuffer?: unknown } | null
}
type Served = { readonly server: Server; close(): Promise<void> }

const texts: string[] = []
let accepted: (Socket & Handled)[] = []
let lacking: Served
let whole: Served

async function serve(): Promise<Served> {
  const here = world()
  const submit = async (envelope: Envelope) => {
    texts.push(Buffer.from(envelope.bytes).toString('latin1'))
    return here.deps.submit(envelope)
  }
  const app = await buildServer({ ...here.deps, submit }, { eventLoopDelayMsMax: 0, bodyBytesMax: 500_000 })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { server: app.server, close: () => app.close() }
}

beforeAll(async () => {
  lacking = await serve()
  lacking.server.prependListener('connection', socket => {
    const raw = socket as Socket & Handled
    Object.defineProperty(raw._handle, 'useUserBuffer', { value: undefined })
    accepted.push(raw)
  })
  whole = await serve()
  whole.server.prependListener('connection', socket => accepted.push(socket as Socket & Handled))
})
afterAll(() => Promise.all([lacking.close(), whole.close()]))
beforeEach(() => {
  texts.length = 0
  accepted = []
})

function request(body: string, more = ''): string {
  const head = `POST /api/samples HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n${more}`
  return `${head}Content-Length: ${body.length}\r\n\r\n${body}`
}

/** Everything that is answered until the connection is closed, and at what time it was is left out. */
async function answers({ server }: Served, pieces: readonly string[]): Promise<string> {
  const { port } = server.address() as AddressInfo
  const socket = connect({ host: '127.0.0.1', port })
  let text = ''
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
  })
  const closed = new Promise(done => socket.once('close', done))
  for (const piece of pieces) {
    socket.write(piece)
    await pause(20)
  }
  await closed
  return text.replace(/^date: .*$/gim, 'date').replace(/"?req-\w+"?|in-\w+/g, 'id')
}

const LAST = 'Connection: close\r\n'
const statuses = (text: string) => text.match(/HTTP\/1\.1 \d+/g)

describe('a Node whose sockets are made otherwise', () => {
  it('has its connections served by its own HTTP server', async () => {
    // The front, where it can read a socket itself, takes its handle away.
    const handles = new Set<boolean>()
    lacking.server.once('request', () => handles.add(accepted.at(-1)?._handle !== null))
    await answers(lacking, [request('{"a":1}', LAST)])
    expect([...handles]).toEqual([true])
    await answers(whole, [request('{"a":1}', LAST)])
    expect(accepted.at(-1)?._handle).toBe(null)
  })

  it('answers samples as the front does, one request after the other and in any pieces', async () => {
    const long = `{"text":"${'x'.repeat(200_000)}"}`
    const sent = [
      request('{"a":1}') + request('{"b":2}'),
      request(long).slice(0, 90_000),
      request(long).slice(90_000),
    ]
    const both = []
    for (const side of [lacking, whole]) {
      texts.length = 0
      const text = await answers(side, [...sent, request('{"c":3}', LAST)])
      expect(statuses(text)).toEqual(Array(4).fill('HTTP/1.1 200'))
      expect(texts).toEqual(['{"a":1}', '{"b":2}', long, '{"c":3}'])
      both.push(
        text
          .split('\r\n')
          .map(line => line.toLowerCase())
          .sort(),
      )
    }
    expect(both[0]).toEqual(both[1])
  })

  it('refuses what it refuses, in the same words', async () => {
    const wrong = request('{}', LAST).replace('x-ndjson', 'x-nothing')
    const [text, expected] = [await answers(lacking, [wrong]), await answers(whole, [wrong])]
    expect(statuses(text)).toEqual(['HTTP/1.1 415'])
    expect(text.split('\r\n').at(-1)).toBe(expected.split('\r\n').at(-1))
  })
})

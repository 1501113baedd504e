// Shows that a head which is read beside Node's HTTP parser is never read differently from how Node reads it: heads are
// put together from plain and from odd pieces, sent to a server of Node's, and whatever `readHead` makes out must be what
// that server makes out. And that a repeated head is told from one that only looks like it.
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { knownHead, readHead, repeatedLength } from '../../../src/serve/hot/head.ts'

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: Record<string, string | string[] | undefined>
}

let seen: Seen | undefined
const server = createServer((request, response) => {
  const { method, url, headers } = request
  seen = { method, url, headers }
  response.writeHead(204, { connection: 'close' }).end()
  request.resume()
})
beforeAll(() => new Promise<void>(done => server.listen(0, '127.0.0.1', done)))
afterAll(() => server.closeAllConnections())

/** What Node reads in a head; undefined when it refuses it. */
function readByNode(head: string): Promise<Seen | undefined> {
  seen = undefined
  return new Promise(done => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('data', () => socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => done(seen))
    socket.end(Buffer.from(head, 'latin1'))
  })
}

const PLAIN = [
  'Host: localhost:4318',
  'Content-Length: 300',
  'Content-Type: application/x-protobuf',
  'Content-Encoding: snappy',
]
const head = (lines: readonly string[], start = 'POST /api/v1/write HTTP/1.1') =>
  `${[start, ...lines].join('\r\n')}\r\n\r\n`

const odd = fc.constantFrom(
  'Content-Length: 0',
  'Content-Length: 300 ',
  'Content-Length:\t300',
  'Content-Length: +300',
  'Content-Length: 3e2',
  'Content-Length: 300, 300',
  'Content-Length : 300',
  ' Content-Length: 300',
  'content-length: 99999999999999999999',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding : chunked',
  'transfer-encoding: identity',
  'Host: [::1]:80',
  'Host: a b',
  'Host:',
  'Connection: close',
  'Connection: Keep-Alive',
  'Connection: upgrade',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'Foreshock-Tenant: one',
  'X-Api-Key:  a key ',
  'Authorization: Bearer fsk_x',
  'User-Agent: Prometheus/3.0\u00e9',
  'X-Fold: a\r\n b',
  'X-Bare: a\nContent-Length: 5',
  'X-Bare: a\rb',
  'X-Null: a\0b',
  'Bad Name: x',
  'X-Empty:',
  'Content-Type: application/json; charset="utf-8"',
  'Content-Encoding: gzip',
)
const start = fc.oneof(
  fc.constantFrom('POST /api/v1/write HTTP/1.1', 'POST /v1/metrics HTTP/1.1', 'POST /api/samples HTTP/1.1'),
  fc.constantFrom(
    'POST  /api/samples HTTP/1.1',
    'POST /api/samples?a=b HTTP/1.1',
    'POST /api/samples HTTP/1.0',
    'post /api/samples HTTP/1.1',
    'PUT /api/samples HTTP/1.1',
    '\r\nPOST /api/samples HTTP/1.1',
  ),
)

describe('readHead', () => {
  it('reads what senders send', () => {
    const prometheus = head([
      ...PLAIN,
      'User-Agent: Prometheus/3.1',
      'X-Prometheus-Remote-Write-Version: 0.1.0',
    ])
    expect(readHead(prometheus)).toMatchObject({
      path: '/api/v1/write',
      hostname: 'localhost',
      contentType: 'application/x-protobuf',
      contentEncoding: 'snappy',
      tenant: undefined,
      bodyBytes: 300,
    })
  })

  it('knows no request that Node reads differently', async () => {
    let known = 0
    const some = fc.array(odd, { maxLength: 2 })
    const order = fc.oneof(fc.constant(PLAIN), fc.shuffledSubarray(PLAIN, { minLength: 3 }))
    await fc.assert(
      fc.asyncProperty(start, order, some, async (first, plain, more) => {
        const text = head([...plain, ...more], first)
        const ours = readHead(text)
        if (ours === undefined) return
        known++
        const theirs = await readByNode(text)
        expect(theirs).toMatchObject({ method: 'POST', url: ours.path })
        const { headers } = theirs as Seen
        expect(headers['content-length']).toBe(String(ours.bodyBytes))
        expect(headers['transfer-encoding']).toBeUndefined()
        expect(headers.connection ?? 'keep-alive').toMatch(/^keep-alive$/i)
        expect(headers.host?.toString().startsWith(ours.hostname)).toBe(true)
        expect(headers['content-type']).toBe(ours.contentType)
        expect(headers['content-encoding']).toBe(ours.contentEncoding)
        expect(headers.authorization).toBe(ours.authorization)
        expect(headers['x-api-key']).toBe(ours.apiKey)
        expect(headers['foreshock-tenant']).toBe(ours.tenant)
      }),
      { numRuns: 600, seed: 7 },
    )
    expect(known).toBeGreaterThan(60)
  })

  it.each([
    ['another path', head(PLAIN, 'POST /api/v1/writes HTTP/1.1')],
    ['a query', head(PLAIN, 'POST /api/v1/write?x=1 HTTP/1.1')],
    ['no host', head(PLAIN.slice(1))],
    ['no length', head(PLAIN.filter(line => !line.startsWith('Content-Length')))],
    ['two lengths', head([...PLAIN, 'content-length: 300'])],
    ['a length and chunks', head([...PLAIN, 'Transfer-Encoding: chunked'])],
    ['a bare line feed', head([...PLAIN, 'X: a\nTransfer-Encoding: chunked'])],
    ['a folded line', head([...PLAIN, 'X: a\r\n Transfer-Encoding: chunked'])],
    ['an end of the connection', head([...PLAIN, 'Connection: close'])],
    ['a request to wait for a word', head([...PLAIN, 'Expect: 100-continue'])],
    ['a head without end', head(PLAIN).slice(0, -2)],
    ['a long head', head([...PLAIN, `X: ${'x'.repeat(9000)}`])],
  ])('leaves %s to Node', (_, text) => {
    expect(readHead(text)).toBeUndefined()
  })
})

describe('repeatedLength', () => {
  const text = head(PLAIN)
  const known = knownHead(text, readHead(text) as NonNullable<ReturnType<typeof readHead>>)

  it('finds the length of the same head', () => {
    expect(repeatedLength(text, known)).toBe(300)
    expect(repeatedLength(text.replace('300', '7'), known)).toBe(7)
  })

  it('is never wrong where it says something', () => {
    const piece = fc.constantFrom('300', '4', '04', '', '3 00', '3\r\nX: 1', '-3', '1e3', '9'.repeat(20))
    fc.assert(
      fc.property(piece, odd, fc.boolean(), (length, line, isChanged) => {
        const other = head([...PLAIN.map(one => one.replace('300', length)), ...(isChanged ? [line] : [])])
        const found = repeatedLength(other, known)
        if (found !== undefined) expect(readHead(other)?.bodyBytes).toBe(found)
      }),
    )
  })
})

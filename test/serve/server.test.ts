// Shows how the service as a whole behaves at its edges: broken requests on raw sockets, headers that protect
// browsers, probes, its own metrics, limits of rate and load, what is logged, and how it stops.
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import type { ServeOptions } from '../../src/serve/deps.ts'
import { addSeries, json, listen, type Running, type World, world } from './world.ts'

let server: Running
let here: World
async function start(options: ServeOptions = {}): Promise<void> {
  here = world()
  server = await listen(here.deps, options)
}
afterEach(() => server.close())

/** Sends text on a socket of its own and collects the answer until the service closes it. */
function raw(text: string): Promise<string> {
  return new Promise(resolve => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8')
    socket.on('data', chunk => {
      answer += chunk
    })
    socket.on('error', () => resolve(answer))
    socket.on('close', () => resolve(answer))
    socket.write(text)
  })
}

function problemIn(answer: string) {
  expect(answer).toMatch(/content-type: application\/problem\+json/i)
  return JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))
}

describe('a client that reads nothing', () => {
  const QUERY = 'GET /api/v1/query_range?query=1&start=0&end=10000&step=1 HTTP/1.1\r\nhost: localhost\r\n\r\n'
  /** More than the system keeps for a connection. */
  const QUERIES = 150

  /** Asks for it all and reads only when told to. */
  function ask() {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    const client = { socket, bytes: 0, isClosed: false }
    socket.on('data', chunk => {
      client.bytes += chunk.length
    })
    socket.on('close', () => {
      client.isClosed = true
    })
    socket.on('error', () => {})
    socket.pause()
    socket.write(QUERY.repeat(QUERIES))
    return client
  }

  it('is cut, and who is only slow, or says nothing between two answers, is not', async () => {
    await start({ answerStuckMsMax: 1500 })
    const one = await (await fetch(`${server.url}${QUERY.split(' ')[1]}`)).text()
    const idle = connect(Number(new URL(server.url).port), '127.0.0.1')
    idle.on('data', () => {})
    idle.write('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n')
    const stuck = ask()
    const slow = ask()
    for (let i = 0; i < 25; i++) {
      slow.socket.resume()
      await sleep(1)
      slow.socket.pause()
      await sleep(120)
    }
    for (const { socket } of [slow, stuck]) socket.resume()
    while (slow.bytes < QUERIES * one.length) {
      expect(slow.isClosed).toBe(false)
      await sleep(10)
    }
    slow.socket.destroy()
    while (!stuck.isClosed) await sleep(10)
    expect(stuck.bytes).toBeLessThan(QUERIES * one.length)
    expect(idle.closed).toBe(false)
    idle.destroy()
  })
})

describe('broken requests', () => {
  it.each([
    ['garbage', 'nonsense\r\n\r\n', 400],
    ['huge headers', `GET /livez HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`, 431],
    ['a header without a colon', 'GET /livez HTTP/1.1\r\nhost localhost\r\n\r\n', 400],
    [
      'two lengths',
      'POST /api/samples HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx',
      400,
    ],
  ])('%s is answered with a problem', async (_name, text, status) => {
    await start()
    const answer = await raw(text)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(problemIn(answer)).toMatchObject({ status, code: 'FS_INPUT_INVALID' })
    expect((await fetch(`${server.url}/livez`)).status).toBe(200)
  })

  it.each([
    'not a type at all',
    ';;;',
    'application/json; charset=""; charset',
    `application/${'x'.repeat(5000)}`,
    'application/x-protobuf;proto',
    'a/b; =; ="',
  ])('the content type %j is no reason to fail', async type => {
    await start()
    for (const path of ['/api/v1/write', '/v1/metrics', '/api/samples', '/api/changes', '/api/explain']) {
      const answer = await fetch(server.url + path, {
        method: 'POST',
        headers: { 'content-type': type },
        body: 'x',
      })
      expect([200, 204, 400, 415], path).toContain(answer.status)
      await answer.arrayBuffer()
    }
  })

  it('a query that is not JSON names the body', async () => {
    await start()
    const ask = (body: string) =>
      fetch(`${server.url}/api/explain`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
    for (const body of ['{', '', '[]', '{"__proto__":{"at":1}}', '{"at":1e400}', '{"at":null}']) {
      const answer = await ask(body)
      expect(answer.status, body).toBe(400)
      expect((await json(answer)).code).toBe('FS_INPUT_INVALID')
    }
    expect((await ask(JSON.stringify({ at: 1, x: 'x'.repeat(70_000) }))).status).toBe(413)
  })

  it('a mistake of ours is answered with 500 and without its inside', async () => {
    await start()
    here.deps.series.meta = () => {
      throw new Error('secret inside')
    }
    addSeries(here, 'm', {})
    const answer = await fetch(`${server.url}/api/series`)
    expect(answer.status).toBe(500)
    const text = await answer.text()
    expect(text).not.toContain('secret')
    expect(JSON.parse(text).code).toBe('FS_ASSERTION')
  })
})

describe('an open service', () => {
  it('answers to loopback names only', async () => {
    await start()
    const port = new URL(server.url).port
    const as = (host: string) =>
      raw(`GET /api/status HTTP/1.1\r\nhost: ${host}:${port}\r\nconnection: close\r\n\r\n`)
    expect(await as('evil.example')).toMatch(/^HTTP\/1.1 403 /)
    expect(await as('localhost')).toMatch(/^HTTP\/1.1 200 /)
    expect(await as('[::1]')).toMatch(/^HTTP\/1.1 200 /)
  })

  it('sends the headers that protect browsers, and no permission to other sites', async () => {
    await start()
    const { headers } = await fetch(`${server.url}/`, { headers: { origin: 'https://evil.example' } })
    const policy = headers.get('content-security-policy') as string
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self'")
    expect(policy).not.toMatch(/script-src[^;]*unsafe/)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.has('access-control-allow-origin')).toBe(false)
    expect(headers.has('x-powered-by')).toBe(false)
  })
})

describe('probes and metrics', () => {
  it('/readyz says why not', async () => {
    await start()
    expect(await json(await fetch(`${server.url}/readyz`))).toEqual({ ready: true, why: [] })
    here.ready = false
    const answer = await fetch(`${server.url}/readyz`)
    expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true])
    expect(await json(answer)).toMatchObject({ ready: false, why: ['restoring the checkpoint'] })
    expect((await fetch(`${server.url}/livez`)).status).toBe(200)
  })

  it('/metrics counts requests by route, not by path', async () => {
    await start()
    for (const path of ['/api/disruptions/a', '/api/disruptions/b', '/nope/1', '/nope/2'])
      await (await fetch(server.url + path)).arrayBuffer()
    const text = await (await fetch(`${server.url}/metrics`)).text()
    expect(text).toMatch(/foreshock_http_seconds_count\{route="\/api\/disruptions\/:id",status="404"\} 2/)
    expect(text).toMatch(/foreshock_http_seconds_count\{route="unmatched",status="404"\} 2/)
    expect(text).not.toContain('/nope/1')
  })
})

describe('limits', () => {
  it('answers 429 above the rate, probes excepted', async () => {
    await start({ requestsPerMinuteMax: 5 })
    const statuses: number[] = []
    for (let i = 0; i < 7; i++) statuses.push((await fetch(`${server.url}/api/status`)).status)
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429])
    const answer = await fetch(`${server.url}/api/status`)
    // As long as its minute lasts: whoever came back after the usual five seconds would be refused again.
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(30)
    expect((await json(answer)).code).toBe('FS_OVERLOADED')
    expect((await fetch(`${server.url}/livez`)).status).toBe(200)
  })

  it('keeps nobody away for turns of the event loop that are shorter than the limit', async () => {
    await start({ eventLoopDelayMsMax: 5000 })
    for (let i = 0; i < 2; i++) {
      const stop = performance.now() + 1100
      while (performance.now() < stop) {}
      expect((await fetch(`${server.url}/api/status`)).status).toBe(200)
    }
  })

  it('answers 503 while the event loop is stuck, and 200 again afterwards', async () => {
    await start({ eventLoopDelayMsMax: 100 })
    const statuses = new Set<number>()
    for (let i = 0; i < 12; i++) {
      const stop = performance.now() + 300
      while (performance.now() < stop) {}
      const answer = await fetch(`${server.url}/api/status`)
      statuses.add(answer.status)
      if (answer.status === 503) expect((await json(answer)).code).toBe('FS_OVERLOADED')
      expect((await fetch(`${server.url}/livez`)).status).toBe(200)
    }
    expect(statuses).toContain(503)
    let status = 503
    for (let i = 0; i < 50 && status === 503; i++) {
      await sleep(200)
      status = (await fetch(`${server.url}/api/status`)).status
    }
    expect(status).toBe(200)
  })
})

describe('stopping', () => {
  it('answers what is running first', async () => {
    await start()
    let finish = () => {}
    const running = new Promise<void>(resolve => {
      finish = resolve
    })
    let begun = false
    const { receipt } = here
    here.deps.submit = async () => {
      begun = true
      await running
      return receipt
    }
    const headers = { 'content-type': 'application/x-ndjson' }
    const answer = fetch(`${server.url}/api/samples`, { method: 'POST', headers, body: '{}' })
    while (!begun) await sleep(5)
    let stopped = false
    const stop = server.close().then(() => {
      stopped = true
    })
    await sleep(100)
    expect(stopped).toBe(false)
    finish()
    expect((await answer).status).toBe(200)
    await stop
    await expect(fetch(`${server.url}/livez`)).rejects.toThrow()
  })
})

describe('the log', () => {
  it('has a line for what failed and for queries, none for hot routes that went well', async () => {
    let logged = ''
    const sink = new PassThrough()
    sink.on('data', chunk => {
      logged += chunk
    })
    await start({ logger: pino({ level: 'info' }, sink) })
    const headers = { 'content-type': 'application/x-ndjson' }
    await fetch(`${server.url}/api/samples`, { method: 'POST', headers, body: '{}' })
    await fetch(`${server.url}/livez`)
    await fetch(`${server.url}/api/series`)
    await fetch(`${server.url}/api/samples`, { method: 'POST', body: 'x' })
    await fetch(`${server.url}/v1/metrics`, { method: 'POST', headers, body: 'x' })
    const lines = logged
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
      .filter(line => line.msg === 'request')
      .map(line => [line.route, line.status])
    expect(lines).toEqual([
      ['/api/series', 200],
      ['/api/samples', 415],
      ['/v1/metrics', 415],
    ])
  })
})

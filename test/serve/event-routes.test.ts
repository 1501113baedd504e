// Shows the event stream over real sockets: the wire format, that a client cut off half-way gets every event it
// missed and none twice, heartbeats, the cap on clients, tenants kept apart, and that a client which stops
// reading is cut while the others go on.
import { createHash } from 'node:crypto'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { disruption, event, json, listen, type Running, type World, world } from './world.ts'

let here: World
let server: Running
const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`
beforeEach(() => {
  here = world()
})
afterEach(() => server.close())

interface Client {
  text: string
  readonly headers: IncomingMessage['headers']
  readonly status: number | undefined
  cut(): void
  readonly ended: Promise<void>
}

function client(path = '/api/events', headers: Record<string, string> = {}): Promise<Client> {
  return new Promise((resolve, reject) => {
    const sent = request(server.url + path, { headers }, answer => {
      const ended = new Promise<void>(done => answer.on('close', () => done()))
      const made: Client = {
        text: '',
        headers: answer.headers,
        status: answer.statusCode,
        cut: () => sent.destroy(),
        ended,
      }
      answer.setEncoding('utf8')
      answer.on('data', chunk => {
        made.text += chunk
      })
      answer.on('error', () => {})
      resolve(made)
    })
    sent.on('error', reject)
    sent.end()
  })
}

async function until(what: () => boolean, ms = 5000): Promise<void> {
  const stop = performance.now() + ms
  while (!what()) {
    if (performance.now() > stop) throw new Error('it did not come to pass in time')
    await sleep(5)
  }
}

const idsOf = (text: string) => [...text.matchAll(/^id: (.+)$/gm)].map(match => match[1])

function publish(from: number, to: number, more: Partial<Disruption> = {}): void {
  for (let i = from; i < to; i++)
    here.feed.publish(event(disruption('dis_a', { revision: i, ...more }), i === 1 ? 'opened' : 'updated'))
}

describe('GET /api/events', () => {
  it('sends id, event, data and retry, one frame an event', async () => {
    server = await listen(here.deps)
    const one = await client()
    expect(one.status).toBe(200)
    expect(one.headers['content-type']).toContain('text/event-stream')
    expect(one.headers['cache-control']).toContain('no-store')
    expect(one.headers['x-content-type-options']).toBe('nosniff')
    publish(1, 3, { title: 'line one\nline two' })
    await until(() => idsOf(one.text).length === 2)
    expect(one.text).toMatch(/^retry: \d+$/m)
    const frames = one.text.split('\n\n').filter(frame => frame.startsWith('id: '))
    expect(frames[0].split('\n')).toHaveLength(3)
    expect(frames[0]).toContain('\nevent: io.foreshock.disruption.opened.v1\n')
    expect(JSON.parse(frames[1].split('\ndata: ')[1])).toEqual(here.feed.kept[1].disruption)
    one.cut()
    await until(() => here.feed.listeners.size === 0)
  })

  it('gives a client that was cut everything it missed, and nothing twice', async () => {
    server = await listen(here.deps)
    const first = await client()
    publish(1, 6)
    await until(() => idsOf(first.text).length === 5)
    first.cut()
    await until(() => here.feed.listeners.size === 0)
    publish(6, 9)
    const lastId = idsOf(first.text).at(-1) as string
    const byHeader = await client('/api/events', { 'last-event-id': lastId })
    const byQuery = await client(`/api/events?lastEventId=${lastId}`)
    publish(9, 11)
    const wanted = [6, 7, 8, 9, 10].map(revision => `dis_a.${revision}`)
    await until(() => idsOf(byHeader.text).length >= 5 && idsOf(byQuery.text).length >= 5)
    expect(idsOf(byHeader.text)).toEqual(wanted)
    expect(idsOf(byQuery.text)).toEqual(wanted)
    const fresh = await client()
    publish(11, 12)
    await until(() => idsOf(fresh.text).length === 1)
    expect(idsOf(fresh.text)).toEqual(['dis_a.11'])
  })

  it('keeps quiet connections open with comments', async () => {
    server = await listen(here.deps, { heartbeatMs: 30 })
    const one = await client()
    await until(() => (one.text.match(/^: still here$/gm) ?? []).length >= 3)
    expect(idsOf(one.text)).toEqual([])
  })

  it('serves many clients at once and refuses those beyond the cap', async () => {
    server = await listen(here.deps, { sseClientsMax: 60 })
    const many = await Promise.all(Array.from({ length: 60 }, () => client()))
    const late = await fetch(`${server.url}/api/events`)
    expect([late.status, (await json(late)).code]).toEqual([429, 'FS_OVERLOADED'])
    publish(1, 21)
    await until(() => many.every(one => idsOf(one.text).length === 20))
    many[0].cut()
    await until(() => here.feed.listeners.size === 59)
    expect((await client()).status).toBe(200)
  })

  it('cuts a client that is too far behind and goes on serving the others', async () => {
    server = await listen(here.deps)
    const { port } = new URL(server.url)
    const stuck = connect(Number(port), '127.0.0.1')
    stuck.on('error', () => {})
    stuck.write('GET /api/events HTTP/1.1\r\nhost: localhost\r\n\r\n')
    stuck.pause()
    await until(() => here.feed.listeners.size === 1)
    const good = await client()
    const big = { why: ['w'.repeat(200_000)] }
    for (let i = 1; i <= 400 && here.feed.listeners.size === 2; i++) {
      good.text = ''
      publish(i, i + 1, big)
      await until(() => good.text.endsWith('\n\n'))
    }
    expect(here.feed.listeners.size).toBe(1)
    publish(500, 501)
    await until(() => good.text.includes('id: dis_a.500'))
    stuck.destroy()
  })

  it('cuts a client that reads nothing for too long, though little is sent', async () => {
    server = await listen(here.deps, { heartbeatMs: 20, sseStuckMsMax: 60_000 })
    const { port } = new URL(server.url)
    const stuck = connect(Number(port), '127.0.0.1')
    stuck.on('error', () => {})
    stuck.write('GET /api/events HTTP/1.1\r\nhost: localhost\r\n\r\n')
    stuck.pause()
    await until(() => here.feed.listeners.size === 1)
    for (let i = 1; i <= 30; i++) publish(i, i + 1, { why: ['w'.repeat(1_000_000)] })
    // The kernels' buffers fill first; after that nothing moves.
    await sleep(500)
    here.clockMs += 59_000
    await sleep(100)
    expect(here.feed.listeners.size).toBe(1)
    here.clockMs += 2000
    await until(() => here.feed.listeners.size === 0)
    stuck.destroy()
  })

  it('does not cut a client for a burst, nor for all it missed coming at once', async () => {
    server = await listen(here.deps)
    const good = await client()
    publish(1, 11, { why: ['w'.repeat(20_000)] })
    await until(() => idsOf(good.text).length === 10)
    publish(11, 61, { why: ['w'.repeat(20_000)] })
    const back = await client('/api/events', { 'last-event-id': 'dis_a.1' })
    await until(() => idsOf(back.text).length === 59)
    expect(here.feed.listeners.size).toBe(2)
    publish(61, 62)
    await until(() => idsOf(back.text).at(-1) === 'dis_a.61')
  })

  it('shows a key with a tenant its own events only', async () => {
    const key = 'tenant-key'
    const keys = [{ id: 'acme', hash: hashOf(key), scopes: ['read'], tenant: 'acme' }] as const
    server = await listen(here.deps, { keys })
    const one = await client('/api/events', { authorization: `Bearer ${key}` })
    publish(1, 3)
    publish(3, 4, { tenant: 'acme' })
    await until(() => idsOf(one.text).length === 1)
    expect(idsOf(one.text)).toEqual(['dis_a.3'])
    expect((await fetch(`${server.url}/api/events`)).status).toBe(401)
  })

  it('has no HEAD, which would never end', async () => {
    server = await listen(here.deps)
    const answer = await fetch(`${server.url}/api/events`, { method: 'HEAD' })
    expect(answer.status).toBe(404)
    expect(here.feed.listeners.size).toBe(0)
  })

  it('ends its streams when the service stops', async () => {
    server = await listen(here.deps)
    const one = await client()
    const stopped = performance.now()
    await server.close()
    await one.ended
    expect(performance.now() - stopped).toBeLessThan(2000)
    expect(here.feed.listeners.size).toBe(0)
  })
})

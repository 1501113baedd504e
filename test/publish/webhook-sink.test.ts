// Delivers to a real HTTP receiver that checks every request with the reference library of Standard Webhooks:
// signatures and rotation, size, retries, Retry-After, 410, redirects, dead letters, order, and going on after a
// restart and after kill -9.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { Telemetry } from '../../src/core/telemetry.ts'
import type { CloudEvent } from '../../src/publish/cloudevents.ts'
import { type WebhookOptions, WebhookSink } from '../../src/publish/webhook-sink.ts'
import { event, evidence } from '../store/samples.ts'

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const NEW_SECRET = `whsec_${Buffer.alloc(24, 2).toString('base64')}`

const root = mkdtempSync(join(tmpdir(), 'foreshock-webhook-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let made = 0

interface Got {
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly atMs: number
}
type Answer = number | { status: number; headers: Record<string, string> }

/** A receiver that answers as told; answers repeat the last. */
async function receiver(
  answer: (n: number, got: Got) => Answer = () => 204,
): Promise<{ url: string; got: Got[]; server: Server }> {
  const got: Got[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const one = { headers: request.headers, body, atMs: Date.now() }
    got.push(one)
    const told = answer(got.length, one)
    const { status, headers } = typeof told === 'number' ? { status: told, headers: {} } : told
    response.writeHead(status, headers).end()
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, got, server }
}

function options(url: string, more: Partial<WebhookOptions> = {}): WebhookOptions {
  return {
    url,
    secret: SECRET,
    queueFile: join(root, String(made++), 'queue.jsonl'),
    source: 'https://foreshock.example/',
    target: { allowPrivate: true },
    retry: { firstMs: 20, longestMs: 100, giveUpMs: 60_000 },
    ...more,
  }
}

async function opened(all: WebhookOptions): Promise<WebhookSink> {
  const sink = await WebhookSink.open(all)
  onTestFinished(() => sink.close())
  return sink
}

async function until(what: () => boolean, withinMs = 10_000): Promise<void> {
  for (const end = Date.now() + withinMs; !what(); await wait(5)) {
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`)
  }
}

describe('webhook sink', () => {
  it('sends what the reference library verifies, also with either secret of a rotation', async () => {
    const { url, got } = await receiver()
    const sink = await opened(options(url, { secret: `${NEW_SECRET} ${SECRET}` }))
    await sink.publish(event('dis_a', 1))
    await until(() => got.length === 1)
    for (const secret of [SECRET, NEW_SECRET]) {
      const body = new Webhook(secret).verify(
        got[0].body,
        got[0].headers as Record<string, string>,
      ) as CloudEvent
      expect(body).toMatchObject({
        specversion: '1.0',
        id: 'dis_a.1',
        type: 'io.foreshock.disruption.opened.v1',
        source: 'https://foreshock.example/',
        data: { id: 'dis_a', severity: 'major' },
      })
    }
    expect(got[0].headers['webhook-id']).toBe('dis_a_1')
    expect(got[0].headers['content-type']).toContain('application/cloudevents+json')
    const stranger = `whsec_${Buffer.alloc(24, 3).toString('base64')}`
    expect(() =>
      new Webhook(stranger).verify(got[0].body, got[0].headers as Record<string, string>),
    ).toThrow()
    const forged = got[0].body.replace('major', 'minor')
    expect(() => new Webhook(SECRET).verify(forged, got[0].headers as Record<string, string>)).toThrow()
  })

  it('keeps the body under 20 kB and says how much evidence it left out', async () => {
    const { url, got } = await receiver()
    const sink = await opened(options(url))
    await sink.publish(
      event('dis_a', 1, 'opened', { evidence: Array.from({ length: 200 }, (_, i) => evidence(i)) }),
    )
    await until(() => got.length === 1)
    const bytes = Buffer.byteLength(got[0].body)
    expect(bytes).toBeLessThanOrEqual(20_000)
    expect(bytes).toBeGreaterThan(18_000)
    const { data, evidenceomitted } = JSON.parse(got[0].body) as CloudEvent
    expect(data.evidence.length + (evidenceomitted ?? 0)).toBe(200)
    expect(data.evidence[0].id).toBe('ano_0')
  })

  it('tries again with a new timestamp and the same id until it is taken', async () => {
    const { url, got } = await receiver(n => (n < 4 ? 500 : 200))
    const telemetry = new Telemetry()
    const sink = await opened(options(url, { telemetry, name: 'hook' }))
    await sink.publish(event('dis_a'))
    expect(sink.pending).toBe(1)
    await until(() => sink.pending === 0)
    expect(got.map(one => one.headers['webhook-id'])).toEqual(Array(4).fill('dis_a_1'))
    for (const one of got) new Webhook(SECRET).verify(one.body, one.headers as Record<string, string>)
    const waits = got.slice(1).map((one, i) => one.atMs - got[i].atMs)
    for (const [i, atLeast] of [10, 30, 50].entries()) expect(waits[i]).toBeGreaterThanOrEqual(atLeast - 2)
    const text = await telemetry.text()
    expect(text).toContain('foreshock_publish_total{sink="hook",outcome="delivered"} 1')
    expect(text).toContain('foreshock_publish_total{sink="hook",outcome="failed"} 3')
  })

  it('waits as long as Retry-After says, for everything', async () => {
    const { url, got } = await receiver(n =>
      n === 1 ? { status: 429, headers: { 'retry-after': '1' } } : 204,
    )
    const sink = await opened(options(url))
    await sink.publish(event('dis_a'))
    await until(() => got.length === 1)
    await wait(20)
    await sink.publish(event('dis_b'))
    await until(() => sink.pending === 0)
    for (const one of got.slice(1)) expect(one.atMs - got[0].atMs).toBeGreaterThanOrEqual(950)
  })

  it('stops for good at 410 and shows what it could not deliver', async () => {
    const { url, got } = await receiver(() => 410)
    const all = options(url)
    let sink = await WebhookSink.open(all)
    await sink.publish(event('dis_a'))
    await until(() => sink.disabled !== '')
    await sink.publish(event('dis_b'))
    expect(sink.deadLetters().map(letter => letter.event.id)).toEqual(['dis_a.1', 'dis_b.1'])
    await sink.close()
    sink = await opened(all)
    expect(sink.disabled).toContain('410')
    expect(sink.deadLetters().length).toBe(2)
    await wait(100)
    expect(got.length).toBe(1)
  })

  it('buries nothing at 410 that is under way and taken after all', async () => {
    let goOn = () => {}
    const held = new Promise<void>(done => {
      goOn = done
    })
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      const isGone = body.includes('dis_a')
      if (!isGone) await held
      response.writeHead(isGone ? 410 : 204).end()
    })
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
    const play = async (all: WebhookOptions) => {
      const sink = await opened(all)
      for (const one of [event('dis_b'), event('dis_b', 2, 'updated'), event('dis_a')])
        await sink.publish(one)
      await until(() => sink.disabled !== '')
      return sink
    }
    const letters = (sink: WebhookSink) => sink.deadLetters().map(letter => letter.event.id)
    // A stop cuts what is under way: nobody will take it.
    const cut = options(url)
    await (await play(cut)).close()
    const next = await opened(cut)
    expect(letters(next)).toEqual(['dis_b.2', 'dis_a.1', 'dis_b.1'])
    expect(next.pending).toBe(0)
    const sink = await play(options(url))
    goOn()
    await until(() => sink.pending === 0)
    expect(letters(sink)).toEqual(['dis_b.2', 'dis_a.1'])
  })

  it('does not follow a redirect', async () => {
    const other = await receiver()
    const { url, got } = await receiver(() => ({ status: 307, headers: { location: other.url } }))
    const sink = await opened(options(url))
    await sink.publish(event('dis_a'))
    await until(() => got.length >= 2)
    expect(other.got.length).toBe(0)
    expect(sink.deliveries()[0].error).toBe('answered 307')
  })

  it('makes a dead letter of what is too old, and revives it', async () => {
    let status = 500
    const { url } = await receiver(() => status)
    const sink = await opened(options(url, { retry: { firstMs: 10, longestMs: 50, giveUpMs: 200 } }))
    await sink.publish(event('dis_a'))
    await until(() => sink.deadLetters().length === 1)
    expect(sink.deadLetters()[0]).toMatchObject({ reason: 'answered 500', event: { id: 'dis_a.1' } })
    expect(sink.pending).toBe(0)
    status = 200
    expect(sink.revive('nothing')).toBe(false)
    expect(sink.revive('dis_a.1')).toBe(true)
    await until(() => sink.pending === 0)
    expect(sink.deadLetters()).toEqual([])
  })

  it('keeps the order of one disruption while another goes ahead', async () => {
    let stuck = true
    const { url, got } = await receiver((_, { body }) =>
      stuck && body.includes('"id":"dis_a.1"') ? 500 : 204,
    )
    const sink = await opened(options(url))
    for (const revision of [1, 2, 3]) await sink.publish(event('dis_a', revision))
    await sink.publish(event('dis_b'))
    const ids = () => got.map(one => (JSON.parse(one.body) as CloudEvent).id)
    await until(() => ids().includes('dis_b.1'))
    await wait(100)
    expect(ids()).not.toContain('dis_a.2')
    stuck = false
    await until(() => sink.pending === 0)
    expect([...new Set(ids().filter(id => id.startsWith('dis_a')))]).toEqual([
      'dis_a.1',
      'dis_a.2',
      'dis_a.3',
    ])
  })

  it('cuts a receiver that does not answer', async () => {
    const server = createServer(() => {})
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const sink = await opened(options(url, { timeoutMs: 100 }))
    await sink.publish(event('dis_a'))
    await until(() => sink.deliveries()[0].attempts > 0)
    expect(sink.deliveries()[0].error).toMatch(/time|answer/i)
  })

  it('goes on after a restart, sends nothing twice and passes over a torn line', async () => {
    let status = 500
    const { url, got } = await receiver(() => status)
    const all = options(url)
    const first = await WebhookSink.open(all)
    await first.publish(event('dis_a'))
    await first.publish(event('dis_b'))
    await until(() => got.length >= 2)
    await first.close()
    appendFileSync(all.queueFile, '{"t":"add","delivery":{"ev')
    status = 204
    const second = await WebhookSink.open(all)
    expect(second.pending).toBe(2)
    await until(() => second.pending === 0)
    await second.close()
    const before = got.length
    const third = await opened(all)
    await third.publish(event('dis_a'))
    expect(third.pending).toBe(0)
    await wait(50)
    expect(got.length).toBe(before)
  })

  it('loses nothing that it took when the process is killed', async () => {
    const { url, got } = await receiver()
    const queueFile = join(root, 'killed', 'queue.jsonl')
    const writer = join(import.meta.dirname, 'webhook-writer.ts')
    const child = spawn(process.execPath, ['--import', 'tsx', writer, queueFile, 'http://127.0.0.1:9/'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    child.stdout.on('data', chunk => {
      printed += chunk
      if (printed.split('\n').length > 60) child.kill('SIGKILL')
    })
    await once(child, 'close')
    const taken = printed.split('\n').slice(0, -1)
    const sink = await opened(options(url, { queueFile }))
    await until(() => sink.pending === 0)
    const delivered = new Set(got.map(one => (JSON.parse(one.body) as CloudEvent).id))
    for (const id of taken) expect(delivered.has(id)).toBe(true)
  })

  it('keeps its queue file small', async () => {
    const { url } = await receiver()
    const all = options(url)
    let sink = await WebhookSink.open(all)
    const big = { title: 'x'.repeat(1000) }
    for (let round = 0; round < 30; round++) {
      await Promise.all(
        Array.from({ length: 100 }, (_, i) => sink.publish(event(`dis_${round}_${i}`, 1, 'opened', big))),
      )
      await until(() => sink.pending < 50)
    }
    await until(() => sink.pending === 0)
    expect(readFileSync(all.queueFile).length).toBeLessThan(2_000_000)
    await sink.close()
    sink = await opened(all)
    expect(sink.pending).toBe(0)
    await sink.publish(event('dis_29_99'))
    expect(sink.pending).toBe(0)
  })

  it('refuses bad targets and secrets before it starts', async () => {
    const bad: [Partial<WebhookOptions>, string][] = [
      [{ url: 'nonsense' }, 'not a URL'],
      [{ url: 'http://example.com/', target: {} }, 'https is needed'],
      [{ url: 'ftp://example.com/' }, 'https is needed'],
      [{ url: 'https://user:pass@example.com/' }, 'credentials'],
      [{ url: 'https://127.0.0.1/', target: {} }, 'private address'],
      [{ url: 'https://[::1]/', target: {} }, 'private address'],
      [{ url: 'https://2130706433/', target: {} }, 'private address'],
      [{ url: 'https://evil.example/', target: { allow: ['good.example', '*.good.example'] } }, 'allow-list'],
      [{ secret: 'plain' }, 'whsec_'],
      [{ secret: 'whsec_c2hvcnQ=' }, '24 to 64 bytes'],
      [{ secret: '' }, 'needs a secret'],
    ]
    for (const [more, text] of bad) {
      await expect(WebhookSink.open(options('https://example.com/', more)), text).rejects.toMatchObject({
        code: 'FS_CONFIG_INVALID',
        message: expect.stringContaining(text),
      })
    }
  })

  it('refuses a name that resolves to a private address', async () => {
    const sink = await opened(options('https://localhost:9/', { target: {} }))
    await sink.publish(event('dis_a'))
    await until(() => sink.deliveries()[0].attempts > 0)
    expect(sink.deliveries()[0].error).toMatch(/localhost resolves to .*refused/)
  })
})

// A real Alertmanager receives, updates and resolves a disruption, and its silences are honoured; one that is down or
// does not answer holds up nobody and gets everything when it is back.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { freePort } from '../../src/lab/free-port.ts'
import { type AlertmanagerOptions, AlertmanagerSink } from '../../src/publish/alertmanager-sink.ts'
import { activeSilences, silences } from '../../src/publish/silences.ts'
import { alertmanager } from '../peers/peers.ts'
import { disruption, event } from '../store/samples.ts'

const INSTALL_MS = 900_000

interface GotAlert {
  readonly labels: Record<string, string>
  readonly annotations: Record<string, string>
  readonly generatorURL: string
  readonly startsAt: string
  readonly endsAt: string
  readonly fingerprint: string
  readonly status: { readonly state: string; readonly silencedBy: string[] }
}

function sinkTo(urls: string[], more: Partial<AlertmanagerOptions> = {}): AlertmanagerSink {
  const sink = new AlertmanagerSink({ urls, externalUrl: 'https://foreshock.example/', retryMs: 50, ...more })
  onTestFinished(() => sink.close())
  return sink
}

async function alerts(url: string): Promise<GotAlert[]> {
  return (await (await fetch(`${url}/api/v2/alerts`)).json()) as GotAlert[]
}

async function until<T>(ask: () => Promise<T | undefined> | T | undefined, withinMs = 10_000): Promise<T> {
  for (const end = Date.now() + withinMs; ; await wait(20)) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${ask}`)
  }
}

const now = (): Partial<Disruption> => ({ startedAt: new Date(Date.now() - 5000).toISOString() })

describe('Alertmanager sink with a real Alertmanager', () => {
  it('opens, updates under one identity, and resolves', { timeout: INSTALL_MS }, async context => {
    const peer = await alertmanager(context)
    const sink = sinkTo([peer.url])
    const first = now()
    await sink.publish(event('dis_a', 1, 'opened', first))
    expect(sink.pending).toBe(0)
    const opened = await until(async () => (await alerts(peer.url))[0])
    expect(opened.labels).toEqual({
      alertname: 'ForeshockDisruption',
      disruption: 'dis_a',
      entity: 'checkout',
      tenant: 'default',
    })
    expect(opened.annotations).toMatchObject({
      severity: 'major',
      score: '87.2',
      suspects: 'payments (latency_seconds:p99)',
    })
    expect(opened.generatorURL).toBe('https://foreshock.example/api/disruptions/dis_a')
    expect(Date.parse(opened.startsAt)).toBe(Date.parse(first.startedAt as string))

    await sink.publish(event('dis_a', 2, 'updated', { ...first, severity: 'critical', entity: 'payments' }))
    const updated = await until(async () =>
      (await alerts(peer.url)).find(a => a.annotations.severity === 'critical'),
    )
    expect(updated.fingerprint).toBe(opened.fingerprint)
    expect((await alerts(peer.url)).length).toBe(1)

    const resolvedAt = new Date().toISOString()
    await sink.publish(event('dis_a', 3, 'resolved', { ...first, status: 'resolved', resolvedAt }))
    await until(async () => (await alerts(peer.url)).length === 0)
  })

  it('sends again before an alert would end', { timeout: INSTALL_MS }, async context => {
    const peer = await alertmanager(context)
    const sink = sinkTo([peer.url], { resendMs: 300 })
    await sink.publish(event('dis_a', 1, 'opened', now()))
    await wait(1500) // five times as long as the interval, and beyond its first end
    const [alert] = await alerts(peer.url)
    expect(alert.labels.disruption).toBe('dis_a')
    await sink.close()
    await until(async () => (await alerts(peer.url)).length === 0) // nobody says more: it ends by itself
  })

  it('honours silences', { timeout: INSTALL_MS }, async context => {
    const peer = await alertmanager(context)
    const sink = sinkTo([peer.url])
    const one = disruption('dis_a', now())
    await sink.publish({ id: 'dis_a.1', type: 'opened', timeMs: Date.now(), disruption: one })
    expect(sink.silencedBy(one)).toEqual([])
    const answer = await fetch(`${peer.url}/api/v2/silences`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        matchers: [{ name: 'entity', value: 'check.*', isRegex: true, isEqual: true }],
        startsAt: new Date().toISOString(),
        endsAt: new Date(Date.now() + 600_000).toISOString(),
        createdBy: 'test',
        comment: 'known',
      }),
    })
    const { silenceID } = (await answer.json()) as { silenceID: string }
    await until(() => sink.silencedBy(one).length > 0)
    expect(sink.silencedBy(one)).toEqual([silenceID])
    expect(sink.silencedBy(disruption('dis_b', { entity: 'search' }))).toEqual([])
    const [alert] = await alerts(peer.url)
    expect(alert.status).toMatchObject({ state: 'suppressed', silencedBy: [silenceID] })
    await fetch(`${peer.url}/api/v2/silence/${silenceID}`, { method: 'DELETE' })
    await until(() => sink.silencedBy(one).length === 0)
  })

  it('serves the others while one is down, and that one when it is back', {
    timeout: INSTALL_MS,
  }, async context => {
    const peer = await alertmanager(context)
    const port = await freePort()
    const sink = sinkTo([peer.url, `http://127.0.0.1:${port}/`])
    await sink.publish(event('dis_a', 1, 'opened', now()))
    expect(sink.pending).toBe(1)
    expect((await alerts(peer.url)).length).toBe(1)
    const bodies: string[] = []
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      if (request.method === 'POST') bodies.push(body)
      response.end('[]')
    })
    await new Promise<void>(done => server.listen(port, '127.0.0.1', done))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    await until(() => sink.pending === 0)
    expect(JSON.parse(bodies[0])).toMatchObject([{ labels: { disruption: 'dis_a' } }])
    expect((server.address() as AddressInfo).port).toBe(port)
  })

  it('takes over what was open before a restart and can close it', { timeout: INSTALL_MS }, async context => {
    const peer = await alertmanager(context)
    const first = now()
    const before = sinkTo([peer.url])
    await before.publish(event('dis_a', 1, 'opened', first))
    await before.close()
    const after = sinkTo([peer.url])
    await after.restore([disruption('dis_a', first)])
    await after.publish(event('dis_a', 2, 'resolved', { ...first, resolvedAt: new Date().toISOString() }))
    await until(async () => (await alerts(peer.url)).length === 0)
  })
})

it('tells the others at once while one does not answer', async () => {
  const got: string[] = []
  const peer = async (hangs: boolean) => {
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      if (request.method === 'POST' && hangs) return
      for (const alert of JSON.parse(body || '[]')) got.push(alert.labels.disruption)
      response.end('[]')
    })
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const sink = sinkTo([await peer(true), await peer(false)], { timeoutMs: 600_000 })
  for (const id of ['dis_a', 'dis_b', 'dis_c']) {
    await sink.publish(event(id, 1, 'opened', now()))
    expect(got).toContain(id)
  }
  expect(sink.pending).toBe(3)
})

describe('silences', () => {
  const one = (matcher: object, state = 'active') => ({ id: 's', status: { state }, matchers: [matcher] })
  const matches = (matcher: object, labels: Record<string, string>) =>
    silences(activeSilences([one(matcher)])[0], labels)

  it('match as Alertmanager does', () => {
    const labels = { entity: 'checkout' }
    expect(matches({ name: 'entity', value: 'checkout', isRegex: false, isEqual: true }, labels)).toBe(true)
    expect(matches({ name: 'entity', value: 'check', isRegex: true, isEqual: true }, labels)).toBe(false)
    expect(matches({ name: 'entity', value: 'check|checkout', isRegex: true, isEqual: true }, labels)).toBe(
      true,
    )
    expect(matches({ name: 'entity', value: 'search', isRegex: false, isEqual: false }, labels)).toBe(true)
    expect(matches({ name: 'zone', value: '', isRegex: false, isEqual: true }, labels)).toBe(true)
    expect(matches({ name: 'entity', value: '(', isRegex: true, isEqual: true }, labels)).toBe(false)
  })

  it('are read from any answer without harm', () => {
    for (const answer of [
      null,
      'text',
      {},
      [null],
      [{}],
      [{ id: 's', status: { state: 'active' }, matchers: [] }],
    ]) {
      expect(activeSilences(answer)).toEqual([])
    }
    expect(activeSilences([one({ name: 'a', value: 'b' }, 'expired')])).toEqual([])
  })
})

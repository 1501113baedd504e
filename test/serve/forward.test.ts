// Shows that a gateway passes on what lies in the live state of a tenant, and nothing else: over real sockets its answers
// equal those of the process that holds the state, bodies and ETags included; keys are checked on both sides; who moved is
// found again; and while nobody holds a tenant the answer is a 503 that names the part, in the language of the route.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ForeshockError } from '../../src/core/errors.ts'
import type { ServeDeps } from '../../src/serve/deps.ts'
import { buildServer } from '../../src/serve/server.ts'
import { addHistory, addSeries, anomaly, disruption, listen, NOW_MS, type World, world } from './world.ts'

const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`
const ALL = 'all-key-that-is-long-and-random'
const ACME = 'acme-key-that-is-long-and-random'
const KEYS = [
  { id: 'all', hash: hashOf(ALL), scopes: ['admin'] },
  { id: 'acme', hash: hashOf(ACME), scopes: ['read', 'ingest'], tenant: 'acme' },
] as const
const iso = (timeMs: number) => new Date(timeMs).toISOString().replace('.000', '')
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

let held: World
let holder: { url: string; close(): Promise<void> }
let gateway: { url: string; close(): Promise<void> }
let own: World
let addresses: string[] = []
const asked: string[] = []

/** What would answer here belongs to the holder: asking it is a mistake that the test sees as a 500. */
function withoutLive(deps: ServeDeps): ServeDeps {
  const never = (): never => {
    throw new ForeshockError('FS_ASSERTION', 'live state was asked for where there is none')
  }
  return {
    ...deps,
    get series(): never {
      return never()
    },
    get history(): never {
      return never()
    },
    anomalies: never,
    explain: never,
    drillSeries: never,
    edges: never,
    detectors: never,
    alerting: never,
    maintenance: never,
    changes: never,
    holders: {
      find: async tenant => {
        asked.push(tenant)
        const url = addresses[0]
        if (url === undefined) throw new ForeshockError('FS_AWAY', 'nobody holds stage/2 now')
        return url
      },
      lost: (_tenant, url) => {
        addresses = addresses.filter(one => one !== url)
      },
    },
  }
}

beforeAll(async () => {
  held = world()
  own = world()
  const row = addSeries(held, 'latency_seconds:p99', { service: 'checkout' })
  addSeries(held, 'latency_seconds:p99', { service: 'shop' }, { tenant: 'acme' })
  addHistory(held, row, 0.46, 4, 12)
  for (const each of [held, own])
    each.board.push(disruption('dis_one'), disruption('dis_acme', { tenant: 'acme' }))
  held.anomalies.push(anomaly('ano_one'), anomaly('ano_acme', { tenant: 'acme', entity: 'shop' }))
  held.changes.push({ id: 'chg_1', timeMs: NOW_MS, entity: 'shop', kind: 'deploy', ref: 'v2' })
  const part = await buildServer(held.deps, { keys: KEYS, version: '1.2.3' })
  holder = await listen(own.deps, { parts: name => (name === '2' ? part : undefined) })
  addresses = [`${holder.url}/stage/2`]
  gateway = await listen(withoutLive(own.deps), { keys: KEYS, version: '1.2.3' })
})
afterAll(async () => {
  await gateway.close()
  await holder.close()
})

const LIVE = [
  '/api/series',
  '/api/series?metric=latency_seconds:p99&limit=1',
  '/api/series/latency_seconds:p99%7Bservice="checkout"%7D/scores?limit=20',
  '/api/series/nothing/scores',
  '/api/entities',
  '/api/topology',
  '/api/detectors',
  '/api/status',
  '/api/anomalies?status=open',
  '/api/changes',
  '/api/maintenance',
  '/api/windows?format=ndjson',
  '/api/v1/query?query=anomaly_score',
  '/api/v1/query_range?query=y&start=1&end=2&step=1',
  '/api/v1/labels',
  '/api/v1/label/service/values',
  '/api/v1/series?match[]=y',
] as const

describe('forwarding', () => {
  it('answers as the holder does, for every route of live state and either key', async () => {
    for (const path of LIVE)
      for (const key of [ALL, ACME]) {
        const [there, here] = await Promise.all(
          [addresses[0], gateway.url].map(base => fetch(base + path, { headers: bearer(key) })),
        )
        const [text, passed] = await Promise.all([there.text(), here.text()])
        expect([path, here.status, passed.replaceAll('/stage/2', '')]).toEqual([path, there.status, text])
        for (const name of ['content-type', 'etag', 'cache-control'])
          expect([path, name, here.headers.get(name)]).toEqual([path, name, there.headers.get(name)])
      }
    expect(new Set(asked)).toEqual(new Set(['default', 'acme']))
  })

  it('passes bodies, conditions and refusals on', async () => {
    const explain = (headers: Record<string, string>, body: string) =>
      fetch(`${gateway.url}/api/explain`, { method: 'POST', headers: { ...bearer(ALL), ...headers }, body })
    const found = await explain({ 'content-type': 'application/json' }, JSON.stringify({ at: NOW_MS }))
    expect(found.status).toBe(200)
    expect(((await found.json()) as { suspects: unknown[] }).suspects.length).toBe(2)
    const bad = await explain({ 'content-type': 'application/json' }, '{"at"')
    expect([bad.status, bad.headers.get('content-type')]).toEqual([400, 'application/problem+json'])
    const large = await explain({ 'content-type': 'application/json' }, `{"at":"${'x'.repeat(200_000)}"}`)
    expect(large.status).toBe(413)

    const first = await fetch(`${gateway.url}/api/entities`, { headers: bearer(ALL) })
    await first.text()
    const same = await fetch(`${gateway.url}/api/entities`, {
      headers: { ...bearer(ALL), 'if-none-match': first.headers.get('etag') as string },
    })
    expect(same.status).toBe(304)
    const head = await fetch(`${gateway.url}/api/entities`, { method: 'HEAD', headers: bearer(ALL) })
    expect(head.status).toBe(200)

    const window = { name: 'upgrade', entity: 'shop', from: iso(NOW_MS), to: iso(NOW_MS + 3_600_000) }
    const posted = await fetch(`${gateway.url}/api/maintenance`, {
      method: 'POST',
      headers: { ...bearer(ALL), 'content-type': 'application/json' },
      body: JSON.stringify(window),
    })
    const made = (await posted.json()) as { id: string }
    expect([posted.status, made]).toMatchObject([201, { tenant: 'default' }])
    const { id } = made
    expect(held.audits.map(one => one.action)).toContain('maintenance.post')
    const ended = await fetch(`${gateway.url}/api/maintenance/${id}`, {
      method: 'DELETE',
      headers: bearer(ALL),
    })
    expect(ended.status).toBe(204)
    expect(own.envelopes).toEqual([])
  })

  it('keeps what it can answer itself, and asks nobody for it', async () => {
    asked.length = 0
    for (const path of [
      '/api/disruptions',
      '/api/disruptions/dis_one',
      '/api/anomalies',
      '/livez',
      '/readyz',
    ])
      expect((await fetch(gateway.url + path, { headers: bearer(ALL) })).status).toBe(200)
    expect(asked).toEqual([])
    const board = await fetch(`${gateway.url}/api/board`, { headers: bearer(ACME) })
    const { status, items } = (await board.json()) as { status: { series: number }; items: { id: string }[] }
    expect(items.map(one => one.id)).toEqual(['dis_acme'])
    expect(status.series).toBeGreaterThan(0)
  })

  it('needs a key that both sides know', async () => {
    for (const headers of [{}, bearer('somebody-else-s-key')]) {
      expect((await fetch(`${gateway.url}/api/series`, { headers })).status).toBe(401)
      expect((await fetch(`${addresses[0]}/api/series`, { headers })).status).toBe(401)
    }
  })

  it('finds a part that moved, and says which is away', async () => {
    const home = addresses[0]
    const gone = `${holder.url}/stage/1`
    addresses = [gone, home]
    expect((await fetch(`${gateway.url}/api/series`, { headers: bearer(ALL) })).status).toBe(200)
    expect(addresses).toEqual([home])
    addresses = ['http://127.0.0.1:9', home]
    expect((await fetch(`${gateway.url}/api/series`, { headers: bearer(ALL) })).status).toBe(200)

    addresses = []
    const away = await fetch(`${gateway.url}/api/series`, { headers: bearer(ALL) })
    expect([away.status, away.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await away.json()).toMatchObject({ code: 'FS_AWAY', detail: 'nobody holds stage/2 now' })
    const query = await fetch(`${gateway.url}/api/v1/labels`, { headers: bearer(ALL) })
    expect(await query.json()).toMatchObject({ status: 'error', error: 'nobody holds stage/2 now' })
    const board = await fetch(`${gateway.url}/api/board`, { headers: bearer(ALL) })
    expect(await board.json()).toMatchObject({ status: { ready: false, disruptionsOpen: 2 } })
    addresses = [home]
  })

  it('asks once for who went away meanwhile, and knows the holder still', async () => {
    const home = addresses[0]
    let questions = 0
    const silent = createServer(() => questions++)
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
    addresses = [url, home]
    const asking = fetch(`${gateway.url}/api/series`, {
      headers: bearer(ALL),
      signal: AbortSignal.timeout(300),
    })
    await expect(asking).rejects.toThrow()
    await pause(300)
    expect([questions, addresses]).toEqual([1, [url, home]])
    addresses = [home]
    silent.closeAllConnections()
    silent.close()
  })

  it('lets a key without a tenant name one, and no other key', async () => {
    const keys = async (key: string, tenant: string) => {
      const headers = { ...bearer(key), 'foreshock-tenant': tenant }
      const answer = await fetch(`${gateway.url}/api/series`, { headers })
      if (answer.status !== 200) return answer.status
      return ((await answer.json()) as { items: { tenant: string }[] }).items.map(one => one.tenant)
    }
    expect(await keys(ALL, 'acme')).toEqual(['acme'])
    expect(await keys(ALL, 'default')).toEqual(['default'])
    expect(await keys(ACME, 'default')).toEqual(['acme'])
    expect(await keys(ALL, 'a/b')).toBe(400)
  })
})

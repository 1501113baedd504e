// Shows that tenants see nothing of each other: two of them have the same services, metrics, anomalies, disruptions, changes
// and maintenance windows in one service. Every route the server has is asked with the key of each, and by an operator's key
// that names each in the header, and no answer holds a name or an id of the other. A route without a case fails the test.
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildServer } from '../../src/serve/server.ts'
import { depsOf, KEYS, STEP_MS, TENANTS, type Tenant, TwoTenants } from './isolation-world.ts'

interface Ask {
  readonly url: string
  readonly body?: unknown
  readonly type?: string
  readonly status?: number
  /** Has something of the tenant's own in its answer: a test that finds nothing because nothing is there shows nothing. */
  readonly own?: true
}
type Case = (own: Own, other: Own) => readonly Ask[]

/** What a tenant has, to be asked for. */
interface Own {
  readonly tenant: Tenant
  readonly disruption: string
  readonly maintenance: string
  readonly series: string
}

const get =
  (url: string, more: Omit<Ask, 'url'> = {}): Case =>
  () => [{ url, ...more }]
const own = (url: string): Case => get(url, { own: true })
/** Says the same to everybody: its answer is looked at like all others. */
const shared = get
const both =
  (path: (of: Own) => string): Case =>
  (mine, other) => [
    { url: path(mine), own: true },
    { url: path(other), status: 404 },
  ]
const span = (world: TwoTenants) =>
  `start=${(world.nowMs - 600_000) / 1000}&end=${world.nowMs / 1000}&step=10`
const EVERYTHING = encodeURIComponent('{__name__=~".+"}')

const world = new TwoTenants()
let app: FastifyInstance
let close: () => Promise<void>
const owns = new Map<Tenant, Own>()

const CASES: Readonly<Record<string, Case>> = {
  'GET /livez': shared('/livez'),
  'GET /readyz': shared('/readyz'),
  'GET /metrics': get('/metrics', { status: 403 }),
  'GET /openapi.json': shared('/openapi.json'),
  'GET /api/status': get('/api/status'),
  'GET /api/board': own('/api/board'),
  'GET /api/disruptions': own('/api/disruptions?limit=1000'),
  'GET /api/disruptions/:id': both(({ disruption }) => `/api/disruptions/${disruption}`),
  'GET /api/disruptions/:id/evidence': both(({ disruption }) => `/api/disruptions/${disruption}/evidence`),
  'GET /api/disruptions/:id/similar': (mine, other) => [
    { url: `/api/disruptions/${mine.disruption}/similar` },
    { url: `/api/disruptions/${other.disruption}/similar`, status: 404 },
  ],
  'GET /api/anomalies': () => [
    { url: '/api/anomalies?limit=1000', own: true },
    { url: '/api/anomalies?status=open&limit=1000', own: true },
    { url: '/api/anomalies?entity=pay', own: true },
  ],
  'POST /api/explain': () => [
    { url: '/api/explain', body: { at: new Date(world.nowMs - 10 * STEP_MS).toISOString() } },
    { url: '/api/explain', body: { at: new Date(world.nowMs).toISOString() } },
  ],
  'POST /api/drill-down': (mine, other) => [
    { url: '/api/drill-down', body: { metric: 'requests_per_second' } },
    { url: '/api/drill-down', body: { metric: 'request_latency_seconds' }, status: -1 },
    { url: '/api/drill-down', body: { disruption: mine.disruption }, status: -1 },
    { url: '/api/drill-down', body: { disruption: other.disruption }, status: 404 },
  ],
  'GET /api/series': () => [
    { url: '/api/series?limit=1000', own: true },
    { url: '/api/series?entity=pay', own: true },
    { url: '/api/series?q=latency', own: true },
  ],
  'GET /api/series/:key/scores': both(({ series }) => `/api/series/${encodeURIComponent(series)}/scores`),
  'GET /api/entities': own('/api/entities?limit=1000'),
  'GET /api/topology': own('/api/topology'),
  'GET /api/detectors': shared('/api/detectors'),
  'GET /api/rejects': get('/api/rejects', { status: 403 }),
  'GET /api/windows': () => [{ url: '/api/windows?format=ndjson', own: true }, { url: '/api/windows' }],
  'GET /api/changes': () => [
    { url: '/api/changes', own: true },
    { url: '/api/changes?entity=pay', own: true },
  ],
  'POST /api/changes': ({ tenant }) => [
    { url: '/api/changes', body: { entity: 'pay', kind: 'flag', ref: `${tenant}-flag` }, status: 201 },
  ],
  'GET /api/maintenance': own('/api/maintenance'),
  'GET /api/maintenance/preview': () => [
    {
      url: `/api/maintenance/preview?entity=pay&from=${encodeURIComponent(seconds(world.nowMs - 600_000))}&to=${encodeURIComponent(seconds(world.nowMs))}`,
    },
  ],
  'POST /api/maintenance': (mine, other) => [
    { url: '/api/maintenance', body: maintenanceOf(mine.tenant, 'again'), status: 201, own: true },
    {
      url: '/api/maintenance',
      body: { ...maintenanceOf(mine.tenant, 'x'), tenant: other.tenant },
      status: -1,
    },
  ],
  'DELETE /api/maintenance/:id': (_, other) => [
    { url: `/api/maintenance/${other.maintenance}`, status: 404 },
  ],
  'GET /api/v1/query': () => [{ url: `/api/v1/query?query=${EVERYTHING}`, own: true }],
  'POST /api/v1/query': () => [{ url: '/api/v1/query', body: `query=${EVERYTHING}`, type: FORM, own: true }],
  'GET /api/v1/query_range': () => [
    { url: `/api/v1/query_range?query=${EVERYTHING}&${span(world)}`, own: true },
  ],
  'POST /api/v1/query_range': () => [
    { url: '/api/v1/query_range', body: `query=${EVERYTHING}&${span(world)}`, type: FORM, own: true },
  ],
  'GET /api/v1/series': own(`/api/v1/series?match[]=${EVERYTHING}`),
  'POST /api/v1/series': () => [
    { url: '/api/v1/series', body: `match[]=${EVERYTHING}`, type: FORM, own: true },
  ],
  'GET /api/v1/labels': own('/api/v1/labels'),
  'POST /api/v1/labels': () => [{ url: '/api/v1/labels', body: '', type: FORM, own: true }],
  'GET /api/v1/label/:name/values': () =>
    ['tenant', 'zone', 'entity', 'service', 'server', 'id'].map(name => ({
      url: `/api/v1/label/${name}/values`,
      ...(name === 'service' ? { own: true as const } : {}),
    })),
  'GET /api/v1/metadata': shared('/api/v1/metadata'),
  'POST /api/v1/metadata': () => [{ url: '/api/v1/metadata', body: '', type: FORM }],
  'GET /api/v1/status/buildinfo': shared('/api/v1/status/buildinfo'),
  'POST /api/v1/status/buildinfo': () => [{ url: '/api/v1/status/buildinfo', body: '', type: FORM }],
}
const FORM = 'application/x-www-form-urlencoded'

/** Routes of models, which all share: what they answer is the same to both. */
const MODELS = /^(GET|POST|PUT|DELETE) \/(v2|api\/models|api\/experiments)(\/|$)/

/** Times of a calendar have no fractions. */
const seconds = (timeMs: number) => `${new Date(timeMs).toISOString().slice(0, 19)}Z`
const maintenanceOf = (tenant: string, name: string) => ({
  name: `${tenant}-${name}`,
  entity: 'mail',
  from: seconds(world.nowMs + 3_600_000),
  to: seconds(world.nowMs + 7_200_000),
})

function ask(key: string, method: string, { url, body, type }: Ask, headers: Record<string, string> = {}) {
  return app.inject({
    method: method as 'GET',
    url,
    headers: {
      authorization: `Bearer ${key}`,
      ...headers,
      ...(body === undefined ? {} : { 'content-type': type ?? 'application/json' }),
    },
    ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
}

/** Every route, as `METHOD /path`, read from the router itself. */
function routes(): string[] {
  const found: string[] = []
  const above: string[] = []
  for (const line of app.printRoutes({ commonPrefix: false }).split('\n')) {
    const match = /^((?:[│ ] {3})*)[├└]── (\S*?)(?: \(([A-Z, ]+)\))?$/.exec(line)
    if (!match) continue
    const depth = match[1].length / 4
    above.length = depth
    above[depth] = match[2]
    for (const method of match[3]?.split(', ') ?? [])
      if (method !== 'HEAD') found.push(`${method} ${above.join('')}`)
  }
  return found
}

beforeAll(async () => {
  const built = await depsOf(world)
  close = built.close
  app = await buildServer(built.deps, { keys: KEYS, eventLoopDelayMsMax: 0 })
  await world.run(120, 1)
  for (const tenant of TENANTS) {
    const change = { entity: 'pay', kind: 'deploy', ref: `${tenant}-v9` }
    await ask(tenant, 'POST', { url: '/api/changes', body: change })
  }
  await world.run(30, 6)
  for (const tenant of TENANTS) {
    const answer = await ask(tenant, 'POST', {
      url: '/api/maintenance',
      body: maintenanceOf(tenant, 'night'),
    })
    const series = [...world.parts.series.metas()].find(([, meta]) => meta.tenant === tenant)?.[1].key ?? ''
    const disruption = world.parts.disruptions.board().find(one => one.tenant === tenant)?.id ?? ''
    owns.set(tenant, { tenant, disruption, maintenance: answer.json().id, series })
  }
}, 120_000)
afterAll(async () => {
  await app?.close()
  await close?.()
})

function expectNothingOf(other: Tenant, text: string, of: string): void {
  expect(text.match(new RegExp(`.{0,80}${other}.{0,40}`, 'i'))?.[0], of).toBeUndefined()
  for (const id of [...world.idsOf(other), (owns.get(other) as Own).maintenance])
    expect(text.includes(id), `${of} tells ${id}`).toBe(false)
}

describe('two tenants in one service', () => {
  it('have the same trouble, each with disruptions, anomalies, changes and windows of its own', () => {
    for (const tenant of TENANTS) {
      const { disruption, maintenance, series } = owns.get(tenant) as Own
      for (const id of [disruption, maintenance, series]) expect(id, tenant).toMatch(/./)
      expect(world.idsOf(tenant).length).toBeGreaterThan(1)
      expect([...world.changes.values()].filter(one => one.tenant === tenant)).toHaveLength(1)
    }
  })

  it('every route has a case', () => {
    const missing = routes().filter(
      route => CASES[route] === undefined && !MODELS.test(route) && !OPEN.has(route) && !ELSEWHERE.has(route),
    )
    expect(missing).toEqual([])
    expect(routes().length).toBeGreaterThan(Object.keys(CASES).length)
    for (const route of Object.keys(CASES)) expect(routes(), 'a case without a route').toContain(route)
  })

  for (const [route, asked] of Object.entries(CASES)) {
    it(`${route} tells nothing of the other`, async () => {
      const method = route.split(' ')[0]
      for (const tenant of TENANTS) {
        const other = TENANTS.find(one => one !== tenant) as Tenant
        for (const one of asked(owns.get(tenant) as Own, owns.get(other) as Own)) {
          const keyed = await ask(tenant, method, one)
          const of = `${method} ${one.url} of ${tenant}: ${keyed.body.slice(0, 300)}`
          if (one.status !== -1) expect(keyed.statusCode, of).toBe(one.status ?? 200)
          else expect(keyed.statusCode, of).toBeLessThan(500)
          // What is asked for stands in what is refused.
          if (keyed.statusCode < 400) expectNothingOf(other, keyed.body, of)
          if (one.own) expect(keyed.body, of).toContain(tenant)
          if (method !== 'GET' || keyed.statusCode !== 200) continue
          const header = await ask('operator', method, one, { 'foreshock-tenant': tenant })
          expectNothingOf(other, header.body, `header: ${of}`)
          // No header makes a key see another tenant.
          const forged = await ask(tenant, method, one, { 'foreshock-tenant': other })
          expectNothingOf(other, forged.body, `forged: ${of}`)
        }
      }
    })
  }

  it('routes of models say the same to both', async () => {
    for (const route of routes().filter(one => MODELS.test(one) && one.startsWith('GET'))) {
      const url = route.slice(4).replace(':id', 'sum').replace(':model', 'sum').replace(':version', '1')
      const [acme, globex] = await Promise.all(TENANTS.map(tenant => ask(tenant, 'GET', { url })))
      for (const text of [acme.body, globex.body])
        for (const tenant of TENANTS) expect(text, route).not.toContain(tenant)
      expect(acme.statusCode, route).toBe(globex.statusCode)
      expect(acme.body.replace(/"requestId":"[^"]*"/, ''), route).toBe(
        globex.body.replace(/"requestId":"[^"]*"/, ''),
      )
    }
  })

  it('counts are of the tenant, and changes of the other are no cause', async () => {
    const mine = [...world.parts.series.metas()].filter(([, meta]) => meta.tenant === 'acme').length
    const status = (await ask('acme', 'GET', { url: '/api/status' })).json()
    expect(status.series).toBe(mine)
    const all = (await ask('operator', 'GET', { url: '/api/status' })).json()
    expect(all.series).toBe(world.parts.series.size)
    for (const tenant of TENANTS) {
      const told = (await ask(tenant, 'GET', { url: '/api/disruptions?limit=1000' })).json().items
      const refs = told.flatMap((one: { changes: { ref: string }[] }) => one.changes.map(({ ref }) => ref))
      expect(refs).toContain(`${tenant}-v9`)
    }
  })

  it('calls of the other between entities that both have are not told', async () => {
    const { edges } = (await ask('acme', 'GET', { url: '/api/topology' })).json()
    const calls = edges.map((one: { source: string; target: string }) => `${one.source}>${one.target}`)
    expect(calls).toEqual(['front>acme-ledger', 'front>pay', 'pay>acme-ledger'])
  })

  it('events are of the tenant, also those told again', async () => {
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const [first] = world.told.flatMap(({ events }) => events)
    for (const tenant of TENANTS) {
      const other = TENANTS.find(one => one !== tenant) as Tenant
      const stop = new AbortController()
      const answer = await fetch(`${url}/api/events?lastEventId=${encodeURIComponent(first.id)}`, {
        headers: { authorization: `Bearer ${tenant}` },
        signal: stop.signal,
      })
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
      let text = ''
      while (!text.includes('data:')) text += Buffer.from((await reader.read()).value ?? []).toString()
      stop.abort()
      expect(text).toContain(`"tenant":"${tenant}"`)
      expectNothingOf(other, text, 'GET /api/events')
    }
  })
})

/** The page and the text of the API: files, open to everybody and the same for all. */
const OPEN = new Set<string>(
  [
    ...['/', '/*', '/index.html', '/app.js', '/live.js', '/dom.js', '/details.js', '/chart.js', '/style.css'],
    ...['/docs', '/docs/', '/docs/*', '/docs/json', '/docs/yaml', '/docs/static/index.html'],
    ...['/docs/static/swagger-initializer.js', '/asyncapi.json'],
  ].map(path => `GET ${path}`),
)
/** Takes data in and answers counts of it, or is shown in a test of its own above. */
const ELSEWHERE = new Set<string>([
  'GET /api/events',
  'POST /v1/metrics',
  'POST /api/v1/write',
  'POST /api/samples',
])

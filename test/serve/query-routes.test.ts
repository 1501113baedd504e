// Shows that every documented route answers as documented: the OpenAPI document is a whole 3.1 one, each of its
// GET routes is asked over a real socket and its answer read with the very schema it is documented by; filters,
// cursors, ETags and the tenant of a key narrow what is seen; nonsense is answered with a problem that names it.
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { drillSchema } from '../../src/serve/drill-route.ts'
import * as schemas from '../../src/serve/schemas.ts'
import {
  addHistory,
  addSeries,
  anomaly,
  disruption,
  type Json,
  json,
  NOW_MS,
  served,
  world,
} from './world.ts'

const KEY = 'acme-key-that-is-long-and-random'
const ALL = 'all-key-that-is-long-and-random'
const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`

const here = world()
const row = addSeries(here, 'latency_seconds:p99', { service: 'checkout' })
addSeries(here, 'latency_seconds:p99', { service: 'payments', path: '/a/b?c=d"e' })
addSeries(here, 'requests_total:rate', { service: 'checkout' }, { kind: 'traffic', unit: '1/s' })
addSeries(here, 'latency_seconds:p99', { service: 'shop' }, { tenant: 'acme' })
addHistory(here, row, 0.46, 4, 12)
here.board.push(
  disruption('dis_one'),
  disruption('dis_two', { entity: 'search', entities: ['search'], rank: 2, severity: 'minor' }),
  disruption('dis_acme', { tenant: 'acme', entity: 'shop', entities: ['shop'], rank: 3 }),
)
here.anomalies.push(
  anomaly('ano_one'),
  anomaly('ano_two', { entity: 'payments', expected: Number.NaN, surprise: 9 }),
  anomaly('ano_acme', { tenant: 'acme', entity: 'shop' }),
)
here.changes.push(
  { id: 'chg_1', timeMs: NOW_MS - 60_000, entity: 'payments', kind: 'deploy', ref: 'v2' },
  { id: 'chg_2', timeMs: NOW_MS, entity: 'edge', kind: 'restart', ref: '', untilMs: NOW_MS + 60_000 },
)
here.deps.rejects.add('malformed', 'line 3: no metric', NOW_MS, 2)
here.deps.rejects.add('late', 'too late by 40 s', NOW_MS + 1)
const server = await served(here.deps, {
  keys: [
    { id: 'all', hash: hashOf(ALL), scopes: ['admin'] },
    { id: 'acme', hash: hashOf(KEY), scopes: ['read', 'ingest'], tenant: 'acme' },
  ],
  version: '1.2.3',
})

function ask(path: string, key = ALL, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(server.url + path, { headers: { 'x-api-key': key, ...headers } })
}

async function read<T>(schema: { parse(value: unknown): T }, path: string, key = ALL): Promise<T> {
  const answer = await ask(path, key)
  expect(answer.status, path).toBe(200)
  return schema.parse(await answer.json())
}

const CHECKOUT = encodeURIComponent('latency_seconds:p99{service="checkout"}')

describe('/openapi.json', () => {
  it('is a 3.1 document whose references resolve and whose operations can be told apart', async () => {
    const doc = await json(await ask('/openapi.json'))
    expect(doc.openapi).toBe('3.1.0')
    expect(doc.info.version).toBe('1.2.3')
    const refs = [...JSON.stringify(doc).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(m => m[1].split('/'))
    for (const path of refs) {
      let at: Json | undefined = doc
      for (const part of path) at = at?.[part]
      expect(at, path.join('/')).toBeDefined()
    }
    for (const [path, methods] of Object.entries(doc.paths)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(m => m[1])
      for (const operation of Object.values(methods)) {
        expect(operation.summary, path).toBeTypeOf('string')
        expect(Object.keys(operation.responses ?? {}).length, path).toBeGreaterThan(0)
        const parameters = Object.values(operation.parameters ?? {})
        const inPath = parameters.filter(p => String(p.in) === 'path').map(p => String(p.name))
        expect(inPath.sort()).toEqual(named.sort())
        for (const parameter of parameters)
          expect(parameter.schema, `${path} ${parameter.name}`).toBeDefined()
        for (const [status, response] of Object.entries(operation.responses ?? {}))
          if (Number(status) >= 400)
            expect(Object.keys(response.content), path).toEqual(['application/problem+json'])
      }
    }
  })

  it('names the routes of the contract, and each GET among them answers 200', async () => {
    const doc = await json(await ask('/openapi.json'))
    const gets = Object.entries(doc.paths)
      .filter(([, methods]) => 'get' in methods)
      .map(([path]) => path)
    expect(gets).toEqual(
      expect.arrayContaining([
        '/api/disruptions',
        '/api/disruptions/{id}',
        '/api/disruptions/{id}/evidence',
        '/api/disruptions/{id}/similar',
        '/api/anomalies',
        '/api/series',
        '/api/series/{key}/scores',
        '/api/entities',
        '/api/topology',
        '/api/detectors',
        '/api/changes',
        '/api/rejects',
        '/api/events',
      ]),
    )
    expect(doc.paths['/api/changes'].post).toBeDefined()
    expect(doc.paths['/api/explain'].post).toBeDefined()
    // What cannot be asked without saying of what.
    const asked: Record<string, string> = { '/api/maintenance/preview': '?entity=*&from=2026-11-01' }
    for (const path of gets) {
      const stop = new AbortController()
      const url =
        server.url + path.replace('{id}', 'dis_one').replace('{key}', CHECKOUT) + (asked[path] ?? '')
      const answer = await fetch(url, { headers: { 'x-api-key': ALL }, signal: stop.signal })
      expect(answer.status, path).toBe(200)
      stop.abort()
    }
  })

  it('serves the documentation without another host', async () => {
    const answer = await ask('/docs/')
    expect(answer.status).toBe(200)
    const html = await answer.text()
    expect(html).toContain('swagger-ui-bundle.js')
    expect([...html.matchAll(/(?:src|href)="(https?:)?\/\//g)]).toEqual([])
    expect((await ask('/docs/static/swagger-ui-bundle.js')).status).toBe(200)
  })
})

describe('disruptions', () => {
  it('names others that look like one, of its tenant only', async () => {
    const { items } = await read(schemas.similarPage, '/api/disruptions/dis_one/similar')
    expect(items.map(one => one.disruption.id)).toEqual(['dis_two'])
    expect(items[0].similarity).toBeGreaterThan(0)
    expect(items[0].shared.length).toBeGreaterThan(0)
    expect((await ask('/api/disruptions/dis_none/similar')).status).toBe(404)
    expect((await ask('/api/disruptions/dis_one/similar', KEY)).status).toBe(404)
    expect((await ask('/api/disruptions/dis_one/similar?limit=0')).status).toBe(400)
  })

  it('lists, filters and pages', async () => {
    const ids = async (query: string) =>
      (await read(schemas.disruptionsPage, `/api/disruptions${query}`)).items.map(d => d.id)
    expect(await ids('')).toEqual(['dis_one', 'dis_two', 'dis_acme'])
    expect(await ids('?severity=minor')).toEqual(['dis_two'])
    expect(await ids('?entity=payments')).toEqual(['dis_one'])
    expect(await ids('?status=resolved')).toEqual([])
    expect(await ids(`?from=${encodeURIComponent(new Date(NOW_MS).toISOString())}`)).toEqual([])
    expect(await ids(`?from=${NOW_MS - 3_600_000}&to=${NOW_MS / 1000}`)).toHaveLength(3)
    const first = await read(schemas.disruptionsPage, '/api/disruptions?limit=2')
    expect(first.items).toHaveLength(2)
    const second = await read(schemas.disruptionsPage, `/api/disruptions?limit=2&cursor=${first.next}`)
    expect([second.items.map(d => d.id), second.next]).toEqual([['dis_acme'], null])
  })

  it('gives one, its evidence with the way to the chart, and the board with the state of the service', async () => {
    const one = await read(schemas.boardSchema.shape.items.element, '/api/disruptions/dis_one')
    expect(one.entity).toBe('checkout')
    const { items } = await read(schemas.evidencePage, '/api/disruptions/dis_one/evidence')
    const scores = await read(schemas.scoresSchema, items[0].scores)
    expect(scores.series.key).toBe(items[0].key)
    const board = await read(schemas.boardSchema, '/api/board')
    expect(board.items).toHaveLength(3)
    expect(board.status).toMatchObject({ series: 4, rejected: 3, disruptionsOpen: 3, ready: true })
  })

  it('answers an unchanged list with 304 and a changed one with 200', async () => {
    const first = await ask('/api/disruptions')
    const tag = first.headers.get('etag') as string
    const same = await ask('/api/disruptions', ALL, { 'if-none-match': `"other", ${tag}` })
    expect([same.status, await same.text()]).toEqual([304, ''])
    const before = here.board[0]
    here.board[0] = { ...before, score: 90 }
    expect((await ask('/api/disruptions', ALL, { 'if-none-match': tag })).status).toBe(200)
    here.board[0] = before
  })
})

describe('anomalies, series and the rest', () => {
  it('lists anomalies, live ones strongest first, unknown numbers as null', async () => {
    const open = await read(schemas.anomaliesPage, '/api/anomalies?status=open')
    expect(open.items.map(a => a.id)).toEqual(['ano_two', 'ano_acme', 'ano_one'])
    expect(open.items[0].expected).toBeNull()
    const paged = await read(schemas.anomaliesPage, '/api/anomalies?status=open&limit=1')
    const next = await read(schemas.anomaliesPage, `/api/anomalies?status=open&limit=1&cursor=${paged.next}`)
    expect(next.items[0].id).toBe('ano_acme')
    expect((await read(schemas.anomaliesPage, '/api/anomalies')).items).toHaveLength(3)
  })

  it('pages through series, filtered', async () => {
    const keys = new Set<string>()
    let query = '?limit=1'
    for (let i = 0; i < 10; i++) {
      const page = await read(schemas.seriesPage, `/api/series${query}`)
      for (const item of page.items) keys.add(item.key)
      if (page.next === null) break
      query = `?limit=1&cursor=${page.next}`
    }
    expect(keys.size).toBe(4)
    expect((await read(schemas.seriesPage, '/api/series?entity=checkout&kind=traffic')).items).toHaveLength(1)
    expect((await read(schemas.seriesPage, '/api/series?q=PAYMENTS')).items).toHaveLength(1)
  })

  it('gives scores as columns, oldest first, gaps as null, narrowed by time and count', async () => {
    const all = await read(schemas.scoresSchema, `/api/series/${CHECKOUT}/scores`)
    expect(all.columns.timeMs).toHaveLength(360)
    expect(all.columns.timeMs.at(-1)).toBe(NOW_MS)
    expect(all.columns.timeMs[1] - all.columns.timeMs[0]).toBe(all.stepMs)
    expect(all.columns.observed[102]).toBeNull()
    expect(all.columns.observed.at(-1)).toBeGreaterThan(all.columns.upper.at(-1) as number)
    const from = NOW_MS - 50_000
    const some = await read(
      schemas.scoresSchema,
      `/api/series/${CHECKOUT}/scores?from=${from}&to=${NOW_MS - 1}`,
    )
    expect(some.columns.timeMs).toEqual([from, from + 10_000, from + 20_000, from + 30_000, from + 40_000])
    expect(some.columns.observed).toEqual(all.columns.observed.slice(-6, -1))
    const last = await read(schemas.scoresSchema, `/api/series/${CHECKOUT}/scores?limit=2`)
    expect(last.columns.timeMs).toEqual([NOW_MS - 10_000, NOW_MS])
  })

  it('begins where a young series begins', async () => {
    const row = addSeries(here, 'young', { service: 'new' })
    addHistory(here, row, 1, 1, 0)
    const columns = here.history.rows.get(row)
    for (const name of ['observed', 'expected', 'lower', 'upper', 'surprise'] as const)
      columns?.[name].fill(Number.NaN, 0, 350)
    const key = here.series.meta(row).key
    const young = await read(schemas.scoresSchema, `/api/series/${encodeURIComponent(key)}/scores`)
    expect(young.columns.timeMs).toHaveLength(10)
    expect(young.columns.timeMs.at(-1)).toBe(NOW_MS)
    here.series.evict(row)
  })

  it('finds keys with slashes, quotes and question marks, and keys without history', async () => {
    const key = here.series.meta(1).key
    const { columns } = await read(schemas.scoresSchema, `/api/series/${encodeURIComponent(key)}/scores`)
    expect(columns.timeMs).toEqual([])
  })

  it('gives entities, topology, detectors, changes and rejects', async () => {
    const { items } = await read(schemas.entitiesPage, '/api/entities')
    expect(items.find(e => e.entity === 'checkout')).toEqual({
      entity: 'checkout',
      tenant: 'default',
      series: 2,
      anomaliesOpen: 1,
      disruptions: ['dis_one'],
    })
    const topology = await read(schemas.topologySchema, '/api/topology')
    expect(topology.nodes).toEqual(['checkout', 'edge', 'payments'])
    // What detectors count is of all tenants.
    const detectors = await json(await ask('/api/detectors'))
    expect(detectors.items).toEqual([{ id: 'seasonal@1', warmUpWindows: 30, bytes: 4096 }])
    expect(schemas.detectorsSchema.parse(detectors)).toEqual(detectors)
    const changes = await read(schemas.changesPage, '/api/changes')
    expect(changes.items.map(c => c.id)).toEqual(['chg_2', 'chg_1'])
    expect((await read(schemas.changesPage, '/api/changes?kind=deploy')).items).toHaveLength(1)
    const rejects = await read(schemas.rejectsSchema, '/api/rejects?reason=malformed')
    expect(rejects.counts).toEqual({ malformed: 2, late: 1 })
    expect(rejects.recent.map(r => r.detail)).toEqual(['line 3: no metric'])
  })

  it('explains a moment', async () => {
    const post = (body: unknown, key = ALL) =>
      fetch(`${server.url}/api/explain`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': key },
        body: JSON.stringify(body),
      })
    const answer = await post({ at: new Date(NOW_MS).toISOString(), lookback: 600 })
    expect(answer.status).toBe(200)
    const { suspects } = schemas.explainSchema.parse(await answer.json())
    expect(suspects.map(s => s.entity)).toEqual(['checkout', 'payments', 'shop'])
    const own = schemas.explainSchema.parse(await (await post({ at: NOW_MS }, KEY)).json())
    expect(own.suspects.map(s => s.entity)).toEqual(['shop'])
    for (const at of ['yesterday', '9999999999999999']) {
      const wrong = await post({ at })
      expect(wrong.status).toBe(400)
      expect((await json(wrong)).detail).toContain('at')
    }
  })
})

describe('POST /api/drill-down', () => {
  const post = (body: unknown) =>
    fetch(`${server.url}/api/drill-down`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': ALL },
      body: JSON.stringify(body),
    })
  const rows = ['eu', 'us', 'asia'].flatMap(region =>
    ['v1', 'v2'].map(version => ({
      region,
      version,
      real: region === 'us' ? 50 : 100,
      predict: 100,
    })),
  )

  it('names the combination that explains the rows', async () => {
    const answer = await post({ columns: { observed: 'real', expected: 'predict' }, rows })
    expect(answer.status).toBe(200)
    const { explanations } = drillSchema.parse(await answer.json())
    expect(explanations).toHaveLength(1)
    expect(explanations[0]).toMatchObject({ rank: 1, where: { region: 'us' }, observed: 100, expected: 200 })
  })

  it('takes a live metric instead of rows, and says why it cannot be looked into', async () => {
    const unknown = await post({ metric: 'nothing_total:rate' })
    expect(unknown.status).toBe(400)
    expect((await json(unknown)).detail).toContain('no series of "nothing_total:rate"')
    expect((await post({ metric: 'x', windows: 0 })).status).toBe(400)
    expect((await post({ metric: 'x', rows })).status).toBe(400)
  })

  it('says what is wrong with rows it cannot read', async () => {
    const missing = await post({ columns: { observed: 'real', expected: 'forecast' }, rows })
    expect(missing.status).toBe(400)
    expect((await json(missing)).detail).toContain('no column "forecast"')
    const bad = await post({
      columns: { observed: 'real', expected: 'predict' },
      rows: [...rows, { region: 'eu', version: 'v1', real: 'many', predict: 1 }],
    })
    expect(bad.status).toBe(400)
    expect((await json(bad)).detail).toContain('row 7')
    const endless = await post({
      columns: { observed: 'real', expected: 'predict' },
      rows: [{ ...rows[2], real: '1e999' }, ...rows],
    })
    expect(endless.status).toBe(400)
    expect((await json(endless)).detail).toContain('row 1')
    expect((await post({ columns: { observed: 'real' }, rows })).status).toBe(400)
  })
})

describe('a key with a tenant', () => {
  it('sees nothing of others', async () => {
    expect((await read(schemas.disruptionsPage, '/api/disruptions', KEY)).items.map(d => d.id)).toEqual([
      'dis_acme',
    ])
    expect((await read(schemas.boardSchema, '/api/board', KEY)).items).toHaveLength(1)
    expect((await ask('/api/disruptions/dis_one', KEY)).status).toBe(404)
    expect((await ask('/api/disruptions/dis_one/evidence', KEY)).status).toBe(404)
    expect((await ask(`/api/series/${CHECKOUT}/scores`, KEY)).status).toBe(404)
    expect((await read(schemas.seriesPage, '/api/series', KEY)).items.map(s => s.tenant)).toEqual(['acme'])
    expect((await read(schemas.entitiesPage, '/api/entities', KEY)).items.map(e => e.entity)).toEqual([
      'shop',
    ])
    expect((await read(schemas.topologySchema, '/api/topology', KEY)).edges).toEqual([])
    expect((await read(schemas.anomaliesPage, '/api/anomalies?status=open', KEY)).items).toHaveLength(1)
    const rejects = await ask('/api/rejects', KEY)
    expect([rejects.status, (await json(rejects)).code]).toEqual([403, 'FS_FORBIDDEN'])
  })

  it('writes to its tenant', async () => {
    await fetch(`${server.url}/api/samples`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', authorization: `Bearer ${KEY}` },
      body: '{}',
    })
    expect(here.envelopes.at(-1)?.tenant).toBe('acme')
  })
})

describe('problems', () => {
  it.each([
    ['/api/disruptions?limit=0', 400, 'limit'],
    ['/api/disruptions?limit=many', 400, 'limit'],
    ['/api/disruptions?status=closed', 400, 'status'],
    ['/api/disruptions?from=yesterday', 400, 'from'],
    ['/api/disruptions?cursor=%00%27', 400, 'cursor'],
    ['/api/series?cursor=nonsense', 400, 'cursor'],
    ['/api/anomalies?status=open&cursor=bzE', 200, ''],
    ['/api/disruptions/nope', 404, 'nope'],
    ['/api/series/nope/scores', 404, 'nope'],
    ['/api/nope', 404, '/api/nope'],
    ['/api/%ZZ', 400, ''],
    [`/api/disruptions?cursor=${'x'.repeat(513)}`, 400, 'cursor'],
  ])('%s → %i', async (path, status, named) => {
    const answer = await ask(path)
    expect(answer.status).toBe(status)
    if (status === 200) return
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    const problem = schemas.problemSchema.parse(await answer.json())
    expect(problem.status).toBe(status)
    expect(problem.code).toMatch(/^FS_/)
    expect(problem.detail).toContain(named)
  })

  it('refuses a path that is too long, with a problem', async () => {
    const answer = await ask(`/api/series/${'x'.repeat(9000)}/scores`)
    expect(answer.status).toBe(414)
    expect((await json(answer)).code).toBe('FS_INPUT_INVALID')
  })

  it('names wrong methods too', async () => {
    const answer = await fetch(`${server.url}/api/disruptions`, { method: 'DELETE' })
    expect([answer.status, (await json(answer)).detail]).toEqual([404, 'there is no DELETE /api/disruptions'])
  })
})

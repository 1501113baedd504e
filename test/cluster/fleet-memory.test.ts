// Shows that the roles of a fleet make one service, over real HTTP and with engines in memory: a fault told to one gateway
// shows on the other as events, on the board, in the record and in live state; a receiver of webhooks and an Alertmanager
// hear of it; maintenance windows, changes and the audit trail reach the stage; when the process that scores and groups
// stops, another goes on without telling anything twice.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import type { Disruption } from '../../src/core/disruption.ts'
import { TOPICS } from '../../src/core/stream.ts'
import { startFleet } from '../../src/fleet.ts'
import type { Service } from '../../src/listening.ts'
import type { CloudEvent } from '../../src/publish/cloudevents.ts'
import { disruptions, Incident } from '../e2e/incident.ts'
import { getJson, remove, temporaryFolder, until } from '../e2e/service.ts'
import { SseClient } from '../e2e/sse-client.ts'
import { type SharedMemory, sharedMemory } from './memory-engines.ts'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const folder = temporaryFolder()
let shared: SharedMemory
const services: Service[] = []
const hooks: CloudEvent[] = []
const alerts: { labels: Record<string, string>; endsAt: string }[] = []
const world = createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.url === '/hook') hooks.push(JSON.parse(text))
  else if (request.method === 'POST') alerts.push(...JSON.parse(text))
  response.end('[]')
})

async function start(roles: readonly string[], member: string): Promise<Service> {
  const outside = `http://127.0.0.1:${(world.address() as AddressInfo).port}`
  const config = parseConfig({
    server: { port: 0, grpcPort: 'off' },
    data: { folder },
    features: { step: '1s', idle: '10m' },
    detection: { combiner: false },
    sinks: {
      webhooks: [{ url: `${outside}/hook`, secret: SECRET, allowPrivate: true }],
      alertmanagers: [{ url: outside }],
    },
    cluster: {
      roles,
      member,
      kafka: { brokers: ['127.0.0.1:1'] },
      redis: { url: 'redis://127.0.0.1:1' },
      postgres: { url: 'postgres://127.0.0.1:1/none' },
      partitions: { samples: 2, anomalies: 2 },
      patience: '2s',
    },
  })
  const service = await startFleet(config, {
    logger: pino({ level: process.env.FORESHOCK_LOG_LEVEL ?? 'error' }),
    engines: shared.engines(),
  })
  services.push(service)
  return service
}

beforeAll(async () => {
  shared = sharedMemory(2, 2)
  await new Promise<void>(done => world.listen(0, '127.0.0.1', done))
})
afterAll(async () => {
  for (const service of services.splice(0).reverse()) await service.stop()
  world.closeAllConnections()
  world.close()
  remove(folder)
})

describe('a fleet', () => {
  it('finds a fault, tells everybody, and goes on in another process', { timeout: 60_000 }, async () => {
    const left = await start(['gateway'], 'left')
    const right = await start(['gateway'], 'right')
    const [here, there] = [new SseClient(), new SseClient()]
    await here.connect(left.url)
    await there.connect(right.url)

    const incident = new Incident(3)
    await incident.learn(left.url)
    // Told before anybody scores: ticks of an empty partition would tell that all of this is long past.
    // A gateway answers once the log has it: what is found shows a little later.
    await incident.tell(left.url, 60)
    const worker = await start(['scorer', 'disruptions', 'indexer', 'publisher'], 'one')
    for (const { url } of [left, right, worker]) {
      const ready = await fetch(`${url}/readyz`)
      expect([ready.status, await ready.text()]).toMatchObject([200, expect.stringContaining('true')])
      expect(await (await fetch(`${url}/metrics`)).text()).toMatch('foreshock_http_seconds')
    }
    const opened = await until('the fault is found', async () => (await disruptions(left.url, 'open'))[0])
    expect(opened.suspects[0].entity).toBe('store')

    const events = (client: SseClient) => client.events.map(one => one.id)
    await until('both gateways told of it', async () =>
      [here, there].every(client => events(client).includes(`${opened.id}.1`)),
    )
    await until('the webhook came', async () => hooks.some(one => one.id === `${opened.id}.1`))
    await until('the Alertmanager knows', async () => alerts.some(one => one.labels.disruption === opened.id))
    const board = await until('the board shows it', async () => {
      const { items } = await getJson<{ items: Disruption[] }>(`${right.url}/api/board`)
      return items.length > 0 && items
    })
    expect(board[0].id).toBe(opened.id)

    // Live state, from either gateway.
    for (const { url } of [left, right]) {
      const series = await getJson<{ items: { key: string; entity: string }[] }>(
        `${url}/api/series?entity=store`,
      )
      expect(series.items.length).toBeGreaterThan(0)
      const scores = await getJson<{ columns: { observed: number[] } }>(
        `${url}/api/series/${encodeURIComponent(series.items[0].key)}/scores`,
      )
      expect(scores.columns.observed.length).toBeGreaterThan(50)
      const anomalies = await getJson<{ items: { entity: string }[] }>(`${url}/api/anomalies?status=open`)
      expect(anomalies.items.map(one => one.entity)).toContain('store')
      const status = await getJson<{ series: number; ready: boolean }>(`${url}/api/status`)
      expect(status).toMatchObject({ ready: true })
      expect(status.series).toBeGreaterThan(5)
      const query = await getJson<{ data: { result: unknown[] } }>(
        `${url}/api/v1/query?query=anomaly_score&time=${Date.parse(opened.updatedAt) / 1000}`,
      )
      expect(query.data.result.length).toBeGreaterThan(5)
      const explained = await getJson<{ suspects: { entity: string }[] }>(`${url}/api/explain`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ at: Date.parse(opened.updatedAt) }),
      })
      expect(explained.suspects[0].entity).toBe('store')
    }

    // What people say.
    const change = await fetch(`${left.url}/api/changes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ time: opened.startedAt, entity: 'store', kind: 'deploy', ref: 'v7' }),
    })
    expect(change.status).toBe(201)
    expect(shared.log.topic(TOPICS.changes).flat()).toHaveLength(1)
    const window = { name: 'upgrade', entity: 'edge', from: '2030-01-01', to: '2030-01-02' }
    const posted = await fetch(`${right.url}/api/maintenance`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(window),
    })
    expect(posted.status).toBe(201)
    const { items } = await getJson<{ items: { name: string }[] }>(`${left.url}/api/maintenance`)
    expect(items.map(one => one.name)).toEqual(['upgrade'])
    await until('it is audited', async () => JSON.stringify(await lines()).includes('maintenance.post'))

    // The process stops; another goes on.
    await worker.stop()
    const away = await fetch(`${left.url}/api/series`)
    expect(away.status).toBe(503)
    await start(['scorer', 'disruptions', 'indexer', 'publisher'], 'two')
    await incident.tell(right.url, 120)
    const resolved = await until('it is over', async () => {
      const found = await getJson<Disruption>(`${right.url}/api/disruptions/${opened.id}`)
      return found.status === 'resolved' && found
    })
    expect(resolved.revision).toBeGreaterThan(1)
    await until('both were told of the end', async () =>
      [here, there].every(client => events(client).includes(`${opened.id}.${resolved.revision}`)),
    )
    for (const client of [here, there]) expect(new Set(events(client)).size).toBe(events(client).length)
    await until('the webhook heard of the end', async () =>
      hooks.some(one => one.data.status === 'resolved' && one.data.id === opened.id),
    )
    const ended = (id: string) =>
      alerts.some(one => one.labels.disruption === id && Date.parse(one.endsAt) <= Date.now())
    await until('the alert is closed', async () => ended(opened.id))

    // Who comes back to the other gateway misses nothing.
    const back = new SseClient()
    back.events.push({ id: `${opened.id}.1`, type: '', data: '' })
    await back.connect(right.url)
    await until('what came since is told again', async () =>
      events(back).includes(`${opened.id}.${resolved.revision}`),
    )
    for (const client of [here, there, back]) client.cut()
    expect(shared.errors).toEqual([])
    const ids = shared.log
      .topic(TOPICS.disruptions)
      .flat()
      .map(one => one.headers.ce_id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

async function lines(): Promise<unknown[]> {
  return shared.log
    .topic(TOPICS.record)
    .flat()
    .map(one => JSON.parse(Buffer.from(one.value).toString()))
}

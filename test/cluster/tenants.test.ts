// Shows two tenants of a fleet who call their services the same, over real HTTP with keys of their own: each has its trouble
// in another service, and on either gateway sees its own events, board, record, changes, series and causes and nothing of the
// other's; a quota of one refuses nothing of the other, whichever gateway it comes to. Engines are in memory.
import { createHash } from 'node:crypto'
import { pino } from 'pino'
import { afterAll, expect, it } from 'vitest'
import { partitionOf } from '../../src/bus/partition-of.ts'
import { parseConfig } from '../../src/config.ts'
import type { Disruption } from '../../src/core/disruption.ts'
import { HEADERS, TOPICS } from '../../src/core/stream.ts'
import { startFleet } from '../../src/fleet.ts'
import type { Service } from '../../src/listening.ts'
import { Incident } from '../e2e/incident.ts'
import { getJson, until } from '../e2e/service.ts'
import { SseClient } from '../e2e/sse-client.ts'
import { sharedMemory } from './memory-engines.ts'

/** Both in one partition of each topic of disruptions, where they could meet. */
const TENANTS = ['acme', 'globex'] as const
const SLOW = { acme: 'store', globex: 'payments' } as const
type Tenant = (typeof TENANTS)[number]

const keyOf = (tenant: string) => `a-long-and-random-key-of-${tenant}-for-this-test`
const asTenant = (tenant: string) => ({ authorization: `Bearer ${keyOf(tenant)}` })
const hashed = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

const shared = sharedMemory(2, 1)
const services: Service[] = []
afterAll(async () => {
  for (const service of services.splice(0).reverse()) await service.stop()
})

async function start(roles: readonly string[], member: string): Promise<string> {
  const config = parseConfig({
    server: { port: 0, grpcPort: 'off' },
    auth: {
      keys: [...TENANTS, 'small'].map(tenant => ({
        name: tenant,
        hash: hashed(keyOf(tenant)),
        scopes: ['ingest', 'read'],
        tenant,
      })),
    },
    features: { step: '1s', idle: '10m' },
    detection: { combiner: false },
    tenants: { small: { quota: { series: 2, samplesPerSecond: 0.5 } } },
    cluster: {
      roles,
      member,
      kafka: { brokers: ['127.0.0.1:1'] },
      redis: { url: 'redis://127.0.0.1:1' },
      postgres: { url: 'postgres://127.0.0.1:1/none' },
      partitions: { samples: 2, anomalies: 1 },
      patience: '2s',
    },
  })
  const logger = pino({ level: process.env.FORESHOCK_LOG_LEVEL ?? 'silent' })
  const service = await startFleet(config, { logger, engines: shared.engines() })
  services.push(service)
  return service.url
}

const get = <T>(url: string, tenant: string) => getJson<T>(url, { headers: asTenant(tenant) })
const itemsOf = async <T>(url: string, tenant: string) => (await get<{ items: T[] }>(url, tenant)).items

async function post(url: string, tenant: string, body: object): Promise<Response> {
  const headers = { ...asTenant(tenant), 'content-type': 'application/json' }
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
}

it('keeps two tenants with the same names apart, on every gateway', { timeout: 90_000 }, async () => {
  const gateways = [await start(['gateway'], 'left'), await start(['gateway'], 'right')]
  const told = new Map<Tenant, SseClient>()
  const incidents = TENANTS.map(
    (tenant, i) => new Incident(3 + i, { service: SLOW[tenant], headers: asTenant(tenant) }),
  )
  for (const [i, tenant] of TENANTS.entries()) {
    const client = new SseClient()
    await client.connect(gateways[1 - i], asTenant(tenant))
    told.set(tenant, client)
  }
  // Side by side, each to one gateway and then the other: event time is that of a partition, whoever is in it.
  for (let step = 0; step < 360; step += 10) {
    const at = step < 180 ? 0 : 1
    await Promise.all(incidents.map((incident, i) => incident.tell(gateways[(at + i) % 2], 10)))
  }
  await start(['scorer', 'disruptions', 'indexer'], 'worker')

  const found = new Map<Tenant, Disruption>()
  for (const tenant of TENANTS) {
    const one = await until(`${tenant} is told`, async () => {
      const items = await itemsOf<Disruption>(`${gateways[0]}/api/disruptions?status=open`, tenant)
      return items[0]?.suspects[0]?.entity === SLOW[tenant] && items[0]
    })
    found.set(tenant, one)
  }
  for (const [i, tenant] of TENANTS.entries()) {
    const other = TENANTS[1 - i]
    const [own, theirs] = [found.get(tenant), found.get(other)] as [Disruption, Disruption]
    expect(own.rank).toBe(1)
    for (const url of gateways) {
      const board = await until('the board shows it', async () => {
        const items = await itemsOf<Disruption>(`${url}/api/board`, tenant)
        return items.length > 0 && items
      })
      expect(board.map(one => [one.id, one.tenant, one.rank])).toEqual([[own.id, tenant, 1]])
      const record = await itemsOf<Disruption>(`${url}/api/disruptions`, tenant)
      expect(record.map(one => one.tenant)).toEqual([tenant])
      const foreign = await fetch(`${url}/api/disruptions/${theirs.id}`, { headers: asTenant(tenant) })
      expect(foreign.status).toBe(404)
      const entities = await itemsOf<{ entity: string; tenant: string }>(`${url}/api/entities`, tenant)
      expect(new Set(entities.map(one => one.tenant))).toEqual(new Set([tenant]))
      const anomalies = await itemsOf<{ tenant: string }>(`${url}/api/anomalies`, tenant)
      expect(new Set(anomalies.map(one => one.tenant))).toEqual(new Set([tenant]))
      const at = Date.parse(own.startedAt)
      const explained = await post(`${url}/api/explain`, tenant, { at })
      const { suspects } = (await explained.json()) as { suspects: { entity: string }[] }
      expect(suspects[0].entity).toBe(SLOW[tenant])
    }
  }

  // One id for two releases, as a pipeline of deployments writes them to Kafka.
  const { streams } = shared.engines()
  const producer = await streams.producer()
  await producer.send(
    TOPICS.changes,
    TENANTS.map(tenant => {
      const change = { id: 'rel-1', time: Date.now(), entity: 'edge', kind: 'deploy', ref: `of-${tenant}` }
      const value = Buffer.from(JSON.stringify(change))
      return { key: 'edge', value, headers: { [HEADERS.tenant]: tenant }, timestampMs: Date.now() }
    }),
  )
  for (const tenant of TENANTS)
    await until(`${tenant} has its change`, async () => {
      const changes = await itemsOf<{ ref: string }>(`${gateways[0]}/api/changes`, tenant)
      return changes.map(one => one.ref).join() === `of-${tenant}`
    })
  const inRecord = () =>
    shared.log
      .topic(TOPICS.record)
      .flat()
      .map(one => Buffer.from(one.value).toString())
      .filter(line => line.includes('rel-1') && /"type":"change"/.test(line))
  await until('both are in the record', async () => inRecord().length === 2)

  // What one may not is nothing to the others.
  const lines = {
    samples: ['a', 'b', 'c'].map(metric => ({
      metric,
      labels: { service: 's' },
      time: Date.now(),
      value: 1,
    })),
  }
  const send = async (url: string, tenant: string) => {
    const headers = { ...asTenant(tenant), 'content-type': 'application/x-ndjson' }
    const body = lines.samples.map(line => JSON.stringify(line)).join('\n')
    return fetch(`${url}/api/samples`, { method: 'POST', headers, body })
  }
  expect(await (await send(gateways[0], 'small')).json()).toMatchObject({ samples: 2, rejected: 1 })
  await until('its rate is spent, on both gateways', async () => {
    const answers = await Promise.all(gateways.map(url => send(url, 'small')))
    return answers.every(answer => answer.status === 429)
  })
  for (const tenant of TENANTS)
    expect(await (await send(gateways[1], tenant)).json()).toMatchObject({ samples: 3, rejected: 0 })

  // Events: to each its own, on the stream and in Kafka.
  for (const tenant of TENANTS) {
    const client = told.get(tenant) as SseClient
    const own = found.get(tenant) as Disruption
    await until('it is told', async () => client.events.some(one => one.id.startsWith(own.id)))
    for (const { data } of client.events) {
      expect(data).toContain(`"tenant":"${tenant}"`)
      for (const other of TENANTS) if (other !== tenant) expect(data).not.toContain(`"${other}"`)
    }
    client.cut()
  }
  const events = shared.log.topic(TOPICS.disruptions).flat()
  for (const { headers, value } of events)
    expect(JSON.parse(Buffer.from(value).toString()).tenant).toBe(headers[HEADERS.tenant])
  expect(new Set(events.map(one => one.headers[HEADERS.tenant]))).toEqual(new Set(TENANTS))
  expect(partitionOf('acme', 1)).toBe(partitionOf('globex', 1))
  expect(shared.errors).toEqual([])
})

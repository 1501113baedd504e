// Shows the fleet as users run it: built processes on real Kafka, Redis and PostgreSQL. Two gateways, a process that scores
// and groups, one that only scores: a fault told to one gateway as JSON lines comes out of the other as server-sent events,
// is queried from PostgreSQL, shown from Redis and live from the stage, and is known to a webhook and a real Alertmanager.
// A start against topics that are not there says what to do.
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { expect, it, onTestFinished } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { disruptions, Incident } from '../e2e/incident.ts'
import { CLI, getJson, remove, startForeshock, temporaryFolder, until } from '../e2e/service.ts'
import { SseClient } from '../e2e/sse-client.ts'
import { kafka } from '../peers/kafka.ts'
import { alertmanager } from '../peers/peers.ts'
import { postgres } from '../peers/postgres.ts'
import { redis } from '../peers/redis.ts'

/** A peer may have to be installed first. */
const INSTALL_MS = 900_000
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

it('finds a fault over several processes and tells everybody', { timeout: INSTALL_MS }, async context => {
  const [broker, store, database, alerting] = await Promise.all([
    kafka(context),
    redis(context),
    postgres(context),
    alertmanager(context),
  ])
  const got: { id: string; data: Disruption }[] = []
  const receiver = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    new Webhook(SECRET).verify(text, request.headers as Record<string, string>)
    got.push(JSON.parse(text))
    response.end()
  })
  await new Promise<void>(done => receiver.listen(0, '127.0.0.1', done))
  onTestFinished(() => void receiver.close())
  const hook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
  const config = (member: string, roles: readonly string[]) => ({
    server: { port: 0, grpcPort: 'off' },
    features: { step: '1s', idle: '10m' },
    detection: { combiner: false },
    sinks: {
      webhooks: [{ url: hook, secret: SECRET, allowPrivate: true }],
      alertmanagers: [{ url: alerting.url }],
    },
    cluster: {
      roles,
      member,
      kafka: { brokers: [broker.broker], prefix, sessionTimeout: '6s' },
      redis: { url: store.url },
      postgres: { url: database.url },
      partitions: { samples: 2, anomalies: 2 },
      replication: 1,
      patience: '5s',
    },
    log: { level: 'warn' },
  })
  const prefix = `gw-${randomUUID().slice(0, 8)}.`
  const folder = temporaryFolder()
  onTestFinished(() => remove(folder))
  const file = join(folder, 'fleet.json')
  writeFileSync(file, JSON.stringify(config('none', ['gateway'])))
  const run = (...words: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...words, '--config', file])
    return { status, text: `${stdout}${stderr}` }
  }
  const early = run('serve')
  expect([early.status, early.text]).toEqual([1, expect.stringContaining('foreshock topics create')])
  expect(run('topics', 'create')).toMatchObject({ status: 0 })

  const start = async (member: string, roles: readonly string[]) => {
    const service = await startForeshock(config(member, roles))
    onTestFinished(async () => {
      await service.kill()
      remove(service.folder)
    })
    return service
  }
  const [left, right] = await Promise.all([start('left', ['gateway']), start('right', ['gateway'])])
  const client = new SseClient()
  await client.connect(right.url)
  onTestFinished(() => client.cut())
  // Told before anybody scores: ticks of an empty partition would tell that all of this is long past.
  const incident = new Incident(3)
  await incident.learn(left.url)
  await incident.tell(left.url, 60)
  const [worker, scorer] = await Promise.all([
    start('one', ['scorer', 'disruptions', 'indexer', 'publisher']),
    start('two', ['scorer']),
  ])
  for (const { url } of [left, right, worker, scorer])
    await until('it is ready', async () => (await fetch(`${url}/readyz`)).ok)
  const opened = await until('it is found', async () => (await disruptions(left.url, 'open'))[0], 40_000)
  expect(opened.suspects[0].entity).toBe('store')
  await until('the other gateway tells', async () => client.events.some(one => one.id === `${opened.id}.1`))
  await until('the webhook came', async () => got.some(one => one.id === `${opened.id}.1`))
  await until('Alertmanager shows it', async () => {
    const alerts = await getJson<{ labels: Record<string, string> }[]>(`${alerting.url}/api/v2/alerts`)
    return alerts.some(one => one.labels.disruption === opened.id)
  })
  for (const { url } of [left, right]) {
    const board = await until('the board', async () => {
      const { items } = await getJson<{ items: Disruption[] }>(`${url}/api/board`)
      return items.length > 0 && items
    })
    expect(board[0].id).toBe(opened.id)
    const series = await getJson<{ items: unknown[] }>(`${url}/api/series`)
    expect(series.items.length).toBeGreaterThan(20)
  }
  const held = await getJson<{ series: number }>(`${left.url}/api/status`)
  expect(held.series).toBeGreaterThan(20)

  // In order, and back again with another scorer gone.
  expect(await scorer.stop()).toBe(0)
  await incident.tell(right.url, 120)
  const resolved = await until(
    'it is over',
    async () => {
      const found = await getJson<Disruption>(`${left.url}/api/disruptions/${opened.id}`)
      return found.status === 'resolved' && found
    },
    40_000,
  )
  const last = `${opened.id}.${resolved.revision}`
  await until('the other gateway tells the end', async () => client.events.some(one => one.id === last))
  await until('the webhook hears of the end', async () => got.some(one => one.id === last))
  const ids = client.events.map(one => one.id)
  expect(new Set(ids).size).toBe(ids.length)
  for (const one of [worker, right]) expect(await one.stop()).toBe(0)
  expect(await left.stop()).toBe(0)
})

// Models and maintenance windows in a fleet whose engines are in memory, over real HTTP and with models in real threads: what
// `control` says and no partition heard is made up for; a scorer that cannot fetch a package scores on without, says so, and
// takes it up when it can; quotas of models are kept; what is removed is gone on every gateway, also when the one that
// removed it died before its bytes were.
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { parseConfig } from '../../src/config.ts'
import { ForeshockError } from '../../src/core/errors.ts'
import type { MaintenanceWindow } from '../../src/core/maintenance.ts'
import { wordAfter, wordWithout } from '../../src/core/model-word.ts'
import type { PackageStore } from '../../src/core/ports.ts'
import { CONTENT, HEADERS, TOPICS } from '../../src/core/stream.ts'
import { startFleet } from '../../src/fleet.ts'
import type { Service } from '../../src/listening.ts'
import { maintenanceWordMessage, modelWordMessage } from '../../src/roles/control.ts'
import type { modelSchema } from '../../src/serve/model-body.ts'
import { Incident } from '../e2e/incident.ts'
import { getJson, remove, temporaryFolder, until } from '../e2e/service.ts'
import { writeShare } from '../model-world.ts'
import { PACKAGE_FILES, tarOf } from '../store/model-packages.ts'
import { type SharedMemory, sharedMemory } from './memory-engines.ts'

type Model = z.output<typeof modelSchema>

const SAMPLES = 3
const ANOMALIES = 2
const folder = temporaryFolder()
const shared: SharedMemory = sharedMemory(SAMPLES, ANOMALIES)
const services: Service[] = []
/** Whether scorers reach the store of packages. */
let isAway = false

async function start(roles: readonly string[], member: string): Promise<Service> {
  const config = parseConfig({
    server: { port: 0, grpcPort: 'off' },
    data: { folder },
    features: { step: '1s', idle: '10m' },
    detection: { combiner: false, models: { size: 300, timeout: '20s' } },
    tenants: { small: { quota: { models: 1 } } },
    cluster: {
      roles,
      member,
      kafka: { brokers: ['127.0.0.1:1'] },
      redis: { url: 'redis://127.0.0.1:1' },
      postgres: { url: 'postgres://127.0.0.1:1/none' },
      partitions: { samples: SAMPLES, anomalies: ANOMALIES },
      patience: '2s',
    },
  })
  const engines = shared.engines()
  const { packages } = engines
  const own: PackageStore = {
    list: after => packages.list(after),
    put: (...all) => packages.put(...all),
    remove: (model, version) => packages.remove(model, version),
    close: () => packages.close(),
    fetch: async function* (model, version) {
      if (isAway && roles.includes('scorer')) throw new ForeshockError('FS_IO', 'the store is away')
      yield* packages.fetch(model, version)
    },
  }
  const logger = pino({ level: process.env.FORESHOCK_LOG_LEVEL ?? 'silent' })
  const service = await startFleet(config, { logger, engines: { ...engines, packages: own } })
  services.push(service)
  return service
}

async function push(url: string, model: string, version: number, tenant = 'default'): Promise<Response> {
  writeShare(folder, model, version, 0.4 + version / 10)
  return fetch(`${url}/api/models/${model}/versions/${version}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/gzip', 'foreshock-tenant': tenant },
    body: new Uint8Array(await tarOf(`${folder}/${model}/${version}`, PACKAGE_FILES, true)),
  })
}

const order = (url: string, model: string, op: string, body: object = {}) =>
  fetch(`${url}/api/models/${model}/${op}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
const show = (url: string, model: string) => getJson<Model>(`${url}/api/models/${model}`)

/** Writes a word into `control` and dies. */
const say = (message: ReturnType<typeof modelWordMessage>) =>
  shared.log.append([{ topic: TOPICS.control, message }])

let left: Service
let right: Service
let incident: Incident

beforeAll(async () => {
  left = await start(['gateway'], 'left')
  right = await start(['gateway'], 'right')
  incident = new Incident(5)
  await incident.tell(left.url, 60)
  await start(['scorer', 'disruptions', 'indexer'], 'one')
})
afterAll(async () => {
  for (const service of services.splice(0).reverse()) await service.stop()
  remove(folder)
})

describe('models of a fleet', () => {
  it('pushed on one gateway are ordered on the other, once in every partition', {
    timeout: 60_000,
  }, async () => {
    expect((await push(left.url, 'share', 1)).status).toBe(201)
    expect((await push(right.url, 'share', 1)).status).toBe(200)
    const ordered = await order(right.url, 'share', 'promote', { version: 1, why: 'it is good' })
    const told = (await ordered.json()) as Model & { history: { why: string }[] }
    expect([ordered.status, told.history[0].why]).toEqual([200, 'it is good'])
    expect(told.fleet).toMatchObject({ revision: 1, partitions: SAMPLES, behind: [] })
    const orders = (topic: string) =>
      shared.log
        .topic(topic)
        .map(all => all.filter(({ headers }) => headers[HEADERS.content] === CONTENT.model).length)
    expect(orders(TOPICS.samples)).toEqual([1, 1, 1])
    expect(orders(TOPICS.anomalies)).toEqual([1, 1])
    expect(orders(TOPICS.control)).toEqual([1])
    expect((await order(left.url, 'share', 'withdraw')).status).toBe(409)
    expect((await order(left.url, 'share', 'promote', { version: 9 })).status).toBe(404)
    expect((await order(left.url, 'none', 'retire')).status).toBe(404)
    await until('it is audited', async () =>
      shared.log
        .topic(TOPICS.record)
        .flat()
        .some(one => Buffer.from(one.value).includes('model.promote')),
    )
  })

  it('that were decided by a gateway which told nobody are told by who holds the partitions', {
    timeout: 60_000,
  }, async () => {
    expect((await push(left.url, 'share', 2)).status).toBe(201)
    const listed = (await shared.engines().packages.list(0)).find(one => one.version === 2)
    if (!listed) throw new Error('not kept')
    const stored = { ...listed, source: 'pushed' as const, folder: '' }
    const { digest } = listed
    const before = JSON.parse(Buffer.from(shared.log.topic(TOPICS.control)[0].at(-1)?.value ?? []).toString())
    const word = wordAfter(
      'share',
      before,
      { op: 'canary', model: 'share', version: 2, digest, share: 0.5, by: 'dying' },
      Date.now(),
      () => stored,
    )
    if (typeof word === 'string') throw new Error(word)
    say(modelWordMessage(word, Date.now()))
    await until('every partition has it', async () => {
      const { fleet, challenger } = await show(right.url, 'share')
      return fleet?.revision === 2 && fleet.behind.length === 0 && challenger?.mode === 'canary'
    })
    const of = (topic: string) =>
      shared.log
        .topic(topic)
        .flat()
        .filter(one => one.headers[HEADERS.content] === CONTENT.model)
        .map(one => JSON.parse(Buffer.from(one.value).toString()).revision)
        .sort()
    await until('the stage has it', async () => of(TOPICS.anomalies).length === 4)
    expect(of(TOPICS.samples)).toEqual([1, 1, 1, 2, 2, 2])
    expect(await (await fetch(`${services[2].url}/metrics`)).text()).toMatch(/what="mended"\} 1/)
  })

  it('that a scorer cannot fetch are done without, which is said, until they can be', {
    timeout: 90_000,
  }, async () => {
    expect((await push(left.url, 'late', 1)).status).toBe(201)
    isAway = true
    expect((await order(left.url, 'late', 'promote', { version: 1 })).status).toBe(200)
    const broken = await until('it says so', async () => {
      const model = await show(right.url, 'late')
      return model.fleet?.behind.length === 0 && model.live?.problem !== undefined && model
    })
    expect(broken.live?.problem).toContain('cannot be opened')
    expect(broken.fleet?.told.map(({ champion }) => champion?.version)).toEqual([1, 1, 1])
    const metrics = async () => (await fetch(`${services[2].url}/metrics`)).text()
    await until('a metric says so', async () =>
      /foreshock_partition_model_problems\{partition="0"\} 1/.test(await metrics()),
    )
    expect(await metrics()).toMatch(/foreshock_model_packages_total\{result="failed"\} [1-9]/)
    const windows = async () => Number(/foreshock_windows_total (\d+)/.exec(await metrics())?.[1])
    const before = await windows()
    await incident.tell(left.url, 20)
    await until('scoring goes on', async () => (await windows()) > before)
    isAway = false
    await until(
      'it is taken up',
      async () => {
        await incident.tell(left.url, 2)
        const { live } = await show(left.url, 'late')
        return live?.problem === undefined && (live?.champion?.rows ?? 0) > 0
      },
      40_000,
    )
    expect((await order(left.url, 'late', 'retire')).status).toBe(200)
  })

  it('have quotas, count for the tenant in whose name they come, and are gone when they are removed', {
    timeout: 60_000,
  }, async () => {
    expect((await push(left.url, 'mine', 1, 'small')).status).toBe(201)
    expect((await push(right.url, 'mine', 2, 'small')).status).toBe(201)
    const refused = await push(right.url, 'more', 1, 'small')
    expect([refused.status, await refused.text()]).toEqual([429, expect.stringContaining('FS_QUOTA')])
    const removal = (url: string, version: number) =>
      fetch(`${url}/api/models/mine/versions/${version}`, { method: 'DELETE' })
    expect((await removal(left.url, 2)).status).toBe(204)
    await until(
      'the other knows',
      async () => (await fetch(`${right.url}/api/models/mine/versions/2`)).status === 404,
    )
    // One decided so and died: whoever lists packages next lets the bytes go.
    const [listed] = (await shared.engines().packages.list(0)).filter(
      one => one.model === 'mine' && one.version === 1,
    )
    const before = JSON.parse(
      Buffer.from(
        shared.log.topic(TOPICS.control)[0].findLast(one => one.key === 'model/mine')?.value ?? [],
      ).toString(),
    )
    say(modelWordMessage(wordWithout('mine', before, 1, listed.packageDigest), Date.now()))
    await until('the bytes are gone', async () =>
      (await shared.engines().packages.list(0)).every(one => one.model !== 'mine' || one.isRemoved),
    )
    expect((await fetch(`${left.url}/api/models/mine`)).status).toBe(404)
    // The same package may come again under its number, and no other.
    expect((await push(right.url, 'mine', 1, 'small')).status).toBe(201)
    expect((await show(left.url, 'mine')).versions).toHaveLength(1)
    expect((await removal(left.url, 1)).status).toBe(204)
    writeShare(folder, 'mine', 1, 0.9)
    const other = await fetch(`${left.url}/api/models/mine/versions/1`, {
      method: 'PUT',
      headers: { 'content-type': 'application/gzip' },
      body: new Uint8Array(await tarOf(`${folder}/mine/1`, PACKAGE_FILES, true)),
    })
    expect(other.status).toBe(409)
  })
})

it('maintenance windows that a stage never heard of are told to it from what the fleet remembers', {
  timeout: 60_000,
}, async () => {
  const window = (id: string, startMs: number): MaintenanceWindow => ({
    id,
    name: id,
    tenant: 'default',
    entities: ['edge'],
    times: { startMs, nominalMs: 0, exactMs: 3_600_000, zone: 'UTC' } as MaintenanceWindow['times'],
    by: 'ann',
  })
  const nowMs = Date.now()
  for (const one of [window('mnt_next', nowMs + 1e6), window('mnt_over', nowMs - 1e10)])
    say(maintenanceWordMessage({ op: 'add', window: one }, nowMs))
  const ids = async () =>
    (await getJson<{ items: { id: string }[] }>(`${left.url}/api/maintenance`)).items.map(({ id }) => id)
  await until('it is known', async () => (await ids()).includes('mnt_next'))
  expect(await ids()).not.toContain('mnt_over')
  // What people post stands there too, so that a stage that lost its state will be told; and what they end.
  const posted = await fetch(`${right.url}/api/maintenance`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'upgrade', entity: 'edge', from: '2030-01-01', to: '2030-01-02' }),
  })
  const { id } = (await posted.json()) as { id: string }
  expect((await fetch(`${right.url}/api/maintenance/${id}`, { method: 'DELETE' })).status).toBe(204)
  const words = shared.log
    .topic(TOPICS.control)
    .flat()
    .filter(one => one.key === `maintenance/default/${id}`)
  expect(words.map(one => JSON.parse(Buffer.from(one.value).toString()).op)).toEqual(['add', 'remove'])
  await new Promise(done => setTimeout(done, 3500))
  expect(await ids()).not.toContain(id)
  expect(await ids()).toContain('mnt_next')
})

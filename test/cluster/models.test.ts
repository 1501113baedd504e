// Learned models in a fleet, as users run it: built processes on real Kafka, Redis and PostgreSQL. A package is pushed over
// one gateway and ordered over the other; scorers in two processes flip, each partition at one place of its log, so that
// what they told is byte for byte what the log says again, read by nobody but this test. Then everything that can go wrong:
// a gateway killed in the middle of an order, one that died having told half of the partitions, a scorer that starts anew
// with an empty Redis, a package that is not what its digest says.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { expect, it, onTestFinished, type TestContext, vi } from 'vitest'
import type { z } from 'zod'
import { KafkaStreams } from '../../src/bus/kafka-streams.ts'
import type { Disruption } from '../../src/core/disruption.ts'
import { wordAfter } from '../../src/core/model-word.ts'
import { type StoredMessage, TOPICS } from '../../src/core/stream.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { CONTROL_TRANSACTOR, ControlBook, modelWordMessage } from '../../src/roles/control.ts'
import { FleetModels } from '../../src/roles/fleet-models.ts'
import { modelMessage } from '../../src/roles/model-orders.ts'
import { ModelNews } from '../../src/roles/model-reports.ts'
import { ScorerModels } from '../../src/roles/scorer-models.ts'
import type { modelSchema } from '../../src/serve/model-body.ts'
import { MemoryChannel } from '../../src/store/memory-channel.ts'
import { PostgresPackages } from '../../src/store/postgres-packages.ts'
import { disruptions, Incident } from '../e2e/incident.ts'
import {
  CLI,
  getJson,
  type RunningService,
  remove,
  startForeshock,
  temporaryFolder,
  until,
} from '../e2e/service.ts'
import { writeShare } from '../model-world.ts'
import { kafka } from '../peers/kafka.ts'
import { type PostgresPeer, postgres } from '../peers/postgres.ts'
import { redis } from '../peers/redis.ts'
import { Puppet, ScorerWorld, takenBy, worldConfig } from '../roles/scorer-world.ts'

type Model = z.output<typeof modelSchema>

/** A peer may have to be installed first. */
const INSTALL_MS = 900_000
const PARTITIONS = 4
const WAIT_MS = 40_000
/** What decides scores; the rest says where engines are. */
const DETECTION = {
  features: { step: '1s', idle: '10m' },
  // Nobody may be too slow on a busy machine: that is the one thing a replay does not repeat.
  detection: { combiner: false, models: { size: 400, timeout: '20s' } },
} as const

interface Fleet {
  readonly broker: string
  readonly prefix: string
  readonly redisUrl: string
  readonly database: PostgresPeer
  readonly folder: string
  start(member: string, roles: readonly string[]): Promise<RunningService>
  run(url: string, ...words: string[]): SpawnSyncReturns<string>
}

async function fleet(context: TestContext): Promise<Fleet> {
  const [{ broker }, store, database] = await Promise.all([kafka(context), redis(context), postgres(context)])
  const prefix = `models-${randomUUID().slice(0, 8)}.`
  const folder = temporaryFolder()
  onTestFinished(() => remove(folder))
  const config = (member: string, roles: readonly string[]) => ({
    ...DETECTION,
    server: { port: 0, grpcPort: 'off' },
    cluster: {
      roles,
      member,
      kafka: { brokers: [broker], prefix, sessionTimeout: '6s' },
      redis: { url: store.url },
      postgres: { url: database.url },
      partitions: { samples: PARTITIONS, anomalies: 2 },
      replication: 1,
      patience: '5s',
    },
    tenants: { small: { quota: { models: 1 } } },
    log: { level: 'warn' },
  })
  const file = join(folder, 'fleet.json')
  writeFileSync(file, JSON.stringify(config('none', ['gateway'])))
  const made = spawnSync(process.execPath, [CLI, 'topics', 'create', '--config', file], { encoding: 'utf8' })
  expect([made.status, made.stderr]).toEqual([0, expect.anything()])
  return {
    broker,
    prefix,
    redisUrl: store.url,
    database,
    folder,
    start: async (member, roles) => {
      const service = await startForeshock(config(member, roles))
      onTestFinished(async () => {
        await service.kill()
        remove(service.folder)
      })
      return service
    },
    run: (url, ...words) =>
      spawnSync(process.execPath, [CLI, 'models', ...words, '--url', url], { encoding: 'utf8' }),
  }
}

const order = (url: string, op: string, body: object = {}) =>
  fetch(`${url}/api/models/share/${op}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

/** Every partition has carried the last order out, as this gateway heard. */
const followed = (url: string, revision: number) =>
  until(
    `revision ${revision} is carried out`,
    async () => {
      const model = await getJson<Model>(`${url}/api/models/share`)
      return model.fleet?.revision === revision && model.fleet.behind.length === 0 && model
    },
    WAIT_MS,
  )

async function all(streams: KafkaStreams, topic: string, partition: number): Promise<StoredMessage[]> {
  const messages: StoredMessage[] = []
  for await (const message of streams.read(topic, partition, 0)) messages.push(message)
  return messages
}

/** What the log says again: window reports of one scorer in peace, by partition of anomalies, with packages of its own fetching. */
async function again(
  here: Fleet,
  streams: KafkaStreams,
  name: string,
  samples: readonly (readonly StoredMessage[])[],
  withModels = true,
): Promise<[string, string][][]> {
  const logger = pino({ level: 'error' })
  const telemetry = new Telemetry()
  const clock = () => Date.now()
  const packages = new PostgresPackages({ url: here.database.url, schema: 'foreshock' })
  const book = await ControlBook.open(streams, logger)
  const models = await FleetModels.open({
    dir: join(here.folder, name),
    packages,
    book,
    telemetry,
    logger,
    clock,
  })
  const world = new ScorerWorld(PARTITIONS, 2, worldConfig({ ...DETECTION, ingest: {} }))
  // Offsets have gaps; what is told does not depend on them but for its epoch, which is the first.
  for (const [partition, messages] of samples.entries())
    for (const message of messages) world.append({ ...message, partition })
  for (let p = 0; p < PARTITIONS; p++) {
    const news = new ModelNews(new MemoryChannel())
    const own = new ScorerModels({ member: name, models, book, news, telemetry, logger, clock })
    const puppet = new Puppet(world, withModels ? { models: own } : {})
    await puppet.start(p)
    while (await puppet.take(1000, p)) {}
    await puppet.revoke(true, p)
    own.stop()
  }
  const told = [0, 1].map(q => takenBy(world.messages(TOPICS.anomalies, q)))
  await models.close()
  await book.close()
  await packages.close()
  return told
}

it('models are pushed, ordered and swapped over any gateway, and survive whatever dies', {
  timeout: INSTALL_MS,
}, async context => {
  const here = await fleet(context)
  const [left, right] = await Promise.all([here.start('left', ['gateway']), here.start('right', ['gateway'])])
  const digest = writeShare(here.folder, 'share', 1, 0.5)
  const second = writeShare(here.folder, 'share', 2, 0.8)
  writeShare(here.folder, 'other', 1, 0.3)
  const folderOf = (model: string, version: number) => join(here.folder, model, String(version))

  // Pushed here, listed there. The number never means another package; another package under its digest is none.
  expect(here.run(left.url, 'push', folderOf('share', 1))).toMatchObject({ status: 0 })
  expect(here.run(right.url, 'list').stdout).toContain('share')
  expect(here.run(right.url, 'push', folderOf('share', 1))).toMatchObject({ status: 0 })
  writeShare(join(here.folder, 'twin'), 'share', 1, 0.6)
  const twin = here.run(right.url, 'push', join(here.folder, 'twin', 'share', '1'))
  expect([twin.status, twin.stderr]).toEqual([2, expect.stringContaining('another package')])
  expect(here.run(right.url, 'push', folderOf('share', 2))).toMatchObject({ status: 0 })

  // Scores before, between and after orders, in two processes.
  const incident = new Incident(3)
  await incident.tell(left.url, 150)
  const roles = ['scorer', 'disruptions', 'indexer', 'publisher']
  const [one, two] = await Promise.all([here.start('one', roles), here.start('two', ['scorer'])])
  for (const { url } of [one, two])
    await until('it is ready', async () => (await fetch(`${url}/readyz`)).ok, WAIT_MS)
  const shadowed = await order(left.url, 'shadow', { version: 2 })
  expect([shadowed.status, await shadowed.text()]).toEqual([200, expect.stringContaining('"mode":"shadow"')])
  await incident.tell(right.url, 50)
  expect((await order(right.url, 'promote', { version: 1 })).status).toBe(200)
  const standing = await followed(left.url, 2)
  expect(standing.champion).toEqual({ version: 1, digest })
  expect(standing.challenger).toMatchObject({ version: 2, digest: second, mode: 'shadow' })
  expect(new Set(standing.fleet?.told.map(({ member }) => member))).toEqual(new Set(['one', 'two']))
  for (const partition of standing.fleet?.told ?? [])
    expect(partition).toMatchObject({ champion: { version: 1 }, challenger: { version: 2 }, problem: null })
  await incident.tell(left.url, 100)
  await incident.tell(right.url, 60)
  const opened = await until(
    'the fault is found',
    async () => (await disruptions(left.url, 'open'))[0],
    WAIT_MS,
  )
  const told = await getJson<Disruption>(`${right.url}/api/disruptions/${opened.id}`)
  expect(told.replay.models).toMatchObject({ 'onnx:share@1': digest })
  const live = await until('it scores', async () => {
    const model = await getJson<Model>(`${right.url}/api/models/share`)
    return (model.live?.champion?.rows ?? 0) > 100 && model.live
  })
  expect(live?.problem).toBeUndefined()
  // Two gateways, one order each at the same moment: one after the other, and all partitions agree.
  const both = await Promise.all([
    order(left.url, 'promote', { version: 2 }),
    order(right.url, 'withdraw', {}),
  ])
  expect(both.map(({ status }) => status).filter(status => status !== 200 && status !== 409)).toEqual([])
  const fine = both.filter(({ status }) => status === 200).length
  expect(fine).toBeGreaterThan(0)
  let revision = 2 + fine
  const after = await followed(right.url, revision)
  const agreed = after.fleet?.told.map(({ champion, challenger }) =>
    JSON.stringify([champion?.version, challenger?.version]),
  )
  expect(new Set(agreed).size).toBe(1)

  // Inference on a gateway that never saw the package; experiments are elsewhere; a quota is kept.
  const infer = await fetch(`${right.url}/v2/models/share/versions/1/infer`, {
    method: 'POST',
    body: JSON.stringify({
      inputs: [{ name: 'x', shape: [1, 8], datatype: 'FP32', data: [1, 2, 3, 4, 5, 6, 7, 8] }],
    }),
  })
  if (after.champion?.version === 1) expect(infer.status).toBe(200)
  expect((await fetch(`${left.url}/api/experiments`)).status).toBe(501)

  // A gateway is killed in the middle of an order: what it decided holds everywhere, or nowhere.
  const target = after.champion?.version === 1 ? 2 : 1
  const cut = order(left.url, 'promote', { version: target }).catch(() => undefined)
  await wait(600)
  await left.kill()
  await cut
  const known = await getJson<Model>(`${right.url}/api/models/share`)
  revision = known.fleet?.revision ?? 0
  const settled = await followed(right.url, revision)
  for (const partition of settled.fleet?.told ?? [])
    expect(partition.champion?.version).toBe(settled.champion?.version)

  // One that died having told one partition of four: the others are told by those who hold them.
  const streams = new KafkaStreams({
    brokers: [here.broker],
    clientId: 'test',
    prefix: here.prefix,
    compression: 'lz4',
    sessionTimeoutMs: 6000,
  })
  onTestFinished(() => streams.close())
  const book = await ControlBook.open(streams, pino({ level: 'error' }))
  const word = wordAfter(
    'share',
    book.models.get('share'),
    settled.champion?.version === 1
      ? { op: 'promote', model: 'share', version: 2, digest: second, by: 'dying' }
      : { op: 'promote', model: 'share', version: 1, digest, by: 'dying' },
    Date.now(),
    () => undefined,
  )
  if (typeof word === 'string' || !word.command) throw new Error(String(word))
  const transactor = await streams.transactor(CONTROL_TRANSACTOR)
  await transactor.send([{ topic: TOPICS.control, message: modelWordMessage(word, Date.now()) }])
  await transactor.close()
  await book.close()
  const producer = await streams.producer()
  await producer.send(TOPICS.samples, [modelMessage(word.command, 0, Date.now())])
  await producer.close()
  const mended = await followed(right.url, revision + 1)
  for (const partition of mended.fleet?.told ?? [])
    expect(partition.champion).toEqual(word.command.standing.champion && mended.champion)

  // Read again from its log, twice: what was told is byte for byte what the log says, swaps included.
  await incident.tell(right.url, 40)
  await wait(2000)
  expect(await one.stop()).toBe(0)
  expect(await two.stop()).toBe(0)
  const samples = await Promise.all(
    Array.from({ length: PARTITIONS }, (_, p) => all(streams, TOPICS.samples, p)),
  )
  const anomalies = [await all(streams, TOPICS.anomalies, 0), await all(streams, TOPICS.anomalies, 1)]
  vi.useFakeTimers({ toFake: ['setInterval'] })
  context.onTestFinished(() => void vi.useRealTimers())
  const first = await again(here, streams, 'first', samples)
  const next = await again(here, streams, 'next', samples)
  const unheard = await again(here, streams, 'unheard', samples, false)
  vi.useRealTimers()
  const count = (reports: typeof first) => reports.flat().length
  expect(count(first)).toBeGreaterThan(300)
  expect(next).toEqual(first)
  // Which would be no wonder if the models had no say in it.
  expect(count(unheard)).toBe(count(first))
  expect(unheard).not.toEqual(first)
  const toldLive = anomalies.map(messages => takenBy(messages))
  const byPartition = (reports: readonly [string, string][]) =>
    Array.from({ length: PARTITIONS }, (_, p) => reports.filter(([name]) => name.startsWith(`${p}/`)))
  // A partition without any service tells no more than that time passes.
  const busy = byPartition(toldLive.flat()).filter(mine => mine.length > 200)
  expect(busy.length).toBeGreaterThan(1)
  for (const [q, reports] of toldLive.entries())
    for (const [p, mine] of byPartition(reports).entries())
      expect(byPartition(first[q])[p].slice(0, mine.length)).toEqual(mine)

  // Redis is emptied; a scorer that starts now learns from the log, and knows the model.
  const client = new Redis(here.redisUrl)
  await client.flushall()
  await client.quit()
  await here.start('three', ['scorer', 'disruptions', 'indexer'])
  const fresh = await until(
    'another scorer runs the model',
    async () => {
      const model = await getJson<Model>(`${right.url}/api/models/share`)
      const members = new Set(model.fleet?.told.map(({ member }) => member))
      return members.size === 1 && members.has('three') && model.fleet?.behind.length === 0 && model
    },
    WAIT_MS,
  )
  expect(fresh.champion).toEqual(mended.champion)
  for (const partition of fresh.fleet?.told ?? []) expect(partition.champion).toEqual(fresh.champion)

  // A package whose bytes were changed where they lie is refused when it is ordered: nothing runs that was not pushed.
  const headers = { 'foreshock-tenant': 'small' }
  expect(here.run(right.url, 'push', folderOf('other', 1))).toMatchObject({ status: 0 })
  await here.database.ask(
    `UPDATE foreshock_models.chunks SET bytes = (SELECT bytes FROM foreshock_models.chunks WHERE model = 'share' AND version = 1 AND n = 0) WHERE model = 'other'`,
  )
  const back = await here.start('back', ['gateway'])
  const wrong = await fetch(`${back.url}/api/models/other/promote`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: '{"version":1}',
  })
  expect([wrong.status, await wrong.text()]).toEqual([422, expect.stringContaining('FS_MODEL_INVALID')])

  // What has a part stays; what has none goes, everywhere.
  const champion = String(fresh.champion?.version)
  expect(here.run(back.url, 'remove', 'share', champion)).toMatchObject({ status: 2 })
  expect(here.run(back.url, 'remove', 'other', '1')).toMatchObject({ status: 0 })
  await until('it is gone', async () => (await fetch(`${right.url}/api/models/other`)).status === 404)
  const left_ = await here.database.ask(`SELECT model FROM foreshock_models.chunks WHERE model = 'other'`)
  expect(left_).toEqual([])
})

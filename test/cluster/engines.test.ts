// Shows the whole fleet, by src/fleet.ts as it is configured, on engines in their other shapes: Redis behind Sentinels, whose
// master dies while the fleet works; a Redis Cluster; and TLS to all three, with users of Kafka. Each time what was told comes
// out again, by OTLP over gRPC too, and a process that takes over goes on where the one before it was.
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { pino } from 'pino'
import { expect, it, type TestContext } from 'vitest'
import { createFleetTopics } from '../../src/bus/topic-plans.ts'
import { kafkaOptions } from '../../src/config/kafka.ts'
import { parseConfig } from '../../src/config.ts'
import { startFleet } from '../../src/fleet.ts'
import { freePort } from '../../src/lab/free-port.ts'
import type { Service } from '../../src/listening.ts'
import { remove, temporaryFolder, until } from '../e2e/service.ts'
import { kafka } from '../peers/kafka.ts'
import { kafkaSoftware, USER_PASSWORD, USERS } from '../peers/kafka-software.ts'
import { missing } from '../peers/peers.ts'
import { type Identity, type PostgresPeer, postgres } from '../peers/postgres.ts'
import { redis, redisCluster, redisSentinel } from '../peers/redis.ts'

/** A peer may have to be installed first. */
const INSTALL_MS = 900_000

interface Shapes {
  readonly kafka: object
  readonly redis: object
  readonly postgres: object
}

/** One process with every role, and the next of the same name. */
class OneProcess {
  readonly #config: ReturnType<typeof parseConfig>
  service: Service | undefined
  readonly #grpcPort: number

  private constructor(shapes: Shapes, grpcPort: number) {
    this.#grpcPort = grpcPort
    this.#config = parseConfig({
      server: { port: 0, grpcPort },
      features: { step: '1s', idle: '10m' },
      detection: { combiner: false },
      cluster: {
        member: 'one',
        partitions: { samples: 1, anomalies: 1 },
        replication: 1,
        patience: '5s',
        ...shapes,
        kafka: { prefix: `en-${randomUUID().slice(0, 8)}.`, sessionTimeout: '6s', ...shapes.kafka },
      },
      tenants: { acme: { quota: { series: 2 } } },
    })
  }

  static async start(context: TestContext, shapes: Shapes): Promise<OneProcess> {
    const one = new OneProcess(shapes, await freePort())
    const { cluster } = one.#config
    if (!cluster) throw new Error('no fleet')
    await createFleetTopics(kafkaOptions(cluster, 'test'), cluster)
    context.onTestFinished(() => one.stop())
    await one.begin()
    return one
  }

  async begin(): Promise<void> {
    const logger = pino({ level: process.env.FORESHOCK_LOG_LEVEL ?? 'silent' })
    this.service = await startFleet(this.#config, { logger })
    await until('it is ready', async () => (await fetch(`${this.url}/readyz`)).ok)
  }

  async stop(): Promise<void> {
    await this.service?.stop()
    this.service = undefined
  }

  get url(): string {
    return this.service?.url ?? ''
  }

  /** Tells a value of each of some services a second, from so many seconds ago on. */
  async tell(fromS: number, seconds: number, services: readonly string[]): Promise<void> {
    const atMs = Math.floor(Date.now() / 1000 - fromS) * 1000
    const lines = Array.from({ length: seconds }, (_, i) =>
      services.map(service =>
        JSON.stringify({ time: atMs + 1000 * i, metric: 'cpu', labels: { service }, value: 0.3 }),
      ),
    )
    const answer = await this.#post('samples', lines.flat().join('\n'), 'application/x-ndjson')
    expect(answer.status, await answer.text()).toBe(200)
  }

  /** A value of a service of now, as OpenTelemetry's SDK tells it over gRPC. */
  async tellGrpc(service: string): Promise<void> {
    const exporter = new OTLPMetricExporter({ url: `http://127.0.0.1:${this.#grpcPort}` })
    const provider = new MeterProvider({
      resource: resourceFromAttributes({ 'service.name': service }),
      readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
    })
    provider.getMeter('test').createGauge('cpu').record(0.3)
    await provider.forceFlush()
    await provider.shutdown()
  }

  change(ref: string): Promise<Response> {
    const change = { time: Date.now(), entity: 'cart', kind: 'deploy', ref }
    return this.#post('changes', JSON.stringify(change), 'application/json')
  }

  /** Series beyond a quota that is counted in Redis. */
  async refused(): Promise<number> {
    const lines = ['a', 'b', 'c'].map(metric =>
      JSON.stringify({ metric, labels: { service: 's' }, time: Date.now(), value: 1 }),
    )
    const answer = await this.#post('samples', lines.join('\n'), 'application/x-ndjson', 'acme')
    return ((await answer.json()) as { rejected: number }).rejected
  }

  /** Entities that the disruption stage knows, through the address that it told of itself. */
  async known(): Promise<string[]> {
    const answer = await fetch(`${this.url}/api/entities`)
    if (!answer.ok) return []
    return ((await answer.json()) as { items: { entity: string }[] }).items.map(one => one.entity).sort()
  }

  #post(route: string, body: string, type: string, tenant = 'default'): Promise<Response> {
    const headers = { 'content-type': type, 'foreshock-tenant': tenant }
    return fetch(`${this.url}/api/${route}`, { method: 'POST', headers, body })
  }
}

/** What is told is known, before and after a process takes over; `meanwhile` something happens to the engines. */
async function works(
  one: OneProcess,
  database: PostgresPeer,
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  const isRecorded = async (ref: string) => {
    const found = await database.ask("SELECT body->>'ref' AS ref FROM foreshock.changes")
    return found.some(row => row.ref === ref)
  }
  await one.tell(60, 30, ['cart', 'store'])
  await until('what was told is known', async () => (await one.known()).join() === 'cart,store')
  expect((await one.change('v1')).status).toBe(201)
  await until('the change is in the index', () => isRecorded('v1'))
  expect(await one.refused()).toBe(1)
  await meanwhile()
  await one.tell(30, 30, ['cart', 'store'])
  // Windows close as time goes on for all.
  await until('what came over gRPC is known', async () => {
    await Promise.all([one.tellGrpc('mail'), one.tell(0, 1, ['cart', 'store'])])
    return (await one.known()).includes('mail')
  })
  // Another takes over, by what Redis and the log hold.
  await one.stop()
  await one.begin()
  expect(await one.refused()).toBe(1)
  await until('it knows what was known', async () => (await one.known()).includes('mail'))
  expect((await one.change('v2')).status).toBe(201)
  await until('the index goes on', () => isRecorded('v2'))
}

it('Redis behind Sentinels, whose master dies', { timeout: INSTALL_MS }, async context => {
  const [{ broker }, { sentinels, master, failOver }, database] = await Promise.all([
    kafka(context),
    redisSentinel(context),
    postgres(context),
  ])
  const one = await OneProcess.start(context, {
    kafka: { brokers: [broker] },
    redis: { sentinels, master },
    postgres: { url: database.url },
  })
  await works(one, database, failOver)
})

it('a Redis Cluster', { timeout: INSTALL_MS }, async context => {
  const [{ broker }, { nodes }, database] = await Promise.all([
    kafka(context),
    redisCluster(context),
    postgres(context),
  ])
  const one = await OneProcess.start(context, {
    kafka: { brokers: [broker] },
    redis: { nodes },
    postgres: { url: database.url },
  })
  await works(one, database)
})

/** A certificate of this machine that vouches for itself, in a folder that goes with the test. */
function certified(context: TestContext): Identity & { readonly folder: string; readonly ca: string } {
  const folder = temporaryFolder()
  context.onTestFinished(() => remove(folder))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert],
    ...names,
  ])
  if (made.status !== 0) missing('openssl', String(made.stderr ?? made.error), context)
  return { folder, ca: cert, cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

it('TLS to Kafka, Redis and PostgreSQL, with users of Kafka and Redis', {
  timeout: INSTALL_MS,
}, async context => {
  const { folder, ca, ...identity } = certified(context)
  const tlsPort = await freePort()
  const [{ secured }, software, , database] = await Promise.all([
    kafka(context),
    kafkaSoftware(context),
    redis(context, [
      ...['--tls-port', String(tlsPort), '--tls-auth-clients', 'no', '--tls-ca-cert-file', ca],
      ...['--tls-cert-file', ca, '--tls-key-file', join(folder, 'key.pem'), '--requirepass', USER_PASSWORD],
    ]),
    postgres(context, identity),
  ])
  if (secured === undefined) return context.skip('KAFKA_BROKERS is without users and encryption')
  writeFileSync(join(folder, 'kafka.pem'), readFileSync(software.ca))
  process.env.FLEET_TEST_PASSWORD = USER_PASSWORD
  context.onTestFinished(() => void delete process.env.FLEET_TEST_PASSWORD)
  const one = await OneProcess.start(context, {
    kafka: {
      brokers: [secured],
      tls: { ca: join(folder, 'kafka.pem') },
      sasl: { mechanism: 'scram-sha-512', username: USERS.scram, passwordEnv: 'FLEET_TEST_PASSWORD' },
    },
    redis: { url: `rediss://127.0.0.1:${tlsPort}`, tls: { ca }, passwordEnv: 'FLEET_TEST_PASSWORD' },
    postgres: { url: `${database.url}?sslmode=verify-full&sslrootcert=${ca}` },
  })
  expect(await database.ask('SELECT count(*)::int AS n FROM pg_stat_ssl WHERE ssl')).not.toEqual([{ n: 0 }])
  await works(one, database)
})

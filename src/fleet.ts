import type { AddressInfo } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { intakeOptions } from './assembly.ts'
import type { ClusterConfig, Role } from './config/cluster.ts'
import type { Config } from './config/schema.ts'
import { shownConfig } from './config.ts'
import { steadyClock, systemClock } from './core/clock.ts'
import { ForeshockError } from './core/errors.ts'
import type { Logger } from './core/logger.ts'
import { Rejects } from './core/rejects.ts'
import { TOPICS } from './core/stream.ts'
import { Telemetry } from './core/telemetry.ts'
import { type Engines, openEngines } from './engines.ts'
import { apiKeys, listen, type Service, serveOptions, urlOf } from './listening.ts'
import { admission } from './roles/admission.ts'
import { BoardView, withNews } from './roles/board-view.ts'
import { ControlBook } from './roles/control.ts'
import { FleetDesk } from './roles/fleet-desk.ts'
import { FleetModels } from './roles/fleet-models.ts'
import { foreignSplitter } from './roles/foreign.ts'
import { gatewayDeps } from './roles/gateway.ts'
import { GatewayEvents } from './roles/gateway-events.ts'
import { Health } from './roles/health.ts'
import { StageHolders } from './roles/holders.ts'
import { Indexer } from './roles/indexer.ts'
import { ModelNews } from './roles/model-reports.ts'
import { Publisher } from './roles/publisher.ts'
import { SamplesProducer } from './roles/samples-producer.ts'
import { Scorer } from './roles/scorer.ts'
import { ScorerModels } from './roles/scorer-models.ts'
import { Stage } from './roles/stage.ts'
import { StageLive } from './roles/stage-live.ts'
import { assertBindable } from './serve/auth.ts'
import type { ServeDeps, ServeOptions } from './serve/deps.ts'
import { buildProbeServer, buildServer } from './serve/server.ts'
import { every } from './upkeep.ts'
import { openGrpc } from './wiring.ts'

/** Services of parts that were given or taken are made and dropped this often, ms. */
const PARTS_MS = 500

/** What every role of a process is made of. */
interface Process {
  readonly config: Config
  readonly cluster: ClusterConfig
  readonly member: string
  readonly engines: Engines
  readonly telemetry: Telemetry
  readonly rejects: Rejects
  readonly logger: Logger
  readonly health: Health
  readonly serving: ServeOptions
  /** The latest words of the fleet on models and maintenance. */
  readonly book: ControlBook
  /** Where models may be opened; undefined in a process that neither scores nor takes orders. */
  readonly models: FleetModels | undefined
  readonly stops: Stops
}

/** What stops a process, in the order of its start: done backwards. */
class Stops {
  readonly #stops: (() => Promise<void> | void)[] = []
  #isOver = false

  /** Throws when all is stopped already, as where another role could not be started: nothing more is to be begun. */
  push(stop: () => Promise<void> | void): void {
    this.#stops.push(stop)
    if (!this.#isOver) return
    this.all().catch(() => {}) // who stopped the others has said why
    throw new ForeshockError('FS_IO', 'the start was given up')
  }

  /** All are stopped, also those after one that cannot be; rejects with the first that could not. */
  async all(): Promise<void> {
    this.#isOver = true
    const failures: unknown[] = []
    for (const stop of this.#stops.splice(0).reverse()) {
      try {
        await stop()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}

/**
 * Starts the roles that the configuration names in this process, on Kafka, Redis and PostgreSQL, or on the engines given.
 * Rejects with FS_BUS_TOPIC when the topics are not as they are configured.
 */
export async function startFleet(
  config: Config,
  { logger, engines: given }: { readonly logger: Logger; readonly engines?: Engines },
): Promise<Service> {
  const { cluster } = config
  if (cluster === undefined) throw new ForeshockError('FS_ASSERTION', 'a fleet needs a section cluster')
  const keys = apiKeys(config)
  assertBindable(config.server.host, { keys })
  const member = cluster.member ?? hostname()
  const telemetry = new Telemetry({ process: true })
  const engines = given ?? openEngines(cluster, member, logger)
  const stops = new Stops()
  stops.push(() => engines.close())
  try {
    await engines.checkTopics()
    const roles = new Set<Role>(cluster.roles)
    const changed = (engine: string, why: string | undefined) => {
      if (why === undefined) logger.info({ engine }, 'it answers again')
      else logger.warn({ engine, why }, 'it does not answer; what can go on goes on')
    }
    // A gateway takes samples in without the others: it must not be taken out of service with them.
    const health = new Health(engines.probes, changed, engine => engine === 'Kafka' || !roles.has('gateway'))
    stops.push(() => health.stop())
    const rejects = new Rejects(config.ingest.maxRejectsKept, (reason, n) => {
      telemetry.count('foreshock_rejects_total', n, { reason })
      if (reason === 'late') telemetry.count('foreshock_late_samples_total', n)
    })
    const held: { live?: StageLive } = {}
    // Requests are counted where they come in: all that a gateway passes on come from one address.
    const { requestsPerMinuteMax: _, ...within } = serveOptions(config, logger)
    const serving: ServeOptions = { ...within, parts: part => held.live?.find(part) }
    const book = await ControlBook.open(engines.streams, logger)
    stops.push(() => book.close())
    const own = { config, cluster, member, engines, telemetry, rejects, logger, health, serving, stops, book }
    const process: Process = { ...own, models: await openFleetModels(own, roles) }
    const url = await serve(process, roles)
    const starts: Promise<void>[] = []
    if (roles.has('indexer')) starts.push(startIndexer(process))
    if (roles.has('scorer')) starts.push(startScorer(process))
    if (roles.has('disruptions')) starts.push(startStage(process, advertised(config, cluster, url), held))
    if (roles.has('publisher')) starts.push(startPublisher(process, url))
    await Promise.all(starts)
    await health.ask()
    logger.info({ url, member, roles: [...roles], config: shownConfig(config) }, 'listening')
    return { url: config.server.publicUrl ?? url, stop: () => stops.all() }
  } catch (error) {
    await stops.all().catch(() => {})
    throw error
  }
}

/** Models are opened where they score and where they are tried. */
async function openFleetModels(
  { config, member, engines, telemetry, logger, stops, book }: Omit<Process, 'models'>,
  roles: ReadonlySet<Role>,
): Promise<FleetModels | undefined> {
  if (!roles.has('gateway') && !roles.has('scorer')) return undefined
  // Processes of one machine may share a data folder.
  const dir = join(config.data.folder, 'fetched-models', member.replace(/[^A-Za-z0-9_.-]/g, '_'))
  const { packages } = engines
  const models = await FleetModels.open({ dir, packages, book, telemetry, logger, clock: systemClock })
  stops.push(() => models.close())
  return models
}

/** Listens: the whole service on a gateway, probes elsewhere; parts that are held beside. Resolves to where. */
async function serve(process: Process, roles: ReadonlySet<Role>): Promise<string> {
  const { config, telemetry, logger, health, serving, stops } = process
  const isGateway = roles.has('gateway')
  const deps = isGateway ? await openGateway(process) : undefined
  const app = deps
    ? await buildServer(deps, { ...serving, ...serveOptions(config, logger) })
    : await buildProbeServer({ telemetry, ready: () => health.ready() }, serving)
  await listen(app, config)
  stops.push(() => app.close())
  if (deps) {
    const grpc = await openGrpc(deps, serving, config)
    stops.push(() => grpc?.close())
  }
  return urlOf(config.server.host, (app.server.address() as AddressInfo).port)
}

async function openGateway(process: Process): Promise<ServeDeps> {
  const { config, engines, telemetry, rejects, logger, health, stops, book, models } = process
  const { streams, directory, quotas } = engines
  const [samplesPartitions, anomaliesPartitions, producer] = await Promise.all([
    streams.partitions(TOPICS.samples),
    streams.partitions(TOPICS.anomalies),
    streams.producer(),
  ])
  stops.push(() => producer.close())
  const samples = new SamplesProducer({
    producer,
    partitions: samplesPartitions,
    intake: intakeOptions(config),
    rejects,
    bytesMax: config.ingest.maxQueuedBytes,
    admit: admission(config.tenants, quotas),
  })
  stops.push(() => samples.close())
  const board = new BoardView(engines.board, engines.silences)
  stops.push(() => board.stop())
  await board.refresh()
  await board.listen(engines.channel)
  health.addNote(() => (board.problem === undefined ? [] : [board.problem]))
  const events = await GatewayEvents.open(streams, logger)
  stops.push(() => events.close())
  if (!models) throw new ForeshockError('FS_ASSERTION', 'a gateway opens models')
  const desk = await FleetDesk.open({
    config,
    streams,
    producer,
    samplesPartitions,
    anomaliesPartitions,
    book,
    packages: engines.packages,
    models,
    news: new ModelNews(engines.channel),
    logger,
    clock: systemClock,
  })
  stops.push(() => desk.close())
  return gatewayDeps({
    config,
    samples,
    producer,
    index: engines.index,
    board,
    rates: engines.rates,
    events,
    holders: new StageHolders(directory, anomaliesPartitions, steadyClock),
    models: { desk, open: version => models.serve(version) },
    rejects,
    telemetry,
    logger,
    clock: systemClock,
    ready: () => health.ready(),
  })
}

async function startScorer(process: Process): Promise<void> {
  const { config, member, engines, telemetry, rejects, logger, health, stops, book, models } = process
  const { streams, checkpoints, channel } = engines
  const splitForeign = foreignSplitter(intakeOptions(config), rejects)
  const clock = systemClock
  const scorer = new Scorer({
    config,
    member,
    streams,
    checkpoints,
    splitForeign,
    rejects,
    telemetry,
    logger,
    clock,
    elapsed: steadyClock,
    models:
      models &&
      new ScorerModels({ member, models, book, news: new ModelNews(channel), telemetry, logger, clock }),
  })
  stops.push(() => scorer.close())
  health.add(() => scorer.problems)
  await started(health, 'scorer', () => scorer.start())
}

async function startStage(process: Process, url: string, held: { live?: StageLive }): Promise<void> {
  const { config, cluster, member, engines, telemetry, rejects, logger, health, serving, stops, book } =
    process
  const { streams, checkpoints, board, channel, directory, index } = engines
  const stage = new Stage({
    config,
    streams,
    checkpoints,
    board: withNews(board, channel),
    directory,
    telemetry,
    logger,
    clock: systemClock,
    elapsed: steadyClock,
    member,
    url,
    patienceMs: cluster.patience,
    book,
  })
  const producer = await streams.producer()
  stops.push(() => producer.close())
  const { parts: _, ...own } = serving
  const live = new StageLive(
    {
      config,
      partitions: await streams.partitions(TOPICS.anomalies),
      held: () => stage.partitions,
      index,
      producer,
      rejects,
      telemetry,
      logger,
      clock: systemClock,
      ready: () => health.ready(),
    },
    own,
  )
  held.live = live
  const timer = every(
    PARTS_MS,
    () => live.refresh(),
    error => logger.warn({ err: error }, 'live state'),
  )
  stops.push(async () => {
    timer.stop()
    await live.close()
  })
  stops.push(() => stage.close())
  health.add(() => stage.problems)
  await started(health, 'disruption stage', () => stage.start())
  await live.refresh()
}

async function startIndexer({ member, engines, telemetry, logger, health, stops }: Process): Promise<void> {
  const { streams, index } = engines
  const indexer = new Indexer({ member, streams, index, telemetry, logger })
  stops.push(() => indexer.close())
  await started(health, 'indexer', () => indexer.start())
}

async function startPublisher(process: Process, url: string): Promise<void> {
  const { config, member, engines, telemetry, logger, health, stops } = process
  const { streams, index, board, silences } = engines
  const source = config.server.publicUrl ?? url
  const clock = systemClock
  const publisher = new Publisher({
    config,
    member,
    streams,
    index,
    board,
    silences,
    source,
    telemetry,
    logger,
    clock,
  })
  stops.push(() => publisher.close())
  await started(health, 'publisher', () => publisher.start())
}

/** Not ready until it has joined the others. */
async function started(health: Health, role: string, start: () => Promise<void>): Promise<void> {
  let isStarted = false
  health.add(() => (isStarted ? [] : [`the ${role} is joining the others`]))
  await start()
  isStarted = true
}

/** Where other processes reach this one. */
function advertised({ server }: Config, { advertise }: ClusterConfig, url: string): string {
  if (advertise !== undefined) return advertise
  if (server.host !== '0.0.0.0' && server.host !== '::') return url
  const own = Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')
  return own === undefined ? url : url.replace('//localhost:', `//${own.address}:`)
}

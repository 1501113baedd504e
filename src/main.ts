import { mkdir } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  type Assembled,
  assemble,
  assembleSharded,
  configDigest,
  intakeOptions,
  statefulParts,
} from './assembly.ts'
import { FileJournal } from './bus/file-journal.ts'
import { Inbox } from './bus/inbox.ts'
import { resume, type Stateful } from './checkpoint.ts'
import { quotaOf } from './config/quota.ts'
import type { Config } from './config/schema.ts'
import { shownConfig } from './config.ts'
import { type Change, tenantOfChange } from './core/change.ts'
import { steadyClock, systemClock } from './core/clock.ts'
import { HELD_BYTES_MAX } from './core/cut.ts'
import { ForeshockError } from './core/errors.ts'
import type { Logger } from './core/logger.ts'
import { Rejects } from './core/rejects.ts'
import { Telemetry } from './core/telemetry.ts'
import { VERSION } from './core/version.ts'
import { ENSEMBLE_DEFAULTS } from './detectors/ensemble-options.ts'
import { Effects } from './effects.ts'
import { openExperiments, PairRelay } from './experimenting.ts'
import { hostSamples } from './ingest/host.ts'
import { apiKeys, listen, type Service, serveOptions, urlOf } from './listening.ts'
import { allOpen, ended, orphans } from './orphans.ts'
import { Pipeline } from './pipeline.ts'
import { ConfigurationMemory, reconciled } from './reconcile.ts'
import { SampleQuotas } from './sample-quotas.ts'
import { assertBindable } from './serve/auth.ts'
import { buildServer } from './serve/server.ts'
import { undivided } from './shards/shard-parts.ts'
import { workersOf } from './shards/workers-of.ts'
import { SLICES } from './slices.ts'
import { openEmbeddedIndex } from './store/embedded-index.ts'
import { FileCheckpoints } from './store/file-checkpoints.ts'
import { FileRecord } from './store/file-record.ts'
import { lockFolder } from './store/folder-lock.ts'
import { IndexFeed } from './store/index-feed.ts'
import { ClockWatch, every, readGauges, Saver, stateBytes, Ticker } from './upkeep.ts'
import { WarmUp, WarmUpMemory } from './warm-up.ts'
import { openDesk, openGrpc, openModels, openSinks, SHIPPED_MODELS, serveDeps } from './wiring.ts'

/** How many of the newest changes are kept for queries. */
const CHANGES_KEPT = 1000
/** A checkpoint waits this long for sinks to take what was found, ms. */
const SETTLE_MS = 5000
/** Own gauges are read this often, ms. */
const GAUGES_MS = 1000
/** Experiments are looked after this often, ms: a challenger that does harm is withdrawn as soon. */
const EXPERIMENTS_MS = 1000

/** The stages, and whether they have learned from history. */
interface Parts extends Assembled {
  readonly warmUp: WarmUpMemory
  readonly configuration: ConfigurationMemory
}

interface StartOptions {
  readonly logger: Logger
  readonly relearn?: boolean
  /** Nothing can be scored any more: the process is to end at once, as if it were killed. */
  readonly onFatal?: (error: Error) => void
}

/** What is open so far, each with how it is closed. */
type Opened = (() => Promise<unknown> | undefined)[]

/**
 * Builds the service from its configuration, restores what it had learned, replays what it had not yet saved, and
 * listens. Rejects before listening when the configuration would expose it without authentication. With `relearn` what
 * was learned is dropped, so that the configured history is learned from anew.
 */
export async function startService(config: Config, options: StartOptions): Promise<Service> {
  const opened: Opened = []
  try {
    return await openService(config, options, opened)
  } catch (error) {
    // Whatever stays open would keep the process, which nobody could tell from one that runs.
    for (const close of opened.reverse()) await Promise.resolve(close()).catch(() => {})
    throw error
  }
}

async function openService(
  config: Config,
  { logger, relearn = false, onFatal = fatal }: StartOptions,
  opened: Opened,
): Promise<Service> {
  const keys = apiKeys(config)
  assertBindable(config.server.host, { keys })
  if (keys.length === 0) logger.warn('no API keys are configured: open to every program on this machine')
  const telemetry = new Telemetry({ process: true })
  const rejects = new Rejects(config.ingest.maxRejectsKept, (reason, n) => {
    telemetry.count('foreshock_rejects_total', n, { reason })
    if (reason === 'late') telemetry.count('foreshock_late_samples_total', n)
  })
  const folder = (name: string) => join(config.data.folder, name)
  await mkdir(config.data.folder, { recursive: true }).catch(error => {
    throw new ForeshockError('FS_CONFIG_INVALID', `data.folder: ${error.message}`)
  })
  const lock = await lockFolder(config.data.folder)
  opened.push(() => lock.release())

  const record = await FileRecord.open({ dir: folder('record') })
  opened.push(() => record.close())
  const index = await openEmbeddedIndex({
    kind: config.data.index,
    folder: config.data.folder,
    retentionMs: config.data.indexRetention,
    record,
    onWarning: text => logger.warn(text),
  })
  opened.push(() => index.close())
  const feed = new IndexFeed(record, index, error =>
    logger.error({ err: error }, 'the index cannot take what was found; it is read from the record later'),
  )
  await feed.catchUp()
  const changes = new Map<string, Change>()
  for (const change of (await index.changes(CHANGES_KEPT)).reverse()) keepChange(changes, change)

  const checkpoints = new FileCheckpoints({
    dir: folder('checkpoints'),
    kept: config.data.keepCheckpoints,
    onWarning: text => logger.warn(text),
  })
  const warn = (text: string) => logger.warn(text)
  const configuration = new ConfigurationMemory(config)
  const pairs = new PairRelay()
  const models = { ...openModels(folder('models')), observe: pairs.observe }
  opened.push(() => models.close())
  const workers = workersOf(config)
  const modelFolders = [folder('models'), SHIPPED_MODELS]
  const sharded = { workers, modelFolders, observe: pairs.observe, onWarning: warn, onLost: onFatal }
  const build = (): Parts => ({
    ...(workers > 0 ? assembleSharded(config, rejects, sharded) : assemble(config, rejects, warn, models)),
    warmUp: new WarmUpMemory(),
    configuration,
  })
  const startedMs = performance.now()
  const resumed = await resume(checkpoints, build, statefulOf, warn, checkpoint => {
    // Workers say it themselves.
    const lost = workers === 0 ? undivided(checkpoint.parts, 0) : undefined
    if (lost !== undefined) warn(lost)
    return reconciled(checkpoint, config, intakeOptions(config), warn)
  })
  if (relearn) {
    logger.warn('what was learned is dropped, as was asked for, and learned anew')
    await resumed.parts.scoring.close?.()
  }
  const { position: restored } = resumed
  const readSeconds = (performance.now() - startedMs) / 1000
  const parts = relearn ? build() : resumed.parts
  opened.push(() => parts.scoring.close?.())
  const stateful = statefulOf(parts)
  const journal = await FileJournal.open({ dir: folder('journal'), after: restored })
  opened.push(() => journal.close())

  const sinks = await openSinks(config, record, telemetry, logger)
  opened.push(() => sinks.all.close())
  const failed = (what: string) => (error: unknown) => logger.error({ err: error }, what)
  const onError = failed('what was found cannot be recorded yet; trying again')
  const onAuditError = failed('not written to the audit trail')
  const effects = new Effects({ journal, feed, sink: sinks.all, telemetry, onError })
  const pipeline = new Pipeline(
    parts,
    (position, outcome) => {
      for (const change of outcome.changes) keepChange(changes, change)
      return effects.apply(position, outcome)
    },
    telemetry,
    { slices: SLICES },
  )
  const warmUp = new WarmUp({
    config,
    pipeline,
    memory: parts.warmUp,
    intakeOptions: intakeOptions(config),
    rejects,
    telemetry,
    logger,
    clock: systemClock,
  })
  const openSurprise = config.detection.openSurprise ?? ENSEMBLE_DEFAULTS.openAt
  const experiments = await openExperiments({
    folder: folder('experiments'),
    series: parts.series,
    openSurprise,
    models: () => parts.scoring.models(),
    desk: () => desk,
    pairs,
    effects,
    telemetry,
    logger,
    onAuditError,
  })
  opened.push(() => experiments.close())
  let replayed = 0
  for await (const { position, envelope } of journal.read(restored)) {
    // Left by a start that was cut short while it learned: history ends where these begin.
    if (warmUp.pending) await warmUp.run(envelope.arrivalMs)
    await pipeline.process(position, envelope)
    replayed++
  }
  await pipeline.settle()
  const seconds = (performance.now() - startedMs) / 1000
  const { size } = parts.series
  logger.info({ position: restored, replayed, series: size, workers, readSeconds, seconds }, 'state restored')

  const [anomalies, disruptions] = await Promise.all([
    allOpen(query => index.anomalies(query)),
    allOpen(query => index.disruptions(query)),
  ])
  await effects.apply(journal.end, {
    anomalies: ended(anomalies, parts.scoring.anomalies()),
    events: orphans(disruptions, parts.disruptions.board(), systemClock()),
    changes: [],
  })
  // An Alertmanager that hangs must not hold up the start.
  const firing = parts.disruptions
    .board()
    .filter(one => one.status === 'open' && one.maintenance === undefined)
  sinks.alertmanager?.restore(firing).catch(failed('Alertmanager was not told what is open'))

  const inbox = new Inbox(journal, (position, envelope) => pipeline.process(position, envelope), {
    maxQueuedBytes: config.ingest.maxQueuedBytes,
  })
  const desk = await openDesk(folder('models'), models, {
    submit: envelope => inbox.submit(envelope),
    live: () => parts.scoring.models(),
    audit: (who, action, detail) => effects.audit(systemClock(), who, action, detail),
    modelsMax: tenant => quotaOf(config.tenants, tenant)?.models,
    warn,
  })
  await desk.reconcile()
  const deps = serveDeps({
    parts,
    desk,
    models,
    experiments,
    openSurprise,
    inbox,
    quotas: new SampleQuotas(config.tenants, steadyClock),
    index,
    changes,
    rejects,
    sinks,
    telemetry,
    effects,
    onAuditError,
    warmUp,
  })
  const options = serveOptions(config, logger)
  const app = await buildServer(deps, options)
  opened.push(() => app.close())
  await listen(app, config)
  const grpc = await openGrpc(deps, options, config)
  opened.push(() => grpc?.close())
  const url = config.server.publicUrl ?? urlOf(config.server.host, (app.server.address() as AddressInfo).port)
  await effects.audit(systemClock(), 'service', 'start', { version: VERSION, config: configDigest(config) })
  logger.info({ url, grpcPort: grpc?.port, config: shownConfig(config) }, 'listening')

  const saver = new Saver({
    inbox,
    checkpoints,
    journal,
    effects,
    settle: () => sinks.all.settled(SETTLE_MS),
    series: parts.series,
    stateful,
    stateBytes: () => stateBytes(parts),
    isHalf: () => warmUp.interrupted,
    pipeline,
    stepMs: config.features.step,
    // Beside workers windows wait for room alone, which the history must find at once.
    copiesBytesMax: Math.max(config.checkpoint.copies, workers > 0 ? HELD_BYTES_MAX : 0),
    telemetry,
    logger,
    clock: systemClock,
  })
  const ticker = new Ticker(inbox, systemClock)
  const clockWatch = new ClockWatch(logger)
  const timers = [
    every(
      config.checkpoint.every,
      async () => void (await saver.saveAfterWindow()),
      failed('no checkpoint was begun'),
    ),
    every(
      GAUGES_MS,
      async () => {
        readGauges(telemetry, parts, inbox)
        clockWatch.look(parts.windows.watermarkMs, systemClock())
        sinks.all.report()
      },
      failed('own gauges were not read'),
    ),
    every(config.features.step, () => ticker.tick(), failed('time could not be written into the journal')),
    every(EXPERIMENTS_MS, () => experiments.tick(), failed('experiments were not looked after')),
  ]
  const host = config.sources.host
  if (host.enabled)
    timers.push(every(host.every, () => sendHost(inbox, host.entity), failed('this host was not measured')))

  if (warmUp.pending) {
    const untilMs = systemClock()
    // What arrives meanwhile is journaled and waits its turn, as behind any other errand.
    inbox
      .between(() => warmUp.run(untilMs))
      .then(() => saver.save())
      .catch(failed('what was learned from history was not saved'))
  } else if ((config.warmup.prometheus ?? config.warmup.files) !== undefined && !parts.warmUp.mark.done) {
    logger.warn('history is not learned from: this folder has learned already; serve --warm-up starts anew')
  }

  return {
    url,
    stop: async () => {
      warmUp.stop()
      for (const timer of timers) timer.stop()
      await Promise.all([app.close(), grpc?.close()])
      await experiments.close()
      await inbox.close()
      await saver.save()
      await parts.scoring.close?.()
      await models.close()
      await sinks.all.close()
      await journal.close()
      await index.close()
      await record.close()
      await lock.release()
    },
  }
}

/** Whoever started the service without saying otherwise ends with it. */
function fatal(error: Error): void {
  setImmediate(() => {
    throw error
  })
}

async function sendHost(inbox: Inbox, hostname: string): Promise<void> {
  const arrivalMs = systemClock()
  const bytes = await hostSamples(arrivalMs, { hostname })
  await inbox.submit({ kind: 'json-lines', encoding: 'identity', arrivalMs, tenant: 'default', bytes })
}

function statefulOf(parts: Parts): Stateful[] {
  return [parts.warmUp, parts.configuration, ...statefulParts(parts)]
}

function keepChange(changes: Map<string, Change>, change: Change): void {
  changes.set(`${tenantOfChange(change)}\n${change.id}`, change)
  if (changes.size > CHANGES_KEPT) changes.delete(changes.keys().next().value as string)
}

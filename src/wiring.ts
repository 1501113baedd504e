import { existsSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Assembled } from './assembly.ts'
import type { Inbox } from './bus/inbox.ts'
import type { Config } from './config/schema.ts'
import { type Change, tenantOfChange } from './core/change.ts'
import { systemClock } from './core/clock.ts'
import type { Disruption } from './core/disruption.ts'
import { ForeshockError } from './core/errors.ts'
import type { Logger } from './core/logger.ts'
import type { ModelDesk } from './core/model-standing.ts'
import type { RecordIndex } from './core/ports.ts'
import type { Rejects } from './core/rejects.ts'
import type { Telemetry } from './core/telemetry.ts'
import { parseTime } from './core/time.ts'
import { batched } from './detectors/model-batcher.ts'
import { openHost, type ProbingHost } from './detectors/model-host.ts'
import { type FolderOf, ModelShelf } from './detectors/model-shelf.ts'
import { publicScore } from './detectors/severity.ts'
import { drillRows } from './disruptions/drill.ts'
import { drillDisruption, drillLive } from './disruptions/drill-live.ts'
import type { Effects } from './effects.ts'
import type { Experiments } from './experiments/experiments.ts'
import { type DeskParts, RegistryDesk } from './model-desk.ts'
import { AlertmanagerSink } from './publish/alertmanager-sink.ts'
import { EventStream } from './publish/event-stream.ts'
import { FanOut } from './publish/fan-out.ts'
import { webhookName } from './publish/webhook-post.ts'
import { WebhookSink } from './publish/webhook-sink.ts'
import type { SampleQuotas } from './sample-quotas.ts'
import type { ModelsPort } from './scoring-assembly.ts'
import type { ServeDeps, ServedModel, ServeOptions } from './serve/deps.ts'
import type { GrpcService } from './serve/grpc.ts'
import { ModelLedger } from './store/model-ledger.ts'
import { ModelRegistry } from './store/model-registry.ts'
import { shownIndex } from './store/shown-index.ts'
import { openWindowFile } from './store/window-file.ts'
import type { WarmUp } from './warm-up.ts'

/** OTLP/gRPC's own port. */
const OTLP_GRPC_PORT = 4317

export interface Sinks {
  readonly all: FanOut
  readonly stream: EventStream
  readonly alertmanager: AlertmanagerSink | undefined
}

/** The sinks that the configuration names, and the event stream that is always there. Where one cannot be opened none stays open. */
export async function openSinks(
  config: Config,
  record: ConstructorParameters<typeof EventStream>[0],
  telemetry: Telemetry,
  logger: Logger,
): Promise<Sinks> {
  const stream = new EventStream(record)
  const source = config.server.publicUrl ?? `http://${config.server.host}:${config.server.port}`
  const webhooks: WebhookSink[] = []
  try {
    for (const [i, { url, secret, allowPrivate }] of config.sinks.webhooks.entries())
      webhooks.push(
        await WebhookSink.open({
          name: webhookName(url),
          url,
          secret,
          source,
          target: { allowPrivate },
          queueFile: await queueFileOf(join(config.data.folder, 'webhooks'), url, i + 1),
          telemetry,
          clock: systemClock,
        }),
      )
  } catch (error) {
    await Promise.all(webhooks.map(one => one.close()))
    throw error
  }
  // Last, as nothing that fails may follow it: its timers would keep the process.
  const urls = config.sinks.alertmanagers.map(({ url }) => url)
  const alertmanager =
    urls.length === 0
      ? undefined
      : new AlertmanagerSink({ urls, externalUrl: source, telemetry, clock: systemClock })
  const all = new FanOut({
    sinks: [stream, ...(alertmanager ? [alertmanager] : []), ...webhooks],
    telemetry,
    onFailure: (sink, event, cause) => logger.error({ err: cause, sink, event: event.id }, 'not delivered'),
  })
  return { all, stream, alertmanager }
}

/**
 * What a receiver has not taken, and whether it wants anything: kept under its name, since another one may come to stand in its place
 * of the configuration. The file that earlier versions named by that place is taken over.
 */
async function queueFileOf(folder: string, url: string, place: number): Promise<string> {
  const [own, former] = [webhookName(url), String(place)].map(name => join(folder, `${name}.jsonl`))
  if (!existsSync(own) && existsSync(former)) await rename(former, own)
  return own
}

/** Packages that come with the program: `models/` lies beside `src/` and `dist/` alike. */
export const SHIPPED_MODELS = fileURLToPath(new URL('../models', import.meta.url))

/** Learned models: where they are opened, and made ready before they are ordered to score. */
export interface Models extends ModelsPort {
  readonly shelf: ModelShelf
  readonly host: ProbingHost
  /** Opens a package to answer inference requests, joined into batches. */
  serve(folder: string): Promise<ServedModel>
  close(): Promise<void>
}

/** Opens packages of a registry's folder, or of those that are shipped. Nothing is started yet. */
export function openModels(folder: string): Models {
  return openModelsIn((model, version) => {
    const own = join(folder, model, String(version))
    return existsSync(own) ? own : join(SHIPPED_MODELS, model, String(version))
  })
}

/** Opens packages wherever they lie. Nothing is started yet. */
export function openModelsIn(folderOf: FolderOf): Models {
  const host = openHost()
  const shelf = new ModelShelf(host, folderOf)
  return {
    shelf,
    host,
    serve: async folder => batched(await host.open(folder, 'accepted')),
    openModel: (model, version, digest) => shelf.take(model, version, digest),
    close: async () => {
      await shelf.close()
      await host.close()
    },
  }
}

/** The registry of models in a folder, and where orders are given. `reconcile` is to be called once all is restored. */
export async function openDesk(
  folder: string,
  { shelf, host }: Models,
  parts: Pick<DeskParts, 'submit' | 'live' | 'audit' | 'warn' | 'modelsMax'>,
): Promise<RegistryDesk> {
  const onWarning = parts.warn
  const registry = await ModelRegistry.open({ dir: folder, shippedDir: SHIPPED_MODELS, onWarning })
  return new RegistryDesk({
    ...parts,
    registry,
    ledger: await ModelLedger.open(folder, onWarning),
    prepare: ({ model, version, digest }) => shelf.prepare(model, version, digest),
    check: pushed => host.check(pushed),
    clock: systemClock,
  })
}

export interface Wired {
  readonly desk: ModelDesk
  readonly models: Models
  readonly experiments: Experiments
  readonly parts: Assembled
  readonly inbox: Inbox
  readonly quotas: SampleQuotas
  readonly index: RecordIndex
  readonly changes: ReadonlyMap<string, Change>
  readonly openSurprise: number
  readonly rejects: Rejects
  readonly sinks: Sinks
  readonly telemetry: Telemetry
  readonly effects: Effects
  readonly warmUp: WarmUp
  readonly onAuditError: (error: unknown) => void
}

/** What the HTTP service reads from and hands on to. A silence of Alertmanager shows on the board, live. */
export function serveDeps(wired: Wired): ServeDeps {
  const { parts, inbox, index, sinks, effects, onAuditError } = wired
  const shown = (one: Disruption): Disruption =>
    (sinks.alertmanager?.silencedBy(one).length ?? 0) > 0 ? { ...one, silenced: true } : one
  return {
    submit: envelope => wired.quotas.submit(envelope, one => inbox.submit(one)),
    index: shownIndex(index, shown),
    board: () => parts.disruptions.board().map(shown),
    anomalies: () => parts.scoring.anomalies(),
    series: parts.series,
    history: parts.history,
    windows: { open: openWindowFile, score: publicScore },
    openSurprise: wired.openSurprise,
    detectors: () => parts.scoring.detectors,
    alerting: () => parts.scoring.alerting?.(),
    maintenance: timeMs => parts.disruptions.maintenance(timeMs),
    edges: tenant => parts.disruptions.edges(tenant),
    explain: (atMs, lookbackMs, tenant) => parts.disruptions.explain(atMs, lookbackMs, undefined, tenant),
    drill: question => drillRows(question, parseTime),
    drillSeries: question => drillLive(parts.series, parts.history, question),
    drillDisruption: (disruption, windows) =>
      drillDisruption(parts.series, parts.history, disruption, windows),
    changes: tenant =>
      [...wired.changes.values()].filter(one => tenant === undefined || tenantOfChange(one) === tenant),
    models: wired.desk,
    openModel: version => wired.models.serve(version.folder),
    experiments: wired.experiments,
    rejects: wired.rejects,
    events: sinks.stream,
    telemetry: wired.telemetry,
    ready: () => {
      const { running, share } = wired.warmUp
      const why = running ? [`learning from history, ${Math.round(100 * share)} % done`] : []
      return { ready: !running, why }
    },
    audit: (who, action, detail) => {
      effects.audit(systemClock(), who, action, detail).catch(onAuditError)
    },
    clock: systemClock,
  }
}

/** OTLP/gRPC beside HTTP. A port that was asked for must be free; the usual one may be somebody else's. */
export async function openGrpc(
  deps: ServeDeps,
  options: ServeOptions,
  { server: { host, port, grpcPort } }: Config,
): Promise<GrpcService | undefined> {
  if (grpcPort === 'off') return undefined
  const wanted = grpcPort ?? (port === 0 ? 0 : OTLP_GRPC_PORT)
  const { listenGrpc } = await import('./serve/grpc.ts')
  try {
    return await listenGrpc(deps, options, { host, port: wanted })
  } catch (error) {
    const text = `cannot listen for OTLP/gRPC on ${host}:${wanted} (${(error as Error).message})`
    if (grpcPort !== undefined)
      throw new ForeshockError('FS_CONFIG_INVALID', `${text}; set server.grpcPort, or off`)
    options.logger?.warn(`${text}; OTLP is taken over HTTP only. Set server.grpcPort, or off`)
    return undefined
  }
}

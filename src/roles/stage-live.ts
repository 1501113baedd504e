import { partitionOf } from '../bus/partition-of.ts'
import type { Config } from '../config/schema.ts'
import { tenantOfChange } from '../core/change.ts'
import type { Clock } from '../core/clock.ts'
import { EMPTY_RECEIPT, type Envelope, type Receipt } from '../core/envelope.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { MaintenanceOrder } from '../core/maintenance.ts'
import type { RecordIndex } from '../core/ports.ts'
import type { Rejects } from '../core/rejects.ts'
import { type StreamProducer, TOPICS } from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { parseTime } from '../core/time.ts'
import { ENSEMBLE_DEFAULTS } from '../detectors/ensemble-options.ts'
import { publicScore } from '../detectors/severity.ts'
import { drillRows } from '../disruptions/drill.ts'
import { drillDisruption, drillLive } from '../disruptions/drill-live.ts'
import type { HttpService, ServeDeps, ServeOptions } from '../serve/deps.ts'
import { buildServer } from '../serve/server.ts'
import { openWindowFile } from '../store/window-file.ts'
import { maintenanceWordMessage } from './control.ts'
import { auditMessage, maintenanceMessage } from './stage-orders.ts'
import type { StagePartition } from './stage-partition.ts'

export interface StageLivePorts {
  readonly config: Config
  /** Of the topic of anomalies. */
  readonly partitions: number
  /** Partitions that this process holds now. */
  held(): readonly StagePartition[]
  readonly index: RecordIndex
  readonly producer: StreamProducer
  readonly rejects: Rejects
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
  ready(): { readonly ready: boolean; readonly why: readonly string[] }
}

/** An order is read back from the log, and carried out, within this time or its sender is told to look again, ms. */
const ORDER_MS_MAX = 10_000
const ORDER_LOOK_MS = 20

/**
 * The live state of the partitions that this process holds, over the same HTTP API: one service a partition, each made when
 * it is first asked for and dropped when the partition goes.
 */
export class StageLive {
  readonly #ports: StageLivePorts
  readonly #options: ServeOptions
  readonly #services = new Map<StagePartition, { readonly app: HttpService | undefined }>()

  constructor(ports: StageLivePorts, options: ServeOptions) {
    this.#ports = ports
    this.#options = options
  }

  /** Who answers for a partition; undefined when it is held elsewhere, or is being made ready. */
  find(part: string): HttpService | undefined {
    const stage = this.#ports.held().find(one => String(one.partition) === part)
    if (stage === undefined) return undefined
    const known = this.#services.get(stage)
    if (known === undefined) void this.#make(stage)
    return known?.app
  }

  /** Makes services of what is held ready, and drops those of what is not. */
  async refresh(): Promise<void> {
    const held = this.#ports.held()
    await Promise.all([
      ...held.filter(one => !this.#services.has(one)).map(one => this.#make(one)),
      ...[...this.#services]
        .filter(([one]) => !held.includes(one))
        .map(([one, { app }]) => {
          this.#services.delete(one)
          return app?.close()
        }),
    ])
  }

  async close(): Promise<void> {
    const services = [...this.#services.values()]
    this.#services.clear()
    await Promise.all(services.map(({ app }) => app?.close()))
  }

  async #make(stage: StagePartition): Promise<void> {
    this.#services.set(stage, { app: undefined })
    try {
      const app = await buildServer(stageDeps(stage, this.#ports), this.#options)
      // It may have gone meanwhile.
      if (this.#services.has(stage)) this.#services.set(stage, { app })
      else await app.close()
    } catch (error) {
      this.#services.delete(stage)
      this.#ports.logger.error({ err: error, partition: stage.partition }, 'live state cannot be served')
    }
  }
}

/** What the HTTP service of one partition reads from. */
function stageDeps(stage: StagePartition, ports: StageLivePorts): ServeDeps {
  const { config, index, rejects, telemetry, clock, ready } = ports
  const { series, history, disruptions } = stage.parts
  return {
    submit: envelope => order(stage, ports, envelope),
    index,
    board: () => disruptions.board(),
    anomalies: () => disruptions.openAnomalies(),
    series,
    history,
    windows: { open: openWindowFile, score: publicScore },
    openSurprise: config.detection.openSurprise ?? ENSEMBLE_DEFAULTS.openAt,
    detectors: () => [],
    alerting: () => undefined,
    maintenance: timeMs => disruptions.maintenance(timeMs),
    edges: tenant => disruptions.edges(tenant),
    explain: (atMs, lookbackMs, tenant) => disruptions.explain(atMs, lookbackMs, undefined, tenant),
    drill: question => drillRows(question, parseTime),
    drillSeries: question => drillLive(series, history, question),
    drillDisruption: (disruption, windows) => drillDisruption(series, history, disruption, windows),
    changes: tenant => stage.changes.filter(one => tenant === undefined || tenantOfChange(one) === tenant),
    rejects,
    // Events are told by gateways: nobody listens here.
    events: { subscribe: () => undefined },
    telemetry,
    ready,
    audit: (who, action, detail) => {
      const tenant = (detail as { tenant?: unknown } | null)?.tenant
      const note = auditMessage({ timeMs: clock(), who, action, detail }, tenantOr(tenant))
      ports.producer
        .send(TOPICS.anomalies, [note])
        .catch(error => ports.logger.error({ err: error, who, action }, 'not written to the audit trail'))
    },
    clock,
  }
}

const tenantOr = (tenant: unknown) => (typeof tenant === 'string' ? tenant : 'default')

/**
 * Writes an order into the partition that it is about, and waits until it was read back and carried out. Samples and changes
 * are taken by gateways.
 */
async function order(stage: StagePartition, ports: StageLivePorts, envelope: Envelope): Promise<Receipt> {
  if (envelope.kind !== 'maintenance')
    throw new ForeshockError('FS_INPUT_INVALID', 'samples and changes are sent to a gateway')
  const { partitions, producer, clock } = ports
  if (partitionOf(envelope.tenant, partitions) !== stage.partition)
    throw new ForeshockError(
      'FS_INPUT_INVALID',
      `tenant ${envelope.tenant} is kept elsewhere: name it in the header foreshock-tenant`,
    )
  const what = JSON.parse(Buffer.from(envelope.bytes).toString()) as MaintenanceOrder
  const id = what.op === 'add' ? what.window.id : what.id
  // First where the whole fleet remembers it: should this process end now, the partition is told by whoever holds it next.
  await producer.send(TOPICS.control, [maintenanceWordMessage(what, envelope.arrivalMs)])
  const stands = () => stage.parts.disruptions.maintenance(clock()).some(({ window }) => window.id === id)
  await producer.send(TOPICS.anomalies, [maintenanceMessage(what, stage.partition, envelope.arrivalMs)])
  for (const end = clock() + ORDER_MS_MAX; stands() !== (what.op === 'add'); ) {
    if (clock() > end)
      throw new ForeshockError('FS_AWAY', 'the order is written, but was not carried out yet; look again')
    await new Promise(done => setTimeout(done, ORDER_LOOK_MS))
  }
  return { ...EMPTY_RECEIPT, samples: 1 }
}

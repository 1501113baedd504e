import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Anomaly } from '../core/anomaly.ts'
import type { Change } from '../core/change.ts'
import type { Clock } from '../core/clock.ts'
import type { Disruption, DisruptionEvent } from '../core/disruption.ts'
import type { Envelope, Receipt } from '../core/envelope.ts'
import type { SeriesHistory } from '../core/history.ts'
import type { MaintenanceState } from '../core/maintenance.ts'
import type { ModelDesk, StoredVersion } from '../core/model-standing.ts'
import type { RateCounter, RecordIndex } from '../core/ports.ts'
import type { Rejects } from '../core/rejects.ts'
import type { SeriesTable } from '../core/series.ts'
import type { AlertingReport, ExplainedSuspect } from '../core/stages.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { CallEdge } from '../core/topology.ts'
import type { OpenWindowFile } from '../core/window-rows.ts'
import type { DrillQuestion } from '../disruptions/drill.ts'
import type { LiveAnswer, LiveQuestion } from '../disruptions/drill-live.ts'
import type { Explanation } from '../disruptions/leaf-table.ts'
import type { ApiKey } from './auth.ts'
import type { ExperimentService } from './experiment-routes.ts'
import type { LiveHolders } from './forward.ts'

/** A service that was built, to be listened with or mounted. */
export type HttpService = FastifyInstance

export interface EventListener {
  /** Hands an event on; false when no more can be taken until `drained` of the subscription is called. */
  readonly send: (event: DisruptionEvent) => boolean
  /** It is over for this listener: it fell too far behind, or the service stops. */
  readonly end: (reason: 'slow' | 'closed') => void
}

export interface EventSubscription {
  /** More can be taken again. */
  drained(): void
  close(): void
}

/** Disruption events as they happen; `publish/event-stream.ts` is one. */
export interface EventFeed {
  /**
   * Hands on the events that followed `lastEventId` (none when it is undefined), then every new one, perhaps
   * before it returns. Undefined when too many listen already.
   */
  subscribe(lastEventId: string | undefined, to: EventListener): EventSubscription | undefined
}

/** A model open for inference requests. */
export interface ServedModel {
  /** Output of `rows` rows, row-major; what several callers ask at once may be answered together. */
  run(caller: string, input: Float32Array, rows: number, timeoutMs: number): Promise<Float32Array>
  close(): Promise<void>
}

/** Everything the HTTP service reads from or hands on to; `main.ts` wires it. */
export interface ServeDeps {
  /**
   * Takes a body into the pipeline; resolves when it is processed and durable. Rejects with FS_OVERLOADED when
   * more is waiting than may wait. Once it resolves nobody looks at the bytes of the envelope any more.
   */
  submit(envelope: Envelope): Promise<Receipt>
  readonly index: RecordIndex
  /** Open disruptions and those lately resolved, highest rank first. */
  board(): readonly Disruption[]
  /** Anomalies open now. */
  anomalies(): readonly Anomaly[]
  readonly series: SeriesTable
  readonly history: SeriesHistory
  /** How windows are written to be trained on, and the public score of a surprise. */
  readonly windows: { readonly open: OpenWindowFile; score(surprise: number): number }
  /** Surprise that opens an anomaly. */
  readonly openSurprise: number
  detectors(): readonly {
    readonly id: string
    readonly warmUpWindows: number
    readonly bytes: number
    readonly problem?: string
  }[]
  /** What rules, budgets and the calendar do; undefined when nothing is configured. */
  alerting(): AlertingReport | undefined
  /** Maintenance windows, and how they stand at a moment. */
  maintenance(timeMs: number): readonly MaintenanceState[]
  /** Calls that a tenant's series told of, and those that people gave; all of them without a tenant. */
  edges(tenant?: string): readonly (CallEdge & { readonly lastSeenMs: number })[]
  /** Suspects among a tenant's entities; all of them without a tenant. */
  explain(atMs: number, lookbackMs: number, tenant?: string): readonly ExplainedSuspect[]
  /** Which combination of attributes explains the deviation of the rows given; throws FS_INPUT_INVALID. */
  drill(question: DrillQuestion): readonly Explanation[]
  /** As `drill`, of the live series of one metric, or of the ratio of two, by their labels. */
  drillSeries(question: LiveQuestion): readonly Explanation[]
  /** As `drillSeries`, of what a disruption's entities count. */
  drillDisruption(disruption: Disruption, windows: number): LiveAnswer
  /** The newest changes known, any order; a tenant's only, when one is named. */
  changes(tenant?: string): readonly Change[]
  /** Packages, parts and orders of models; without one there are no routes of models. */
  readonly models?: ModelDesk
  /** Opens a version to answer inference requests; comes with `models`. Throws FS_MODEL_*. */
  openModel?(version: StoredVersion): Promise<ServedModel>
  readonly rejects: Rejects
  /** Without it there are no experiments. */
  readonly experiments?: ExperimentService
  readonly events: EventFeed
  readonly telemetry: Telemetry
  ready(): { readonly ready: boolean; readonly why: readonly string[] }
  /** Counts requests over all gateways of a fleet; each counts its own without it. */
  readonly rates?: RateCounter
  /** Writes to the audit trail; failures are the callee's to log. */
  audit(who: string, action: string, detail: unknown): void
  readonly clock: Clock
  /** In a fleet: who holds live state. Routes that ask for it are passed on, and what answers them here is not asked. */
  readonly holders?: LiveHolders
}

export interface ServeOptions {
  /** Known API keys; with none the service is open and may only be bound to loopback (`assertBindable`). */
  readonly keys?: readonly ApiKey[]
  readonly logger?: Logger
  /** Shown in /openapi.json. */
  readonly version?: string
  /** Largest body taken, as sent, bytes. Default 16 MiB. */
  readonly bodyBytesMax?: number
  /** Of all bodies that have begun and are not whole, bytes. Default 256 MiB. */
  readonly bodiesBytesMax?: number
  /** Requests per client and minute; no limit when absent. */
  readonly requestsPerMinuteMax?: number
  /** How long one turn of the event loop may take before 503 is answered for a second, ms. Default 5000; 0 turns it off. */
  readonly eventLoopDelayMsMax?: number
  /** Between SSE comments that keep a quiet connection open, ms. Default 15000. */
  readonly heartbeatMs?: number
  /** Most SSE clients at once. Default 1000. */
  readonly sseClientsMax?: number
  /** How long an SSE client may leave its events unread before it is cut, ms. Default 30000. */
  readonly sseStuckMsMax?: number
  /** How long a client may leave the rest of an answer unread before it is cut, ms. Default 60000. */
  readonly answerStuckMsMax?: number
  /** What senders are told to wait when overloaded, s. Default 5. */
  readonly retryAfterSeconds?: number
  /** Services of parts that this process holds, reached under `/stage/<part>/`. */
  readonly parts?: (part: string) => Pick<FastifyInstance, 'routing'> | undefined
}

type Optional = 'logger' | 'requestsPerMinuteMax' | 'parts'
/** Options with every default filled in. */
export type Settings = Required<Omit<ServeOptions, Optional>> & Pick<ServeOptions, Optional>

export function settingsOf(options: ServeOptions): Settings {
  return {
    keys: [],
    version: '0.0.0',
    bodyBytesMax: 16 * 1024 * 1024,
    bodiesBytesMax: 256 * 1024 * 1024,
    eventLoopDelayMsMax: 5000,
    heartbeatMs: 15_000,
    sseClientsMax: 1000,
    sseStuckMsMax: 30_000,
    answerStuckMsMax: 60_000,
    retryAfterSeconds: 5,
    ...options,
  }
}

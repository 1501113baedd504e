import type { Config } from '../config/schema.ts'
import { type Change, changeLine, parseChanges } from '../core/change.ts'
import type { Clock } from '../core/clock.ts'
import { EMPTY_RECEIPT, type Envelope, type Receipt } from '../core/envelope.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { ModelDesk, StoredVersion } from '../core/model-standing.ts'
import type { RateCounter, RecordIndex } from '../core/ports.ts'
import type { Rejects } from '../core/rejects.ts'
import { HEADERS, type StreamProducer, TOPICS } from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { parseTime } from '../core/time.ts'
import { ENSEMBLE_DEFAULTS } from '../detectors/ensemble-options.ts'
import { publicScore } from '../detectors/severity.ts'
import { drillRows } from '../disruptions/drill.ts'
import type { EventFeed, ServeDeps, ServedModel } from '../serve/deps.ts'
import type { LiveHolders } from '../serve/forward.ts'
import { shownIndex } from '../store/shown-index.ts'
import { openWindowFile } from '../store/window-file.ts'
import type { BoardView } from './board-view.ts'
import { auditMessage } from './stage-orders.ts'

export interface GatewayPorts {
  readonly config: Config
  /** Takes bodies of samples into the log. */
  readonly samples: { submit(envelope: Envelope): Promise<Receipt> }
  readonly producer: StreamProducer
  readonly index: RecordIndex
  readonly board: BoardView
  /** Requests of an address, counted over all gateways. */
  readonly rates: RateCounter
  readonly events: EventFeed
  readonly holders: LiveHolders
  /** Packages and orders of models, and how a version is opened to answer inference requests. */
  readonly models?: { readonly desk: ModelDesk; open(version: StoredVersion): Promise<ServedModel> }
  readonly rejects: Rejects
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
  ready(): { readonly ready: boolean; readonly why: readonly string[] }
}

/** What the HTTP service of a gateway reads from and hands on to. */
export function gatewayDeps(ports: GatewayPorts): ServeDeps {
  const { config, board, events, holders, models, rejects, telemetry, clock, ready } = ports
  return {
    ...HELD_ELSEWHERE,
    get series(): never {
      return elsewhere()
    },
    get history(): never {
      return elsewhere()
    },
    submit: envelope => submit(ports, envelope),
    index: shownIndex(ports.index, one => board.shown(one)),
    board: () => board.disruptions,
    windows: { open: openWindowFile, score: publicScore },
    openSurprise: config.detection.openSurprise ?? ENSEMBLE_DEFAULTS.openAt,
    drill: question => drillRows(question, parseTime),
    rejects,
    events,
    rates: ports.rates,
    telemetry,
    ready,
    audit: (who, action, detail) => {
      audit(ports, who, action, detail)
    },
    clock,
    holders,
    ...(models ? { models: models.desk, openModel: version => models.open(version) } : {}),
  }
}

/** Live state is held by stages: every route that asks for it is passed on before it gets here. */
const elsewhere = (): never => {
  throw new ForeshockError('FS_ASSERTION', 'a gateway was asked for live state')
}
const HELD_ELSEWHERE = {
  anomalies: elsewhere,
  detectors: elsewhere,
  alerting: elsewhere,
  maintenance: elsewhere,
  edges: elsewhere,
  explain: elsewhere,
  drillSeries: elsewhere,
  drillDisruption: elsewhere,
  changes: elsewhere,
}

/** Answered when the log has it: whatever comes of it comes of the log. */
async function submit(ports: GatewayPorts, envelope: Envelope): Promise<Receipt> {
  ports.telemetry.count('foreshock_envelopes_total', 1, { kind: envelope.kind })
  try {
    if (envelope.kind === 'change') return await sendChanges(ports, envelope)
    const receipt = await ports.samples.submit(envelope)
    ports.telemetry.count('foreshock_samples_total', receipt.samples, { kind: envelope.kind })
    return receipt
  } catch (error) {
    if (!(error instanceof ForeshockError) || error.code !== 'FS_IO') throw error
    ports.logger.warn(
      { err: error },
      'a body could not be written to the log; its sender is told to come back',
    )
    throw new ForeshockError('FS_AWAY', 'the log (Kafka) does not take what was sent now', { cause: error })
  }
}

async function sendChanges({ producer }: GatewayPorts, envelope: Envelope): Promise<Receipt> {
  const { tenant, arrivalMs } = envelope
  const { changes, reasons } = parseChanges(envelope.bytes, tenant)
  await producer.send(
    TOPICS.changes,
    changes.map((change: Change) => ({
      key: `${tenant}/${change.entity}`,
      value: Buffer.from(changeLine(change)),
      headers: { 'content-type': 'application/json', [HEADERS.tenant]: tenant },
      timestampMs: arrivalMs,
    })),
  )
  return { ...EMPTY_RECEIPT, samples: changes.length, rejected: reasons.length, reasons }
}

/** What people did goes to the stage that keeps the record of its tenant, in order with everything else. */
function audit(
  { producer, clock, logger }: GatewayPorts,
  who: string,
  action: string,
  detail: unknown,
): void {
  const tenant = (detail as { tenant?: unknown } | null)?.tenant
  const of = typeof tenant === 'string' ? tenant : 'default'
  producer
    .send(TOPICS.anomalies, [auditMessage({ timeMs: clock(), who, action, detail }, of)])
    .catch(error => logger.error({ err: error, who, action, detail }, 'not written to the audit trail'))
}

import { afterAll } from 'vitest'
import type { Anomaly } from '../../src/core/anomaly.ts'
import { type Change, changeOf, ofTenant } from '../../src/core/change.ts'
import type { Disruption, DisruptionEvent, DisruptionEventType } from '../../src/core/disruption.ts'
import { EMPTY_RECEIPT, type Envelope, type Receipt } from '../../src/core/envelope.ts'
import { ForeshockError } from '../../src/core/errors.ts'
import type { HistoryColumns, SeriesHistory, WindowsAt } from '../../src/core/history.ts'
import type { RecordIndex } from '../../src/core/ports.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { type SeriesMeta, SeriesTable, seriesKey } from '../../src/core/series.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { publicScore } from '../../src/detectors/severity.ts'
import { drillRows } from '../../src/disruptions/drill.ts'
import { drillDisruption, drillLive } from '../../src/disruptions/drill-live.ts'
import { Maintenance } from '../../src/disruptions/maintenance.ts'
import type {
  EventFeed,
  EventListener,
  EventSubscription,
  ServeDeps,
  ServeOptions,
} from '../../src/serve/deps.ts'
import { buildServer } from '../../src/serve/server.ts'
import { similarity } from '../../src/store/similarity.ts'
import { openWindowFile } from '../../src/store/window-file.ts'
import { plainKnownWithin, plainWindowsAt } from '../core/plain-windows.ts'
import { evidence, anomaly as sampleAnomaly, disruption as sampleDisruption } from '../store/samples.ts'

/** A fixed moment: Friday 20 November 2026, 14:30 UTC. */
export const NOW_MS = Date.UTC(2026, 10, 20, 14, 30)
const STEP_MS = 10_000

/** Keeps whole columns per series, as the real history does, without its byte budget. */
export class MemoryHistory implements SeriesHistory {
  readonly depth = 360
  readonly stepMs = STEP_MS
  newestEndMs = NOW_MS
  readonly rows = new Map<number, HistoryColumns>()

  read(series: number, out: HistoryColumns): number {
    const from = this.rows.get(series)
    if (!from) return 0
    const count = Math.min(out.observed.length, from.observed.length)
    const skip = from.observed.length - count
    for (const name of ['observed', 'expected', 'lower', 'upper', 'surprise'] as const)
      out[name].set(from[name].subarray(skip))
    return count
  }

  observed(series: number, fromMs: number, toMs: number, out: Float64Array): number {
    const from = this.rows.get(series)?.observed
    if (!from) return 0
    const last = from.length - Math.max(0, Math.ceil((this.newestEndMs - toMs) / this.stepMs))
    const first = Math.max(0, from.length - Math.floor((this.newestEndMs - fromMs) / this.stepMs))
    const part = from.subarray(first, Math.max(first, Math.min(last, first + out.length)))
    out.set(part)
    return part.length
  }

  knownWithin(fromMs: number, toMs: number): (series: number) => number {
    return plainKnownWithin(this, fromMs, toMs)
  }

  windowsAt(endsMs: Float64Array): WindowsAt {
    return plainWindowsAt(this, endsMs, series => this.rows.has(series))
  }
}

/** Events that may wait for one listener of the feed below. */
const QUEUE_MAX = 50

/** A bounded feed: the last 100 events are there for those who come back, and a queue for each who is slow. */
export class MemoryFeed implements EventFeed {
  readonly kept: DisruptionEvent[] = []
  readonly listeners = new Set<(event: DisruptionEvent) => void>()

  subscribe(lastEventId: string | undefined, to: EventListener): EventSubscription {
    const queue: DisruptionEvent[] = []
    let ready = true
    const push = () => {
      while (ready && queue.length > 0) ready = to.send(queue.shift() as DisruptionEvent)
    }
    const take = (event: DisruptionEvent) => {
      queue.push(event)
      push()
      if (queue.length <= QUEUE_MAX) return
      this.listeners.delete(take)
      to.end('slow')
    }
    if (lastEventId !== undefined) {
      const at = this.kept.findIndex(event => event.id === lastEventId)
      queue.push(...this.kept.slice(at + 1))
    }
    this.listeners.add(take)
    push()
    return {
      drained: () => {
        ready = true
        push()
      },
      close: () => this.listeners.delete(take),
    }
  }

  publish(event: DisruptionEvent): void {
    this.kept.push(event)
    if (this.kept.length > 100) this.kept.shift()
    for (const listener of [...this.listeners]) listener(event)
  }
}

export interface World {
  readonly deps: ServeDeps
  readonly envelopes: Envelope[]
  readonly board: Disruption[]
  readonly anomalies: Anomaly[]
  readonly feed: MemoryFeed
  readonly history: MemoryHistory
  readonly series: SeriesTable
  readonly changes: Change[]
  readonly audits: { who: string; action: string; detail: unknown }[]
  /** What the next bodies are answered. */
  receipt: Receipt
  overloaded: boolean
  ready: boolean
  clockMs: number
}

/** Everything the service needs, in memory, from the real parts of the core. */
export function world(): World {
  const series = new SeriesTable(10_000)
  const history = new MemoryHistory()
  const feed = new MemoryFeed()
  const state: Omit<World, 'deps'> = {
    envelopes: [],
    board: [],
    anomalies: [],
    feed,
    history,
    series,
    changes: [],
    audits: [],
    receipt: { ...EMPTY_RECEIPT, samples: 3 },
    overloaded: false,
    ready: true,
    clockMs: NOW_MS,
  }
  const telemetry = new Telemetry()
  const maintenance = new Maintenance()
  const detector = { id: 'seasonal@1', warmUpWindows: 30, bytes: 4096, counts: { series: 5 } }
  const deps: ServeDeps = {
    submit: async envelope => {
      if (state.overloaded) throw new ForeshockError('FS_OVERLOADED', 'too much is waiting')
      state.envelopes.push({ ...envelope, bytes: envelope.bytes.slice() })
      if (envelope.kind === 'maintenance') {
        const reason = maintenance.follow(
          JSON.parse(Buffer.from(envelope.bytes).toString('utf8')),
          state.clockMs,
        )
        return reason === undefined ? EMPTY_RECEIPT : { ...EMPTY_RECEIPT, rejected: 1, reasons: [reason] }
      }
      if (envelope.kind !== 'change') return state.receipt
      const lines = Buffer.from(envelope.bytes).toString('utf8').split('\n')
      for (const line of lines) {
        const change = changeOf(JSON.parse(line))
        if (typeof change === 'string') throw new Error(change)
        state.changes.push(ofTenant(change, envelope.tenant))
      }
      return { ...EMPTY_RECEIPT, samples: lines.length }
    },
    index: memoryIndex(state),
    board: () => state.board,
    openSurprise: 4,
    anomalies: () => state.anomalies,
    series,
    history,
    windows: { open: openWindowFile, score: publicScore },
    alerting: () => undefined,
    maintenance: timeMs => maintenance.list(timeMs),
    detectors: () => [detector],
    edges: () => [
      { source: 'checkout', target: 'payments', lastSeenMs: NOW_MS - 5000 },
      { source: 'edge', target: 'checkout', lastSeenMs: NOW_MS - 5000 },
    ],
    drill: question => drillRows(question, Number),
    drillSeries: question => drillLive(series, history, question),
    drillDisruption: (disruption, windows) => drillDisruption(series, history, disruption, windows),
    explain: (atMs, lookbackMs, tenant) =>
      state.anomalies
        .filter(a => tenant === undefined || a.tenant === tenant)
        .filter(a => a.startMs <= atMs && a.endMs >= atMs - lookbackMs)
        .map((a, i) => ({
          rank: i + 1,
          entity: a.entity,
          metric: a.metric,
          score: a.score / 100,
          onsetMs: a.startMs,
          direction: a.direction,
          observed: a.observed,
          expected: a.expected,
          why: a.why,
        })),
    changes: () => state.changes,
    rejects: new Rejects(100),
    events: feed,
    telemetry,
    ready: () => ({ ready: state.ready, why: state.ready ? [] : ['restoring the checkpoint'] }),
    audit: (who, action, detail) => state.audits.push({ who, action, detail }),
    clock: () => state.clockMs,
  }
  return Object.assign(state, { deps })
}

function memoryIndex(state: Pick<World, 'board' | 'anomalies' | 'changes'>): RecordIndex {
  const offset = (cursor: string | undefined) => {
    if (cursor !== undefined && !/^\d+$/.test(cursor))
      throw new ForeshockError('FS_INPUT_INVALID', 'cursor: is not one that was given out here')
    return Number(cursor ?? 0)
  }
  return {
    disruption: async id => state.board.find(d => d.id === id),
    disruptions: async query => {
      const all = state.board.filter(
        d =>
          (query.tenant === undefined || d.tenant === query.tenant) &&
          (query.status === undefined || d.status === query.status) &&
          (query.severity === undefined || d.severity === query.severity) &&
          (query.entity === undefined || d.entities.includes(query.entity)) &&
          (query.fromMs === undefined || Date.parse(d.startedAt) >= query.fromMs) &&
          (query.toMs === undefined || Date.parse(d.startedAt) < query.toMs),
      )
      const start = offset(query.cursor)
      const end = start + query.limit
      return { items: all.slice(start, end), next: end < all.length ? String(end) : null }
    },
    similar: async (id, limit) => {
      const one = state.board.find(d => d.id === id)
      if (one === undefined) return []
      const others = state.board.filter(d => d.id !== id && d.tenant === one.tenant)
      return others.map(other => similarity(one, other)).slice(0, limit)
    },
    anomalies: async query => {
      const start = offset(query.cursor)
      return { items: state.anomalies.slice(start, start + query.limit), next: null }
    },
    changes: async limit => state.changes.slice(-limit).reverse(),
    apply: async () => {},
    position: async () => new Map(),
    close: async () => {},
  }
}

export interface Running {
  readonly url: string
  close(): Promise<void>
}

/** Listens on a port of its own. */
export async function listen(deps: ServeDeps, options: ServeOptions = {}): Promise<Running> {
  // However busy the machine is: that a busy service says so is shown where it is asked for.
  const app = await buildServer(deps, { eventLoopDelayMsMax: 0, ...options })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { url, close: () => app.close() }
}

/** The same for all tests of a file; closed after them. */
export function served(deps: ServeDeps, options?: ServeOptions): Promise<Running> {
  const running = listen(deps, options)
  afterAll(async () => (await running).close())
  return running
}

export function addSeries(
  to: World,
  metric: string,
  labels: Record<string, string>,
  more: Partial<SeriesMeta> = {},
): number {
  const tenant = more.tenant ?? 'default'
  return to.series.intern({
    key: seriesKey(metric, labels, tenant),
    tenant,
    metric,
    labels,
    entity: labels.service ?? 'none',
    unit: 's',
    kind: 'latency',
    bad: 'up',
    ...more,
  })
}

/**
 * A daily-looking wave with a little noise, and from `onset` on (windows before the end) a level `factor` times
 * what was expected.
 */
export function addHistory(to: World, row: number, base: number, factor: number, onset: number): void {
  const n = to.history.depth
  const columns = {
    observed: new Float64Array(n),
    expected: new Float64Array(n),
    lower: new Float64Array(n),
    upper: new Float64Array(n),
    surprise: new Float32Array(n),
  }
  let noise = 1
  for (let i = 0; i < n; i++) {
    noise = (noise * 16_807) % 2_147_483_647
    const expected = base * (1 + 0.25 * Math.sin((i / n) * 2 * Math.PI))
    const jitter = 1 + 0.12 * (noise / 2_147_483_647 - 0.5)
    const strange = i >= n - onset
    columns.expected[i] = expected
    columns.lower[i] = expected * 0.85
    columns.upper[i] = expected * 1.15
    columns.observed[i] = expected * jitter * (strange ? factor : 1)
    columns.surprise[i] = strange ? 6.5 : 0.4
  }
  columns.observed.fill(Number.NaN, 100, 106)
  to.history.rows.set(row, columns)
}

export function disruption(id: string, more: Partial<Disruption> = {}): Disruption {
  const startedAt = new Date(NOW_MS - 25 * 60_000).toISOString()
  const entity = more.entity ?? 'checkout'
  const [suspect] = sampleDisruption(id).suspects
  return sampleDisruption(id, {
    rankParts: { impact: 0.82, confidence: 0.94, persistence: 0.7, novelty: 1 },
    startedAt,
    detectedAt: new Date(NOW_MS - 24 * 60_000).toISOString(),
    updatedAt: new Date(NOW_MS).toISOString(),
    entity,
    entities: [entity, 'payments'],
    title: `${entity} latency p99 1.9 s, expected 0.46 s, first seen at payments`,
    why: ['payments became slow 40 s before checkout, which calls it'],
    suspects: [
      {
        ...suspect,
        onset: startedAt,
        observed: 1.4,
        expected: 0.21,
        why: ['6.7× expected', 'nothing it calls is strange', 'deploy v2.4.1 3 min before'],
      },
    ],
    evidence: [
      evidence(1, {
        id: `${id}-e1`,
        series: { metric: 'latency_seconds:p99', labels: { service: entity } },
        entity,
        window: { start: startedAt, end: new Date(NOW_MS).toISOString() },
        why: [`${entity} latency p99 1.9 s, expected 0.46 s`],
      }),
    ],
    replay: { log: 'main@1', config: 'sha256:00', models: {} },
    ...more,
  })
}

export function anomaly(id: string, more: Partial<Anomaly> = {}): Anomaly {
  const entity = more.entity ?? 'checkout'
  const labels = { service: entity }
  return sampleAnomaly(id, {
    series: 0,
    key: seriesKey('latency_seconds:p99', labels, more.tenant),
    labels,
    entity,
    startMs: NOW_MS - 25 * 60_000,
    endMs: NOW_MS,
    detectedMs: NOW_MS - 24 * 60_000,
    score: 87.2,
    why: ['latency p99 1.9 s, expected 0.46 s'],
    ...more,
  })
}

export function event(of: Disruption, type: DisruptionEventType = 'opened'): DisruptionEvent {
  return { id: `${of.id}.${of.revision}`, type, timeMs: Date.parse(of.updatedAt), disruption: of }
}

/** Parsed JSON that a test looks into by name. */
export interface Json {
  readonly [name: string]: Json
}

export async function json(answer: Response): Promise<Json> {
  return (await answer.json()) as Json
}

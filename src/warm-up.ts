import { setImmediate as breathe } from 'node:timers/promises'
import type { Config } from './config/schema.ts'
import { plainYaml } from './config.ts'
import type { Clock } from './core/clock.ts'
import type { Envelope } from './core/envelope.ts'
import type { Logger } from './core/logger.ts'
import type { Rejects } from './core/rejects.ts'
import type { Snapshot } from './core/snapshot.ts'
import type { Telemetry } from './core/telemetry.ts'
import { replayRows } from './ingest/csv-replay.ts'
import type { PrometheusClient } from './ingest/history/prometheus-client.ts'
import { PrometheusHistory } from './ingest/history/prometheus-history.ts'
import type { IntakeOptions } from './ingest/options.ts'
import type { Pipeline } from './pipeline.ts'

/** How far learning from history is logged this often, ms. */
const TOLD_MS = 10_000
/** Samples asked for at most this far apart, whatever the server scrapes at, ms. */
const STEP_MS_MAX = 300_000

/** Whether this data folder has learned from history, and from which: part of the checkpoint. */
export interface WarmUpMark {
  readonly done: boolean
  readonly fromMs: number
  readonly toMs: number
  readonly samples: number
}

/** Requests and timers are let in this often, ms. */
const BREATH_MS = 50

const ID = 'warm-up'
const VERSION = 1
const NOT_DONE: WarmUpMark = { done: false, fromMs: 0, toMs: 0, samples: 0 }

/** The mark as a part of the checkpoint: state that is dropped takes it along, and history is read again. */
export class WarmUpMemory {
  mark: WarmUpMark = NOT_DONE

  snapshot(): Snapshot[] {
    return [{ id: ID, version: VERSION, keys: [], columns: {}, meta: { ...this.mark } }]
  }

  restore(parts: readonly Snapshot[]): void {
    const saved = parts.find(part => part.id === ID && part.version === VERSION)
    this.mark = saved ? (saved.meta as WarmUpMark) : NOT_DONE
  }
}

export interface WarmUpParts {
  readonly config: Config
  readonly pipeline: Pipeline
  readonly memory: WarmUpMemory
  readonly intakeOptions: Partial<IntakeOptions>
  readonly rejects: Rejects
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
}

/**
 * Learns from history before anything live is judged: the past of a Prometheus server or of files goes through the same
 * intake, windows and detectors as live samples, and nobody is told of what was strange in it. It ends at a limit of
 * time; what fails is said and never keeps the service from starting.
 */
export class WarmUp {
  readonly #parts: WarmUpParts
  readonly #abort = new AbortController()
  #state: 'idle' | 'running' | 'ended' = 'idle'
  #interrupted = false
  #samples = 0
  #share = 0
  #toldMs = 0
  #breathMs = 0

  constructor(parts: WarmUpParts) {
    this.#parts = parts
  }

  /** True when a history is configured that these parts have not learned from and still can. */
  get pending(): boolean {
    const { config, memory, pipeline } = this.#parts
    const { prometheus, files } = config.warmup
    if (this.#state !== 'idle' || memory.mark.done || (!prometheus && files === undefined)) return false
    // History that lies before what was learned already would be late.
    return Number.isNaN(pipeline.parts.windows.watermarkMs)
  }

  /** True while history is learned from. */
  get running(): boolean {
    return this.#state === 'running'
  }

  /** True when it was stopped half-way: what it learned until then must not be saved. */
  get interrupted(): boolean {
    return this.#interrupted
  }

  /** Share of the history that was learned from, 0..1. */
  get share(): number {
    return this.#share
  }

  stop(): void {
    this.#abort.abort()
  }

  /**
   * Learns from the configured history up to the window that `atMs` lies in, which is the first live one. Never rejects.
   */
  async run(atMs: number): Promise<void> {
    const { config, memory, pipeline, logger, telemetry } = this.#parts
    const { step } = config.features
    const untilMs = Math.floor(atMs / step) * step
    const { prometheus, files, limit } = config.warmup
    this.#state = 'running'
    telemetry.set('foreshock_warm_up_progress', 0)
    const deadline = AbortSignal.timeout(limit)
    const signal = AbortSignal.any([this.#abort.signal, deadline])
    pipeline.beginHistory()
    let failure: unknown
    try {
      logger.info({ source: prometheus?.url ?? files, until: iso(untilMs) }, 'learning from history')
      if (prometheus) await this.#prometheus(prometheus, untilMs, signal)
      else if (files !== undefined) await this.#files(files, untilMs, signal)
    } catch (error) {
      failure = error
    }
    await pipeline.endHistory(0)
    this.#interrupted = this.#abort.signal.aborted
    const { fromMs, toMs } = this.#span
    const samples = this.#samples
    const learned = { samples, series: pipeline.parts.series.size, from: iso(fromMs), to: iso(toMs) }
    if (this.#interrupted)
      logger.info(learned, 'learning from history was stopped; the next start begins it again')
    else if (deadline.aborted)
      logger.warn({ ...learned, limitMs: limit }, 'warmup.limit is reached; going live')
    else if (failure)
      logger.warn({ ...learned, err: failure }, 'history could not be read to its end; going live')
    else logger.info(learned, 'learned from history; going live')
    // A server that gave nothing is asked again at the next start, unless live samples were learned from until then.
    if (!this.#interrupted && samples > 0) memory.mark = { done: true, fromMs, toMs, samples }
    if (!failure) telemetry.set('foreshock_warm_up_progress', 1)
    this.#state = 'ended'
  }

  readonly #span = { fromMs: Number.NaN, toMs: Number.NaN }

  async #prometheus(
    options: NonNullable<Config['warmup']['prometheus']>,
    untilMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { config, logger, telemetry } = this.#parts
    const onRetry = (why: string) => {
      telemetry.count('foreshock_warm_up_retries_total', 1)
      logger.warn({ why }, 'history: asking again')
    }
    const known = (client: PrometheusClient) => serverSettings(client)
    const asked = { ...options, labels: options.labels ?? {}, stepMs: options.step ?? 0, signal, onRetry }
    const hints = await known(new PrometheusHistory({ ...asked, stepMs: STEP_MS_MAX }).client)
    const stepMs = options.step ?? Math.min(hints.scrapeMs ?? config.features.step, STEP_MS_MAX)
    const labels = options.labels ?? hints.labels
    const history = new PrometheusHistory({ ...asked, stepMs, labels })
    const fromMs = Math.floor((untilMs - options.lookback) / stepMs) * stepMs
    this.#span.fromMs = fromMs
    const types = await history.metadata()
    if (types.length > 0) await this.#take(types, fromMs)
    for await (const { slab, toMs } of history.parts(fromMs, untilMs)) {
      for (const { bytes, endMs } of slab.bodies(config.features.step)) {
        await this.#breathe(signal)
        await this.#take(bytes, Math.min(endMs, untilMs))
      }
      this.#tell(toMs, (toMs - fromMs) / (untilMs - fromMs))
    }
    if (history.unreadHistograms > 0) {
      const series = history.unreadHistograms
      logger.warn({ series }, 'native histograms are not learned from; remote-read gives them')
    }
  }

  async #take(bytes: Uint8Array, arrivalMs: number): Promise<void> {
    const envelope: Envelope = {
      kind: 'remote-write-1',
      encoding: 'identity',
      arrivalMs,
      tenant: 'default',
      bytes,
    }
    const receipt = await this.#parts.pipeline.process(0, envelope)
    this.#count(receipt.samples + receipt.histograms)
  }

  async #files(path: string, untilMs: number, signal: AbortSignal): Promise<void> {
    const { pipeline, rejects, intakeOptions } = this.#parts
    const { series, windows } = pipeline.parts
    const context = { series, rejects, options: intakeOptions }
    let done = 0
    await replayRows(path, context, async batch => {
      await this.#breathe(signal)
      // Times are in order: what lies after the start is no history.
      while (batch.length > 0 && batch.timeMs[batch.length - 1] >= untilMs) batch.length--
      if (batch.length === 0) return
      const lastMs = batch.timeMs[batch.length - 1]
      if (Number.isNaN(this.#span.fromMs)) this.#span.fromMs = batch.timeMs[0]
      windows.add(batch, lastMs)
      await pipeline.drain(0)
      done += batch.length
      this.#count(batch.length)
      this.#tell(lastMs, 0)
    })
    if (done === 0) throw new Error(`${path}: holds no sample before ${iso(untilMs)}`)
  }

  async #breathe(signal: AbortSignal): Promise<void> {
    const nowMs = performance.now()
    if (nowMs - this.#breathMs >= BREATH_MS) {
      await breathe()
      this.#breathMs = performance.now()
    }
    signal.throwIfAborted()
  }

  #count(samples: number): void {
    this.#samples += samples
    this.#parts.telemetry.count('foreshock_warm_up_samples_total', samples)
  }

  #tell(toMs: number, share: number): void {
    const { telemetry, logger, clock } = this.#parts
    this.#span.toMs = toMs
    this.#share = share
    telemetry.set('foreshock_warm_up_progress', share)
    const nowMs = clock()
    if (nowMs - this.#toldMs < TOLD_MS) return
    this.#toldMs = nowMs
    logger.info({ to: iso(toMs), percent: Math.round(100 * share), samples: this.#samples }, 'learning')
  }
}

/** What a server tells of itself; nothing when it does not, as those that only speak its language. */
async function serverSettings(
  client: PrometheusClient,
): Promise<{ readonly scrapeMs?: number; readonly labels: Record<string, string> }> {
  const told = (await client.hint('/api/v1/status/config')) as { yaml?: unknown } | undefined
  const document = typeof told?.yaml === 'string' ? plainYaml(told.yaml) : undefined
  const { global } = (document ?? {}) as { global?: { scrape_interval?: unknown; external_labels?: unknown } }
  const scrapeMs = durationMs(String(global?.scrape_interval ?? ''))
  const labels = Object.entries(global?.external_labels ?? {}).map(([name, value]) => [name, String(value)])
  return { ...(scrapeMs > 0 ? { scrapeMs } : {}), labels: Object.fromEntries(labels) }
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A duration as Prometheus writes it, such as 15s or 1m30s; 0 when it is none. */
function durationMs(text: string): number {
  if (!/^(\d+(ms|s|m|h))+$/.test(text)) return 0
  return [...text.matchAll(/(\d+)(ms|s|m|h)/g)].reduce(
    (sum, [, n, unit]) => sum + Number(n) * UNIT_MS[unit],
    0,
  )
}

function iso(timeMs: number): string | null {
  return Number.isFinite(timeMs) ? new Date(timeMs).toISOString() : null
}

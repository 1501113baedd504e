import type { Inbox } from './bus/inbox.ts'
import { cutAt, type Stateful } from './checkpoint.ts'
import type { Clock } from './core/clock.ts'
import { Cut } from './core/cut.ts'
import type { Disruption } from './core/disruption.ts'
import { ForeshockError } from './core/errors.ts'
import type { Logger } from './core/logger.ts'
import type { CheckpointCut, CheckpointStore, Journal } from './core/ports.ts'
import type { AlertingReport } from './core/stages.ts'
import type { Telemetry } from './core/telemetry.ts'
import { unscored } from './core/unscored.ts'
import { CutPace, LONGEST_PATIENCE } from './cut-pace.ts'
import type { Effects } from './effects.ts'
import type { Pipeline, PipelineParts } from './pipeline.ts'

/** Something done again and again until it is stopped. */
export interface Timer {
  stop(): void
}

/** Runs `work` every so often; a run that is still going is not overtaken. */
export function every(ms: number, work: () => Promise<void>, onError: (error: unknown) => void): Timer {
  let busy = false
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    work()
      .catch(onError)
      .finally(() => {
        busy = false
      })
  }, ms)
  return { stop: () => clearInterval(timer) }
}

/** A cut whose windows keep to the writer's pace. */
interface PacedCut {
  readonly checkpoint: CheckpointCut
  readonly cut: Cut
  readonly pace: CutPace
}

/** State below this is copied faster than one waits for a good moment, bytes. */
const SMALL_BYTES = 33_554_432
/** A window is waited for at most so many steps, and so long. */
const WINDOW_STEPS = 1.5
const WINDOW_MS_MAX = 60_000
/**
 * Saves checkpoints: what is learned is cut between two envelopes, written beside the running pipeline, and then the
 * journal is let go.
 */
export class Saver {
  readonly #parts: SaverParts
  #saved = -1
  /** Times as long as usual that windows wait for the disk; longer after a checkpoint that was given up. */
  #patience = 1
  /** What is being written. */
  #writing: PacedCut | undefined

  constructor(parts: SaverParts) {
    this.#parts = parts
  }

  /**
   * As `save`, at a good moment: right after a window, when little will change for a while. Much state is then written
   * before the next window touches all of it.
   */
  async saveAfterWindow(): Promise<boolean> {
    const { pipeline, stateBytes, stepMs } = this.#parts
    if (stateBytes() < SMALL_BYTES) return this.save()
    const waitMs = Math.min(WINDOW_STEPS * stepMs, WINDOW_MS_MAX)
    const cut = await new Promise<PacedCut | undefined>((done, failed) => {
      // Asked within the envelope that completes the window, the cut comes before the next one.
      const now = () => {
        clearTimeout(timer)
        pipeline.afterWindow = undefined
        this.#cut().then(done, failed)
      }
      const timer = setTimeout(now, waitMs)
      pipeline.afterWindow = now
    })
    return this.#write(cut)
  }

  /** True when a checkpoint of the present position exists afterwards. */
  async save(): Promise<boolean> {
    return this.#write(await this.#cut())
  }

  #cut(): Promise<PacedCut | undefined> {
    const { inbox, effects, series, stateful, clock, telemetry, pipeline, isHalf } = this.#parts
    return inbox.between(async processed => {
      // Whoever asked while history was learned from has waited for its end.
      if (isHalf?.()) return undefined
      await pipeline.settle()
      await effects.retry()
      // What is found but not recorded would be lost with the journal before it.
      if (!effects.settled || processed === this.#saved) return undefined
      const started = performance.now()
      // The next cut, which holds more, would copy all that is left of it.
      this.#writing?.cut.giveUp('a newer checkpoint takes its place')
      const cut = new Cut(this.#parts.copiesBytesMax, series.capacity)
      const checkpoint = cutAt(processed, clock(), series, stateful, cut)
      // The envelope behind it may begin a window.
      const pace = new CutPace(cut, this.#parts.stepMs, this.#patience)
      pipeline.beforeBatch = batch => pace.wait(batch)
      telemetry.set('foreshock_checkpoint_pause_seconds', (performance.now() - started) / 1000)
      this.#writing = { checkpoint, cut, pace }
      return this.#writing
    })
  }

  async #write(paced: PacedCut | undefined): Promise<boolean> {
    const { checkpoints, journal, effects, settle, telemetry, logger, pipeline } = this.#parts
    if (!paced) return effects.settled
    const { checkpoint, cut, pace } = paced
    const { position } = checkpoint
    const started = performance.now()
    try {
      // A crash after it counts must find in the journal what a sink has not taken yet.
      await checkpoints.save({ ...checkpoint, ready: settle })
      await journal.commit(position)
    } catch (error) {
      if (this.#writing !== paced) {
        logger.info({ position }, 'a checkpoint was left for a newer one')
        return false
      }
      if (error instanceof ForeshockError && error.code === 'FS_OVERLOADED') {
        telemetry.count('foreshock_checkpoints_given_up_total', 1)
        this.#patience = Math.min(2 * this.#patience, LONGEST_PATIENCE)
      } else telemetry.count('foreshock_checkpoints_failed_total', 1)
      logger.error(
        { err: error },
        'no checkpoint could be saved; the journal keeps everything since the last',
      )
      return false
    } finally {
      if (this.#writing === paced) {
        this.#writing = undefined
        pipeline.beforeBatch = undefined
      }
      telemetry.set('foreshock_checkpoint_waited_seconds', pace.waitedMs / 1000)
      telemetry.set('foreshock_checkpoint_copied_bytes', cut.copiedBytes)
      telemetry.set('foreshock_checkpoint_copies_peak_bytes', cut.heldBytesPeak)
    }
    this.#patience = 1
    this.#saved = position
    telemetry.observe('foreshock_checkpoint_seconds', (performance.now() - started) / 1000)
    telemetry.set('foreshock_checkpoint_position', position)
    return true
  }
}

interface SaverParts {
  readonly inbox: Inbox
  readonly checkpoints: CheckpointStore
  readonly journal: Journal
  readonly effects: Effects
  /** Waits, for a bounded time, until the sinks have taken what was found. */
  readonly settle: () => Promise<unknown>
  readonly series: PipelineParts['series']
  readonly stateful: readonly Stateful[]
  /** Bytes of what is learned. */
  readonly stateBytes: () => number
  /** What is learned is half a history, which must not stand for the whole: nothing is saved any more. */
  readonly isHalf?: () => boolean
  readonly pipeline: Pick<Pipeline, 'afterWindow' | 'beforeBatch' | 'settle'>
  readonly stepMs: number
  /** What changes before it is written may take so much memory. */
  readonly copiesBytesMax: number
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
}

/** Lets wall time pass in the journal when nothing else does, so that idle sources do not hold windows open. */
export class Ticker {
  readonly #inbox: Inbox
  readonly #clock: Clock
  #seen = 0

  constructor(inbox: Inbox, clock: Clock) {
    this.#inbox = inbox
    this.#clock = clock
  }

  async tick(): Promise<void> {
    const { processed, queuedBytes } = this.#inbox
    const idle = processed === this.#seen && queuedBytes === 0
    this.#seen = processed
    if (!idle) return
    const arrivalMs = this.#clock()
    await this.#inbox.submit({
      kind: 'tick',
      encoding: 'identity',
      arrivalMs,
      tenant: 'default',
      bytes: new Uint8Array(0),
    })
    this.#seen = this.#inbox.processed
  }
}

/** Event time runs behind the clock; so far ahead of it, ms, says that the clock was set back. */
const AHEAD_MS_MAX = 60_000

/**
 * Says so when this machine's clock was set back after windows were completed by it: until it has come there again all that is sent
 * is late. What was told of those windows stands, so time does not go back.
 */
export class ClockWatch {
  readonly #logger: Pick<Logger, 'warn' | 'info'>
  #isAhead = false

  constructor(logger: Pick<Logger, 'warn' | 'info'>) {
    this.#logger = logger
  }

  look(watermarkMs: number, nowMs: number): void {
    const isAhead = watermarkMs - nowMs > AHEAD_MS_MAX
    if (isAhead === this.#isAhead) return
    this.#isAhead = isAhead
    if (!isAhead) {
      this.#logger.info('the clock has come to where windows are complete: samples are taken again')
      return
    }
    this.#logger.warn(
      {
        watermark: new Date(watermarkMs).toISOString(),
        aheadSeconds: Math.round((watermarkMs - nowMs) / 1000),
      },
      'windows are complete up to a time that lies ahead of the clock, which was set back: samples are late until then; to begin anew now, start with another data.folder',
    )
  }
}

const STATE_PARTS = ['intake', 'windows', 'scoring', 'disruptions', 'history'] as const

/** Bytes of all that is learned. */
export function stateBytes(parts: PipelineParts): number {
  return STATE_PARTS.reduce((sum, part) => sum + parts[part].bytes(), 0)
}

/** Reads the gauges off the parts. */
export function readGauges(telemetry: Telemetry, parts: PipelineParts, inbox: Inbox): void {
  const { series, windows, scoring, disruptions } = parts
  telemetry.set('foreshock_series', series.size)
  telemetry.set('foreshock_series_limit', series.limit)
  telemetry.set('foreshock_queue_bytes', inbox.queuedBytes)
  if (!Number.isNaN(windows.watermarkMs))
    telemetry.set('foreshock_watermark_seconds', windows.watermarkMs / 1000)
  telemetry.set('foreshock_anomalies_open', scoring.anomalies().length)
  readBoard(telemetry, disruptions.board())
  readAlerting(telemetry, scoring.alerting?.())
  for (const [what, count] of Object.entries(scoring.pool())) {
    telemetry.set('foreshock_suspect_pool', count, { what })
  }
  for (const [what, count] of Object.entries(disruptions.dropped())) {
    telemetry.set('foreshock_disruption_dropped', count, { what })
  }
  for (const [by, count] of Object.entries(disruptions.explainedAway())) {
    telemetry.set('foreshock_explained_away', count, { by })
  }
  // Models come and go: what one that was retired had counted is nobody's.
  telemetry.clear('foreshock_detector_coverage')
  for (const { id, counts } of scoring.detectors) {
    for (const [what, count] of Object.entries(counts))
      telemetry.set('foreshock_detector_coverage', count, { detector: id, what })
  }
  const workers = 'workers' in scoring ? scoring.workers() : []
  for (const [at, { series: held, rows, busySeconds, waiting }] of workers.entries()) {
    const worker = String(at)
    telemetry.set('foreshock_worker_series', held, { worker })
    telemetry.set('foreshock_worker_rows', rows, { worker })
    telemetry.set('foreshock_worker_busy_seconds', busySeconds, { worker })
    telemetry.set('foreshock_worker_waiting', waiting, { worker })
  }
  telemetry.clear('foreshock_tier_unscored')
  for (const { tier, why, series: count } of unscored(scoring, series.size))
    telemetry.set('foreshock_tier_unscored', count, { tier, why })
  const use = scoring.profileUse()
  for (const { profile, series: held, bytes } of use?.profiles ?? []) {
    telemetry.set('foreshock_series_by_profile', held, { profile })
    telemetry.set('foreshock_profile_bytes', bytes, { profile })
  }
  if (use) {
    telemetry.set('foreshock_profile_moves', use.promotions, { direction: 'up' })
    telemetry.set('foreshock_profile_moves', use.demotions, { direction: 'down' })
  }
  for (const part of STATE_PARTS) {
    telemetry.set('foreshock_state_bytes', parts[part].bytes(), { part })
  }
}

/** What is open of all that this process decides about. */
export function readBoard(telemetry: Telemetry, board: readonly Disruption[]): void {
  const open = board.filter(one => one.status === 'open')
  telemetry.set('foreshock_disruptions_open', open.length)
  telemetry.set('foreshock_disruptions_held', open.filter(one => one.maintenance !== undefined).length)
}

const ALERTING_GAUGES = [
  'foreshock_alerts_promised_per_week',
  'foreshock_alerts_achieved_per_week',
  'foreshock_rule_series',
  'foreshock_calendar_windows',
] as const

/** What rules, budgets and the calendar do. Entries of one name are summed: files of holidays repeat them. */
export function readAlerting(telemetry: Telemetry, report: AlertingReport | undefined): void {
  for (const name of ALERTING_GAUGES) telemetry.clear(name)
  if (report === undefined) return
  for (const { name: budget, promisedPerWeek, achievedPerWeek } of report.budgets) {
    telemetry.set('foreshock_alerts_promised_per_week', promisedPerWeek, { budget })
    telemetry.set('foreshock_alerts_achieved_per_week', achievedPerWeek, { budget })
  }
  for (const { name: rule, series } of report.rules) telemetry.set('foreshock_rule_series', series, { rule })
  const sums = new Map<string, number>()
  for (const { name, windows } of report.calendar) sums.set(name, (sums.get(name) ?? 0) + windows)
  for (const [entry, windows] of sums) telemetry.set('foreshock_calendar_windows', windows, { entry })
}

import type { Inbox } from './bus/inbox.ts'
import { capture, type Stateful } from './checkpoint.ts'
import type { Clock } from './core/clock.ts'
import type { Logger } from './core/logger.ts'
import type { CheckpointStore, Journal } from './core/ports.ts'
import type { Telemetry } from './core/telemetry.ts'
import type { Effects } from './effects.ts'
import type { PipelineParts } from './pipeline.ts'

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

/** Saves checkpoints: copy between two envelopes, write beside the running pipeline, then let the journal go. */
export class Saver {
  readonly #parts: SaverParts
  #saved = -1

  constructor(parts: SaverParts) {
    this.#parts = parts
  }

  /** True when a checkpoint of the present position exists afterwards. */
  async save(): Promise<boolean> {
    const { inbox, checkpoints, journal, effects, settle, series, stateful, telemetry, logger, clock } =
      this.#parts
    const checkpoint = await inbox.between(async processed => {
      await effects.retry()
      // What is found but not recorded would be lost with the journal before it.
      if (!effects.settled || processed === this.#saved) return undefined
      return capture(processed, clock(), series, stateful)
    })
    if (!checkpoint) return effects.settled
    const started = performance.now()
    try {
      // A crash now must find in the journal what a sink has not taken yet.
      await settle()
      await checkpoints.save(checkpoint)
      await journal.commit(checkpoint.position)
    } catch (error) {
      logger.error(
        { err: error },
        'no checkpoint could be saved; the journal keeps everything since the last',
      )
      return false
    }
    this.#saved = checkpoint.position
    telemetry.observe('foreshock_checkpoint_seconds', (performance.now() - started) / 1000)
    telemetry.set('foreshock_checkpoint_position', checkpoint.position)
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

/** Reads the gauges off the parts. */
export function readGauges(telemetry: Telemetry, parts: PipelineParts, inbox: Inbox): void {
  const { series, windows, scoring, disruptions } = parts
  telemetry.set('foreshock_series', series.size)
  telemetry.set('foreshock_series_limit', series.limit)
  telemetry.set('foreshock_queue_bytes', inbox.queuedBytes)
  if (!Number.isNaN(windows.watermarkMs))
    telemetry.set('foreshock_watermark_seconds', windows.watermarkMs / 1000)
  telemetry.set('foreshock_anomalies_open', scoring.anomalies().length)
  const open = disruptions.board().filter(one => one.status === 'open')
  telemetry.set('foreshock_disruptions_open', open.length)
  telemetry.set('foreshock_disruptions_held', open.filter(one => one.maintenance !== undefined).length)
  readAlerting(telemetry, scoring)
  for (const [what, count] of Object.entries(scoring.pool())) {
    telemetry.set('foreshock_suspect_pool', count, { what })
  }
  for (const [what, count] of Object.entries(disruptions.dropped())) {
    telemetry.set('foreshock_disruption_dropped', count, { what })
  }
  for (const [by, count] of Object.entries(disruptions.explainedAway())) {
    telemetry.set('foreshock_explained_away', count, { by })
  }
  for (const { id, counts } of scoring.detectors) {
    for (const [what, count] of Object.entries(counts))
      telemetry.set('foreshock_detector_coverage', count, { detector: id, what })
  }
  const use = scoring.profileUse()
  for (const { profile, series: held, bytes } of use?.profiles ?? []) {
    telemetry.set('foreshock_series_by_profile', held, { profile })
    telemetry.set('foreshock_profile_bytes', bytes, { profile })
  }
  if (use) {
    telemetry.set('foreshock_profile_moves', use.promotions, { direction: 'up' })
    telemetry.set('foreshock_profile_moves', use.demotions, { direction: 'down' })
  }
  for (const part of ['intake', 'windows', 'scoring', 'disruptions', 'history'] as const) {
    telemetry.set('foreshock_state_bytes', parts[part].bytes(), { part })
  }
}

/** What rules, budgets and the calendar do. Entries of one name are summed: files of holidays repeat them. */
function readAlerting(telemetry: Telemetry, scoring: PipelineParts['scoring']): void {
  const report = scoring.alerting?.()
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

import { setImmediate } from 'node:timers/promises'
import type { FeatureBatch, OpinionBatch, SampleBatch } from './core/batch.ts'
import { BATCH_ROWS, opinionBatch } from './core/batch.ts'
import { type Change, parseChanges } from './core/change.ts'
import type { DisruptionEvent } from './core/disruption.ts'
import { EMPTY_RECEIPT, type Envelope, type EnvelopeKind, type Receipt } from './core/envelope.ts'
import { ForeshockError } from './core/errors.ts'
import type { MaintenanceOrder } from './core/maintenance.ts'
import { modelOrderOf } from './core/model-order.ts'
import type { Position } from './core/ports.ts'
import type { SeriesTable } from './core/series.ts'
import type {
  AnomalyChange,
  DisruptionStage,
  Intake,
  LentBatch,
  Scoring,
  ScoringBeside,
  Windowing,
} from './core/stages.ts'
import type { Running, Telemetry } from './core/telemetry.ts'
import { importanceOf } from './importance.ts'
import { Overlap } from './overlap.ts'
import { type SliceOptions, Slices } from './slices.ts'

/** The recent past, as the pipeline writes it. */
export interface HistoryWriter {
  /** Rows from..to of a window, all where it is not said. */
  record(batch: FeatureBatch, opinions: OpinionBatch, from?: number, to?: number): void
  forget(series: number): void
  bytes(): number
}

export interface PipelineParts {
  readonly series: SeriesTable
  readonly intake: Intake
  readonly windows: Windowing
  readonly scoring: Scoring | ScoringBeside
  readonly disruptions: DisruptionStage
  readonly history: HistoryWriter
}

/** Who is lent every window as it is closed: a scorer of a fleet tells a disruption stage elsewhere. */
export interface WindowTap {
  /** All rows of a batch, what was said of them, and what became of anomalies; `last` with the window's last batch. */
  window(
    batch: FeatureBatch,
    opinions: OpinionBatch,
    changes: readonly AnomalyChange[],
    windowEndMs: number,
    last: boolean,
  ): void
  /** The series of a row is no more. */
  forget(series: number): void
}

export interface PipelineOptions {
  /** Rows of a batch at most. */
  readonly batchRows?: number
  readonly tap?: WindowTap | undefined
  /** Large windows are scored in slices while bodies of the next are decoded; left out, before anything else is done. */
  readonly slices?: SliceOptions | undefined
}

const NO_CHANGES: readonly AnomalyChange[] = []

/** What one step of the pipeline did to the world; rare, so objects. */
export interface Outcome {
  readonly anomalies: AnomalyChange[]
  readonly events: DisruptionEvent[]
  readonly changes: readonly Change[]
}

/**
 * samples → features → scores → anomalies → disruptions → learn. A pure function of the envelopes given in order:
 * no clock but theirs, so replaying a journal repeats every id.
 */
export class Pipeline {
  readonly parts: PipelineParts
  readonly #effect: (position: Position, outcome: Outcome) => Promise<void>
  readonly #telemetry: Telemetry
  #opinions: OpinionBatch
  #weight: Float32Array
  readonly #tap: WindowTap | undefined
  /** Where windows are scored while bodies of the next are decoded. */
  readonly #ahead: Overlap | Slices | undefined
  #past = false
  /** When the envelope at hand arrived: its batches are handed on by one function that is made once. */
  #arrivalMs = 0
  readonly #add = (batch: SampleBatch): void => this.parts.windows.add(batch, this.#arrivalMs)
  readonly #counts = new Map<EnvelopeKind, { readonly envelopes: Running; readonly samples: Running }>()
  /** Told when a window is complete, before anything else is processed. */
  afterWindow: (() => void) | undefined
  /**
   * Asked before each batch of a window, with its rows where they are known, and before each body: what it is to wait for, such
   * as a checkpoint that cannot be written as fast.
   */
  beforeBatch: ((batch?: FeatureBatch) => Promise<unknown> | undefined) | undefined

  constructor(
    parts: PipelineParts,
    effect: (position: Position, outcome: Outcome) => Promise<void>,
    telemetry: Telemetry,
    { batchRows = BATCH_ROWS, tap, slices }: PipelineOptions = {},
  ) {
    this.parts = parts
    this.#tap = tap
    this.#effect = effect
    this.#telemetry = telemetry
    this.#opinions = opinionBatch(batchRows)
    this.#weight = new Float32Array(batchRows)
    const { series, scoring, windows, disruptions, history } = parts
    if (!('giving' in scoring) && slices === undefined) return
    if (tap) throw new ForeshockError('FS_ASSERTION', 'windows that are lent to others are scored at once')
    const events = {
      leave: (row: number) => this.#leave(row),
      evict: (row: number) => this.#evict(row),
      batch: (rows: number, seconds: number) => this.#tellOf(rows, seconds),
      done: (at: Position, found: Pick<Outcome, 'anomalies' | 'events'>, isPast: boolean) =>
        this.#done(at, { ...found, changes: [] }, isPast),
      room: (batch?: FeatureBatch) => this.beforeBatch?.(batch),
    }
    if ('giving' in scoring)
      this.#ahead = new Overlap(
        { scoring, windows, disruptions, history },
        events,
        batchRows,
        slices?.ms ?? Number.POSITIVE_INFINITY,
      )
    else if (slices !== undefined)
      this.#ahead = new Slices({ series, scoring, windows, disruptions, history }, events, batchRows, slices)
  }

  /** What comes from here on is history: it is judged and learned from as ever, but nobody is told of it. */
  beginHistory(): void {
    this.#past = true
    if (this.#ahead) this.#ahead.isPast = true
  }

  /** Waits until nothing is on its way: then all parts stand still, between two envelopes. */
  async settle(): Promise<void> {
    await this.#ahead?.settle()
  }

  /** History has ended. What was open in it is let go: if it is still strange, that is told anew. */
  async endHistory(position: Position): Promise<void> {
    await this.finish(position)
    this.#past = false
    if (this.#ahead) this.#ahead.isPast = false
    this.parts.intake.letGo()
    this.parts.windows.letGo()
    this.parts.scoring.letGo()
    this.parts.disruptions.letGo()
  }

  /**
   * Takes one envelope through the whole path. Never throws on bad input: the receipt says what was wrong. The receipt itself
   * where nothing is to be waited for, as with most bodies: a promise would be most of what they cost in garbage.
   */
  process(position: Position, envelope: Envelope): Receipt | Promise<Receipt> {
    const { kind } = envelope
    if (!this.#past) this.#countsOf(kind).envelopes.add(1)
    if (kind === 'change' || kind === 'maintenance' || kind === 'model')
      return this.#settled(position, envelope)
    const room = this.beforeBatch?.()
    return room === undefined
      ? this.#take(position, envelope)
      : room.then(() => this.#take(position, envelope))
  }

  /** Samples, or time that passes. */
  #take(position: Position, envelope: Envelope): Receipt | Promise<Receipt> {
    const { kind } = envelope
    let receipt = EMPTY_RECEIPT
    if (kind === 'tick') {
      this.parts.windows.tick(envelope.arrivalMs)
    } else {
      this.#arrivalMs = envelope.arrivalMs
      receipt = this.parts.intake.decode(envelope, this.#add)
      if (!this.#past) this.#countsOf(kind).samples.add(receipt.samples)
    }
    const drained = this.#drain(position)
    return drained === undefined ? receipt : drained.then(() => receipt)
  }

  /** What is not samples finds all parts standing still. */
  async #settled(position: Position, envelope: Envelope): Promise<Receipt> {
    await this.settle()
    if (envelope.kind === 'change') return this.#change(position, envelope)
    return envelope.kind === 'maintenance' ? this.#maintain(envelope) : this.#order(envelope)
  }

  #countsOf(kind: EnvelopeKind): { readonly envelopes: Running; readonly samples: Running } {
    const known = this.#counts.get(kind)
    if (known) return known
    const made = {
      envelopes: this.#telemetry.running('foreshock_envelopes_total', { kind }),
      samples: this.#telemetry.running('foreshock_samples_total', { kind }),
    }
    this.#counts.set(kind, made)
    return made
  }

  /** The input has ended: completes the windows that are still open. */
  async finish(position: Position): Promise<void> {
    await this.settle()
    this.parts.windows.finish()
    await this.#drain(position)
    await this.settle()
  }

  /** Scores what is complete after samples were added from outside `process`, as file replay does. */
  async drain(position: Position): Promise<void> {
    await this.#drain(position)
  }

  #drain(position: Position): Promise<void> | undefined {
    const { windows, scoring } = this.parts
    if (this.#ahead || 'giving' in scoring) return this.#ahead?.follow(position)
    const ready = windows.next()
    return ready === undefined ? undefined : this.#complete(position, scoring, ready)
  }

  async #complete(position: Position, scoring: Scoring, first: LentBatch): Promise<void> {
    const { windows, disruptions, history } = this.parts
    const outcome: Outcome = { anomalies: [], events: [], changes: [] }
    let isComplete = false
    for (let ready: LentBatch | undefined = first; ready; ready = windows.next()) {
      const { batch, last, windowEndMs, window } = ready
      const room = this.beforeBatch?.(batch)
      if (room !== undefined) await room
      let changes = NO_CHANGES
      if (window !== undefined) scoring.begin(window)
      if (batch.length > 0) {
        const started = performance.now()
        await scoring.score(batch, this.#opinions)
        changes = scoring.judge(batch, this.#opinions)
        disruptions.observe(batch, this.#opinions, changes)
        history.record(batch, this.#opinions)
        disruptions.weigh(batch, this.#weight)
        scoring.learn(batch, this.#opinions, this.#weight)
        if (!this.#past) for (const change of changes) outcome.anomalies.push(change)
        this.#tellOf(batch.length, (performance.now() - started) / 1000)
      }
      this.#tap?.window(batch, this.#opinions, changes, windowEndMs, last)
      if (last) {
        const events = disruptions.advance(windowEndMs)
        if (!this.#past) outcome.events.push(...events)
        scoring.review(windowEndMs, () => importanceOf(disruptions.board(), disruptions.frontDoors()))
        for (const row of windows.expired()) {
          this.#leave(row)
          this.#evict(row)
        }
        isComplete = true
      }
      // A window of many batches takes seconds: others are answered meanwhile, and what they send waits.
      else await setImmediate()
    }
    if (isComplete) this.afterWindow?.()
    if (outcome.anomalies.length > 0 || outcome.events.length > 0) await this.#effect(position, outcome)
  }

  #tellOf(rows: number, seconds: number): void {
    this.#telemetry.count('foreshock_windows_total', rows)
    this.#telemetry.observe('foreshock_stage_seconds', seconds, { stage: 'score' })
  }

  /** A window that was scored beside this thread is complete. */
  async #done(position: Position, outcome: Outcome, isPast: boolean): Promise<void> {
    this.afterWindow?.()
    if (isPast || (outcome.anomalies.length === 0 && outcome.events.length === 0)) return
    await this.#effect(position, outcome)
  }

  async #change(position: Position, envelope: Envelope): Promise<Receipt> {
    const { changes, reasons } = parseChanges(envelope.bytes, envelope.tenant)
    for (const change of changes) this.parts.disruptions.change(change)
    if (changes.length > 0) await this.#effect(position, { anomalies: [], events: [], changes })
    return { ...EMPTY_RECEIPT, samples: changes.length, rejected: reasons.length, reasons }
  }

  /** Maintenance windows are journaled as they are ordered, so that a replay holds back the same. */
  #maintain(envelope: Envelope): Receipt {
    let reason: string | undefined
    try {
      const order = JSON.parse(new TextDecoder().decode(envelope.bytes)) as MaintenanceOrder
      reason = this.parts.disruptions.maintain(order, envelope.arrivalMs)
    } catch (error) {
      reason = `not a maintenance order: ${(error as Error).message}`
    }
    return reason === undefined
      ? { ...EMPTY_RECEIPT, samples: 1 }
      : { ...EMPTY_RECEIPT, rejected: 1, reasons: [reason] }
  }

  /** What is ordered of models is journaled too: it takes effect between the same two windows in a replay. */
  async #order(envelope: Envelope): Promise<Receipt> {
    const order = modelOrderOf(envelope.bytes)
    const reason = typeof order === 'string' ? order : await this.parts.scoring.order(order)
    return reason === undefined
      ? { ...EMPTY_RECEIPT, samples: 1 }
      : { ...EMPTY_RECEIPT, rejected: 1, reasons: [reason] }
  }

  /** No sample finds the row any more. */
  #leave(row: number): void {
    this.parts.intake.forget(row)
    this.parts.windows.forget(row)
  }

  /** What was known of a row that nobody finds any more. */
  #evict(row: number): void {
    const { series, scoring, disruptions, history } = this.parts
    for (const part of [scoring, disruptions, history]) part.forget(row)
    this.#tap?.forget(row)
    series.evict(row)
  }
}

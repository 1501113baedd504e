import { type Change, keyOfChange } from './core/change.ts'
import type { DisruptionEvent } from './core/disruption.ts'
import { contentId } from './core/identity.ts'
import type { DisruptionSink, Journal, Position, RecordEntry } from './core/ports.ts'
import type { AnomalyChange } from './core/stages.ts'
import type { Telemetry } from './core/telemetry.ts'
import type { Outcome } from './pipeline.ts'
import type { IndexFeed } from './store/index-feed.ts'

/** As `Outcome`, whoever made it. */
interface Results {
  readonly anomalies: readonly AnomalyChange[]
  readonly events: readonly DisruptionEvent[]
  readonly changes: readonly Change[]
}

export interface Line {
  readonly id: string
  readonly timeMs: number
  readonly entry: RecordEntry
}

/**
 * What the pipeline found goes out in one order: the samples it rests on are durable, then it is in the record,
 * then it is published. What cannot be recorded (a full disk) waits, in order and bounded by the checkpoint: no
 * checkpoint is taken while anything waits, so a restart finds it again.
 */
export class Effects {
  readonly #journal: Journal
  readonly #feed: IndexFeed
  readonly #sink: DisruptionSink
  readonly #telemetry: Telemetry
  readonly #onError: (error: unknown) => void
  #waiting: { position: Position; outcome: Outcome }[] = []

  constructor(parts: {
    journal: Journal
    feed: IndexFeed
    sink: DisruptionSink
    telemetry: Telemetry
    onError: (error: unknown) => void
  }) {
    this.#journal = parts.journal
    this.#feed = parts.feed
    this.#sink = parts.sink
    this.#telemetry = parts.telemetry
    this.#onError = parts.onError
  }

  /** True when everything found so far is in the record. */
  get settled(): boolean {
    return this.#waiting.length === 0
  }

  async apply(position: Position, outcome: Outcome): Promise<void> {
    this.#waiting.push({ position, outcome })
    await this.retry()
  }

  /** Tries again what waits; called with every outcome and before every checkpoint. */
  async retry(): Promise<void> {
    while (this.#waiting.length > 0) {
      const { position, outcome } = this.#waiting[0]
      try {
        await this.#settle(position, outcome)
      } catch (error) {
        this.#onError(error)
        return
      }
      this.#waiting.shift()
    }
  }

  async #settle(position: Position, outcome: Outcome): Promise<void> {
    await this.#journal.sync(position)
    await this.#append(linesOf(outcome))
    for (const event of outcome.events) {
      if (event.held) continue
      this.#sink.publish(event).catch(this.#onError)
    }
  }

  /** Puts something that people or programs did into the record. */
  async audit(timeMs: number, who: string, action: string, detail: unknown): Promise<void> {
    const entry: RecordEntry = { type: 'audit', who, action, detail }
    await this.#append([
      { id: contentId('aud', timeMs, who, action, JSON.stringify(detail ?? null)), timeMs, entry },
    ])
  }

  async #append(lines: readonly Line[]): Promise<void> {
    // What a replay repeats is in the record and in the index already.
    for (const line of await this.#feed.append(lines)) this.#count(line.entry)
  }

  #count(entry: RecordEntry): void {
    if (entry.type !== 'anomaly' || entry.event !== 'opened') return
    this.#telemetry.count('foreshock_anomalies_total', 1, { severity: entry.anomaly.severity })
  }
}

/** What an outcome puts into the record, each under the id that its content gives it. */
export function linesOf({ anomalies, events, changes }: Results): Line[] {
  const lines: Line[] = changes.map(change => ({
    id: keyOfChange(change),
    timeMs: change.timeMs,
    entry: { type: 'change', change },
  }))
  for (const { event, anomaly } of anomalies) {
    if (event === 'updated') continue
    lines.push({
      id: `${anomaly.id}.${event}`,
      timeMs: anomaly.endMs,
      entry: { type: 'anomaly', event, anomaly },
    })
  }
  for (const event of events) {
    lines.push({ id: event.id, timeMs: event.timeMs, entry: { type: 'disruption', event } })
  }
  return lines
}

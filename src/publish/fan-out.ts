import { setTimeout as wait } from 'node:timers/promises'
import type { DisruptionEvent } from '../core/disruption.ts'
import type { DisruptionSink } from '../core/ports.ts'
import type { Telemetry } from '../core/telemetry.ts'

export interface FanOutOptions {
  readonly sinks: readonly DisruptionSink[]
  readonly telemetry?: Telemetry
  /** Told of an event that a sink refused for good, or that its queue had no room for. */
  readonly onFailure?: (sink: string, event: DisruptionEvent, cause: unknown) => void
  /** Waits between the tries of handing one event to a sink, ms. */
  readonly retryMs?: readonly number[]
}

/** Events that may wait for one sink; beyond it the oldest is dropped and counted. */
const QUEUE_MAX = 10_000
const RETRY_MS = [100, 500, 2000]

interface Lane {
  readonly sink: DisruptionSink
  readonly queue: DisruptionEvent[]
  running: Promise<void> | undefined
}

/**
 * Hands every event to every sink, in order, each sink at its own pace: a slow or failing one holds up nobody.
 * `settled` tells when all have taken what they were given; whoever saves a checkpoint waits for it first.
 */
export class FanOut implements DisruptionSink {
  readonly name = 'all'
  readonly #lanes: readonly Lane[]
  readonly #telemetry: Telemetry | undefined
  readonly #onFailure: NonNullable<FanOutOptions['onFailure']>
  readonly #retryMs: readonly number[]

  constructor(options: FanOutOptions) {
    this.#lanes = options.sinks.map(sink => ({ sink, queue: [], running: undefined }))
    this.#telemetry = options.telemetry
    this.#onFailure = options.onFailure ?? (() => {})
    this.#retryMs = options.retryMs ?? RETRY_MS
  }

  /** Events waiting in front of the sinks and inside them. */
  get pending(): number {
    return this.#lanes.reduce((sum, lane) => sum + pendingOf(lane), 0)
  }

  /** Waiting events by sink. */
  pendingBySink(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#lanes.map(lane => [lane.sink.name, pendingOf(lane)]))
  }

  /** Returns at once. */
  async publish(event: DisruptionEvent): Promise<void> {
    this.#telemetry?.count('foreshock_disruptions_total', 1, { type: event.type })
    for (const lane of this.#lanes) {
      if (lane.queue.length >= QUEUE_MAX) {
        const dropped = lane.queue.shift() as DisruptionEvent
        this.#failed(lane, dropped, new Error(`${QUEUE_MAX} events wait already`))
      }
      lane.queue.push(event)
      lane.running ??= this.#run(lane)
    }
    this.report()
  }

  /** Resolves when every sink has taken all it was given; false when `withinMs` passed first. */
  async settled(withinMs: number): Promise<boolean> {
    const stop = new AbortController()
    const all = Promise.all(this.#lanes.map(lane => lane.running)).then(() => true)
    const late = wait(withinMs, false, { signal: stop.signal }).catch(() => false)
    const done = await Promise.race([all, late])
    stop.abort()
    return done
  }

  /** Closes every sink; what they have not taken within ten seconds is left to the replay of the next start. */
  async close(): Promise<void> {
    await this.settled(10_000)
    await Promise.all(this.#lanes.map(({ sink }) => sink.close()))
  }

  async #run(lane: Lane): Promise<void> {
    for (let event = lane.queue[0]; event; event = lane.queue[0]) {
      const failure = await this.#hand(lane.sink, event)
      if (lane.queue[0] === event) lane.queue.shift() // it may have been dropped meanwhile
      if (failure) this.#failed(lane, event, failure.cause)
    }
    lane.running = undefined
    this.report()
  }

  async #hand(sink: DisruptionSink, event: DisruptionEvent): Promise<{ cause: unknown } | undefined> {
    for (let tries = 0; ; tries++) {
      try {
        await sink.publish(event)
        return undefined
      } catch (cause) {
        if (tries >= this.#retryMs.length) return { cause }
        await wait(this.#retryMs[tries])
      }
    }
  }

  #failed(lane: Lane, event: DisruptionEvent, cause: unknown): void {
    this.#telemetry?.count('foreshock_publish_total', 1, { sink: lane.sink.name, outcome: 'dropped' })
    this.#onFailure(lane.sink.name, event, cause)
  }

  /** Says how many wait for each sink; to be called now and then, for sinks deliver in their own time. */
  report(): void {
    for (const lane of this.#lanes) {
      this.#telemetry?.set('foreshock_publish_pending', pendingOf(lane), { sink: lane.sink.name })
    }
  }
}

function pendingOf(lane: Lane): number {
  return lane.queue.length + lane.sink.pending
}

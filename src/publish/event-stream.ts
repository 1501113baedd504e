import type { DisruptionEvent } from '../core/disruption.ts'
import type { DisruptionSink, RecordLog } from '../core/ports.ts'

export interface EventListener {
  /** Hands an event on; false when no more can be taken until `Subscription.drained` is called. */
  readonly send: (event: DisruptionEvent) => boolean
  /** The stream is over for this listener: it fell too far behind, or the service stops. */
  readonly end: (reason: 'slow' | 'closed') => void
}

export interface Subscription {
  /** More can be taken again. */
  drained(): void
  close(): void
  readonly queued: number
}

/** Events kept in memory for those who come back. */
const RING = 1024
/** Events that may wait for one listener before it is cut off. */
const QUEUE_MAX = 2048
/** Events replayed at most, the newest; memory holds as many. */
const REPLAY_MAX = 1000
const LISTENERS_MAX = 1000

class Listener implements Subscription {
  readonly #to: EventListener
  readonly #left: (listener: Listener) => void
  #queue: DisruptionEvent[] = []
  #ready = true
  #over = false
  /** While the record is being read, live events wait behind it. */
  #replaying = false

  constructor(to: EventListener, left: (listener: Listener) => void) {
    this.#to = to
    this.#left = left
  }

  get queued(): number {
    return this.#queue.length
  }

  offer(event: DisruptionEvent): void {
    if (this.#over) return
    this.#queue.push(event)
    this.#push()
    if (this.#queue.length > QUEUE_MAX) this.end('slow')
  }

  /** Puts what `missed` finds before everything that came since, each event once. */
  async replay(missed: () => Promise<DisruptionEvent[]>): Promise<void> {
    this.#replaying = true
    const found = await missed()
    const known = new Set(found.map(event => event.id))
    this.#queue = [...found, ...this.#queue.filter(event => !known.has(event.id))]
    this.#replaying = false
    this.#push()
  }

  drained(): void {
    this.#ready = true
    this.#push()
  }

  close(): void {
    this.#over = true
    this.#queue = []
    this.#left(this)
  }

  end(reason: 'slow' | 'closed'): void {
    if (this.#over) return
    this.close()
    this.#to.end(reason)
  }

  #push(): void {
    while (this.#ready && !this.#replaying && !this.#over) {
      const event = this.#queue.shift()
      if (!event) return
      this.#ready = this.#to.send(event)
    }
  }
}

interface Told {
  readonly event: DisruptionEvent
  readonly timeMs: number
}

export interface EventStreamOptions {
  /**
   * Where several tell, they differ in the order of what came about at one time. Who comes back gets what came about so
   * long before the event it names as well, ms: ids repeat rather than go missing. Default 0.
   */
  readonly overlapMs?: number
}

/**
 * The live stream of events. Whoever comes back names the last event it saw and gets what it missed, from memory
 * or from the record. An id that is known nowhere gets everything in memory: ids repeat rather than go missing.
 */
export class EventStream implements DisruptionSink {
  readonly name = 'sse'
  readonly pending = 0
  readonly #record: Pick<RecordLog, 'read'> | undefined
  readonly #overlapMs: number
  readonly #listeners = new Set<Listener>()
  #recent: Told[] = []
  /** The record is read once, however many come back after a restart: then memory goes as far back as anybody is told. */
  #remembered: Promise<void> | undefined

  constructor(record?: Pick<RecordLog, 'read'>, { overlapMs = 0 }: EventStreamOptions = {}) {
    this.#record = record
    this.#overlapMs = overlapMs
  }

  get listeners(): number {
    return this.#listeners.size
  }

  /** `timeMs`: when it came about, where that is not its own time. */
  async publish(event: DisruptionEvent, timeMs = event.timeMs): Promise<void> {
    this.#recent.push({ event, timeMs })
    if (this.#recent.length >= 2 * RING) this.#recent = this.#recent.slice(-RING)
    for (const listener of [...this.#listeners]) listener.offer(event)
  }

  /** Undefined when too many listen already. Events may arrive before this returns. */
  subscribe(lastEventId: string | undefined, to: EventListener): Subscription | undefined {
    if (this.#listeners.size >= LISTENERS_MAX) return undefined
    const listener = new Listener(to, left => this.#listeners.delete(left))
    this.#listeners.add(listener)
    if (lastEventId === undefined || lastEventId === '') return listener
    const isKnown = this.#recent.some(({ event }) => event.id === lastEventId)
    if (!isKnown && this.#record)
      listener.replay(() => this.#missed(lastEventId)).catch(() => listener.end('closed'))
    else for (const { event } of this.#after(lastEventId)) listener.offer(event)
    return listener
  }

  async close(): Promise<void> {
    for (const listener of [...this.#listeners]) listener.end('closed')
  }

  /** What came about shortly before an event and is about something else. */
  #beside(told: Told, before: readonly Told[]): Told[] {
    if (this.#overlapMs === 0) return []
    return before.filter(
      ({ event, timeMs }) =>
        timeMs >= told.timeMs - this.#overlapMs && event.disruption.id !== told.event.disruption.id,
    )
  }

  /** The newest events after `lastEventId`, of memory and of the record before it; all of those when neither knows it. */
  async #missed(lastEventId: string): Promise<DisruptionEvent[]> {
    this.#remembered ??= this.#remember().catch(error => {
      this.#remembered = undefined
      throw error
    })
    await this.#remembered
    return this.#after(lastEventId)
      .slice(-REPLAY_MAX)
      .map(({ event }) => event)
  }

  #after(lastEventId: string): Told[] {
    const at = this.#recent.findLastIndex(({ event }) => event.id === lastEventId)
    const before = at < 0 ? [] : this.#beside(this.#recent[at], this.#recent.slice(0, at))
    return [...before, ...this.#recent.slice(at + 1)]
  }

  /** Puts the end of the record before what is in memory, which then holds as much as anybody is told. */
  async #remember(): Promise<void> {
    let told: Told[] = []
    for await (const { entry, timeMs } of (this.#record as Pick<RecordLog, 'read'>).read()) {
      if (entry.type !== 'disruption' || entry.event.held) continue
      told.push({ event: entry.event, timeMs })
      if (told.length >= 2 * RING) told = told.slice(-RING)
    }
    const known = new Set(this.#recent.map(({ event }) => event.id))
    this.#recent = [...told.filter(({ event }) => !known.has(event.id)), ...this.#recent].slice(-RING)
  }
}

import { steadyClock } from '../core/clock.ts'

/** How often is looked whether the event loop turns. */
const TICK_MS = 250
/** How long senders are kept away once it was stuck: what has piled up is done first. */
const AWAY_MS = 1000

/**
 * Whether the event loop was stuck a moment ago: a timer came more than `mostMs` late. (A histogram of delays cannot tell that of a
 * loop which turns less than once in its period: it is empty, after one second and after twenty.)
 */
export class EventLoop {
  readonly #mostMs: number
  readonly #clock: () => number
  #dueMs: number
  #awayUntilMs = Number.NEGATIVE_INFINITY
  readonly #timer: NodeJS.Timeout

  constructor(mostMs: number, clock: () => number = steadyClock) {
    this.#mostMs = mostMs
    this.#clock = clock
    this.#dueMs = clock() + TICK_MS
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  get isStuck(): boolean {
    return this.#clock() < this.#awayUntilMs
  }

  #tick(): void {
    const nowMs = this.#clock()
    if (nowMs - this.#dueMs > this.#mostMs) this.#awayUntilMs = nowMs + AWAY_MS
    this.#dueMs = nowMs + TICK_MS
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

import { steadyClock } from '../core/clock.ts'

/** How often is looked whether the event loop turns, at least: so much of a long turn may pass before the timer is due. */
const TICK_MS = 250
/** The same, as a part of how long a turn may take. */
const TICK_SHARE = 0.1
/** How long senders are kept away once it was stuck: what has piled up is done first. */
const AWAY_MS = 1000

/**
 * Whether the event loop was stuck a moment ago: a timer came more than `mostMs` late. (A histogram of delays cannot tell that of a
 * loop which turns less than once in its period: it is empty, after one second and after twenty.)
 */
export class EventLoop {
  readonly #mostMs: number
  readonly #tickMs: number
  readonly #clock: () => number
  #dueMs: number
  #awayUntilMs = Number.NEGATIVE_INFINITY
  readonly #timer: NodeJS.Timeout

  constructor(mostMs: number, clock: () => number = steadyClock) {
    this.#mostMs = mostMs
    this.#clock = clock
    this.#tickMs = Math.min(TICK_MS, TICK_SHARE * mostMs)
    this.#dueMs = clock() + this.#tickMs
    this.#timer = setInterval(() => this.#tick(), this.#tickMs).unref()
  }

  get isStuck(): boolean {
    return this.#clock() < this.#awayUntilMs
  }

  #tick(): void {
    const nowMs = this.#clock()
    if (nowMs - this.#dueMs > this.#mostMs) this.#awayUntilMs = nowMs + AWAY_MS
    this.#dueMs = nowMs + this.#tickMs
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

import type { Clock } from '../core/clock.ts'

/** Whoever else is on the event loop waits for so long at most, as far as steps are that short, ms. */
const STRETCH_MS = 20
/** The same while something presses that needs many turns of the event loop and little of each, ms. */
const PRESSED_MS = 2

/**
 * Lets several long works of one process go on side by side, and the event loop have its turn between two stretches of them
 * all: a stretch each, one after the other, would make everybody else wait for as many stretches as there are works. Who
 * waited longest goes on first.
 */
export class Turns {
  readonly #clock: Clock
  readonly #waiting: (() => void)[] = []
  /** When the present stretch began. */
  #sinceMs = Number.NEGATIVE_INFINITY
  #pressing = 0

  /** `clock`: time that only passes, ms. */
  constructor(clock: Clock = () => performance.now()) {
    this.#clock = clock
  }

  /** Asked before each step: what to wait for first, undefined while there is time. */
  next(): Promise<void> | undefined {
    const stretchMs = this.#pressing > 0 ? PRESSED_MS : STRETCH_MS
    if (this.#clock() - this.#sinceMs < stretchMs) return undefined
    return new Promise(goOn => {
      if (this.#waiting.push(goOn) === 1) setImmediate(this.#release)
    })
  }

  /** Stretches are short until `work` is done, that somebody waits for: a checkpoint goes by hundreds of turns. */
  async pressing<T>(work: Promise<T>): Promise<T> {
    this.#pressing++
    try {
      return await work
    } finally {
      this.#pressing--
    }
  }

  readonly #release = (): void => {
    this.#sinceMs = this.#clock()
    this.#waiting.shift()?.()
    // What it does now is done before the next turn, which is another's.
    if (this.#waiting.length > 0) setImmediate(this.#release)
  }
}

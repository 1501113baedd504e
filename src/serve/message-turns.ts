import { ForeshockError } from '../core/errors.ts'
import type { Arriving } from './body-room.ts'

/** How long one may keep its turn while others wait, ms. */
const TURN_MS_MAX = 5000
/** Between two looks for those who have it for longer, ms. */
const LOOK_MS = 1000

/** A message that is to arrive. */
export interface Awaited extends Arriving {
  /** It has its turn. */
  begin(): void
}

/**
 * How many messages may be on their way here at a time, where none can be asked how long it is or how much of it has come. The others
 * wait with their senders. While some wait, who has its turn for too long is given up: a few slow senders keep nobody out.
 */
export class MessageTurns {
  readonly #most: number
  readonly #waitingMost: number
  /** Since when each has its turn, the longest first; ms of the process. */
  readonly #arriving = new Map<Awaited, number>()
  readonly #waiting = new Set<Awaited>()
  #timer: NodeJS.Timeout | undefined

  /** `most` may arrive at a time, `waitingMost` wait for that. */
  constructor(most: number, waitingMost: number) {
    this.#most = most
    this.#waitingMost = waitingMost
  }

  /** It begins, now or later, or is given up. */
  take(one: Awaited): void {
    if (this.#arriving.size < this.#most) this.#begin(one)
    else if (this.#waiting.size >= this.#waitingMost) one.giveUp(overloaded('as many wait as may'))
    else {
      this.#waiting.add(one)
      this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
    }
  }

  /** It is whole, or will never be. */
  leave(one: Awaited): void {
    this.#waiting.delete(one)
    if (this.#arriving.delete(one)) {
      const [next] = this.#waiting
      if (next !== undefined) {
        this.#waiting.delete(next)
        this.#begin(next)
      }
    }
    if (this.#waiting.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #begin(one: Awaited): void {
    this.#arriving.set(one, performance.now())
    one.begin()
  }

  #look(): void {
    const nowMs = performance.now()
    for (const [one, sinceMs] of [...this.#arriving]) {
      if (this.#waiting.size === 0 || nowMs - sinceMs < TURN_MS_MAX) return
      this.leave(one)
      one.giveUp(overloaded('others wait, and none was on its way for longer than this one'))
    }
  }
}

function overloaded(why: string): ForeshockError {
  return new ForeshockError('FS_OVERLOADED', `too many messages are on their way: ${why}`)
}

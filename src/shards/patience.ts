/** Time between two looks counts for no more than this: that this whole process stood still is nobody's fault, ms. */
const LOOK_MS_MAX = 2000

/** Notices that nothing goes on although something is waited for. */
export class Patience {
  readonly #mostMs: number
  #progress = Number.NaN
  #stoodMs = 0
  #lookedMs = Number.NaN

  constructor(mostMs: number) {
    this.#mostMs = mostMs
  }

  /** Between two looks, ms, so that it is noticed soon after it is due. */
  get lookMs(): number {
    return Math.min(LOOK_MS_MAX / 2, this.#mostMs / 2)
  }

  /** A look at `nowMs`, of any clock that goes on: whether `progress` has stood still for too long. */
  isOver(isWaiting: boolean, progress: number, nowMs: number): boolean {
    const passedMs = Math.min(nowMs - this.#lookedMs, LOOK_MS_MAX)
    this.#lookedMs = nowMs
    const stands = isWaiting && progress === this.#progress
    // What is waited for only since this look has not stood still before it.
    this.#progress = isWaiting ? progress : Number.NaN
    this.#stoodMs = stands ? this.#stoodMs + passedMs : 0
    return this.#stoodMs >= this.#mostMs
  }
}

/**
 * Lets others have their turns of the event loop while long work goes on in steps: as soon as one more step like the last one
 * would make them wait for longer than they are to. Several who work by turns may ask; all of it is one stretch of work.
 */
export class Rests {
  readonly #ms: number
  /** When this thread was taken up again after others had it, and when somebody asked last. */
  #sinceMs = 0
  #askedMs = 0
  #workedMs = 0
  #turns = 0
  /** One function for all rests: a rest makes a promise and nothing else. */
  readonly #pause = (goOn: () => void): void => {
    setImmediate(this.#goOn, goOn)
  }
  readonly #goOn = (goOn: () => void): void => {
    this.begin()
    goOn()
  }

  /** `ms`: how long others wait at most, as far as steps are that short. */
  constructor(ms: number) {
    this.#ms = ms
  }

  /** A stretch of work begins now: after others had this thread, or were waited for. */
  begin(): void {
    this.#sinceMs = performance.now()
    this.#askedMs = this.#sinceMs
    this.#turns++
  }

  /** A step was done: what to wait for before the next one, undefined where there is time for it. */
  rest(): Promise<void> | undefined {
    const nowMs = performance.now()
    const stepMs = nowMs - this.#askedMs
    const stretchMs = nowMs - this.#sinceMs
    this.#askedMs = nowMs
    if (stretchMs + stepMs < this.#ms) return undefined
    this.#workedMs += stretchMs
    this.#sinceMs = nowMs
    return new Promise(this.#pause)
  }

  /** How long was worked until now, ms; rests do not count, and only differences mean anything. */
  get workedMs(): number {
    return this.#workedMs + performance.now() - this.#sinceMs
  }

  /** Stretches of work that were begun. */
  get turns(): number {
    return this.#turns
  }
}

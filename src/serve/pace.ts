import { setImmediate } from 'node:timers/promises'

/** Work on the event loop between two breaths, ms: samples that arrive meanwhile wait for no longer. */
const STRETCH_MS = 4
/** Steps between two looks at the clock. */
const STEPS = 64

/** Lets others in between while something long is looked through. */
export class Pace {
  #since = performance.now()
  #steps = 0

  /** Asked at every step: whether it is time to `rest`. */
  isDue(): boolean {
    return ++this.#steps % STEPS === 0 && performance.now() - this.#since > STRETCH_MS
  }

  async rest(): Promise<void> {
    await setImmediate()
    this.#since = performance.now()
  }
}

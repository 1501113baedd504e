/**
 * Lets callers that ask at the same time share one run: each gets a run that starts after it asked, and at most
 * one run is under way.
 */
export class GroupCommit {
  readonly #run: () => Promise<void>
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(run: () => Promise<void>) {
    this.#run = run
  }

  commit(): Promise<void> {
    if (this.#next) return this.#next
    if (!this.#running) return this.#start()
    this.#next = this.#running
      .catch(() => {}) // its own callers hear of it
      .then(() => {
        this.#next = undefined
        return this.#start()
      })
    return this.#next
  }

  #start(): Promise<void> {
    const run = this.#run().finally(() => {
      this.#running = undefined
    })
    this.#running = run
    return run
  }
}

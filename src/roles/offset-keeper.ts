/** Tells a group how far a partition is: one telling at a time, always of the newest. */
export class OffsetKeeper {
  readonly #commit: (nextOffset: number) => Promise<void>
  readonly #onError: (error: unknown) => void
  #wanted = -1
  #told = -1
  #running: Promise<void> | undefined
  #closed = false

  constructor(commit: (nextOffset: number) => Promise<void>, onError: (error: unknown) => void) {
    this.#commit = commit
    this.#onError = onError
  }

  /** Everything before an offset is done. A telling that fails is made up for by the next. */
  reached(nextOffset: number): void {
    if (nextOffset <= this.#wanted && this.#wanted === this.#told) return
    this.#wanted = Math.max(this.#wanted, nextOffset)
    if (!this.#closed) this.#running ??= this.#run()
  }

  /** With `tell`, once more what was reached. */
  async close(tell: boolean): Promise<void> {
    await this.#running
    if (tell && this.#wanted > this.#told) await this.#run()
    this.#closed = true
  }

  async #run(): Promise<void> {
    try {
      while (this.#wanted > this.#told) {
        const offset = this.#wanted
        await this.#commit(offset)
        this.#told = offset
      }
    } catch (error) {
      this.#onError(error)
    } finally {
      this.#running = undefined
    }
  }
}

/** What is on its way, of which there is one thing at a time. */
export class Underway {
  #working: Promise<void> | undefined

  /** Resolves when it is through; undefined where nothing is on its way. */
  get working(): Promise<void> | undefined {
    return this.#working
  }

  /** Takes up what has been begun, once nothing else is on its way. Whoever settles hears of it when it fails. */
  begin(working: Promise<void>): void {
    this.#working = working
    working.catch(() => {})
  }

  /** Waits until nothing is on its way. */
  async settle(): Promise<void> {
    const working = this.#working
    if (working === undefined) return
    try {
      await working
    } finally {
      if (this.#working === working) this.#working = undefined
    }
  }
}

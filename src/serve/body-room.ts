/**
 * How much of bodies may be under way at a time, all senders together: a body has its room from the first byte to the last, as
 * long as it says that it is. Who finds none is told to come back, so that many slow senders cannot fill the memory.
 */
export class BodyRoom {
  readonly #bytesMax: number
  #bytes = 0
  #wasShort = false

  /** `bytesMax`: bytes at most. One body always has room, however long, so that the limit of a single one holds alone. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Whether there was room for so many bytes more; if so they are taken until they are given back. */
  take(bytes: number): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax) {
      this.#wasShort = true
      return false
    }
    this.#bytes += bytes
    return true
  }

  /** The bytes have arrived, or never will. */
  give(bytes: number): void {
    this.#bytes -= bytes
  }

  /** Whether somebody found no room since this was last asked. */
  takeShortage(): boolean {
    const wasShort = this.#wasShort
    this.#wasShort = false
    return wasShort
  }

  /** Bytes that are taken. */
  get bytes(): number {
    return this.#bytes
  }
}

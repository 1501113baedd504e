import { ForeshockError } from '../core/errors.ts'

/** A body that is arriving. */
export interface Arriving {
  /** There is no room for the rest of it: its sender is told so. It has left the room already. */
  giveUp(why: ForeshockError): void
}

/**
 * How many bytes there may be of bodies that have begun and are not whole, all senders together. Where there are more, the body that
 * is longest on its way is given up: refusing those that begin would let a few slow senders keep everybody else out.
 */
export class BodyRoom {
  readonly #bytesMax: number
  /** Bytes that have come of each, the longest on its way first. */
  readonly #arriving = new Map<Arriving, number>()
  #bytes = 0

  /** `bytesMax`: bytes at most. A body that is alone always has room: the limit of a single one holds. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** So many bytes more have come of a body, which may be the one that is given up. */
  add(body: Arriving, bytes: number): void {
    this.#bytes += bytes
    this.#arriving.set(body, (this.#arriving.get(body) ?? 0) + bytes)
    if (this.#bytes > this.#bytesMax) this.#clear()
  }

  /** A body is whole, or will never be. */
  leave(body: Arriving): void {
    this.#bytes -= this.#arriving.get(body) ?? 0
    this.#arriving.delete(body)
  }

  /** Bytes that are there of all. */
  get bytes(): number {
    return this.#bytes
  }

  #clear(): void {
    const why = new ForeshockError(
      'FS_OVERLOADED',
      `${this.#bytes} bytes of bodies are on their way, and none was it for longer than this one`,
    )
    for (const body of this.#arriving.keys()) {
      if (this.#bytes <= this.#bytesMax || this.#arriving.size === 1) return
      this.leave(body)
      body.giveUp(why)
    }
  }
}

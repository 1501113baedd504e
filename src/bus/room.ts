import type { Slabs } from './slabs.ts'

/** Bytes that are put together in a slab, and in a larger one when they are more than was thought. */
export class Room {
  readonly #slabs: Slabs
  #slab: Buffer
  length = 0

  /** `bytes`: how many there will be, as far as is known. */
  constructor(slabs: Slabs, bytes: number) {
    this.#slabs = slabs
    this.#slab = slabs.take(bytes)
  }

  /** All of it, lent until it grows. */
  get bytes(): Buffer {
    return this.#slab.subarray(0, this.length)
  }

  /** So many bytes more, with anything in them; where they begin. */
  grow(bytes: number): number {
    const at = this.length
    const length = at + bytes
    if (length > this.#slab.length) {
      const larger = this.#slabs.take(Math.max(length, 2 * this.#slab.length))
      larger.set(this.bytes)
      this.#slabs.give(this.#slab)
      this.#slab = larger
    }
    this.length = length
    return at
  }

  put(bytes: Uint8Array): void {
    const at = this.grow(bytes.length)
    this.#slab.set(bytes, at)
  }

  int16(value: number): void {
    const at = this.grow(2)
    this.#slab.writeInt16BE(value, at)
  }

  int32(value: number): void {
    const at = this.grow(4)
    this.#slab.writeInt32BE(value, at)
  }

  /** A text behind its length. */
  text(content: string): void {
    const bytes = Buffer.from(content)
    this.int16(bytes.length)
    this.put(bytes)
  }

  /** Nobody looks at its bytes any more. */
  giveBack(): void {
    this.#slabs.give(this.#slab)
    this.length = 0
  }
}

/** Smallest memory lent, bytes: 4 KiB; smaller bodies are not worth a size of their own. */
const LEAST_SHIFT = 12
/** Largest memory kept for a next body, bytes: 1 MiB; larger bodies are rare. */
const MOST_SHIFT = 20
/** Memory kept that nobody uses at the moment, bytes: what a few hundred senders have under way at a time. */
const IDLE_BYTES_MAX = 33_554_432

/**
 * Memory of bodies, lent and taken back: were each made anew, the engine would count them as garbage to come and look
 * through the whole heap for it, once every few megabytes of bodies. Sizes are powers of two.
 */
export class BodyMemory {
  readonly #idle: Buffer[][] = Array.from({ length: MOST_SHIFT + 1 }, () => [])
  /** What may be lent again, by its bytes: Node's small buffers lie in larger ones that are of such a size too, and are not ours. */
  readonly #ours = new WeakMap<ArrayBufferLike, Buffer>()
  #idleBytes = 0

  /** Memory of exactly so many bytes, with what an earlier body left in it. */
  lend(bytes: number): Buffer {
    const shift = shiftOf(bytes)
    if (shift > MOST_SHIFT) return Buffer.allocUnsafeSlow(bytes)
    const idle = this.#idle[shift].pop()
    if (idle === undefined) return this.#make(shift).subarray(0, bytes)
    this.#idleBytes -= idle.length
    return idle.subarray(0, bytes)
  }

  #make(shift: number): Buffer {
    const whole = Buffer.allocUnsafeSlow(1 << shift)
    this.#ours.set(whole.buffer, whole)
    return whole
  }

  /** Takes back what was lent; whoever gave it looks at it no more. */
  give({ buffer }: Uint8Array): void {
    const whole = this.#ours.get(buffer)
    if (whole === undefined || this.#idleBytes + whole.length > IDLE_BYTES_MAX) return
    this.#idle[shiftOf(whole.length)].push(whole)
    this.#idleBytes += whole.length
  }

  /** Bytes kept for a next body. */
  get idleBytes(): number {
    return this.#idleBytes
  }
}

function shiftOf(bytes: number): number {
  return Math.max(LEAST_SHIFT, 32 - Math.clz32(Math.max(0, bytes - 1)))
}

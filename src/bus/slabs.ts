/** Memory is handed out by pieces of this size, or of it doubled up to four times: what is larger is memory of its own. */
const SLAB_BYTES = 512 * 1024
const CLASSES = 5
/** Slabs that nobody uses are kept up to so many bytes together. */
const KEPT_BYTES_MAX = 32 * 1024 * 1024

const NO_SLAB = Buffer.alloc(0)

/**
 * Memory for what comes and goes with every fetch, used again. Buffers that are left to the garbage collector make it walk the whole
 * heap every 64 MiB or so, however little of that has changed.
 */
export class Slabs {
  readonly #free: Buffer[][] = Array.from({ length: CLASSES }, () => [])
  /** Bytes that nobody uses. */
  bytes = 0

  /** Room for so many bytes, or for more. */
  take(bytes: number): Buffer {
    const size = classOf(bytes)
    if (size >= CLASSES) return Buffer.allocUnsafeSlow(bytes)
    const slab = this.#free[size].pop()
    if (slab === undefined) return Buffer.allocUnsafeSlow(SLAB_BYTES << size)
    this.bytes -= slab.length
    return slab
  }

  /** Nothing in it is looked at any more. */
  give(slab: Buffer): void {
    const size = classOf(slab.length)
    if (size >= CLASSES || this.bytes + slab.length > KEPT_BYTES_MAX) return
    this.#free[size].push(slab)
    this.bytes += slab.length
  }
}

function classOf(bytes: number): number {
  let size = 0
  while (size < CLASSES && SLAB_BYTES << size < bytes) size++
  return size
}

/** What one user has of the slabs, given back as a whole. */
export class Lease {
  readonly #slabs: Slabs
  readonly #held: Buffer[] = []
  #slab: Buffer = NO_SLAB
  #at = 0

  constructor(slabs: Slabs) {
    this.#slabs = slabs
  }

  room(bytes: number): Buffer {
    if (bytes > this.#slab.length - this.#at) {
      this.#slab = this.#slabs.take(bytes)
      this.#at = 0
      this.#held.push(this.#slab)
    }
    const from = this.#at
    this.#at += bytes
    return this.#slab.subarray(from, this.#at)
  }

  /** Nothing that was given room is looked at any more. */
  giveBack(): void {
    for (const slab of this.#held) this.#slabs.give(slab)
    this.#held.length = 0
    this.#slab = NO_SLAB
    this.#at = 0
  }
}

import { instantiateKernel, pagesOf } from './load.ts'

interface Exports {
  lz4Decompress(from: number, to: number, base: number, start: number, room: number): number
}

/** LZ4 blocks decompressed in WebAssembly, in a memory of its own that grows with the largest block; math/lz4.ts is the twin. */
export class Lz4Kernel {
  readonly #memory = new WebAssembly.Memory({ initial: 4 })
  readonly #kernel: Exports
  #bytes: Uint8Array

  /** Throws where WebAssembly with SIMD is not to be had. */
  constructor() {
    this.#kernel = instantiateKernel<Exports>('lz4', this.#memory)
    this.#bytes = new Uint8Array(this.#memory.buffer)
  }

  /**
   * As `lz4Decompress` of math/lz4.ts: the block `src[from, to)` into `dst` from `start` on; where it ends, or -1. What lies before
   * `start` is given along, since matches may reach back into it.
   */
  decompress(src: Uint8Array, from: number, to: number, dst: Uint8Array, start: number): number {
    const size = to - from
    const room = dst.length
    this.#ensure(size + room)
    const bytes = this.#bytes
    bytes.set(size === src.length ? src : src.subarray(from, to), 0)
    if (start > 0) bytes.set(dst.subarray(0, start), size)
    const end = this.#kernel.lz4Decompress(0, size, size, start, room)
    if (end > start) dst.set(bytes.subarray(size + start, size + end), start)
    return end
  }

  #ensure(bytes: number): void {
    if (this.#bytes.length >= bytes) return
    this.#memory.grow(pagesOf(bytes - this.#bytes.length))
    this.#bytes = new Uint8Array(this.#memory.buffer)
  }
}

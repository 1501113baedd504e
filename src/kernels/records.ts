import { instantiateKernel, pagesOf } from './load.ts'

interface Exports {
  crc32c(tables: number, from: number, to: number, scratch: number): number
  lz4FrameRoom(from: number, to: number): number
  lz4Frame(from: number, to: number, base: number, room: number): number
  lz4FrameWrite(from: number, to: number, table: number, out: number): number
}

/** Tables of the checksum, then that of the compressor, which the checksum uses too; what is worked on is put behind them. */
const CRC_TABLE_BYTES = 8 * 256 * 4
const TABLE_BYTES = CRC_TABLE_BYTES + 65_536

/**
 * Checks and inflates Kafka's record batches in WebAssembly. A batch is copied in once and what it becomes out once; the memory between
 * is reused, and grows to the largest batch with what it became.
 */
export class RecordsKernel {
  readonly #memory = new WebAssembly.Memory({ initial: pagesOf(TABLE_BYTES) })
  readonly #kernel: Exports
  #bytes: Uint8Array
  /** Bytes of the batch. */
  #size = 0

  /** `tables` of CRC-32C, eight of 256 words. Throws where WebAssembly with SIMD is not to be had. */
  constructor(tables: Uint32Array) {
    this.#kernel = instantiateKernel<Exports>('records', this.#memory)
    this.#bytes = new Uint8Array(this.#memory.buffer)
    this.#bytes.set(new Uint8Array(tables.buffer, tables.byteOffset, CRC_TABLE_BYTES))
  }

  /** Takes a batch; what follows is about it. */
  load(batch: Uint8Array): void {
    this.#size = batch.length
    this.#ensure(TABLE_BYTES + batch.length)
    this.#bytes.set(batch, TABLE_BYTES)
  }

  /** CRC-32C from `from` to the batch's end. */
  crc32c(from: number): number {
    return this.#kernel.crc32c(0, TABLE_BYTES + from, TABLE_BYTES + this.#size, CRC_TABLE_BYTES) >>> 0
  }

  /** What the LZ4 frame from `from` to the batch's end becomes, lent until the next call; undefined when it is none, or becomes more than `limit` bytes. */
  lz4(from: number, limit: number): Uint8Array | undefined {
    const end = TABLE_BYTES + this.#size
    const most = this.#kernel.lz4FrameRoom(TABLE_BYTES + from, end)
    if (most < 0) return undefined
    const room = Math.min(most, limit)
    this.#ensure(end + room)
    const length = this.#kernel.lz4Frame(TABLE_BYTES + from, end, end, room)
    return length < 0 ? undefined : this.#bytes.subarray(end, end + length)
  }

  /** An LZ4 frame of all that was loaded, from `from` on; lent until the next call. */
  frameLz4(from: number): Uint8Array {
    const end = TABLE_BYTES + this.#size
    const most = this.#size + Math.ceil(this.#size / 255) + 64 * (1 + Math.ceil(this.#size / 65_536))
    this.#ensure(end + most)
    const out = this.#kernel.lz4FrameWrite(TABLE_BYTES + from, end, CRC_TABLE_BYTES, end)
    return this.#bytes.subarray(end, out >>> 0)
  }

  #ensure(bytes: number): void {
    if (this.#bytes.length >= bytes) return
    this.#memory.grow(pagesOf(bytes - this.#bytes.length))
    this.#bytes = new Uint8Array(this.#memory.buffer)
  }
}

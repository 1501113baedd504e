import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** What a digest covers at a time, bytes. */
const BLOCK_BYTES = 4_194_304
const CRC_BYTES = 4

/**
 * SHA-256 over the CRC-32 of every 4 MiB: one pass at three times the speed of SHA-256 over the content, which of ten million
 * series is seven gigabytes in the thread that scores. A block that was damaged goes unseen once in four billion times.
 */
export class BlockDigest {
  readonly #sums = createHash('sha256')
  readonly #sum = Buffer.alloc(CRC_BYTES)
  #crc = 0
  #held = 0

  update(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + BLOCK_BYTES - this.#held)
      this.#crc = crc32(bytes.subarray(from, to), this.#crc)
      this.#held += to - from
      from = to
      if (this.#held === BLOCK_BYTES) this.#close()
    }
  }

  /** 32 bytes; nothing may follow. */
  digest(): Buffer {
    if (this.#held > 0) this.#close()
    return this.#sums.digest()
  }

  #close(): void {
    this.#sum.writeUInt32LE(this.#crc >>> 0)
    this.#sums.update(this.#sum)
    this.#crc = 0
    this.#held = 0
  }
}

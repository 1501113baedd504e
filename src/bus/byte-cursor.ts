/**
 * Reads what a `ByteWriter` wrote. It never throws: what lies past the end reads as 0, and `broken` is set for good.
 */
export class ByteCursor {
  readonly bytes: Uint8Array
  at: number
  broken = false
  readonly #view: DataView

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.at = at
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  byte(): number {
    if (this.at < this.bytes.length) return this.bytes[this.at++]
    this.broken = true
    return 0
  }

  /** An unsigned varint below 2^53. */
  varint(): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value <= Number.MAX_SAFE_INTEGER) return value
        break
      }
    }
    this.broken = true
    return 0
  }

  /**
   * Varints into `out[0..count)`, each added to the number behind the one before: ascending numbers of which neighbours cost
   * nothing but a zero. False when one is above `max`.
   */
  ascending(out: Uint32Array, count: number, max: number): boolean {
    const { bytes } = this
    let { at } = this
    let next = 0
    for (let i = 0; i < count; i++) {
      const byte = bytes[at]
      if (byte < 0x80) {
        next += byte
        at++
      } else {
        this.at = at
        next += this.varint()
        at = this.at
      }
      if (next > max) return false
      out[i] = next++
    }
    this.at = at
    return true
  }

  double(): number {
    if (this.left < 8) {
      this.broken = true
      return 0
    }
    this.at += 8
    return this.#view.getFloat64(this.at - 8, true)
  }

  /** The next bytes, lent; empty where there are not as many. */
  take(length: number): Uint8Array {
    if (length > this.left) {
      this.broken = true
      return this.bytes.subarray(0, 0)
    }
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }
}

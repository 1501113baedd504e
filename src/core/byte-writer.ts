const UTF8 = new TextEncoder()

/** Writes varints, numbers and fields, as protobuf's wire format has them, into one growing buffer. */
export class ByteWriter {
  #bytes: Uint8Array
  #view: DataView
  length = 0

  constructor(capacity = 4096) {
    this.#bytes = new Uint8Array(capacity)
    this.#view = new DataView(this.#bytes.buffer)
  }

  clear(): void {
    this.length = 0
  }

  /** What was written, lent until the next write. */
  lend(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return this.#bytes.slice(0, this.length)
  }

  byte(value: number): void {
    this.#room(1)
    this.#bytes[this.length++] = value
  }

  /** An unsigned varint, exact below 2^53. */
  varint(value: number): void {
    this.#room(10)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.length++] = rest
  }

  /** The first `count` numbers as varints. */
  varints(values: Uint32Array, count: number): void {
    this.#room(5 * count)
    const bytes = this.#bytes
    let { length } = this
    for (let i = 0; i < count; i++) {
      let rest = values[i]
      for (; rest >= 0x80; rest >>>= 7) bytes[length++] = (rest & 0x7f) | 0x80
      bytes[length++] = rest
    }
    this.length = length
  }

  /** A zigzag varint, exact within ±2^52. */
  signed(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value)
  }

  double(value: number): void {
    this.#room(8)
    this.#view.setFloat64(this.length, value, true)
    this.length += 8
  }

  /** The lowest eight bits of each number. */
  bytes(from: ArrayLike<number>): void {
    this.#room(from.length)
    this.#bytes.set(from, this.length)
    this.length += from.length
  }

  /** A text behind its length in bytes, which it returns. */
  string(content: string): number {
    // A character takes three bytes at most, and mostly one: the length is as long as it is then, or the text moves on.
    this.#room(3 * content.length + 10)
    const from = this.length
    const guess = varintSize(content.length)
    const { written } = UTF8.encodeInto(content, this.#bytes.subarray(from + guess))
    const size = varintSize(written)
    if (size !== guess) this.#bytes.copyWithin(from + size, from + guess, from + guess + written)
    this.varint(written)
    this.length += written
    return written
  }

  /** A field of wire type 2. */
  field(tag: number, content: Uint8Array): void {
    this.varint(tag)
    this.varint(content.length)
    this.bytes(content)
  }

  text(tag: number, content: string): void {
    this.field(tag, UTF8.encode(content))
  }

  #room(bytes: number): void {
    if (this.length + bytes <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.length + bytes, 2 * this.#bytes.length))
    larger.set(this.#bytes.subarray(0, this.length))
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

/** Bytes of an unsigned varint. */
export function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) size++
  return size
}

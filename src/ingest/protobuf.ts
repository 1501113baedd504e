const TWO_32 = 4_294_967_296

/**
 * Reads protobuf wire format in place. Nothing is thrown: an overrun or an impossible field sets `bad`, moves
 * `pos` to `end`, and every loop over the message ends there.
 */
export class ProtoReader {
  bytes: Uint8Array = new Uint8Array(0)
  view: DataView = new DataView(new ArrayBuffer(0))
  pos = 0
  /** End of the body; submessages are narrower ranges within it. */
  end = 0
  bad = false
  #low = 0
  #high = 0

  reset(bytes: Uint8Array, length: number): void {
    if (this.bytes !== bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    this.pos = 0
    this.end = length
    this.bad = false
  }

  fail(): number {
    this.bad = true
    this.pos = this.end
    return 0
  }

  /** A tag, length, enum or unsigned value; exact below 2^53. */
  varint(): number {
    const first = this.pos < this.end ? this.bytes[this.pos] : 0x80
    if (first < 0x80) {
      this.pos++
      return first
    }
    this.#long()
    return (this.#high >>> 0) * TWO_32 + (this.#low >>> 0)
  }

  /** A two's complement int64 varint; exact within ±2^53. */
  int64(): number {
    this.#long()
    return this.#high * TWO_32 + (this.#low >>> 0)
  }

  /** A zigzag sint64 varint; exact within ±2^53. */
  sint64(): number {
    this.#long()
    const sign = -(this.#low & 1)
    const low = (((this.#low >>> 1) | (this.#high << 31)) ^ sign) >>> 0
    const high = (this.#high >>> 1) ^ sign
    return high * TWO_32 + low
  }

  #long(): void {
    const { bytes, end } = this
    let pos = this.pos
    let low = 0
    let high = 0
    for (let i = 0; i < 10; i++) {
      if (pos >= end) {
        this.fail()
        return
      }
      const byte = bytes[pos++]
      const bits = byte & 0x7f
      if (i < 4) low |= bits << (7 * i)
      else if (i === 4) {
        low |= bits << 28
        high = bits >>> 4
      } else high |= bits << (7 * i - 32)
      if (byte < 0x80) {
        this.pos = pos
        this.#low = low | 0
        this.#high = high | 0
        return
      }
    }
    this.fail()
  }

  double(): number {
    if (this.pos + 8 > this.end) return this.fail()
    const value = this.view.getFloat64(this.pos, true)
    this.pos += 8
    return value
  }

  /** An unsigned fixed64; exact below 2^53. */
  fixed64(): number {
    if (this.pos + 8 > this.end) return this.fail()
    const low = this.view.getUint32(this.pos, true)
    const high = this.view.getUint32(this.pos + 4, true)
    this.pos += 8
    return high * TWO_32 + low
  }

  sfixed64(): number {
    if (this.pos + 8 > this.end) return this.fail()
    const low = this.view.getUint32(this.pos, true)
    const high = this.view.getInt32(this.pos + 4, true)
    this.pos += 8
    return high * TWO_32 + low
  }

  /** Reads a length prefix; returns where the submessage ends. */
  enter(): number {
    const length = this.varint()
    if (this.bad || length > this.end - this.pos) {
      this.fail()
      return this.end
    }
    return this.pos + length
  }

  skip(tag: number): void {
    const type = tag & 7
    if (type === 0) this.#long()
    else if (type === 1) this.#forward(8)
    else if (type === 2) this.pos = this.enter()
    else if (type === 5) this.#forward(4)
    else this.fail()
  }

  #forward(bytes: number): void {
    if (this.pos + bytes > this.end) this.fail()
    else this.pos += bytes
  }
}

/**
 * Whether a message is a clean sequence of fields from 0 to `length`: a body is refused as a whole before any
 * of it is taken, while a fault inside one record costs that record only.
 */
export function wellFramed(reader: ProtoReader): boolean {
  while (reader.pos < reader.end) {
    const tag = reader.varint()
    // Field numbers have 29 bits, from 1 on.
    if (tag < 8 || tag > 0xffff_ffff) reader.fail()
    reader.skip(tag)
  }
  const good = !reader.bad
  reader.pos = 0
  reader.bad = false
  return good
}

const UTF8 = new TextDecoder('utf-8', { fatal: false })

/** Text of a range. Short ASCII, the usual label, is built without a decoder call. */
export function utf8(bytes: Uint8Array, from: number, to: number): string {
  if (to - from < 40) {
    let text = ''
    for (let i = from; i < to; i++) {
      if (bytes[i] >= 0x80) return UTF8.decode(bytes.subarray(from, to))
      text += String.fromCharCode(bytes[i])
    }
    return text
  }
  return UTF8.decode(bytes.subarray(from, to))
}

const UTF8 = new TextEncoder()
/** Half of a pair without the other: UTF-8 cannot hold it. */
const LONE_SURROGATE = /\p{Cs}/u

/** How the bytes of a packed text are to be read. */
const LATIN = 0
const WIDE = 1
const RAW = 2
const FORM_BITS = 2

/** Bytes being put together and taken apart; grows, never shrinks. */
export class PackedBytes {
  bytes = Buffer.alloc(1024)
  length = 0

  room(more: number): void {
    if (this.length + more <= this.bytes.length) return
    const longer = Buffer.alloc(Math.max(this.length + more, 2 * this.bytes.length))
    longer.set(this.bytes.subarray(0, this.length))
    this.bytes = longer
  }

  /** A number below 2^32, seven bits a byte. */
  number(value: number): void {
    this.room(5)
    let rest = value >>> 0
    for (; rest >= 0x80; rest >>>= 7) this.bytes[this.length++] = (rest & 0x7f) | 0x80
    this.bytes[this.length++] = rest
  }

  /** A text that `textAt` reads back, whatever its characters. */
  text(text: string): void {
    const units = text.length
    const from = this.length
    this.room(units + 5)
    const header = headerBytes(units)
    this.length += header
    const { bytes } = this
    let at = this.length
    for (let i = 0; i < units; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) {
        this.length = from
        this.#wide(text)
        return
      }
      bytes[at++] = unit
    }
    this.length = from
    this.number((units << FORM_BITS) | LATIN)
    this.length = at
  }

  #wide(text: string): void {
    const raw = LONE_SURROGATE.test(text)
    const encoded = raw ? Buffer.from(text, 'utf16le') : UTF8.encode(text)
    this.number((encoded.length << FORM_BITS) | (raw ? RAW : WIDE))
    this.room(encoded.length)
    this.bytes.set(encoded, this.length)
    this.length += encoded.length
  }
}

/** Writes what stands before a text of so many ASCII characters, up to where it begins; where it begins itself. */
export function asciiHeader(bytes: Uint8Array, end: number, units: number): number {
  const from = end - headerBytes(units)
  let rest = units << FORM_BITS
  for (let at = from; at < end; at++, rest >>>= 7) bytes[at] = at + 1 < end ? (rest & 0x7f) | 0x80 : rest
  return from
}

function headerBytes(units: number): number {
  const value = units << FORM_BITS
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
}

/** Reads numbers and texts that `PackedBytes` wrote. */
export class PackedReader {
  #bytes: Buffer = Buffer.alloc(0)
  at = 0

  seek(bytes: Buffer, at: number): void {
    this.#bytes = bytes
    this.at = at
  }

  number(): number {
    const bytes = this.#bytes
    let byte = bytes[this.at++]
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    for (let shift = 7; byte >= 0x80; shift += 7) {
      byte = bytes[this.at++]
      value |= (byte & 0x7f) << shift
    }
    return value >>> 0
  }

  /** A whole text. */
  text(): string {
    const header = this.number()
    const from = this.at
    this.at += header >>> FORM_BITS
    const form = header & 3
    return this.#bytes.toString(form === LATIN ? 'latin1' : form === WIDE ? 'utf8' : 'utf16le', from, this.at)
  }

  skipText(): void {
    const header = this.number()
    this.at += header >>> FORM_BITS
  }
}

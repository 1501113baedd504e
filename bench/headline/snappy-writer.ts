/** Bytes of a copy with a distance of two bytes, at most. */
const COPY_MAX = 64
const DISTANCE_MAX = 65_535

/**
 * A snappy block written by someone who knows what repeats: bytes are given as literals, or as copies of bytes that were
 * given before. `mark` remembers where a literal byte lands, so that it can be changed in the compressed block later.
 */
export class SnappyWriter {
  readonly #out: Uint8Array
  #at = 0
  /** Plain bytes so far. */
  #plain = 0
  readonly #literal: Uint8Array
  #waiting = 0
  #copyFrom = 0
  #copyLength = 0
  /** Marks before this one have places in the block, later ones in the literal that waits. */
  #settled = 0
  readonly #marks: { readonly offset: number; readonly landed: (at: number) => void }[] = []

  /** For a block of at most `plainMax` plain bytes. */
  constructor(plainMax: number) {
    this.#out = new Uint8Array(plainMax + Math.ceil(plainMax / 6) + 64)
    this.#literal = new Uint8Array(plainMax)
  }

  /** Plain bytes written so far. */
  get length(): number {
    return this.#plain
  }

  literal(bytes: Uint8Array): void {
    this.#endCopy()
    this.#literal.set(bytes, this.#waiting)
    this.#waiting += bytes.length
    this.#plain += bytes.length
  }

  /** Calls back with the place in the block of the next literal byte, once it is known. */
  mark(landed: (at: number) => void): void {
    this.#endCopy()
    this.#marks.push({ offset: this.#waiting, landed })
  }

  /** Whether a copy from plain place `from` would go on where the last one ended. */
  continues(from: number): boolean {
    return this.#copyLength > 0 && this.#copyFrom + this.#copyLength === from
  }

  /** `length` bytes again that were given at plain place `from`. */
  copy(from: number, length: number): void {
    const distance = this.#plain - from
    if (distance < 1 || distance > DISTANCE_MAX)
      throw new RangeError(`nothing can be copied from ${distance} before`)
    if (this.continues(from)) this.#copyLength += length
    else {
      this.#endCopy()
      this.#endLiteral()
      this.#copyFrom = from
      this.#copyLength = length
    }
    this.#plain += length
  }

  /** The block with its header; the writer starts anew. Marks are told places in it. */
  finish(): Uint8Array {
    this.#endCopy()
    this.#endLiteral()
    const header: number[] = []
    for (let left = this.#plain; ; left = Math.floor(left / 128)) {
      header.push(left >= 128 ? (left % 128) + 128 : left)
      if (left < 128) break
    }
    const block = new Uint8Array(header.length + this.#at)
    block.set(header)
    block.set(this.#out.subarray(0, this.#at), header.length)
    for (const { offset, landed } of this.#marks) landed(offset + header.length)
    this.#marks.length = 0
    this.#settled = 0
    this.#at = 0
    this.#plain = 0
    return block
  }

  #endLiteral(): void {
    const length = this.#waiting
    if (length === 0) return
    const out = this.#out
    if (length <= 60) out[this.#at++] = (length - 1) << 2
    else if (length <= 256) {
      out[this.#at++] = 60 << 2
      out[this.#at++] = length - 1
    } else {
      out[this.#at++] = 61 << 2
      out[this.#at++] = (length - 1) & 255
      out[this.#at++] = (length - 1) >> 8
    }
    if (length > 65_536) throw new RangeError(`${length} bytes in one literal`)
    for (; this.#settled < this.#marks.length; this.#settled++) {
      const { offset, landed } = this.#marks[this.#settled]
      this.#marks[this.#settled] = { offset: offset + this.#at, landed }
    }
    out.set(this.#literal.subarray(0, length), this.#at)
    this.#at += length
    this.#waiting = 0
  }

  #endCopy(): void {
    let length = this.#copyLength
    if (length === 0) return
    const out = this.#out
    const distance = this.#plain - this.#copyLength - this.#copyFrom
    while (length > 0) {
      // No rest of under four bytes: the short form cannot say it, and the long one wastes it.
      const part = length > COPY_MAX && length < COPY_MAX + 4 ? COPY_MAX - 4 : Math.min(length, COPY_MAX)
      if (part >= 4 && part <= 11 && distance < 2048) {
        out[this.#at++] = 1 | ((part - 4) << 2) | ((distance >> 8) << 5)
        out[this.#at++] = distance & 255
      } else {
        out[this.#at++] = 2 | ((part - 1) << 2)
        out[this.#at++] = distance & 255
        out[this.#at++] = distance >> 8
      }
      length -= part
    }
    this.#copyLength = 0
  }
}

/** Bytes before a frame's answer: its size, and the number of the request that it answers. */
const SIZE_BYTES = 4
const HEAD_BYTES = 8
/** Brokers answer what was asked for, or one batch if that is larger, of at most a few MiB: more is no answer. */
const FRAME_BYTES_MAX = 128 * 1024 * 1024
/** Rooms grow by doubling from here, and one that became larger than the other is not kept. */
const ROOM_BYTES_MIN = 64 * 1024
const ROOM_BYTES_KEPT = 16 * 1024 * 1024
/** Where a read goes while it is not known how long the frame is: one for all, since what is read is taken up at once. */
export const COMMON_ROOM = Buffer.allocUnsafeSlow(64 * 1024)
const NO_ROOM = Buffer.alloc(0)

/** Takes a frame (its size, the request's number, the answer), which is lent until `giveBack`. */
export type TakeFrame = (frame: Buffer) => void

/**
 * Bytes of a connection → whole frames, each in one piece in a room that is used again: what is read of a frame that has begun is
 * read to its place, so nothing is allocated and nothing put together.
 */
export class AnswerReader {
  readonly #take: TakeFrame
  readonly #head = Buffer.alloc(SIZE_BYTES)
  #room = NO_ROOM
  #isLent = false
  /** Bytes that there are of the frame, and bytes of it in all, 0 while that is not known. */
  #at = 0
  #total = 0
  /** Why nothing more is read; '' while all is well. */
  fault = ''

  constructor(take: TakeFrame) {
    this.#take = take
  }

  /** Where the next bytes are to be read to. */
  next(): Buffer {
    return this.#total > 0 ? this.#room.subarray(this.#at, this.#total) : COMMON_ROOM
  }

  /** What was read; in its place already when it was read to where `next` said, and anywhere otherwise. */
  took(bytes: Uint8Array): void {
    if (this.#total === 0 || bytes.buffer !== this.#room.buffer) {
      this.#read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
      return
    }
    this.#at += bytes.length
    if (this.#at === this.#total) this.#end()
  }

  /** Frames that begin and end anywhere in the bytes. */
  #read(bytes: Buffer): void {
    for (let from = 0; from < bytes.length && this.fault === ''; ) {
      if (this.#total === 0) {
        const used = Math.min(SIZE_BYTES - this.#at, bytes.length - from)
        bytes.copy(this.#head, this.#at, from, from + used)
        this.#at += used
        from += used
        if (this.#at < SIZE_BYTES) return
        this.#begin(SIZE_BYTES + this.#head.readInt32BE(0))
        continue
      }
      const used = Math.min(this.#total - this.#at, bytes.length - from)
      bytes.copy(this.#room, this.#at, from, from + used)
      this.#at += used
      from += used
      if (this.#at === this.#total) this.#end()
    }
  }

  /** Whether bytes lie in what is lent. */
  lends(bytes: Buffer): boolean {
    return this.#isLent && bytes.buffer === this.#room.buffer
  }

  /** What was lent is not looked at any more. Until then, frames that come are given other rooms. */
  giveBack(bytes: Buffer): void {
    if (bytes.buffer !== this.#room.buffer) return
    this.#isLent = false
    if (this.#room.length > ROOM_BYTES_KEPT && this.#total === 0) this.#room = NO_ROOM
  }

  #begin(total: number): void {
    if (total < HEAD_BYTES || total > FRAME_BYTES_MAX) {
      this.fault = `an answer of ${total - SIZE_BYTES} bytes is none`
      return
    }
    if (this.#isLent || this.#room.length < total) {
      const bytes =
        total > ROOM_BYTES_KEPT ? total : Math.max(ROOM_BYTES_MIN, 2 ** Math.ceil(Math.log2(total)))
      this.#room = Buffer.allocUnsafeSlow(bytes)
      this.#isLent = false
    }
    this.#head.copy(this.#room)
    this.#total = total
  }

  #end(): void {
    const frame = this.#room.subarray(0, this.#total)
    this.#at = 0
    this.#total = 0
    this.#isLent = true
    this.#take(frame)
  }
}

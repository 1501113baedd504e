import type { StoredMessage } from '../core/stream.ts'

/**
 * Kafka's record batches (format 2, since Kafka 0.11), walked in place: no object but the messages themselves, whose values are views
 * of the batch as it was inflated. https://kafka.apache.org/documentation/#messageformat
 */

/** Up to the length, which counts what follows it. */
export const LENGTH_AT = 8
export const COUNTED_AT = 12
export const MAGIC_AT = 16
export const CRC_AT = 17
/** The checksum covers all from here on. */
export const CHECKED_AT = 21
export const LAST_DELTA_AT = 23
export const FIRST_TIME_AT = 27
export const MAX_TIME_AT = 35
export const PRODUCER_AT = 43
export const COUNT_AT = 57
export const RECORDS_AT = 61
export const MAGIC = 2

const CODEC_MASK = 0x07
const APPEND_TIME = 0x08
export const TRANSACTIONAL = 0x10
const CONTROL = 0x20
/** A record is at least its length, attributes, two deltas, the lengths of key and value, and the number of headers. */
const RECORD_BYTES_MIN = 7

/** Where and what a batch is; one is lent for all. */
export interface BatchHeader {
  /** Bytes of the whole batch. */
  size: number
  magic: number
  crc: number
  codec: number
  appendTime: boolean
  transactional: boolean
  control: boolean
  baseOffset: number
  /** Of the last offset that was ever in it: compaction takes records out, and leaves the numbers. */
  lastOffset: number
  firstMs: number
  maxMs: number
  /** Of transactions and their markers; anything elsewhere. */
  producerId: bigint
  count: number
}

export function batchHeader(): BatchHeader {
  return {
    size: 0,
    magic: 0,
    crc: 0,
    codec: 0,
    appendTime: false,
    transactional: false,
    control: false,
    baseOffset: 0,
    lastOffset: 0,
    firstMs: 0,
    maxMs: 0,
    producerId: -1n,
    count: 0,
  }
}

/** A whole number of 64 bits; exact below 2^53, which no offset or time comes near. */
export const int64 = (bytes: Buffer, at: number): number =>
  bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)

/** Reads the header of the batch at `at`; false when what is there was cut off, as the end of an answer may be. */
export function readBatchHeader(bytes: Buffer, at: number, out: BatchHeader): boolean {
  if (bytes.length - at < MAGIC_AT + 1) return false
  out.size = COUNTED_AT + bytes.readInt32BE(at + LENGTH_AT)
  out.magic = bytes.readInt8(at + MAGIC_AT)
  out.baseOffset = int64(bytes, at)
  out.lastOffset = out.baseOffset
  if (out.size <= MAGIC_AT || out.size > bytes.length - at) return false
  if (out.magic !== MAGIC || out.size < RECORDS_AT) return true
  const attributes = bytes.readUInt16BE(at + CHECKED_AT)
  out.crc = bytes.readUInt32BE(at + CRC_AT)
  out.codec = attributes & CODEC_MASK
  out.appendTime = (attributes & APPEND_TIME) !== 0
  out.transactional = (attributes & TRANSACTIONAL) !== 0
  out.control = (attributes & CONTROL) !== 0
  out.lastOffset = out.baseOffset + bytes.readInt32BE(at + LAST_DELTA_AT)
  out.firstMs = int64(bytes, at + FIRST_TIME_AT)
  out.maxMs = int64(bytes, at + MAX_TIME_AT)
  // Looked at in transactions only; markers belong to them.
  if (out.transactional || out.control) out.producerId = bytes.readBigInt64BE(at + PRODUCER_AT)
  out.count = bytes.readInt32BE(at + COUNT_AT)
  return true
}

/** Why a batch with this header cannot be read, whatever it holds; '' when it may be. */
export function headerFault({ magic, size, count }: BatchHeader): string {
  if (magic !== MAGIC) return `its format is ${magic}, and ${MAGIC} is read`
  return size < RECORDS_AT || count < 0 ? 'its header contradicts itself' : ''
}

/** Offset and time of a marker say nothing; its kind stands in its key: 0 is "aborted". */
export function marksAbort(batch: Buffer): boolean {
  cursor.begin(batch, RECORDS_AT)
  cursor.varint()
  cursor.at++
  cursor.varint()
  cursor.varint()
  const length = cursor.varint()
  return !cursor.bad && length >= 4 && cursor.left >= 4 && cursor.bytes.readInt16BE(cursor.at + 2) === 0
}

const NO_BYTES = Buffer.alloc(0)

/** Reads zigzag numbers; past the end it reads 0 and is `bad` for good. */
class RecordCursor {
  bytes: Buffer = NO_BYTES
  at = 0
  bad = false

  begin(bytes: Buffer, at: number): void {
    this.bytes = bytes
    this.at = at
    this.bad = false
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  varint(): number {
    const { bytes } = this
    let value = 0
    let shift = 0
    // Four bytes stay below 2^28: whole numbers of 32 bits will do.
    for (; shift < 28; shift += 7) {
      const byte = bytes[this.at++]
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
      if (byte === undefined) break
    }
    for (let scale = 2 ** 28; scale < 2 ** 70 && this.at <= bytes.length; scale *= 128) {
      const byte = bytes[this.at++]
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    this.bad = true
    return 0
  }
}

/** One for all: with the last of a class V8 also throws the code away that knew it, whenever it collects. */
const cursor = new RecordCursor()

const strict = new TextDecoder('utf-8', { fatal: true })

/** Text of bytes; null of those that are none. */
function textOrNull(bytes: Buffer): string | null {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] < 0x80) continue
    try {
      return strict.decode(bytes)
    } catch {
      return null
    }
  }
  return bytes.toString('latin1')
}

const NONE: Readonly<Record<string, string>> = {}
const EMPTY = new Uint8Array(0)

/**
 * Reads the records of a batch that is inflated, from `start` on in `bytes`; messages from offset `from` on are put behind `into`.
 * '' or what is wrong with them, and then `into` is as it was.
 */
export function readRecords(
  topic: string,
  partition: number,
  header: BatchHeader,
  bytes: Buffer,
  start: number,
  from: number,
  into: StoredMessage[],
): string {
  if (header.count > (bytes.length - start) / RECORD_BYTES_MIN) return 'it holds fewer records than it says'
  const before = into.length
  cursor.begin(bytes, start)
  const fault = walkRecords(topic, partition, header, from, into)
  cursor.begin(NO_BYTES, 0)
  if (fault !== '') into.length = before
  return fault
}

function walkRecords(
  topic: string,
  partition: number,
  { count, baseOffset, firstMs, appendTime, maxMs }: BatchHeader,
  from: number,
  into: StoredMessage[],
): string {
  const { bytes } = cursor
  // Messages of a batch mostly bear the same headers.
  let headers = NONE
  let headersFrom = 0
  let headersTo = 0
  for (let i = 0; i < count; i++) {
    const length = cursor.varint()
    const end = cursor.at + length
    if (cursor.bad || length < RECORD_BYTES_MIN - 1 || end > bytes.length) return 'a record is cut short'
    cursor.at++
    const timestampMs = appendTime ? maxMs : firstMs + cursor.varint()
    const offset = baseOffset + (appendTime ? skipped() : cursor.varint())
    const keyLength = cursor.varint()
    const keyAt = cursor.at
    if (keyLength > 0) cursor.at += keyLength
    const valueLength = cursor.varint()
    const valueAt = cursor.at
    if (valueLength > 0) cursor.at += valueLength
    if (cursor.bad || cursor.at > end) return 'a record contradicts itself'
    const size = end - cursor.at
    if (size !== headersTo - headersFrom || !sameBytes(bytes, headersFrom, cursor.at, size)) {
      headersFrom = cursor.at
      headersTo = end
      const read = readHeaders(end)
      if (read === undefined) return 'the headers of a record contradict themselves'
      headers = read
    }
    cursor.at = end
    if (offset < from) continue
    into.push({
      topic,
      partition,
      offset,
      key: keyLength < 0 ? null : textOrNull(bytes.subarray(keyAt, keyAt + keyLength)),
      value: valueLength <= 0 ? EMPTY : bytes.subarray(valueAt, valueAt + valueLength),
      headers,
      timestampMs,
    })
  }
  return ''
}

/** The time of a record does not count, its offset does. */
function skipped(): number {
  cursor.varint()
  return cursor.varint()
}

function sameBytes(bytes: Buffer, a: number, b: number, size: number): boolean {
  for (let i = 0; i < size; i++) if (bytes[a + i] !== bytes[b + i]) return false
  return true
}

/** Of several of one name the first counts. */
function readHeaders(end: number): Readonly<Record<string, string>> | undefined {
  const count = cursor.varint()
  if (cursor.bad || count < 0 || count > end - cursor.at) return undefined
  if (count === 0) return cursor.at === end ? NONE : undefined
  const headers: Record<string, string> = {}
  for (let i = 0; i < count; i++) {
    const name = part(end)
    const value = part(end)
    if (name === undefined || value === undefined) return undefined
    if (!Object.hasOwn(headers, name)) headers[name] = value
  }
  return cursor.at === end ? headers : undefined
}

function part(end: number): string | undefined {
  const length = cursor.varint()
  if (cursor.bad || length > end - cursor.at) return undefined
  if (length <= 0) return ''
  cursor.at += length
  return cursor.bytes.toString('utf8', cursor.at - length, cursor.at)
}

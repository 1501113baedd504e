import { ForeshockError } from '../core/errors.ts'
import type { StoredMessage } from '../core/stream.ts'
import { crc32c } from '../math/crc32c.ts'
import { COMPRESSION, gunzip, INFLATED_MAX, lz4Unframe, snappyUnframe, zstdUnframe } from './kafka-codecs.ts'
import {
  type BatchHeader,
  batchHeader,
  CHECKED_AT,
  headerFault,
  marksAbort,
  RECORDS_AT,
  readBatchHeader,
  readRecords,
} from './record-batch.ts'
import { recordsKernel } from './records-kernel.ts'

/** A transaction that was given up: what its producer wrote from this offset on, up to its marker, was never said. */
export interface Aborted {
  readonly producerId: bigint
  readonly firstOffset: number
}

/** What of a partition was asked for and came. */
export interface RecordSet {
  readonly topic: string
  readonly partition: number
  /** Messages before this offset were not asked for; batches come whole. */
  readonly from: number
  /** Offset after the last message there is. */
  readonly end: number
  readonly bytes: Buffer
  readonly aborted: readonly Aborted[]
  /** The bytes will be written over: nothing that was read may refer to them. */
  readonly isLent?: boolean
  /** Gives memory for values; memory of their own unless given. */
  readonly room?: ((bytes: number) => Buffer) | undefined
}

/**
 * Messages of whole batches in their order, without those of aborted transactions, and the offset to go on from. A batch that cannot
 * be read comes as one message with its bytes and its `fault`.
 */
export function readRecordSet(set: RecordSet): {
  readonly messages: readonly StoredMessage[]
  readonly next: number
} {
  const { from, bytes, aborted } = set
  const messages: StoredMessage[] = []
  const header = batchHeader()
  const pending = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  const lost = new Set<bigint>()
  let next = from
  for (let at = 0; readBatchHeader(bytes, at, header); at += header.size) {
    const batch = bytes.subarray(at, at + header.size)
    const broken = headerFault(header) || checksumFault(header, batch)
    // Nothing of a broken batch can be trusted, not even how far it reaches.
    if (broken !== '') header.lastOffset = lastOfBroken(set, header, at + header.size)
    const { lastOffset, control, transactional, producerId } = header
    if (lastOffset < from) continue
    if (broken !== '') {
      messages.push(unreadable(set, header, own(set, batch), broken))
      next = Math.max(next, lastOffset + 1)
      continue
    }
    while (pending.length > 0 && pending[0].firstOffset <= lastOffset)
      lost.add((pending.shift() as Aborted).producerId)
    next = Math.max(next, lastOffset + 1)
    if (control) {
      if (marksAbort(batch)) lost.delete(producerId)
      continue
    }
    if (transactional && lost.has(producerId)) continue
    const fault = readBatch(set, header, batch, messages)
    if (fault !== '') messages.push(unreadable(set, header, own(set, batch), fault))
  }
  return { messages, next }
}

/** Puts the batch where `inflate` finds it. */
function checksumFault({ crc }: BatchHeader, batch: Buffer): string {
  const fast = recordsKernel()
  fast?.load(batch)
  const found = fast ? fast.crc32c(CHECKED_AT) : crc32c(batch, CHECKED_AT, batch.length)
  return found === crc ? '' : 'its checksum does not fit its bytes'
}

/** What it says itself, as far as that agrees with where the next batch begins and the partition ends. */
function lastOfBroken(
  { bytes, end }: RecordSet,
  { baseOffset, lastOffset }: BatchHeader,
  behind: number,
): number {
  const after = batchHeader()
  const before = readBatchHeader(bytes, behind, after) ? after.baseOffset : end
  return Math.max(baseOffset, Math.min(lastOffset, before - 1))
}

/** The batch for as long as the messages last. */
function own({ isLent, room }: RecordSet, batch: Buffer): Buffer {
  return isLent ? copied(batch, room) : batch
}

function copied(bytes: Uint8Array, room: RecordSet['room']): Buffer {
  if (room === undefined) return Buffer.from(bytes)
  const copy = room(bytes.length)
  copy.set(bytes)
  return copy
}

/** '' or why the batch, which is loaded, cannot be read. */
function readBatch(set: RecordSet, header: BatchHeader, batch: Buffer, into: StoredMessage[]): string {
  const { topic, partition, from, room } = set
  if (header.codec === COMPRESSION.none)
    return readRecords(topic, partition, header, own(set, batch), RECORDS_AT, from, into)
  try {
    const inflated = inflate(header.codec, batch, room)
    return readRecords(topic, partition, header, inflated, 0, from, into)
  } catch (error) {
    return `it cannot be inflated: ${error instanceof Error ? error.message : String(error)}`
  }
}

function inflate(codec: number, batch: Buffer, room: RecordSet['room']): Buffer {
  const packed = batch.subarray(RECORDS_AT)
  switch (codec) {
    case COMPRESSION.lz4: {
      const lent = recordsKernel()?.lz4(RECORDS_AT, INFLATED_MAX)
      // What the kernel does not read its twin does not either, and says why.
      return lent ? copied(lent, room) : lz4Unframe(packed)
    }
    case COMPRESSION.gzip:
      return gunzip(packed)
    case COMPRESSION.snappy:
      return snappyUnframe(packed)
    case COMPRESSION.zstd:
      return zstdUnframe(packed)
    default:
      throw new ForeshockError('FS_INPUT_INVALID', `there is no compression ${codec}`)
  }
}

/** Stands at the last offset of the batch, so that who has taken it goes on behind it. */
function unreadable(
  { topic, partition, from }: RecordSet,
  { baseOffset, lastOffset, maxMs }: BatchHeader,
  batch: Buffer,
  why: string,
): StoredMessage {
  const timestampMs = maxMs >= 0 ? maxMs : 0
  const fault = `the batch of offsets ${baseOffset} to ${lastOffset} cannot be read: ${why}`
  const offset = Math.max(lastOffset, from)
  return { topic, partition, offset, key: null, value: batch, headers: {}, timestampMs, fault }
}

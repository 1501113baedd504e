import { ByteWriter } from '../core/byte-writer.ts'
import type { StreamMessage } from '../core/stream.ts'
import { crc32c } from '../math/crc32c.ts'
import { packed } from './kafka-codecs.ts'
import {
  CHECKED_AT,
  COUNT_AT,
  COUNTED_AT,
  CRC_AT,
  FIRST_TIME_AT,
  LAST_DELTA_AT,
  LENGTH_AT,
  MAGIC,
  MAGIC_AT,
  MAX_TIME_AT,
  PRODUCER_AT,
  RECORDS_AT,
  TRANSACTIONAL,
} from './record-batch.ts'
import { recordsKernel } from './records-kernel.ts'
import type { Room } from './room.ts'

/** Behind the producer's number: its epoch, and the number of the first record among those it wrote into the partition. */
const EPOCH_AT = PRODUCER_AT + 8
const SEQUENCE_AT = PRODUCER_AT + 10

/** Messages that are to stand in one partition, next to each other. */
export interface BatchPlan {
  readonly messages: readonly StreamMessage[]
  /** Kafka's number of the compression. */
  readonly codec: number
  readonly isTransactional: boolean
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly firstSequence: number
}

/** One of each for all, since a batch is put together without a pause: they grow to the largest there was. */
const records = new ByteWriter()
const headers = new ByteWriter()

/** Puts a record batch (format 2) at the end of what is in the room. Throws where there is no compression of the number. */
export async function writeBatch(plan: BatchPlan, room: Room): Promise<void> {
  const { messages, codec, isTransactional, producerId, producerEpoch, firstSequence } = plan
  const times = messages.map(({ timestampMs }) => Math.floor(timestampMs))
  const firstMs = times.reduce((a, b) => Math.min(a, b))
  const lastMs = times.reduce((a, b) => Math.max(a, b))
  writeRecords(messages, times, firstMs)
  const body = packed(codec, records.lend())
  const at = room.grow(RECORDS_AT)
  // What the kernel lends lasts until something else is asked of it: a promise is waited for, and nothing else.
  room.put(body instanceof Promise ? await body : body)
  const batch = room.bytes.subarray(at, room.length)
  batch.fill(0, 0, RECORDS_AT)
  batch.writeInt32BE(batch.length - COUNTED_AT, LENGTH_AT)
  batch.writeInt8(MAGIC, MAGIC_AT)
  batch.writeInt16BE(codec | (isTransactional ? TRANSACTIONAL : 0), CHECKED_AT)
  batch.writeInt32BE(messages.length - 1, LAST_DELTA_AT)
  batch.writeBigInt64BE(BigInt(firstMs), FIRST_TIME_AT)
  batch.writeBigInt64BE(BigInt(lastMs), MAX_TIME_AT)
  batch.writeBigInt64BE(producerId, PRODUCER_AT)
  batch.writeInt16BE(producerEpoch, EPOCH_AT)
  batch.writeInt32BE(firstSequence, SEQUENCE_AT)
  batch.writeInt32BE(messages.length, COUNT_AT)
  batch.writeUInt32BE(checksum(batch), CRC_AT)
}

function checksum(batch: Buffer): number {
  const kernel = recordsKernel()
  if (kernel === undefined) return crc32c(batch, CHECKED_AT, batch.length)
  kernel.load(batch)
  return kernel.crc32c(CHECKED_AT)
}

function writeRecords(messages: readonly StreamMessage[], times: readonly number[], firstMs: number): void {
  records.clear()
  for (const [i, message] of messages.entries()) {
    const { value } = message
    const key = message.key === null ? null : Buffer.from(message.key)
    writeHeaders(message.headers)
    const keyBytes = signedBytes(key?.length ?? -1) + (key?.length ?? 0)
    const valueBytes = signedBytes(value.length) + value.length
    const times_ = signedBytes(times[i] - firstMs) + signedBytes(i)
    records.signed(1 + times_ + keyBytes + valueBytes + headers.length)
    records.varint(0) // no attributes
    records.signed(times[i] - firstMs)
    records.signed(i)
    records.signed(key?.length ?? -1)
    if (key !== null) records.bytes(key)
    records.signed(value.length)
    records.bytes(value)
    records.bytes(headers.lend())
  }
}

function writeHeaders(all: Readonly<Record<string, string>>): void {
  headers.clear()
  const names = Object.keys(all)
  headers.signed(names.length)
  for (const name of names) {
    for (const text of [name, all[name]]) {
      const bytes = Buffer.from(text)
      headers.signed(bytes.length)
      headers.bytes(bytes)
    }
  }
}

/** Bytes of a zigzag varint. */
function signedBytes(value: number): number {
  let bytes = 1
  for (let rest = value < 0 ? -2 * value - 1 : 2 * value; rest >= 0x80; rest /= 128) bytes++
  return bytes
}

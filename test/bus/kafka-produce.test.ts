// Shows that requests to write are put together byte for byte as kafkajs does it (the oracle), whatever is in them, however it is
// compressed and however little room there is at first; that they are read back as what was written; and that an answer's error is
// thrown wherever it stands.
import { createRequire } from 'node:module'
import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { COMPRESSION } from '../../src/bus/kafka-codecs.ts'
import { type ProducedBatch, readProduced, writeProduce } from '../../src/bus/kafka-produce.ts'
import { readRecordSet } from '../../src/bus/kafka-records.ts'
import { writeBatch } from '../../src/bus/record-batch-writer.ts'
import { Room } from '../../src/bus/room.ts'
import { Slabs } from '../../src/bus/slabs.ts'
import type { StreamMessage } from '../../src/core/stream.ts'
import { registerCodecs } from './kafkajs-codecs.ts'

const require = createRequire(import.meta.url)
const produceRequest = require('kafkajs/src/protocol/requests/produce/v7/request') as (
  asked: object,
) => object
const createRequest = require('kafkajs/src/protocol/request') as (
  asked: object,
) => Promise<{ buffer: Buffer }>

const T0 = 1_700_000_000_000
const WAIT_MS = 15_000

const name = fc.string({ unit: 'grapheme', maxLength: 12 }).filter(text => text !== '__proto__')
const message: fc.Arbitrary<StreamMessage> = fc.record({
  key: fc.option(fc.string({ unit: 'grapheme', maxLength: 20 })),
  value: fc.oneof(fc.uint8Array({ maxLength: 400 }), fc.constant(new Uint8Array(300_000).fill(9))),
  headers: fc.dictionary(name, name, { maxKeys: 3 }),
  timestampMs: fc.double({ min: T0 - 10 ** 10, max: T0 + 10 ** 10, noNaN: true }),
})
const request = fc.record({
  codec: fc.constantFrom(...Object.values(COMPRESSION)),
  transactionalId: fc.option(
    name.filter(text => text !== ''),
    { nil: undefined },
  ),
  producerId: fc.bigInt({ min: 0n, max: 2n ** 53n }),
  producerEpoch: fc.nat(32_767),
  topics: fc.dictionary(
    name,
    fc.array(
      fc.record({
        firstSequence: fc.nat(2 ** 31 - 1),
        messages: fc.array(message, { minLength: 1, maxLength: 5 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    { minKeys: 1, maxKeys: 2 },
  ),
})
type Asked = typeof request extends fc.Arbitrary<infer T> ? T : never

beforeAll(() => registerCodecs())

function batchesOf({ codec, transactionalId, producerId, producerEpoch, topics }: Asked) {
  const isTransactional = transactionalId !== undefined
  return new Map(
    Object.entries(topics).map(([topic, list]): [string, ProducedBatch[]] => [
      topic,
      list.map((one, partition) => ({
        ...one,
        partition,
        codec,
        isTransactional,
        producerId,
        producerEpoch,
      })),
    ]),
  )
}

/** What kafkajs sends, under the number 0. */
async function oracle({ codec, transactionalId, producerId, producerEpoch, topics }: Asked): Promise<Buffer> {
  const topicData = Object.entries(topics).map(([topic, list]) => ({
    topic,
    partitions: list.map(({ firstSequence, messages }, partition) => ({
      partition,
      firstSequence,
      messages: messages.map(({ key, value, headers, timestampMs }) => ({
        key: key === null ? null : Buffer.from(key),
        value: Buffer.from(value),
        headers,
        timestamp: String(Math.floor(timestampMs)),
      })),
    })),
  }))
  const asked = produceRequest({
    acks: -1,
    timeout: WAIT_MS,
    transactionalId,
    producerId: String(producerId),
    producerEpoch,
    compression: codec,
    topicData,
  })
  const { buffer } = await createRequest({ correlationId: 0, clientId: 'test-ü', request: asked })
  return buffer
}

it('a request to write is byte for byte that of kafkajs', async () => {
  const slabs = new Slabs()
  await fc.assert(
    fc.asyncProperty(request, fc.constantFrom(1, 2_000_000), async (asked, bytes) => {
      const room = new Room(slabs, bytes)
      const { transactionalId } = asked
      const topics = batchesOf(asked)
      await writeProduce({ transactionalId, waitMs: WAIT_MS, topics, bytes }, 'test-ü', room)
      expect(room.bytes.equals(await oracle(asked))).toBe(true)
      room.giveBack()
    }),
    { numRuns: 150 },
  )
})

it('what is written is what is read', async () => {
  const slabs = new Slabs()
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.values(COMPRESSION)),
      fc.array(message, { minLength: 1, maxLength: 20 }),
      async (codec, messages) => {
        const room = new Room(slabs, 1)
        const producer = { isTransactional: false, producerId: 7n, producerEpoch: 1, firstSequence: 3 }
        await writeBatch({ ...producer, messages, codec }, room)
        const set = { topic: 't', partition: 0, from: 0, end: messages.length, aborted: [] }
        const read = readRecordSet({ ...set, bytes: Buffer.from(room.bytes) })
        room.giveBack()
        expect(read.next).toBe(messages.length)
        const plain = (one: StreamMessage) => [
          one.key,
          Buffer.from(one.value).toString('hex'),
          one.headers,
          Math.floor(one.timestampMs),
        ]
        expect(read.messages.map(plain)).toEqual(messages.map(plain))
      },
    ),
    { numRuns: 60 },
  )
})

it('an answer says how long nothing more is to be sent, or what failed, wherever that stands', () => {
  const answer = (codes: readonly (readonly number[])[]): Buffer => {
    const room = new Room(new Slabs(), 1)
    room.int32(codes.length)
    for (const [t, partitions] of codes.entries()) {
      room.text(`topic-${t}`)
      room.int32(partitions.length)
      for (const [p, code] of partitions.entries()) {
        room.int32(p)
        room.int16(code)
        room.put(new Uint8Array(24).fill(0xff))
      }
    }
    room.int32(120)
    return room.bytes
  }
  expect(readProduced(answer([[0, 0], [0]]))).toBe(120)
  expect(() => readProduced(answer([[0, 0], [6]]))).toThrow(
    expect.objectContaining({ type: 'NOT_LEADER_FOR_PARTITION' }),
  )
  expect(() => readProduced(answer([[0, 10], [0]]))).toThrow(
    expect.objectContaining({ type: 'MESSAGE_TOO_LARGE' }),
  )
})

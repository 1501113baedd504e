// Shows that record batches are read as kafkajs writes them (the oracle), whatever is in them and however they were compressed; that
// what a given-up transaction wrote, markers and what was not asked for are left out; and that broken bytes never crash: they come as one
// message with its fault, and reading goes on behind it.
import { createRequire } from 'node:module'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { COMPRESSION } from '../../src/bus/kafka-codecs.ts'
import { readAnswer } from '../../src/bus/kafka-fetch.ts'
import { readRecordSet } from '../../src/bus/kafka-records.ts'
import { RECORDS_AT } from '../../src/bus/record-batch.ts'
import type { StoredMessage } from '../../src/core/stream.ts'
import { crc32c } from '../../src/math/crc32c.ts'
import { registerCodecs } from './kafkajs-codecs.ts'

const require = createRequire(import.meta.url)
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch(options: object): Promise<{ readonly buffer: Buffer }>
}
const record = require('kafkajs/src/protocol/recordBatch/record/v0') as (options: object) => object

interface Written {
  readonly key: string | null
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  readonly timestampMs: number
}

interface Options {
  readonly first?: number
  readonly compression?: number
  readonly transactional?: boolean
  readonly producerId?: number
}

const T0 = 1_700_000_000_000

async function batchOf(messages: readonly Written[], options: Options = {}): Promise<Buffer> {
  const { first = 0, compression = 0, transactional = false, producerId = -1 } = options
  const records = messages.map(({ key, value, headers, timestampMs }, i) =>
    record({
      offsetDelta: i,
      timestampDelta: timestampMs - T0,
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(value),
      headers,
    }),
  )
  const { buffer } = await RecordBatch({
    firstOffset: first,
    firstTimestamp: T0,
    maxTimestamp: T0 + 1,
    lastOffsetDelta: messages.length - 1,
    compression,
    transactional,
    producerId,
    records,
  })
  return Buffer.from(buffer)
}

/** Changes the attributes of a batch, with the checksum that belongs to them. */
function changed(batch: Buffer, change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(batch)
  change(bytes)
  bytes.writeUInt32BE(crc32c(bytes, 21, bytes.length), 17)
  return bytes
}

const readAll = (bytes: Buffer, from = 0, aborted: { producerId: bigint; firstOffset: number }[] = []) =>
  readRecordSet({ topic: 't', partition: 3, from, end: 2 ** 40, bytes, aborted })

const plain = ({ key, value, headers, timestampMs, offset }: StoredMessage) => ({
  key,
  value: Buffer.from(value).toString('hex'),
  headers,
  timestampMs,
  offset,
})

const name = fc.string({ unit: 'grapheme', maxLength: 12 }).filter(text => text !== '__proto__')
const message = fc.record({
  key: fc.option(fc.string({ unit: 'grapheme', maxLength: 20 })),
  value: fc.oneof(fc.uint8Array({ maxLength: 400 }), fc.constant(new Uint8Array(70_000).fill(9))),
  headers: fc.dictionary(name, name, { maxKeys: 3 }),
  timestampMs: fc.integer({ min: T0 - 10 ** 10, max: T0 + 10 ** 10 }),
})

beforeAll(() => registerCodecs())

describe('record batches', () => {
  it('are read as kafkajs writes them, compressed or not', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(message, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...Object.values(COMPRESSION)),
        fc.nat(20),
        async (batches, compression, skip) => {
          const parts: Buffer[] = []
          const expected: object[] = []
          let first = 2 ** 33
          for (const messages of batches) {
            parts.push(await batchOf(messages, { first, compression }))
            for (const [i, one] of messages.entries())
              expected.push({ ...one, value: Buffer.from(one.value).toString('hex'), offset: first + i })
            first += messages.length
          }
          const from = 2 ** 33 + skip
          const { messages, next } = readAll(Buffer.concat(parts), from)
          expect(messages.map(plain)).toEqual(expected.slice(skip))
          expect(next).toBe(Math.max(first, from))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('are left for the next answer where they are cut off', async () => {
    const messages = [{ key: 'a', value: Buffer.from('x'.repeat(100)), headers: {}, timestampMs: T0 }]
    const bytes = Buffer.concat([await batchOf(messages), await batchOf(messages, { first: 1 })])
    for (let length = 0; length < bytes.length; length++)
      expect(readAll(bytes.subarray(0, length)).next).toBe(length < bytes.length / 2 ? 0 : 1)
  })

  it('leave out what was given up, and markers; numbers taken out by compaction are passed over', async () => {
    const one = (text: string) => ({ key: null, value: Buffer.from(text), headers: {}, timestampMs: T0 })
    const inTransaction = (text: string, first: number, producerId: number) =>
      batchOf([one(text)], { first, transactional: true, producerId })
    const marker = async (kind: number, first: number, producerId: number) => {
      const key = Buffer.from([0, 0, 0, kind])
      const bytes = await batchOf([{ ...one(''), key: key.toString('latin1') }], { first, producerId })
      return changed(bytes, batch => batch.writeUInt16BE(0x30, 21))
    }
    const bytes = Buffer.concat([
      await inTransaction('given up', 0, 7),
      await inTransaction('kept', 1, 8),
      await batchOf([one('outside')], { first: 2, producerId: 7 }),
      await marker(0, 3, 7),
      await inTransaction('another of 7', 4, 7),
      await marker(1, 5, 8),
      changed(await batchOf([one('compacted')], { first: 6 }), batch => batch.writeInt32BE(9, 23)),
    ])
    const { messages, next } = readAll(bytes, 0, [{ producerId: 7n, firstOffset: 0 }])
    expect(messages.map(({ value }) => Buffer.from(value).toString())).toEqual([
      'kept',
      'outside',
      'another of 7',
      'compacted',
    ])
    expect(next).toBe(16)
    expect(readAll(bytes.subarray(0, 0), 5)).toEqual({ messages: [], next: 5 })
  })

  it('bear the time at which the broker took them where it says so', async () => {
    const bytes = await batchOf([{ key: null, value: Buffer.from('x'), headers: {}, timestampMs: T0 + 5 }])
    const [{ timestampMs }] = readAll(changed(bytes, batch => batch.writeUInt16BE(0x08, 21))).messages
    expect(timestampMs).toBe(T0 + 1)
  })
})

describe('broken batches', () => {
  const good = { key: 'k', value: Buffer.from('foreshock '.repeat(50)), headers: { a: 'b' }, timestampMs: T0 }

  it.each(Object.entries(COMPRESSION))(
    'of %s come as one message with their fault',
    async (_, compression) => {
      const options = { first: 5, compression }
      const bad = await batchOf([good, good, good], options)
      const after = await batchOf([good], { first: 8, compression })
      fc.assert(
        fc.property(
          fc.integer({ min: 21, max: bad.length - 1 }),
          fc.integer({ min: 1, max: 255 }),
          (at, bits) => {
            const bytes = Buffer.from(bad)
            bytes[at] ^= bits
            const { messages, next } = readAll(Buffer.concat([bytes, after]), 5)
            expect(messages.map(({ fault }) => fault === undefined)).toEqual([false, true])
            // How far it reaches may be what is broken: never over the next.
            const [{ offset, value, fault }, { offset: good }] = messages
            if (at < 23 || at > 26) expect(offset).toBe(7)
            expect(offset).toBeGreaterThanOrEqual(5)
            expect(offset).toBeLessThanOrEqual(7)
            expect(fault).toMatch(/^the batch of offsets 5 to \d cannot be read: its (checksum|header)/)
            expect(Buffer.compare(value, bytes)).toBe(0)
            expect([good, next]).toEqual([8, 9])
          },
        ),
      )
    },
  )

  it.each(Object.entries(COMPRESSION))('of %s with a right checksum never crash', async (_, compression) => {
    const whole = await batchOf([good, good, good], { compression })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        changes => {
          const bytes = changed(whole, batch => {
            for (const [at, byte] of changes) batch[RECORDS_AT + (at % (batch.length - RECORDS_AT))] = byte
          })
          const { messages, next } = readAll(bytes)
          expect(next).toBe(3)
          for (const { fault = 'the batch' } of messages) expect(fault).toMatch(/^the batch/)
          expect(messages.length).toBeLessThanOrEqual(3)
        },
      ),
    )
  })

  it('of an old format, an unknown compression or with too many records say so', async () => {
    const bytes = await batchOf([good])
    const faults = [
      changed(bytes, batch => batch.writeInt8(1, 16)),
      changed(bytes, batch => batch.writeUInt16BE(7, 21)),
      changed(bytes, batch => batch.writeInt32BE(2 ** 30, 57)),
    ].map(batch => readAll(batch).messages[0].fault)
    expect(faults[0]).toContain('its format is 1')
    expect(faults[1]).toContain('there is no compression 7')
    expect(faults[2]).toContain('fewer records than it says')
  })

  it('an answer that is noise is an error, not a hang', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), noise => {
        try {
          readAnswer(Buffer.from(noise))
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }),
    )
  })
})

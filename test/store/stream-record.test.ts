// Shows that the record in a partition of a topic keeps the contract of every record, that its lines chain as those of files
// do, that two owners shut each other out, and that what a crash repeats is dropped, together with what is told of it.
import { describe, expect, it } from 'vitest'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import type { RecordLine } from '../../src/core/ports.ts'
import { type StoredMessage, type StreamTransactor, TOPICS } from '../../src/core/stream.ts'
import { StreamRecord } from '../../src/store/stream-record.ts'
import { verifyStream } from '../../src/store/verify-stream-record.ts'
import { audit, lines, recordContract } from './record-contract.ts'

const topics = { [TOPICS.record]: 2, [TOPICS.disruptions]: 1 }
const log = () => new MemoryLog({ topics })

function open(held: MemoryLog, options: Partial<Parameters<typeof StreamRecord.open>[0]> = {}) {
  return StreamRecord.open({ streams: new MemoryStreams(held), name: 'stage-0', partition: 0, ...options })
}

const draft = (id: string) => ({
  id,
  timeMs: 5,
  entry: audit(id),
  told: [
    {
      topic: TOPICS.disruptions,
      message: { key: id, value: Buffer.from(id), headers: {}, timestampMs: 5 },
    },
  ],
})

const texts = (messages: readonly StoredMessage[]) =>
  messages.map(({ value }) => Buffer.from(value).toString())

recordContract('StreamRecord', () => open(log()))

describe('record in a topic', () => {
  it('chains its lines, and says where the chain breaks', async () => {
    const held = log()
    const record = await open(held)
    for (let i = 0; i < 5; i++) await record.append(`id${i}`, i, audit(i))
    const streams = new MemoryStreams(held)
    expect(await verifyStream(streams, 0)).toMatchObject({ entries: 5, seq: 5, hash: record.place.hash })
    const kept = held.topic(TOPICS.record)[0]
    const [text] = texts([kept[2]])
    kept[2] = { ...kept[2], value: Buffer.from(text.replace('"detail":2', '"detail":7')) }
    expect(await verifyStream(streams, 0)).toMatchObject({ entries: 2, firstBreak: { line: 3 } })
    await expect(open(held)).rejects.toMatchObject({ code: 'FS_LOG_CORRUPT' })
    kept[2] = { ...kept[2], value: Buffer.from(text) }
    kept.splice(2, 1)
    expect((await verifyStream(streams, 0)).firstBreak?.reason).toMatch('missing')
  })

  it('tells the world of a line together with it, and of a known one not again', async () => {
    const held = log()
    const first = await open(held)
    expect(await first.commit([draft('a'), draft('b'), draft('a')])).toEqual([true, true, false])
    const second = await open(held)
    expect(await second.commit([draft('b'), draft('c')])).toEqual([false, true])
    expect(texts(held.topic(TOPICS.disruptions)[0])).toEqual(['a', 'b', 'c'])
    expect((await lines(second)).map(({ seq, id }) => [seq, id])).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ])
  })

  it('shuts out whoever had it before', async () => {
    const held = log()
    const former = await open(held)
    await former.append('a', 1, audit(1))
    const present = await open(held)
    await expect(former.append('b', 2, audit(2))).rejects.toMatchObject({ code: 'FS_FENCED' })
    expect(await present.append('b', 2, audit(2))).toBe(true)
    expect((await lines(present)).map(line => line.id)).toEqual(['a', 'b'])
  })

  it('opened from a place, it knows the ids that came after, and goes on with the chain', async () => {
    const held = log()
    const former = await open(held)
    for (let i = 0; i < 3; i++) await former.append(`id${i}`, i, audit(i))
    const { place } = former
    for (let i = 3; i < 6; i++) await former.append(`id${i}`, i, audit(i))
    const seen: RecordLine[] = []
    const later = await open(held, { from: place, onLine: line => seen.push(line) })
    expect(seen.map(line => line.seq)).toEqual([4, 5, 6])
    expect(await later.append('id4', 4, audit(4))).toBe(false)
    expect(await later.append('id6', 6, audit(6))).toBe(true)
    expect(later.place).toMatchObject({ offset: 7, seq: 7 })
    expect(await verifyStream(new MemoryStreams(held), 0)).toMatchObject({ entries: 7 })
    await expect(open(log(), { from: place })).rejects.toMatchObject({ code: 'FS_LOG_CORRUPT' })
  })

  it('is opened anew after an error of which nobody knows what it left, and finds what stands there', async () => {
    const held = log()
    const streams = new MemoryStreams(held)
    const transactor = streams.transactor.bind(streams)
    let isCut = true
    // The answer is lost on its way: everything was written.
    streams.transactor = async name => {
      const real = await transactor(name)
      const cut: StreamTransactor = {
        send: async sends => {
          await real.send(sends)
          if (isCut) throw new Error('connection lost')
        },
        close: () => real.close(),
      }
      return cut
    }
    const record = await open(held, { streams })
    await expect(record.commit([draft('a'), draft('b')])).rejects.toThrow('connection lost')
    isCut = false
    await expect(record.commit([draft('a')])).rejects.toThrow('connection lost')
    const anew = await open(held, { streams })
    expect(await anew.commit([draft('a'), draft('b'), draft('c')])).toEqual([false, false, true])
    expect(texts(held.topic(TOPICS.disruptions)[0])).toEqual(['a', 'b', 'c'])
  })

  it('passes over the offsets that an engine uses for itself', async () => {
    const held = log()
    const former = await open(held)
    for (let i = 0; i < 4; i++) await former.append(`id${i}`, i, audit(i))
    // As Kafka's marks of a transaction: the place that was counted lies before the one that is.
    const later = await open(held, { from: { ...former.place, offset: 2 } })
    expect(await later.append('id4', 4, audit(4))).toBe(true)
    expect((await lines(later)).map(line => line.seq)).toEqual([1, 2, 3, 4, 5])
  })

  it('splits what is too much for one transaction, in order', async () => {
    const held = log()
    const record = await open(held)
    const many = Array.from({ length: 1234 }, (_, i) => draft(`id${i}`))
    expect((await record.commit(many)).every(Boolean)).toBe(true)
    expect(await verifyStream(new MemoryStreams(held), 0)).toMatchObject({ entries: 1234 })
    expect(held.topic(TOPICS.disruptions)[0].length).toBe(1234)
  })
})

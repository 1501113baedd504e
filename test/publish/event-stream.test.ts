// The stream hands events to listeners in order, resumes after any event from memory or from the record without loss
// or repetition, waits for slow listeners within bounds and cuts them off beyond.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DisruptionEvent } from '../../src/core/disruption.ts'
import { EventStream } from '../../src/publish/event-stream.ts'
import { MemoryRecord } from '../../src/store/memory-record.ts'
import { event } from '../store/samples.ts'

function listener(room = Number.POSITIVE_INFINITY) {
  const got: string[] = []
  const ended: string[] = []
  let left = room
  return {
    got,
    ended,
    more: (count: number) => {
      left += count
    },
    to: {
      send: (one: DisruptionEvent) => {
        got.push(one.id)
        return --left > 0
      },
      end: (reason: string) => void ended.push(reason),
    },
  }
}

const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `dis_${from + i}.1`)
const settle = () => new Promise(done => setImmediate(done))

describe('event stream', () => {
  it('sends live events to everyone, none from before', async () => {
    const stream = new EventStream()
    await stream.publish(event('dis_1'))
    const [a, b] = [listener(), listener()]
    stream.subscribe(undefined, a.to)
    const subscription = stream.subscribe('', b.to)
    await stream.publish(event('dis_2'))
    subscription?.close()
    await stream.publish(event('dis_3'))
    expect(a.got).toEqual(['dis_2.1', 'dis_3.1'])
    expect(b.got).toEqual(['dis_2.1'])
    expect(stream.listeners).toBe(1)
    await stream.close()
    expect(a.ended).toEqual(['closed'])
    expect(stream.listeners).toBe(0)
  })

  it('resumes after any event, without loss or repetition, while new ones arrive', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.nat(40),
        fc.boolean(),
        async (count, later, fresh) => {
          const record = new MemoryRecord()
          let stream = new EventStream(record)
          const publish = async (i: number) => {
            const one = event(`dis_${i}`)
            await record.append(one.id, one.timeMs, { type: 'disruption', event: one })
            await stream.publish(one)
          }
          for (let i = 1; i <= count; i++) await publish(i)
          if (fresh) stream = new EventStream(record) // restarted: memory is empty
          const last = 1 + (later % count)
          const one = listener()
          stream.subscribe(`dis_${last}.1`, one.to)
          for (let i = count + 1; i <= count + later; i++) await publish(i)
          await settle()
          expect(one.got).toEqual(ids(last + 1, count + later))
        },
      ),
    )
  })

  it('reads the record once, however many come back after a restart', async () => {
    let reads = 0
    class Record extends MemoryRecord {
      override read() {
        reads++
        return super.read()
      }
    }
    const record = new Record()
    const count = 3000
    const told = (i: number) => ({ type: 'disruption' as const, event: event(`dis_${i}`) })
    for (let i = 1; i <= count; i++) await record.append(`dis_${i}.1`, i, told(i))
    const stream = new EventStream(record)
    const [near, far, live] = [listener(), listener(), listener()]
    stream.subscribe(`dis_${count - 2}.1`, near.to)
    stream.subscribe('dis_1.1', far.to)
    await stream.publish(event(`dis_${count + 1}`))
    await settle()
    stream.subscribe('unheard of', live.to)
    await settle()
    expect(near.got).toEqual(ids(count - 1, count + 1))
    expect(far.got).toEqual(ids(count - 998, count + 1))
    expect(live.got).toEqual(far.got)
    expect(reads).toBe(1)
  })

  it('sends all it has to one who names an unknown event', async () => {
    const stream = new EventStream(new MemoryRecord())
    for (let i = 1; i <= 5; i++) await stream.publish(event(`dis_${i}`))
    const one = listener()
    stream.subscribe('nonsense', one.to)
    await settle()
    expect(one.got).toEqual(ids(1, 5))
  })

  it('waits for a slow listener and cuts off one that stays behind', async () => {
    const stream = new EventStream()
    const slow = listener(2)
    const subscription = stream.subscribe(undefined, slow.to)
    for (let i = 1; i <= 10; i++) await stream.publish(event(`dis_${i}`))
    expect(slow.got).toEqual(ids(1, 2))
    expect(subscription?.queued).toBe(8)
    slow.more(100)
    subscription?.drained()
    expect(slow.got).toEqual(ids(1, 10))
    const stuck = listener(1)
    stream.subscribe(undefined, stuck.to)
    for (let i = 11; i <= 3000; i++) await stream.publish(event(`dis_${i}`))
    expect(stuck.got).toEqual(ids(11, 11))
    expect(stuck.ended).toEqual(['slow'])
  })

  it('bounds its listeners', () => {
    const stream = new EventStream()
    const all = Array.from({ length: 1001 }, () => stream.subscribe(undefined, listener().to))
    expect(all.filter(one => one === undefined).length).toBe(1)
  })
})

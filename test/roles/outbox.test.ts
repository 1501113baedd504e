// Shows that an outbox writes what it is given in order and without gaps, however often the producer fails, that it says
// when all is written and when there is room, and that nothing is written after it was stopped. Property over failures.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { ForeshockError } from '../../src/core/errors.ts'
import type { StreamProducer } from '../../src/core/stream.ts'
import { Outbox } from '../../src/roles/outbox.ts'
import { message, textOf } from '../bus/streams-contract.ts'

async function world(fails: (nth: number) => 'no' | 'before' | 'after') {
  const log = new MemoryLog({ topics: { anomalies: 1, samples: 1 } })
  const inner = await new MemoryStreams(log).producer()
  let sends = 0
  const producer: StreamProducer = {
    send: async (topic, messages) => {
      const how = fails(sends++)
      if (how === 'before') throw new ForeshockError('FS_IO', 'away')
      await inner.send(topic, messages)
      if (how === 'after') throw new ForeshockError('FS_IO', 'no answer')
    },
    close: () => inner.close(),
  }
  const problems: unknown[] = []
  const outbox = new Outbox(producer, error => problems.push(error))
  const written = (topic: string) => log.topic(topic)[0].map(textOf)
  return { outbox, problems, written }
}

describe('an outbox', () => {
  it('writes in order, without gaps, and says when', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('no', 'no', 'before', 'after'), { maxLength: 3 }),
        fc.array(fc.constantFrom('anomalies', 'samples'), { minLength: 1, maxLength: 20 }),
        async (fates, topics) => {
          const { outbox, problems, written } = await world(nth => (fates[nth] ?? 'no') as 'no')
          for (const [i, topic] of topics.entries()) outbox.put(topic as 'samples', [message(`${i}`)])
          expect(await outbox.settled()).toBe(true)
          for (const topic of ['anomalies', 'samples']) {
            const expected = topics.flatMap((one, i) => (one === topic ? [`${i}`] : []))
            // Repeats are of what had no answer; without them it is what was put.
            const first = written(topic).filter((text, i, all) => all.indexOf(text) === i)
            expect(first).toEqual(expected)
          }
          const failed = fates.filter(fate => fate !== 'no').length
          expect(problems.length).toBeLessThanOrEqual(failed)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('writes as many at once as one window may have', async () => {
    const { outbox, written } = await world(() => 'no')
    const count = 200_000
    outbox.put('samples', new Array(count).fill(message('x')))
    expect(await outbox.settled()).toBe(true)
    expect(written('samples')).toHaveLength(count)
  })

  it('holds back who makes more than can be written, and lets go at a stop', async () => {
    const { outbox, written } = await world(() => 'before')
    const large = { ...message('x'), value: new Uint8Array(20 * 1_048_576) }
    outbox.put('samples', [large])
    let hasRoom = false
    const room = outbox.room().then(() => {
      hasRoom = true
    })
    const settled = outbox.settled()
    await new Promise(done => setTimeout(done, 20))
    expect(hasRoom).toBe(false)
    await outbox.stop()
    await room
    expect(await settled).toBe(false)
    outbox.put('samples', [message('late')])
    expect(await outbox.settled()).toBe(false)
    expect(written('samples')).toEqual([])
  })
})

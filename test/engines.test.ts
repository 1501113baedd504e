// Shows that what Kafka's client sees is logged for what it is: messages that were lost unread are a warning.
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { noteKafka } from '../src/engines.ts'

it('warns of messages that went before they were read', () => {
  const lines: Record<string, unknown>[] = []
  const logger = pino({}, { write: text => void lines.push(JSON.parse(text)) })
  noteKafka(logger, { type: 'skipped', topic: 'samples', partition: 3, from: 10, to: 70 })
  noteKafka(logger, { type: 'assigned', group: 'scorer', partitions: [3] })
  noteKafka(logger, { type: 'failed', error: new Error('away') })
  expect(lines).toMatchObject([
    {
      level: 40,
      topic: 'samples',
      partition: 3,
      from: 10,
      to: 70,
      msg: expect.stringContaining('no longer has what was to be read'),
    },
    { level: 30, group: 'scorer' },
    { level: 40, err: { message: 'away' } },
  ])
})

// Shows that the book of what was said to the fleet forgets maintenance windows that are over, and of more than it may hold those
// said longest ago, and that what is no order of one is passed over.
import { expect, it } from 'vitest'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { createLogger } from '../../src/core/logger.ts'
import type { MaintenanceWindow } from '../../src/core/maintenance.ts'
import { CONTENT, HEADERS, TOPICS } from '../../src/core/stream.ts'
import { ControlBook, maintenanceWordMessage } from '../../src/roles/control.ts'

const NOW_MS = Date.UTC(2026, 10, 20)
const DAY_MS = 86_400_000
const LIMIT = 10_000

const windowOf = (id: string, startMs: number): MaintenanceWindow => ({
  id,
  name: id,
  tenant: 'default',
  entities: ['*'],
  times: { zone: 'UTC', startMs, nominalMs: 1000, exactMs: 0 },
  by: 'test',
})
const add = (id: string, startMs: number) =>
  maintenanceWordMessage({ op: 'add', window: windowOf(id, startMs) }, NOW_MS)

it('remembers as many maintenance windows as it may, those that are over least', async () => {
  const log = new MemoryLog({ topics: { [TOPICS.control]: 1 } })
  const streams = new MemoryStreams(log)
  const producer = await streams.producer()
  const garbage = { ...add('g', NOW_MS), value: Buffer.from('{"op":"add","window":{"id":"g"}}') }
  await producer.send(TOPICS.control, [
    { ...garbage, headers: { [HEADERS.content]: CONTENT.maintenance } },
    add('first', NOW_MS),
    add('over', NOW_MS - 3 * DAY_MS),
    maintenanceWordMessage({ op: 'remove', id: 'ended', tenant: 'default' }, NOW_MS),
    ...Array.from({ length: LIMIT }, (_, i) => add(`w${i}`, NOW_MS + DAY_MS)),
  ])
  const book = await ControlBook.open(streams, createLogger('silent'), () => NOW_MS)
  const ids = [...book.maintenance.keys()].map(one => one.replace('maintenance/default/', ''))
  expect(ids).toEqual(Array.from({ length: LIMIT }, (_, i) => `w${i}`))
  await producer.send(TOPICS.control, [add('w0', NOW_MS), add('next', NOW_MS)])
  await book.catchUp()
  expect(book.maintenance.size).toBe(LIMIT)
  // What was said anew is the newest.
  expect(book.maintenance.has('maintenance/default/w0')).toBe(true)
  expect(book.maintenance.has('maintenance/default/w1')).toBe(false)
  await book.close()
})

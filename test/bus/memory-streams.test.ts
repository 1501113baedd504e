// Shows that the log in memory keeps the contract of Streams, and what only it can: being switched off, and taking a
// member for dead that is not.
import { expect, it } from 'vitest'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { closedAfter, Ledger, Recorder, streamsContract, textsOf, to, until } from './streams-contract.ts'

streamsContract('memory', async topics => {
  const log = new MemoryLog({ topics })
  return { streams: async () => closedAfter(new MemoryStreams(log)) }
})

it('answers nothing while it is switched off, and goes on after', async () => {
  const log = new MemoryLog({ topics: { t: 1 } })
  const streams = closedAfter(new MemoryStreams(log))
  const producer = await streams.producer()
  const owner = new Recorder('a', new Ledger())
  const group = streams.group({ topic: 't', group: 'g', member: 'a' })
  await group.run(owner)
  log.reachable = false
  await expect(producer.send('t', [to(0, 'a')])).rejects.toMatchObject({ code: 'FS_IO' })
  await expect(streams.check()).rejects.toMatchObject({ code: 'FS_IO' })
  log.reachable = true
  await producer.send('t', [to(0, 'b')])
  await until('b', () => owner.taken.length === 1)
  expect(await textsOf(streams.read('t', 0, 0))).toEqual(['b'])
})

it('gives what a silent member held to the others at once, and the silent one may commit no more', async () => {
  const log = new MemoryLog({ topics: { t: 2 } })
  const streams = closedAfter(new MemoryStreams(log))
  const producer = await streams.producer()
  const [zombie, heir] = [new Recorder('zombie', new Ledger()), new Recorder('heir', new Ledger())]
  const groups = ['zombie', 'heir'].map(member => streams.group({ topic: 't', group: 'g', member }))
  await groups[0].run(zombie)
  await groups[1].run(heir)
  const [lost] = groups[0].partitions
  zombie.workMs = 200
  await producer.send('t', [to(lost, 'a')])
  await log.expire('g', 'zombie')
  await until('the heir has it', () => heir.texts().includes('a'))
  expect(groups[1].partitions).toEqual([0, 1])
  await expect(groups[0].commit(lost, 1)).rejects.toMatchObject({ code: 'FS_FENCED' })
  await until('the zombie knows', () => zombie.events.includes(`revoked ${lost} at once`))
})

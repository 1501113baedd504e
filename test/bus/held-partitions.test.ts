// Shows that a partition which is being let go is held until its owner knows, unless others may hold it meanwhile: then nothing
// more is written in its name, and its owner hears that. And that what an owner was left with by a failure is not called orderly.
import { expect, it } from 'vitest'
import { HeldPartitions } from '../../src/bus/held-partitions.ts'
import type { StoredMessage } from '../../src/core/stream.ts'

const message: StoredMessage = {
  topic: 't',
  partition: 0,
  offset: 0,
  key: 'k',
  value: new Uint8Array(1),
  headers: {},
  timestampMs: 0,
}

/** One partition, whose owner is in the middle of `take` until `goOn` or `fail`. */
async function busy(failed = (error: unknown): void => expect.unreachable(String(error))) {
  const revoked: boolean[] = []
  let goOn = () => {}
  let fail: (error: Error) => void = () => {}
  let isTaking = () => {}
  const taking = new Promise<void>(done => {
    isTaking = done
  })
  const held = new HeldPartitions({
    member: 'a',
    wanted: () => held.worker(0)?.offer(0, [message], 1, 1),
    failed,
  })
  held.run({
    assigned: async () => 0,
    take: () =>
      new Promise<void>((done, failing) => {
        goOn = done
        fail = failing
        isTaking()
      }),
    revoked: async (_, orderly) => void revoked.push(orderly),
  })
  held.takeUp([0])
  await taking
  return { held, revoked, goOn, fail }
}

it('what is let go in order is held until its owner knows', async () => {
  const { held, revoked, goOn } = await busy()
  const gone = held.letGo(0, true)
  expect(held.owned).toEqual([0])
  held.fence(0)
  goOn()
  await gone
  expect(revoked).toEqual([true])
  expect(held.owned).toEqual([])
  expect(() => held.fence(0)).toThrow(/no longer held/)
})

it('what is let go in order and then lost is not held any more', async () => {
  const { held, revoked, goOn } = await busy()
  const gone = [held.letGo(0, true), held.letGo(0, false)]
  expect(held.owned).toEqual([])
  expect(() => held.fence(0)).toThrow(/no longer held/)
  goOn()
  await Promise.all(gone)
  expect(revoked).toEqual([false])
})

it('what fails while it is let go leaves nothing that may be saved', async () => {
  const errors: unknown[] = []
  const { held, revoked, fail } = await busy(error => errors.push(error))
  const gone = held.letGo(0, true)
  fail(new Error('half way'))
  await gone
  expect(errors).toEqual([new Error('half way')])
  expect(revoked).toEqual([false])
})

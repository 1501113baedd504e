// Work that is taken in turns: in the order asked for, one at a time, past failures, and no more of it open than is allowed.
import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Turns } from '../../src/core/turns.ts'

test('work is done in order, one at a time, whatever fails and however long each takes', async () => {
  const works = fc.array(fc.record({ ms: fc.integer({ min: 0, max: 3 }), fails: fc.boolean() }), {
    maxLength: 8,
  })
  await fc.assert(
    fc.asyncProperty(works, async all => {
      const turns = new Turns()
      const told: string[] = []
      const asked = all.map(({ ms, fails }, i) =>
        turns.take(async () => {
          told.push(`begins ${i}`)
          await wait(ms)
          told.push(`ends ${i}`)
          if (fails) throw new Error(`${i}`)
          return i
        }),
      )
      const settled = Promise.allSettled(asked)
      await turns.rest()
      expect(told).toEqual(all.flatMap((_, i) => [`begins ${i}`, `ends ${i}`]))
      const said = (await settled).map(one => (one.status === 'fulfilled' ? one.value : one.reason.message))
      expect(said).toEqual(all.map(({ fails }, i) => (fails ? `${i}` : i)))
    }),
    { numRuns: 30 },
  )
})

test('more work than may be open is refused, and taken again once some is done', async () => {
  const turns = new Turns(2, 'are being done')
  const first = turns.take(() => wait(5))
  const second = turns.take(() => Promise.reject(new Error('it failed')))
  await expect(turns.take(async () => 1)).rejects.toMatchObject({
    code: 'FS_OVERLOADED',
    message: '2 are being done',
  })
  await first
  await expect(second).rejects.toThrow('it failed')
  expect(await turns.take(async () => 3)).toBe(3)
})

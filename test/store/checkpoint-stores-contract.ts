// The contract of the CheckpointStores port: each name has checkpoints of its own, which whoever claims it finds, and whoever
// held it before can no longer write. Every adapter runs it.
import { describe, expect, it } from 'vitest'
import type { CheckpointStores } from '../../src/core/ports.ts'
import { checkpointOf } from './checkpoint-contract.ts'

/** `make` gives two processes' views of one store that is empty, or whose names no other test uses. */
export function checkpointStoresContract(
  name: string,
  make: () => [CheckpointStores, CheckpointStores],
): void {
  describe(`checkpoint stores contract: ${name}`, () => {
    it('whoever claims a name finds what its former owner saved', async () => {
      const [a, b] = make()
      await (await a.claim('samples-1')).save(checkpointOf(10, 3))
      const claimed = await b.claim('samples-1')
      expect(await claimed.load()).toEqual(checkpointOf(10, 3))
      await claimed.save(checkpointOf(10, 4))
      expect((await (await a.claim('samples-1')).load())?.position).toBe(4)
    })

    it('a former owner can no longer save, whether or not the new one has', async () => {
      const [a, b] = make()
      const first = await a.claim('samples-2')
      await first.save(checkpointOf(5, 1))
      const second = await b.claim('samples-2')
      await expect(first.save(checkpointOf(5, 2))).rejects.toMatchObject({ code: 'FS_FENCED' })
      expect((await second.load())?.position).toBe(1)
      await second.save(checkpointOf(5, 3))
      await expect(first.save(checkpointOf(5, 4))).rejects.toMatchObject({ code: 'FS_FENCED' })
      const third = await b.claim('samples-2') // the same process may claim again, after it lost and won it
      await expect(second.save(checkpointOf(5, 5))).rejects.toMatchObject({ code: 'FS_FENCED' })
      expect((await third.load())?.position).toBe(3)
    })

    it('names do not touch each other', async () => {
      const [a, b] = make()
      const one = await a.claim('stage-1')
      const ten = await b.claim('stage-10')
      await one.save(checkpointOf(3, 1))
      expect(await ten.load()).toBeUndefined()
      await ten.save(checkpointOf(4, 10))
      await one.save(checkpointOf(3, 2))
      expect((await one.load())?.position).toBe(2)
      expect(await ten.load()).toEqual(checkpointOf(4, 10))
    })

    it('of many claims at once one holds', async () => {
      const [a, b] = make()
      const stores = await Promise.all(Array.from({ length: 8 }, (_, i) => [a, b][i % 2].claim('samples-3')))
      const saved = await Promise.allSettled(stores.map((store, i) => store.save(checkpointOf(2, i))))
      expect(saved.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    })
  })
}

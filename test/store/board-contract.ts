// The contract of the Board port: what each shard last published is shown by every process in one order, one tenant's or
// all. Every adapter runs it.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Board } from '../../src/core/ports.ts'
import { compareOnBoard } from '../../src/store/board-order.ts'
import { disruption } from './samples.ts'

const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id)

/** `make` gives two processes' views of one empty board. */
export function boardContract(name: string, make: () => Promise<[Board, Board]>): void {
  describe(`board contract: ${name}`, () => {
    it('is empty at first', async () => {
      const [, board] = await make()
      expect(await board.list()).toEqual([])
      expect(await board.shards()).toEqual([])
    })

    it('shows what was published, whole, open ones first, highest score first', async () => {
      const [a, b] = await make()
      await a.publish('stage-0', [
        disruption('low', { score: 9.5 }),
        disruption('closed', { score: 99, status: 'resolved' }),
        disruption('high', { score: 90 }),
      ])
      await b.publish('stage-1', [disruption('middle', { score: 10 })])
      for (const board of [a, b]) {
        const list = await board.list()
        expect(ids(list)).toEqual(['high', 'middle', 'low', 'closed'])
        expect(list[0]).toEqual(disruption('high', { score: 90 }))
      }
    })

    it('a shard is replaced at once and alone', async () => {
      const [a, b] = await make()
      await a.publish('stage-0', [disruption('one'), disruption('two')])
      await a.publish('stage-1', [disruption('other')])
      await b.publish('stage-0', [disruption('two', { revision: 2 }), disruption('three')]) // its new owner
      const list = await a.list()
      expect(ids(list)).toEqual(['other', 'three', 'two'])
      expect(list[2].revision).toBe(2)
      await a.publish('stage-0', [disruption('four')])
      expect(ids(await b.list())).toEqual(['four', 'other'])
      await b.publish('stage-0', [])
      expect(ids(await a.list())).toEqual(['other'])
      expect(await a.shards()).toMatchObject([
        { shard: 'stage-0', isStale: false },
        { shard: 'stage-1', isStale: false },
      ])
    })

    it('is not touched by what happens to the objects afterwards', async () => {
      const [a, b] = await make()
      const mine = disruption('mine')
      await a.publish('stage-0', [mine])
      mine.entities.push('later')
      expect((await b.list())[0].entities).toEqual(['checkout', 'payments'])
    })

    it('shows to a tenant what is its own', async () => {
      const [a, b] = await make()
      const tenants = ['acme', 'acme-2', 'acme 2', 'ümlaut', '%', '']
      await a.publish(
        'stage-0',
        tenants.map((tenant, i) => disruption(`d${i}`, { tenant })),
      )
      for (const [i, tenant] of tenants.entries()) expect(ids(await b.list(tenant))).toEqual([`d${i}`])
      expect(await b.list('nobody')).toEqual([])
      expect(await b.list()).toHaveLength(6)
    })

    it('shows the last of any sequence of boards, in order', async () => {
      const one = fc.record({
        id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        score: fc.integer({ min: 0, max: 1000 }).map(tenths => tenths / 10),
        status: fc.constantFrom('open' as const, 'resolved' as const),
        tenant: fc.constantFrom('x', 'y'),
        revision: fc.integer({ min: 1, max: 3 }),
      })
      const boards = fc.array(
        fc.record({ shard: fc.nat(1), who: fc.nat(1), list: fc.uniqueArray(one, { selector: d => d.id }) }),
        { minLength: 1, maxLength: 6 },
      )
      await fc.assert(
        fc.asyncProperty(boards, async steps => {
          const views = await make()
          const last = new Map<number, ReturnType<typeof disruption>[]>()
          for (const { shard, who, list } of steps) {
            const held = list.map(({ id, ...more }) => disruption(`${shard}${id}`, more))
            await views[who].publish(`stage-${shard}`, held)
            last.set(shard, held)
          }
          const all = [...last.values()].flat().sort(compareOnBoard)
          for (const view of views) {
            expect(await view.list()).toEqual(all)
            expect(await view.list('x')).toEqual(all.filter(({ tenant }) => tenant === 'x'))
          }
        }),
        { numRuns: 30 },
      )
    })
  })
}

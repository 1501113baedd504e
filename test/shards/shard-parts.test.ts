// Shows when what some workers have learned is of no use to others: told before anything is dropped.
import { expect, it } from 'vitest'
import { prefixOf, undivided } from '../../src/shards/shard-parts.ts'

const of = (workers: number) =>
  Array.from({ length: workers }, (_, shard) => ({
    id: `${prefixOf(shard, workers)}pool`,
    version: 1,
    keys: [],
    columns: {},
    meta: {},
  }))

it('says so of workers in another number, and of a start without them', () => {
  expect(undivided(of(2), 2)).toBeUndefined()
  expect(undivided(of(2), 3)).toMatch(/what 2 workers had learned cannot be divided among 3/)
  expect(undivided(of(2), 0)).toMatch(/what 2 workers had learned cannot be put together for one thread/)
  expect(undivided([], 2)).toBeUndefined()
})

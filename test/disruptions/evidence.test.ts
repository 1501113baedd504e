// Shows that what the rows of a window add up to for an entity does not depend on their order, where two series are equally strong.
import { expect, it } from 'vitest'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { ColumnStore } from '../../src/core/columns.ts'
import { entityColumns, gather, instanceColumns, ROW_COLUMNS } from '../../src/disruptions/evidence.ts'
import { F } from '../../src/disruptions/families.ts'

it('of two that are as strong, and of which the ratio is the same or not known, the one that fell is told', () => {
  // All traffic moved from one copy to another: one fell to nothing, the other rose from nothing.
  const copies = [
    { observed: 0, expected: 50, direction: -1 },
    { observed: 50, expected: 0, direction: 1 },
  ]
  for (const order of [copies, [...copies].reverse()]) {
    const rows = new ColumnStore(ROW_COLUMNS)
    rows.ensure(2)
    const batch = featureBatch(2, 0)
    const opinions = opinionBatch(2)
    batch.length = 2
    for (const [i, { observed, expected, direction }] of order.entries()) {
      rows.chunks[0].entity[i] = 1
      rows.chunks[0].family[i] = F.load
      batch.series[i] = i
      batch.windowEndMs[i] = 10_000
      batch.observed[i] = observed
      opinions.expected[i] = expected
      opinions.evidence[i] = 8
      opinions.direction[i] = direction
    }
    const entities = entityColumns(1)
    const into = {
      chunks: rows.chunks,
      entities,
      instances: instanceColumns(1),
      edgeSeenMs: new Float64Array(0),
      forgetAfterMs: 1,
      watched: new Uint32Array(2),
      watchedCount: 0,
    }
    expect(gather(batch, opinions, into, 0, 2)).toBe(2)
    expect([entities.strength[F.load], entities.ratio[F.load], entities.direction[F.load]]).toEqual([
      8, 0, -1,
    ])
  }
})

// Shows that entities are counted as a plain walk would count them, once for all who ask at a time, and that others get a
// turn while many series are looked through. A real series table; the clock is set by hand.
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { SeriesTable, seriesKey } from '../../src/core/series.ts'
import { EntityCounts } from '../../src/serve/entity-count.ts'

function add(table: SeriesTable, i: number, tenant: string, entity: string): number {
  const labels = { service: entity, pod: `${entity}-${i}` }
  const key = seriesKey('requests_total', labels, tenant)
  const meta = { key, tenant, metric: 'requests_total', labels, entity, unit: '', bad: 'both' } as const
  return table.intern({ ...meta, kind: 'traffic' })
}

describe('counts of entities', () => {
  it('are told by name and tenant, without what has left', async () => {
    const table = new SeriesTable()
    for (let i = 0; i < 30; i++)
      add(table, i, i % 2 === 0 ? 'acme' : 'default', i % 3 === 0 ? 'shop' : 'till')
    table.evict(0)
    expect(
      await new EntityCounts(
        () => table,
        () => 0,
      ).all(),
    ).toEqual([
      { entity: 'shop', tenant: 'acme', series: 4 },
      { entity: 'shop', tenant: 'default', series: 5 },
      { entity: 'till', tenant: 'acme', series: 10 },
      { entity: 'till', tenant: 'default', series: 10 },
    ])
  })

  it('are made once for all who ask meanwhile, and again after two seconds', async () => {
    const table = new SeriesTable()
    add(table, 1, 'default', 'shop')
    let nowMs = 0
    const counts = new EntityCounts(
      () => table,
      () => nowMs,
    )
    const [one, other] = [counts.all(), counts.all()]
    expect(await one).toBe(await other)
    add(table, 2, 'default', 'shop')
    nowMs = 2000
    expect((await counts.all())[0].series).toBe(1)
    nowMs = 2001
    expect((await counts.all())[0].series).toBe(2)
  })

  it('let others in between', async () => {
    const table = new SeriesTable(200_000)
    for (let i = 0; i < 200_000; i++) add(table, i, 'default', `service-${i % 500}`)
    let turns = 0
    let isDone = false
    const others = (async () => {
      for (; !isDone; turns++) await setImmediate()
    })()
    const all = await new EntityCounts(
      () => table,
      () => 0,
    ).all()
    isDone = true
    await others
    expect(all).toHaveLength(500)
    expect(all.every(one => one.series === 400)).toBe(true)
    // A stretch is 4 ms; the walk takes longer on any machine.
    expect(turns).toBeGreaterThan(1)
  })
})

// The index in memory passes the contract of indexes, and its bounds drop the oldest that have ended first.
import { describe, expect, it } from 'vitest'
import { MemoryIndex } from '../../src/store/memory-index.ts'
import { changed, describeIndex, iso, lines, told } from './index-contract.ts'
import { disruption } from './samples.ts'

describeIndex({ name: 'memory', runs: 100, fresh: async () => new MemoryIndex() })

describe('memory index', () => {
  it('stays within its bounds, dropping the oldest that have ended first', async () => {
    const index = new MemoryIndex({ disruptionsMax: 100, changesMax: 3 })
    let seq = 1
    const put = async (name: string, count: number, ended: boolean) => {
      const more = ended ? ({ status: 'resolved', resolvedAt: iso(1) } as const) : {}
      const made = Array.from({ length: count }, (_, i) =>
        told(disruption(`${name}_${i}`, { detectedAt: iso(seq + i), ...more })),
      )
      await index.apply(lines(made, seq))
      seq += count
    }
    await put('open', 50, false)
    await put('done', 500, true)
    const left = (await index.disruptions({ limit: 1000 })).items.map(each => each.id)
    expect(left.length).toBeLessThanOrEqual(100)
    expect(left.length).toBeGreaterThan(90)
    expect(left.filter(id => id.startsWith('open')).length).toBe(50)
    expect(left[0]).toBe('done_499')
    expect(await index.disruption('done_0')).toBeUndefined()
    expect(index.dropped).toBe(550 - left.length)
    await put('more', 500, true)
    expect((await index.disruptions({ limit: 1000 })).items.length).toBeLessThanOrEqual(100)
    expect(await index.disruption('more_499')).toBeDefined()
    await index.apply(
      lines(
        [1, 2, 3, 4].map(i => changed(`chg_${i}`, { timeMs: i })),
        seq,
      ),
    )
    expect((await index.changes(10)).map(one => one.id)).toEqual(['chg_4', 'chg_3', 'chg_2'])
  })
})

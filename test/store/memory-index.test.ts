// The index answers every filter as a plain search over all entries would, its pages neither repeat nor miss anything
// while new entries arrive, and its bounds drop the oldest that have ended first.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import type { DisruptionQuery, RecordEntry } from '../../src/core/ports.ts'
import { MemoryIndex } from '../../src/store/memory-index.ts'
import { anomaly, BASE_MS, disruption, event } from './samples.ts'

let seq = 0
function put(index: MemoryIndex, entry: RecordEntry): void {
  seq++
  index.apply({ seq, timeMs: seq, id: String(seq), entry })
}
const putOne = (index: MemoryIndex, one: Disruption) =>
  put(index, {
    type: 'disruption',
    event: { id: `${one.id}.${one.revision}`, type: 'opened', timeMs: 0, disruption: one },
  })

const iso = (seconds: number) => new Date(BASE_MS + seconds * 1000).toISOString()

const one = fc.record({
  tenant: fc.constantFrom('default', 'other'),
  severity: fc.constantFrom('warning' as const, 'major' as const),
  entity: fc.constantFrom('a', 'b'),
  extra: fc.constantFrom('a', 'b', 'c'),
  start: fc.nat(100),
  lasts: fc.option(fc.nat(50)),
})

describe('memory index', () => {
  it('filters as a plain search does', () => {
    const query = fc.record(
      {
        tenant: fc.constantFrom('default', 'other'),
        status: fc.constantFrom('open' as const, 'resolved' as const),
        severity: fc.constantFrom('warning' as const, 'major' as const),
        entity: fc.constantFrom('a', 'b', 'c'),
        fromMs: fc.nat(150).map(s => BASE_MS + s * 1000),
        toMs: fc.nat(150).map(s => BASE_MS + s * 1000),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(
        fc.array(one, { maxLength: 40 }),
        query,
        fc.integer({ min: 1, max: 7 }),
        (made, asked, limit) => {
          const index = new MemoryIndex()
          const all = made.map(({ tenant, severity, entity, extra, start, lasts }, i) =>
            disruption(`dis_${i}`, {
              tenant,
              severity,
              entity,
              entities: [entity, extra],
              startedAt: iso(start),
              status: lasts === null ? 'open' : 'resolved',
              resolvedAt: lasts === null ? null : iso(start + lasts),
            }),
          )
          for (const each of all) putOne(index, each)
          const expected = all.filter(each => {
            const end = each.resolvedAt === null ? Number.POSITIVE_INFINITY : Date.parse(each.resolvedAt)
            return (
              (!asked.tenant || each.tenant === asked.tenant) &&
              (!asked.status || each.status === asked.status) &&
              (!asked.severity || each.severity === asked.severity) &&
              (!asked.entity || each.entities.includes(asked.entity)) &&
              (!asked.fromMs || end >= asked.fromMs) &&
              (!asked.toMs || Date.parse(each.startedAt) < asked.toMs)
            )
          })
          const got: string[] = []
          let cursor: string | null = null
          do {
            const page = index.disruptions({
              ...(asked as DisruptionQuery),
              limit,
              ...(cursor ? { cursor } : {}),
            })
            expect(page.items.length).toBeLessThanOrEqual(limit)
            if (page.next) expect(page.items.length).toBe(limit)
            got.push(...page.items.map(each => each.id))
            cursor = page.next
          } while (cursor)
          expect(got).toEqual(expected.map(each => each.id).reverse())
        },
      ),
    )
  })

  it('pages without repetition while others arrive and change', () => {
    const index = new MemoryIndex()
    for (let i = 0; i < 10; i++) putOne(index, disruption(`dis_${i}`))
    const first = index.disruptions({ limit: 4 })
    for (let i = 10; i < 20; i++) putOne(index, disruption(`dis_${i}`))
    putOne(index, disruption('dis_2', { revision: 2, severity: 'critical' }))
    const second = index.disruptions({ limit: 100, cursor: first.next as string })
    expect([...first.items, ...second.items].map(each => each.id)).toEqual(
      [9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map(i => `dis_${i}`),
    )
    expect(second.items.find(each => each.id === 'dis_2')?.severity).toBe('critical')
    expect(() => index.disruptions({ limit: 1, cursor: 'nonsense' })).toThrow(
      expect.objectContaining({ code: 'FS_INPUT_INVALID' }),
    )
  })

  it('keeps the newest revision, whatever the order', () => {
    const index = new MemoryIndex()
    for (const revision of [2, 3, 1]) put(index, { type: 'disruption', event: event('dis_a', revision) })
    expect(index.disruption('dis_a')?.revision).toBe(3)
  })

  it('answers for anomalies', () => {
    const index = new MemoryIndex()
    put(index, { type: 'anomaly', event: 'opened', anomaly: anomaly('ano_a') })
    put(index, {
      type: 'anomaly',
      event: 'opened',
      anomaly: anomaly('ano_b', { entity: 'search', key: 'k', tenant: 't' }),
    })
    put(index, { type: 'anomaly', event: 'closed', anomaly: anomaly('ano_a', { status: 'closed' }) })
    put(index, { type: 'change', change: { id: 'c', timeMs: 0, entity: 'e', kind: 'deploy', ref: 'r' } })
    const found = (query: object) => index.anomalies({ limit: 10, ...query }).items.map(each => each.id)
    expect(found({})).toEqual(['ano_b', 'ano_a'])
    expect(found({ status: 'closed' })).toEqual(['ano_a'])
    expect(found({ entity: 'search' })).toEqual(['ano_b'])
    expect(found({ series: 'k' })).toEqual(['ano_b'])
    expect(found({ tenant: 't' })).toEqual(['ano_b'])
    expect(found({ fromMs: BASE_MS + 10_001 })).toEqual(['ano_b'])
    expect(found({ toMs: BASE_MS })).toEqual([])
    expect(index.anomaly('ano_a')?.status).toBe('closed')
  })

  it('stays within its bounds, dropping the oldest that have ended first', () => {
    const index = new MemoryIndex({ disruptionsMax: 100 })
    for (let i = 0; i < 50; i++) putOne(index, disruption(`open_${i}`))
    for (let i = 0; i < 500; i++)
      putOne(index, disruption(`done_${i}`, { status: 'resolved', resolvedAt: iso(1) }))
    const left = index.disruptions({ limit: 1000 }).items.map(each => each.id)
    expect(left.length).toBeLessThanOrEqual(100)
    expect(left.length).toBeGreaterThan(90)
    expect(left.filter(id => id.startsWith('open')).length).toBe(50)
    expect(left[0]).toBe('done_499')
    expect(index.disruption('done_0')).toBeUndefined()
    expect(index.dropped).toBe(550 - left.length)
    for (let i = 0; i < 500; i++) putOne(index, disruption(`more_${i}`))
    expect(index.disruptions({ limit: 1000 }).items.length).toBeLessThanOrEqual(100)
    expect(index.disruption('more_499')).toBeDefined()
  })

  it('finds similar disruptions of the same tenant, the same cause first', () => {
    const index = new MemoryIndex()
    const suspect = (entity: string) => [{ ...disruption('x').suspects[0], entity }]
    putOne(index, disruption('same cause', { entities: ['edge'], suspects: suspect('payments') }))
    putOne(index, disruption('same entities', { suspects: suspect('cache') }))
    putOne(index, disruption('other tenant', { tenant: 'other' }))
    const nothing = { entities: ['x'], suspects: [], evidence: [] }
    putOne(index, disruption('nothing shared', nothing))
    putOne(index, disruption('asked'))
    putOne(index, disruption('twin'))
    const found = index.similar('asked')
    expect(found.map(({ disruption: { id } }) => id)).toEqual(['twin', 'same cause', 'same entities'])
    expect(found[0].similarity).toBeCloseTo(1)
    expect(found[1].shared).toEqual(['metric latency_seconds:p99', 'suspect payments'])
    expect(index.similar('unknown')).toEqual([])
  })
})

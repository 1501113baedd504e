// What every index must show: each filter answers as a plain search over all entries would, pages neither repeat nor miss
// anything while others arrive, what is like what, nothing of another tenant, lines taken once and in order whatever is
// told again, and a position that says how far it is.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Change } from '../../src/core/change.ts'
import type { Disruption } from '../../src/core/disruption.ts'
import type {
  AnomalyQuery,
  DisruptionQuery,
  Page,
  RecordEntry,
  RecordIndex,
  RecordLine,
} from '../../src/core/ports.ts'
import { anomaly, BASE_MS, disruption, event } from './samples.ts'

export interface IndexSubject {
  readonly name: string
  /** An index that has nothing yet; the subject closes it. */
  fresh(): Promise<RecordIndex>
  /** Random worlds that each property is tried on. */
  readonly runs: number
}

export const iso = (seconds: number) => new Date(BASE_MS + seconds * 1000).toISOString()

export function lines(entries: readonly RecordEntry[], firstSeq = 1): RecordLine[] {
  return entries.map((entry, i) => ({
    seq: firstSeq + i,
    timeMs: BASE_MS + i,
    id: `line-${firstSeq + i}`,
    entry,
  }))
}
export const told = (one: Disruption): RecordEntry => ({
  type: 'disruption',
  event: { id: `${one.id}.${one.revision}`, type: 'opened', timeMs: BASE_MS, disruption: one },
})
export const changed = (id: string, more: Partial<Change> = {}): RecordEntry => ({
  type: 'change',
  change: { id, timeMs: BASE_MS, entity: 'checkout', kind: 'deploy', ref: 'v1', ...more },
})

const dis = (i: number, more: Partial<Disruption> = {}) =>
  disruption(`dis_${i}`, { detectedAt: iso(i), ...more })

async function allOf<T>(ask: (cursor: string | undefined) => Promise<Page<T>>, limit: number): Promise<T[]> {
  const found: T[] = []
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: Page<T> = await ask(cursor)
    expect(page.items.length).toBeLessThanOrEqual(limit)
    if (page.next) expect(page.items.length).toBe(limit)
    found.push(...page.items)
    cursor = page.next
  }
  return found
}

const byPlace = (a: { ms: number; id: string }, b: { ms: number; id: string }) =>
  b.ms - a.ms || (a.id < b.id ? 1 : -1)
const time = {
  fromMs: fc.nat(150).map(s => BASE_MS + s * 1000),
  toMs: fc.nat(150).map(s => BASE_MS + s * 1000),
}
const tenants = fc.constantFrom('default', 'other')
const entities = fc.constantFrom('a', 'b', 'c', "d'; --", 'é')

/** What an index holds, what it is asked for, and items of a page. */
const worldOf = <M, Q>(made: fc.Arbitrary<M>, asked: fc.Arbitrary<Q>) =>
  fc.tuple(
    fc.array(made, { maxLength: 40 }),
    fc.array(asked, { minLength: 1, maxLength: 5 }),
    fc.integer({ min: 1, max: 7 }),
  )

export function describeIndex(subject: IndexSubject): void {
  describe(`${subject.name}: the contract of indexes`, () => {
    filters(subject)
    pages(subject)
    likeness(subject)
    order(subject)
    positions(subject)
  })
}

function filters({ fresh, runs }: IndexSubject): void {
  it('filters disruptions as a plain search does', async () => {
    const made = fc.record({
      tenant: tenants,
      severity: fc.constantFrom('warning' as const, 'major' as const),
      entity: entities,
      extra: entities,
      start: fc.nat(100),
      lag: fc.nat(3),
      lasts: fc.option(fc.nat(50)),
    })
    const asked = fc.record(
      {
        tenant: tenants,
        status: fc.constantFrom('open' as const, 'resolved' as const),
        severity: fc.constantFrom('warning' as const, 'major' as const),
        entity: entities,
        ...time,
      },
      { requiredKeys: [] },
    )
    const property = fc.asyncProperty(worldOf(made, asked), async ([worlds, queries, limit]) => {
      const index = await fresh()
      const all = worlds.map(({ tenant, severity, entity, extra, start, lag, lasts }, i) =>
        disruption(`dis_${i}`, {
          tenant,
          severity,
          entity,
          entities: entity === extra ? [entity] : [entity, extra],
          startedAt: iso(start),
          detectedAt: iso(start + lag),
          status: lasts === null ? 'open' : 'resolved',
          resolvedAt: lasts === null ? null : iso(start + lasts),
        }),
      )
      await index.apply(lines(all.map(told)))
      for (const query of queries) {
        const expected = all.filter(each => {
          const end = each.resolvedAt === null ? Number.POSITIVE_INFINITY : Date.parse(each.resolvedAt)
          return (
            (!query.tenant || each.tenant === query.tenant) &&
            (!query.status || each.status === query.status) &&
            (!query.severity || each.severity === query.severity) &&
            (!query.entity || each.entities.includes(query.entity)) &&
            (!query.fromMs || end >= query.fromMs) &&
            (!query.toMs || Date.parse(each.startedAt) < query.toMs)
          )
        })
        const sorted = expected
          .map(one => ({ id: one.id, ms: Date.parse(one.detectedAt), one }))
          .sort(byPlace)
          .map(({ one }) => one)
        const found = await allOf(
          cursor =>
            index.disruptions({ ...(query as DisruptionQuery), limit, ...(cursor ? { cursor } : {}) }),
          limit,
        )
        expect(found).toEqual(sorted)
      }
    })
    await fc.assert(property, { numRuns: runs })
  })

  it('filters anomalies as a plain search does', async () => {
    const made = fc.record({
      tenant: tenants,
      entity: entities,
      key: fc.constantFrom('up{}', 'up{a="\\"b"}'),
      start: fc.nat(100),
      lasts: fc.nat(50),
      closed: fc.boolean(),
    })
    const asked = fc.record(
      {
        tenant: tenants,
        status: fc.constantFrom('open' as const, 'closed' as const),
        entity: entities,
        series: fc.constantFrom('up{}', 'up{a="\\"b"}'),
        ...time,
      },
      { requiredKeys: [] },
    )
    const property = fc.asyncProperty(worldOf(made, asked), async ([worlds, queries, limit]) => {
      const index = await fresh()
      const all = worlds.map(({ tenant, entity, key, start, lasts, closed }, i) =>
        anomaly(`ano_${i}`, {
          tenant,
          entity,
          key,
          startMs: BASE_MS + start * 1000,
          detectedMs: BASE_MS + (start + 1) * 1000,
          endMs: BASE_MS + (start + lasts) * 1000,
          status: closed ? 'closed' : 'open',
        }),
      )
      await index.apply(
        lines(all.map(one => ({ type: 'anomaly', event: 'opened', anomaly: one }) as RecordEntry)),
      )
      for (const query of queries) {
        const expected = all.filter(
          each =>
            (!query.tenant || each.tenant === query.tenant) &&
            (!query.status || each.status === query.status) &&
            (!query.entity || each.entity === query.entity) &&
            (!query.series || each.key === query.series) &&
            (!query.fromMs || each.status === 'open' || each.endMs >= query.fromMs) &&
            (!query.toMs || each.startMs < query.toMs),
        )
        const sorted = expected
          .map(one => ({ id: one.id, ms: one.detectedMs, one }))
          .sort(byPlace)
          .map(({ one }) => one)
        const found = await allOf(
          cursor => index.anomalies({ ...(query as AnomalyQuery), limit, ...(cursor ? { cursor } : {}) }),
          limit,
        )
        expect(found).toEqual(sorted)
      }
    })
    await fc.assert(property, { numRuns: runs })
  })

  it('answers nothing for what it does not have', async () => {
    const index = await fresh()
    expect(await index.disruption('dis_none')).toBeUndefined()
    expect(await index.disruptions({ limit: 10 })).toEqual({ items: [], next: null })
    expect(await index.anomalies({ limit: 10 })).toEqual({ items: [], next: null })
    expect(await index.similar('dis_none', 10)).toEqual([])
    expect(await index.changes(10)).toEqual([])
    expect([...(await index.position())]).toEqual([])
  })

  it("gives a tenant's changes only, and those recorded before they had one to default", async () => {
    const index = await fresh()
    const entries = ['acme', undefined, 'globex', 'acme'].map((tenant, i) =>
      changed(`chg_${i}`, { timeMs: BASE_MS + i, ...(tenant === undefined ? {} : { tenant }) }),
    )
    await index.apply(lines(entries))
    const idsOf = async (tenant: string, limit = 10) =>
      (await index.changes(limit, tenant)).map(one => one.id)
    expect(await idsOf('acme')).toEqual(['chg_3', 'chg_0'])
    expect(await idsOf('acme', 1)).toEqual(['chg_3'])
    expect(await idsOf('default')).toEqual(['chg_1'])
    expect(await idsOf("x' OR '1'='1")).toEqual([])
    expect(await index.changes(10)).toHaveLength(4)
  })

  it('keeps changes of two tenants apart that have the same id and time', async () => {
    const index = await fresh()
    const entries = ['acme', 'globex', undefined].map(tenant =>
      changed('release', { ref: `of ${tenant}`, ...(tenant === undefined ? {} : { tenant }) }),
    )
    await index.apply(lines(entries))
    const refsOf = async (tenant?: string) => (await index.changes(10, tenant)).map(one => one.ref).sort()
    expect(await refsOf('acme')).toEqual(['of acme'])
    expect(await refsOf('globex')).toEqual(['of globex'])
    expect(await refsOf('default')).toEqual(['of undefined'])
    expect(await refsOf()).toEqual(['of acme', 'of globex', 'of undefined'])
  })

  it('keeps the newest changes, each once', async () => {
    const index = await fresh()
    const entries = Array.from({ length: 5 }, (_, i) => changed(`chg_${i}`, { timeMs: BASE_MS + i }))
    entries.push(changed('chg_1', { timeMs: BASE_MS + 1, ref: 'v2', untilMs: BASE_MS + 9 }))
    entries.push({ type: 'audit', who: 'key ops', action: 'model.promote', detail: { model: 'm', n: [1] } })
    await index.apply(lines(entries))
    const found = await index.changes(4)
    expect(found.map(one => one.id)).toEqual(['chg_4', 'chg_3', 'chg_2', 'chg_1'])
    expect(found[3]).toEqual({
      ...{ id: 'chg_1', timeMs: BASE_MS + 1, entity: 'checkout', kind: 'deploy' },
      ...{ ref: 'v2', untilMs: BASE_MS + 9 },
    })
  })
}

function pages({ fresh }: IndexSubject): void {
  it('pages without repetition while others arrive and change', async () => {
    const index = await fresh()
    await index.apply(lines(Array.from({ length: 10 }, (_, i) => told(dis(i)))))
    const first = await index.disruptions({ limit: 4 })
    const later = Array.from({ length: 10 }, (_, i) => told(dis(i + 10)))
    // One of another partition that is told late belongs among those already shown.
    later.push(told(disruption('dis_late', { detectedAt: iso(8) })))
    later.push(told(dis(2, { revision: 2, severity: 'critical' })))
    await index.apply(lines(later, 11))
    const second = await index.disruptions({ limit: 100, cursor: first.next as string })
    expect([...first.items, ...second.items].map(each => each.id)).toEqual(
      [9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map(i => `dis_${i}`),
    )
    expect(second.next).toBeNull()
    expect(second.items.find(each => each.id === 'dis_2')?.severity).toBe('critical')
    const whole = await index.disruptions({ limit: 100 })
    expect(whole.items.length).toBe(21)
    // Of one moment: by id, backwards.
    expect(whole.items.slice(11, 13).map(one => one.id)).toEqual(['dis_late', 'dis_8'])
  })

  it('takes no cursor that it did not give out, and no more than a thousand at once', async () => {
    const index = await fresh()
    await index.apply(lines([told(dis(1))]))
    for (const cursor of ['nonsense', '', Buffer.from("1:x'\0").toString('base64url')]) {
      await expect(index.disruptions({ limit: 1, cursor })).rejects.toMatchObject({
        code: 'FS_INPUT_INVALID',
      })
      await expect(index.anomalies({ limit: 1, cursor })).rejects.toMatchObject({ code: 'FS_INPUT_INVALID' })
    }
    const odd = Buffer.from("99999999999999:'; drop").toString('base64url')
    expect((await index.disruptions({ limit: 1, cursor: odd })).items.length).toBe(1)
    expect((await index.disruptions({ limit: 0 })).items.length).toBe(1)
    expect((await index.disruptions({ limit: 1e9 })).items.length).toBe(1)
  })
}

function likeness({ fresh }: IndexSubject): void {
  it('finds similar disruptions of the same tenant, the same cause first', async () => {
    const index = await fresh()
    const suspect = (entity: string) => [{ ...disruption('x').suspects[0], entity }]
    const all = [
      disruption('same cause', { entities: ['edge'], suspects: suspect('payments') }),
      disruption('same entities', { suspects: suspect('cache') }),
      disruption('other tenant', { tenant: 'other' }),
      disruption('nothing shared', { entities: ['x'], suspects: [], evidence: [] }),
      disruption('asked'),
      disruption('twin'),
      disruption('changed', { revision: 1 }),
      disruption('changed', { revision: 2, entities: ['x'], suspects: [], evidence: [] }),
    ]
    await index.apply(lines(all.map(told)))
    const found = await index.similar('asked', 10)
    expect(found.map(({ disruption: { id } }) => id)).toEqual(['twin', 'same cause', 'same entities'])
    expect(found[0].similarity).toBeCloseTo(1)
    expect(found[1].shared).toEqual(['metric latency_seconds:p99', 'suspect payments'])
    expect(found[0].disruption).toEqual(all[5])
    expect((await index.similar('asked', 1)).map(({ disruption: { id } }) => id)).toEqual(['twin'])
    // Asked of what is another tenant's, it answers of that tenant.
    expect(await index.similar('other tenant', 10)).toEqual([])
  })

  it('ranks what is similar alike, ties newest first', async () => {
    const index = await fresh()
    const one = { ...disruption('x').suspects[0] }
    const all = Array.from({ length: 30 }, (_, i) =>
      dis(i, {
        entities: [`e${i % 3}`, `e${i % 5}`, 'edge'].filter((e, at, list) => list.indexOf(e) === at),
        suspects: [
          { ...one, entity: `s${i % 2}` },
          { ...one, entity: `s${i % 7}`, metric: `m${i % 4}` },
        ],
        evidence: [],
      }),
    )
    await index.apply(lines(all.map(told)))
    const found = await index.similar('dis_0', 100)
    expect(found.length).toBe(29)
    expect(found.slice(0, 1).map(({ disruption: { id } }) => id)).toEqual(['dis_28'])
    for (let i = 1; i < found.length; i++) {
      const [a, b] = [found[i - 1], found[i]]
      expect(a.similarity).toBeGreaterThanOrEqual(b.similarity)
      if (a.similarity === b.similarity) expect(a.disruption.detectedAt > b.disruption.detectedAt).toBe(true)
    }
  })
}

function order({ fresh }: IndexSubject): void {
  it('keeps the newest revision, whatever the order', async () => {
    const index = await fresh()
    const told = [2, 3, 1].map(revision => ({ type: 'disruption', event: event('dis_a', revision) }) as const)
    await index.apply(lines(told.slice(0, 2)))
    await index.apply(lines(told.slice(2), 3))
    expect((await index.disruption('dis_a'))?.revision).toBe(3)
    expect((await index.disruptions({ limit: 10 })).items.length).toBe(1)
  })

  it('keeps an anomaly closed', async () => {
    const index = await fresh()
    const open = anomaly('ano_a')
    const closed = anomaly('ano_a', { status: 'closed', surprise: 9 })
    await index.apply(lines([{ type: 'anomaly', event: 'opened', anomaly: open }]))
    expect((await index.anomalies({ limit: 9 })).items).toEqual([open])
    await index.apply(lines([{ type: 'anomaly', event: 'closed', anomaly: closed }], 2))
    await index.apply(lines([{ type: 'anomaly', event: 'opened', anomaly: open }], 3))
    expect((await index.anomalies({ limit: 9 })).items).toEqual([closed])
  })

  it('keeps every number and every text as it was', async () => {
    const index = await fresh()
    const text = 'a\tb\\n\n\\N,"x"\r{}\u2028 é 漢 😀'
    const one = disruption('dis_odd', {
      title: text,
      entity: text,
      entities: [text, 'b'],
      tenant: text,
      score: 0.1 + 0.2,
      confidence: 1e-300,
    })
    const strange = anomaly('ano_odd', { key: text, entity: text, tenant: text, observed: 1e308 })
    const change = changed('chg_odd', { ref: text, entity: text })
    await index.apply(lines([told(one), { type: 'anomaly', event: 'opened', anomaly: strange }, change]))
    expect(await index.disruption('dis_odd')).toEqual(one)
    expect((await index.disruptions({ tenant: text, entity: text, limit: 1 })).items).toEqual([one])
    expect((await index.anomalies({ tenant: text, entity: text, series: text, limit: 1 })).items).toEqual([
      strange,
    ])
    expect((await index.changes(1))[0].ref).toBe(text)
  })
}

function positions({ fresh }: IndexSubject): void {
  it('takes lines once, and says how far it is', async () => {
    const index = await fresh()
    const all = lines(Array.from({ length: 6 }, (_, i) => told(dis(i))))
    await index.apply(all.slice(0, 4))
    expect(await index.position()).toEqual(new Map([[0, { seq: 4, offset: 0 }]]))
    await index.apply(all)
    await index.apply(all.slice(0, 2))
    await index.apply([])
    expect((await index.position()).get(0)).toEqual({ seq: 6, offset: 0 })
    expect((await index.disruptions({ limit: 100 })).items.length).toBe(6)
  })

  it('knows partitions apart, and refuses to pass over lines', async () => {
    const index = await fresh()
    const from = (partition: number, offset: number) => ({ partition, offset })
    await index.apply(lines([told(dis(1)), told(dis(2))], 5), from(1, 17))
    await index.apply(lines([told(dis(3))], 1), from(0, 3))
    const positions = new Map([
      [1, { seq: 6, offset: 17 }],
      [0, { seq: 1, offset: 3 }],
    ])
    expect(await index.position()).toEqual(positions)
    await expect(index.apply(lines([told(dis(4))], 8), from(1, 18))).rejects.toMatchObject({
      code: 'FS_CONFLICT',
    })
    expect(await index.position()).toEqual(positions)
    expect(await index.disruption('dis_4')).toBeUndefined()
    await index.apply(lines([told(dis(4))], 8), { ...from(1, 18), afterGap: true })
    expect((await index.position()).get(1)).toEqual({ seq: 8, offset: 18 })
    expect(await index.disruption('dis_4')).toBeDefined()
  })
}

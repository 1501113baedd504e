// PostgreSQL as index, on a real server: the contract of indexes, months that come and go, values that no database takes,
// two processes that bring the same lines, a server that is away, and queries that use their indexes.
import { afterAll, describe, expect, it } from 'vitest'
import { PostgresIndex, type PostgresIndexOptions } from '../../src/store/postgres-index.ts'
import { type PostgresPeer, postgres, postgresOfFile } from '../peers/postgres.ts'
import { changed, describeIndex, iso, lines, told } from './index-contract.ts'
import { anomaly, BASE_MS, disruption } from './samples.ts'

const DAY_MS = 86_400_000
const peer: PostgresPeer | undefined = await postgresOfFile('postgres-index')
const opened: PostgresIndex[] = []
afterAll(async () => {
  await Promise.all(opened.map(index => index.close()))
  await peer?.remove()
})

let schemas = 0
const schemaOf = () => `test_${schemas++}`
function open(more: Partial<PostgresIndexOptions> = {}): PostgresIndex {
  const index = new PostgresIndex({
    url: peer?.url ?? '',
    schema: schemaOf(),
    retentionMs: 400 * DAY_MS,
    clock: () => BASE_MS,
    connections: 2,
    ...more,
  })
  opened.push(index)
  return index
}

describe.skipIf(!peer)('PostgreSQL as index', () => {
  describeIndex({ name: 'PostgreSQL', runs: 5, fresh: async () => open() })

  const asked = (text: string) => (peer as PostgresPeer).ask(text)
  const told24 = Array.from({ length: 24 }, (_, i) => {
    const at = new Date(Date.UTC(2025, i, 15)).toISOString()
    return told(disruption(`dis_${i}`, { detectedAt: at, startedAt: at }))
  })

  it('closes though the server hangs, and whoever waits for it hears of it', async context => {
    const own = await postgres(context)
    const index = new PostgresIndex({
      url: own.url,
      schema: 'hangs',
      retentionMs: 400 * DAY_MS,
      clock: () => BASE_MS,
    })
    await index.apply(lines([told24[0]]))
    own.pause()
    const asked = [index.position(), index.apply(lines([told24[1]])), index.position()]
    const outcomes = Promise.allSettled(asked)
    await new Promise(done => setTimeout(done, 200)) // until the server has been sent them
    const startedMs = performance.now()
    await index.close()
    // A query is given up after 15 s, lines after two minutes.
    expect(performance.now() - startedMs).toBeLessThan(12_000)
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'FS_IO' } })
    own.resume()
  })

  it('keeps a partition a month, and drops those that are over with all that hangs on them', async () => {
    const schema = schemaOf()
    let nowMs = Date.UTC(2025, 6, 20)
    const retentionMs = 100 * DAY_MS
    const index = open({ schema, retentionMs, clock: () => nowMs })
    await index.apply(lines([...told24, changed('chg', { timeMs: Date.UTC(2025, 4, 1) })]))
    const parts = async (table: string) =>
      (
        await asked(
          `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = '${schema}.${table}'::regclass ORDER BY 1`,
        )
      ).map(({ name }) => String(name).replace(`${schema}.`, ''))
    // What was over before is not kept; what lies far ahead waits among the others.
    expect(await parts('disruptions')).toEqual([
      ...['2025_04', '2025_05', '2025_06', '2025_07', '2025_08', '2025_09'].map(one => `disruptions_${one}`),
      'disruptions_other',
    ])
    const ids = async () => (await index.disruptions({ limit: 100 })).items.map(one => one.id)
    const all = Array.from({ length: 21 }, (_, i) => `dis_${23 - i}`)
    expect(await ids()).toEqual(all)
    nowMs = Date.UTC(2026, 0, 20)
    expect(await index.prune()).toEqual(
      ['2025_04', '2025_05', '2025_06', '2025_07', '2025_08', '2025_09'].map(one => one.replace('_', '-')),
    )
    expect(await ids()).toEqual(all.filter(id => Number(id.slice(4)) >= 9))
    expect(await index.changes(10)).toEqual([])
    // What came early moves into its month when that is made.
    await index.apply(lines([told(disruption('dis_new', { detectedAt: '2026-02-03T00:00:00.000Z' }))], 26))
    expect(await parts('disruptions')).toContain('disruptions_2026_02')
    const moved = await asked(`SELECT count(*)::int AS n FROM ${schema}.disruptions_2026_02`)
    expect(moved[0].n).toBe(2)
    expect(await asked(`SELECT count(*)::int AS n FROM ${schema}.traits_2026_02`)).toEqual([{ n: 2 * 7 }])
    expect((await index.similar('dis_new', 100)).length).toBe((await ids()).length - 1)
  })

  it('takes what no database takes as text, and names longer than an index entry', async () => {
    const index = open()
    const long = 'x'.repeat(9000)
    const odd = 'a\u0000b\\u0000c\ud800d'
    const one = disruption('dis_odd', { tenant: long, title: odd, entity: odd, entities: [odd, long] })
    const strange = anomaly('ano_odd', { tenant: long, key: long, entity: odd, labels: { [odd]: odd } })
    const all = lines([
      told(one),
      { type: 'anomaly', event: 'opened', anomaly: strange },
      changed('chg', { ref: odd }),
    ])
    await index.apply(all)
    const stored = 'a\ufffdb\\u0000c\ufffdd'
    expect((await index.disruption('dis_odd'))?.title).toBe(stored)
    expect((await index.disruptions({ tenant: long, entity: odd, limit: 1 })).items.length).toBe(1)
    expect((await index.disruptions({ entity: long, limit: 1 })).items.length).toBe(1)
    const found = await index.anomalies({ tenant: long, series: long, entity: odd, limit: 1 })
    expect(found.items[0].labels).toEqual({ [stored]: stored })
    expect((await index.changes(1))[0].ref).toBe(stored)
  })

  it('takes lines once, whoever brings them', async () => {
    const schema = schemaOf()
    const all = lines(
      Array.from({ length: 300 }, (_, i) =>
        told(disruption(`dis_${i % 100}`, { revision: 1 + Math.floor(i / 100), detectedAt: iso(i % 100) })),
      ),
    )
    const one = open({ schema })
    const two = open({ schema })
    const bring = async (index: PostgresIndex) => {
      for (let at = 0; at < all.length; at += 20)
        await index.apply(all.slice(at, at + 20), { partition: 3, offset: at + 20 })
    }
    // Both find the schema missing at the same time, too.
    await Promise.all([bring(one), bring(two)])
    expect(await two.position()).toEqual(new Map([[3, { seq: 300, offset: 300 }]]))
    const { items } = await one.disruptions({ limit: 1000 })
    expect(items.length).toBe(100)
    expect(new Set(items.map(each => each.revision))).toEqual(new Set([3]))
    expect(await asked(`SELECT count(*)::int AS n FROM ${schema}.traits`)).toEqual([{ n: 700 }])
  })

  it('finds a page by its index', async () => {
    const schema = schemaOf()
    const index = open({ schema })
    const some = Array.from({ length: 3000 }, (_, i) =>
      disruption(`dis_${i}`, { detectedAt: iso(i), entities: [`e${i % 500}`], entity: `e${i % 500}` }),
    )
    await index.apply(lines(some.map(told)))
    await asked(`ANALYZE ${schema}.disruptions, ${schema}.traits`)
    expect(
      (await index.disruptions({ entity: 'e7', tenant: 'default', limit: 3 })).items.map(one => one.id),
    ).toEqual(['dis_2507', 'dis_2007', 'dis_1507'])
    const { disruptionsStatement } = await import('../../src/store/index-sql.ts')
    for (const query of [
      { tenant: 'default' },
      {},
      { tenant: 'default', entity: 'e7' },
      { cursor: Buffer.from(`${BASE_MS + 9000}:x`).toString('base64url') },
    ]) {
      const { text, values } = disruptionsStatement({ ...query, limit: 20 }, schema, 'postgres')
      const filled = text.replace(/\$(\d+)/g, (_, n) =>
        typeof values[n - 1] === 'string' ? `'${values[n - 1]}'` : String(values[n - 1]),
      )
      const plan = (await asked(`EXPLAIN ${filled}`)).map(row => row['QUERY PLAN']).join('\n')
      expect(plan).toContain('Index')
      expect(plan).not.toMatch(/Seq Scan on (disruptions|traits)_2026/)
      expect(plan).not.toContain('Sort Key: d.body')
    }
  })

  it('brings an index of the first layout up to date, and finds the changes of a tenant by their index', async () => {
    const schema = schemaOf()
    const { MIGRATIONS } = await import('../../src/store/postgres-migrations.ts')
    const { changesStatement } = await import('../../src/store/index-sql.ts')
    await asked(`CREATE SCHEMA ${schema};
      CREATE TABLE ${schema}.versions (version int PRIMARY KEY, made timestamptz NOT NULL DEFAULT now());
      ${MIGRATIONS[0].replaceAll('{schema}', schema)};
      INSERT INTO ${schema}.versions (version) VALUES (1)`)
    const old = ['acme', undefined, 'zürich "x"'].map((tenant, i) => {
      const made = changed(`old_${i}`, { timeMs: BASE_MS + i, ...(tenant === undefined ? {} : { tenant }) })
      return made.type === 'change' ? made.change : undefined
    })
    for (const change of old)
      await asked(
        `INSERT INTO ${schema}.changes VALUES ('${change?.id}', ${change?.timeMs}, 'checkout', 'deploy', '${JSON.stringify(change)}')`,
      )
    const index = open({ schema })
    const more = Array.from({ length: 3000 }, (_, i) =>
      changed(`chg_${i}`, { timeMs: BASE_MS + i, tenant: i % 300 === 0 ? 'acme' : 'globex' }),
    )
    await index.apply(lines(more))
    const idsOf = async (tenant: string) => (await index.changes(100, tenant)).map(one => one.id)
    expect(await idsOf('default')).toEqual(['old_1'])
    expect(await idsOf('zürich "x"')).toEqual(['old_2'])
    expect((await idsOf('acme')).length).toBe(11)
    expect((await idsOf('acme')).slice(-2).sort()).toEqual(['chg_0', 'old_0'])
    await asked(`ANALYZE ${schema}.changes`)
    const { text, values } = changesStatement(5, schema, 'acme')
    const plan = (await asked(`EXPLAIN ${text.replace('$1', `'${values[0]}'`)}`)).map(
      row => row['QUERY PLAN'],
    )
    expect(plan.join('\n')).toMatch(/Index Scan.* on changes_2026/)
    expect(plan.join('\n')).not.toMatch(/Seq Scan on changes_2026/)
  })
})

describe.skipIf(!peer)('a PostgreSQL that is away', () => {
  it('answers FS_IO while it is, and goes on when it is back', async context => {
    const own = await postgres(context)
    const index = open({ url: own.url, schema: 'away', queryMs: 700 })
    await own.stop()
    const away = expect.objectContaining({ code: 'FS_IO' })
    await expect(index.position()).rejects.toEqual(away)
    await expect(index.apply(lines([told(disruption('dis_a'))]))).rejects.toEqual(away)
    await own.start()
    await index.apply(lines([told(disruption('dis_a'))]))
    expect((await index.disruptions({ limit: 5 })).items.length).toBe(1)
    own.pause()
    const askedMs = Date.now()
    await expect(index.disruptions({ limit: 5 })).rejects.toEqual(away)
    expect(Date.now() - askedMs).toBeLessThan(12_000)
    own.resume()
    await expect
      .poll(() => index.disruption('dis_a').catch(() => undefined), { timeout: 10_000 })
      .toBeDefined()
    // A crash: what was applied is there, and a connection that was cut is replaced.
    await own.kill()
    await own.start()
    await expect
      .poll(() => index.disruption('dis_a').catch(() => undefined), { timeout: 10_000 })
      .toBeDefined()
    await index.apply(lines([told(disruption('dis_b'))], 2))
    expect((await index.disruptions({ limit: 5 })).items.length).toBe(2)
  })
})

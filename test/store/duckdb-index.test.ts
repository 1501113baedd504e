// DuckDB as index: the contract of indexes; what was applied is there after a restart and a kill; a file that is damaged,
// held by another process or of another layout is built anew, with a warning and never a failed start.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { DuckDbIndex } from '../../src/store/duckdb-index.ts'
import { changed, describeIndex, iso, lines, told } from './index-contract.ts'
import { anomaly, BASE_MS, disruption } from './samples.ts'

const dir = mkdtempSync(join(tmpdir(), 'foreshock-duckdb-'))
const opened: DuckDbIndex[] = []
const warnings: string[] = []
afterAll(async () => {
  await Promise.all(opened.map(index => index.close().catch(() => {})))
  rmSync(dir, { recursive: true, force: true })
})

let files = 0
const fileOf = () => join(dir, `${files++}.duckdb`)
async function open(path: string, retentionMs = 4e10): Promise<DuckDbIndex> {
  const index = await DuckDbIndex.open({ path, retentionMs, onWarning: text => warnings.push(text) })
  opened.push(index)
  return index
}

describeIndex({ name: 'DuckDB', runs: 5, fresh: () => open(fileOf()) })

describe('DuckDB as index', () => {
  const all = lines(
    Array.from({ length: 50 }, (_, i) => told(disruption(`dis_${i}`, { detectedAt: iso(i) }))),
  )

  it('has after a restart what it had, and knows of which record', async () => {
    const path = fileOf()
    const first = await open(path)
    await first.apply(all)
    const before = await first.disruptions({ limit: 100 })
    await first.close()
    const second = await open(path)
    expect(await second.position()).toEqual(new Map([[0, { seq: 50, offset: 0 }]]))
    expect(second.lastId).toBe('line-50')
    expect(await second.disruptions({ limit: 100 })).toEqual(before)
    await second.clear()
    expect((await second.disruptions({ limit: 100 })).items).toEqual([])
    expect((await second.position()).size).toBe(0)
    expect(second.lastId).toBeUndefined()
    await second.apply(all.slice(0, 3))
    expect((await second.disruptions({ limit: 100 })).items.length).toBe(3)
    expect(warnings).toEqual([])
  })

  it('builds a damaged file anew', async () => {
    const path = fileOf()
    const first = await open(path)
    await first.apply(all)
    await first.close()
    writeFileSync(path, Buffer.alloc(statSync(path).size, 7))
    const second = await open(path)
    expect(warnings.splice(0)).toEqual([expect.stringContaining('built anew from the record')])
    expect((await second.position()).size).toBe(0)
    await second.apply(all)
    expect((await second.disruptions({ limit: 100 })).items.length).toBe(50)
    await second.close()
    await open(path)
    expect(warnings).toEqual([])
  })

  it('starts though another process holds the file', async context => {
    const path = fileOf()
    const holder = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `const { DuckDBInstance } = await import(${JSON.stringify(import.meta.resolve('@duckdb/node-api'))})
       const held = await DuckDBInstance.create(${JSON.stringify(path)})
       const connection = await held.connect()
       await connection.run('CREATE TABLE t (a INTEGER)')
       console.log('held'); setInterval(() => {}, 1000)`,
    ])
    context.onTestFinished(() => void holder.kill('SIGKILL'))
    await new Promise((held, failed) => {
      holder.stdout.once('data', held)
      holder.stderr.once('data', text => failed(new Error(String(text))))
    })
    const index = await open(path)
    expect(warnings.splice(0)).toEqual([expect.stringContaining('built anew from the record')])
    await index.apply(all)
    expect((await index.disruptions({ limit: 100 })).items.length).toBe(50)
  })

  it('stays in memory where no file can be made', async () => {
    const path = join(dir, 'folder.duckdb')
    rmSync(path, { recursive: true, force: true })
    const { mkdirSync } = await import('node:fs')
    mkdirSync(join(path, 'inside'), { recursive: true })
    mkdirSync(`${path}.unusable/x`, { recursive: true })
    const index = await open(path)
    expect(warnings.splice(0).length).toBe(2)
    await index.apply(all)
    expect((await index.disruptions({ limit: 100 })).items.length).toBe(50)
  })

  it('drops what is older than is kept, and keeps what text may hold', async () => {
    const index = await open(fileOf(), 10 * 86_400_000)
    const day = (n: number) => new Date(BASE_MS + n * 86_400_000).toISOString()
    const entries = Array.from({ length: 30 }, (_, i) => told(disruption(`dis_${i}`, { detectedAt: day(i) })))
    const days = lines(entries).map((line, i) => ({ ...line, timeMs: BASE_MS + i * 86_400_000 }))
    for (const line of days) await index.apply([line])
    const ids = (await index.disruptions({ limit: 100 })).items.map(one => one.id)
    expect(ids).toEqual(Array.from({ length: 11 }, (_, i) => `dis_${29 - i}`))
    expect((await index.similar('dis_29', 100)).length).toBe(10)
    const odd = 'a\u0000b\ud800'
    await index.apply(
      lines(
        [
          {
            type: 'anomaly',
            event: 'opened',
            anomaly: anomaly('ano_odd', { entity: odd, detectedMs: BASE_MS + 29 * 86_400_000 }),
          },
          changed('chg', { ref: odd, timeMs: BASE_MS + 29 * 86_400_000 }),
        ],
        31,
      ),
    )
    expect((await index.anomalies({ entity: odd, limit: 2 })).items[0].entity).toBe('a\ufffdb\ufffd')
    expect((await index.changes(1))[0].ref).toBe('a\ufffdb\ufffd')
  })

  it('keeps what was found when a change is announced that lies far ahead', async () => {
    const index = await open(fileOf(), 10 * 86_400_000)
    await index.apply(all)
    const timeMs = BASE_MS + 400 * 86_400_000
    const ahead = changed('chg_ahead', { kind: 'maintenance', timeMs })
    await index.apply([{ seq: 51, timeMs, id: 'line-51', entry: ahead }])
    expect((await index.disruptions({ limit: 100 })).items.length).toBe(50)
    await index.apply(lines([told(disruption('dis_next', { detectedAt: iso(60) }))], 52))
    expect((await index.disruptions({ limit: 1 })).items[0].id).toBe('dis_next')
    expect((await index.changes(1))[0].id).toBe('chg_ahead')
  })

  it('leaves nothing beside its file', async () => {
    expect(readdirSync(dir).filter(name => !/^\d+\.duckdb(\.wal|\.unusable)?$|^folder/.test(name))).toEqual(
      [],
    )
  })
})

// Shows `foreshock index` as a user calls it. One process: the DuckDB file is built from the record's files, says how far
// it is, and refuses what makes no sense with a line that says why. A fleet, on a real Kafka and a real PostgreSQL: built
// from the topic while the index in use answers, and how far it is behind.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { addIndexCommand } from '../../src/commands/index.ts'
import { TOPICS } from '../../src/core/stream.ts'
import { DuckDbIndex } from '../../src/store/duckdb-index.ts'
import { indexFile } from '../../src/store/embedded-index.ts'
import { FileRecord } from '../../src/store/file-record.ts'
import { PostgresIndex } from '../../src/store/postgres-index.ts'
import { StreamRecord } from '../../src/store/stream-record.ts'
import { kafkaWorld } from '../peers/kafka.ts'
import { postgres } from '../peers/postgres.ts'
import { iso, told } from '../store/index-contract.ts'
import { BASE_MS, disruption } from '../store/samples.ts'
import { printed } from './printed.ts'

afterEach(() => {
  process.exitCode = undefined
})

const indexed = (...words: readonly string[]) => printed(addIndexCommand, ['index', ...words])

const drafts = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => {
    const one = disruption(`dis_${from + i}`, { detectedAt: iso(from + i) })
    return { id: `${one.id}.1`, timeMs: BASE_MS + i, entry: told(one) }
  })

function written(config: (dir: string) => unknown): { dir: string; file: string } {
  const dir = mkdtempSync(join(tmpdir(), 'foreshock-index-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const file = join(dir, 'foreshock.json')
  writeFileSync(file, JSON.stringify(config(dir)))
  return { dir, file }
}

describe('foreshock index of one process', () => {
  it('builds the file from the record, and says how far it is', async () => {
    const { dir, file } = written(dir => ({ data: { folder: dir, index: 'duckdb' } }))
    await expect(indexed('rebuild', '--config', file)).rejects.toMatchObject({ code: 'FS_INPUT_INVALID' })
    const record = await FileRecord.open({ dir: join(dir, 'record') })
    for (const { id, timeMs, entry } of drafts(0, 30)) await record.append(id, timeMs, entry)
    await record.close()
    expect(await indexed('status', '--config', file)).toMatch(
      /not made yet\npartition 0: 0 lines, 30 behind\n$/,
    )
    expect(await indexed('rebuild', '--config', file)).toMatch(/^30 lines in [\d.]+ s\n$/)
    expect(JSON.parse(await indexed('status', '--json', '--config', file))).toEqual({
      kind: 'duckdb',
      where: indexFile(dir),
      partitions: [{ partition: 0, seq: 30, behind: 0 }],
    })
    // A file that holds what is not in the record: built anew, it does not.
    const options = { path: indexFile(dir), retentionMs: 4e10, onWarning: () => {} }
    const index = await DuckDbIndex.open(options)
    await index.apply([{ seq: 31, timeMs: BASE_MS, id: 'x', entry: told(disruption('dis_wrong')) }])
    await index.close()
    expect(JSON.parse(await indexed('rebuild', '--json', '--config', file))).toMatchObject({ lines: 30 })
    const built = await DuckDbIndex.open(options)
    expect((await built.disruptions({ limit: 100 })).items.length).toBe(30)
    await built.close()
    expect(existsSync(join(dir, 'lock'))).toBe(false)
  })

  it('has nothing to rebuild in memory', async () => {
    const { file } = written(dir => ({ data: { folder: dir } }))
    await expect(indexed('rebuild', '--config', file)).rejects.toThrow('data.index is memory')
  })
})

describe('foreshock index of a fleet', () => {
  it('is built from the topic beside the one in use', async context => {
    const database = await postgres(context)
    const { streams: open, options } = await kafkaWorld({ [TOPICS.record]: 2 }, context)
    const streams = await open()
    const { file } = written(() => ({
      cluster: {
        kafka: { brokers: options.brokers, prefix: options.prefix },
        redis: { url: 'redis://127.0.0.1:1' },
        postgres: { url: database.url },
      },
    }))
    for (const partition of [0, 1]) {
      const record = await StreamRecord.open({ streams, name: `stage-${partition}`, partition })
      await record.commit(drafts(100 * partition, 40))
      await record.close()
    }
    const status = async () => JSON.parse(await indexed('status', '--json', '--config', file))
    const before = await status()
    expect(before.kind).toBe('postgres')
    expect(before.partitions.map((one: { seq: number }) => one.seq)).toEqual([0, 0])
    expect(before.partitions[0].behind).toBeGreaterThanOrEqual(40)
    expect(await indexed('rebuild', '--config', file)).toMatch(/^80 lines in [\d.]+ s\n$/)
    const after = await status()
    expect(after.partitions.map((one: { seq: number }) => one.seq)).toEqual([40, 40])
    // Marks of transactions take an offset, and are no line.
    for (const { behind } of after.partitions) expect(behind).toBeLessThanOrEqual(1)
    const index = new PostgresIndex({
      url: database.url,
      schema: 'foreshock',
      retentionMs: 4e10,
      clock: () => BASE_MS,
    })
    expect((await index.disruptions({ limit: 100 })).items.length).toBe(80)
    await index.close()
  })
})

// The indexer brings every line of the topic `record` into the index once, in several partitions and whoever of two
// members holds them; passes over what is no line; goes on after the index was away for a while or was replaced by one
// that is behind. With PostgreSQL: stopped under load, and rebuilt while the service runs.
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { ForeshockError } from '../../src/core/errors.ts'
import { createLogger } from '../../src/core/logger.ts'
import type { RecordEntry, RecordLine } from '../../src/core/ports.ts'
import { TOPICS } from '../../src/core/stream.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { indexRecord } from '../../src/roles/index-rebuild.ts'
import { Indexer } from '../../src/roles/indexer.ts'
import { MemoryIndex } from '../../src/store/memory-index.ts'
import { PostgresIndex, type PostgresIndexOptions } from '../../src/store/postgres-index.ts'
import { beginRebuild } from '../../src/store/postgres-rebuild.ts'
import { StreamRecord } from '../../src/store/stream-record.ts'
import { postgresOfFile } from '../peers/postgres.ts'
import { iso, told } from '../store/index-contract.ts'
import { BASE_MS, disruption } from '../store/samples.ts'

const PARTITIONS = 3
const logger = createLogger('silent')
const peer = await postgresOfFile('indexer')
afterAll(async () => peer?.remove())

class World {
  readonly log = new MemoryLog({ topics: { [TOPICS.record]: PARTITIONS } })
  readonly streams = new MemoryStreams(this.log)
  readonly telemetry = new Telemetry()
  #written = 0
  readonly #records: Promise<StreamRecord>[] = []

  /** So many disruptions, over the partitions, through the record that the stages write. */
  async write(count: number): Promise<void> {
    const drafts: { id: string; timeMs: number; entry: RecordEntry }[][] = Array.from(
      { length: PARTITIONS },
      () => [],
    )
    for (let i = 0; i < count; i++) {
      const n = this.#written++
      const one = disruption(`dis_${n}`, { detectedAt: iso(n) })
      drafts[n % PARTITIONS].push({ id: `${one.id}.1`, timeMs: BASE_MS + n, entry: told(one) })
    }
    for (const [partition, lines] of drafts.entries()) {
      const { streams } = this
      this.#records[partition] ??= StreamRecord.open({ streams, name: `stage-${partition}`, partition })
      await (await this.#records[partition]).commit(lines)
    }
  }

  async garbage(partition: number): Promise<void> {
    const producer = await this.streams.producer()
    await producer.send(TOPICS.record, [
      { key: 'x', value: Buffer.from('{"no":"line"}'), headers: {}, timestampMs: 1, partition },
    ])
  }

  indexer(member: string, index: PostgresIndex | MemoryIndex): Indexer {
    return new Indexer({
      member,
      index,
      logger,
      telemetry: this.telemetry,
      streams: new MemoryStreams(this.log),
    })
  }
}

const ids = async (index: MemoryIndex | PostgresIndex) => {
  const page = await index.disruptions({ limit: 1000 })
  return page.items.map(one => Number(one.id.slice(4))).reverse()
}
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)
const soon = { timeout: 15_000, interval: 20 }

describe('indexer', () => {
  it('indexes all partitions once, whoever holds them, and passes over what is no line', async () => {
    const world = new World()
    const index = new MemoryIndex()
    await world.write(40)
    await world.garbage(1)
    const first = world.indexer('one', index)
    await first.start()
    await expect.poll(() => ids(index), soon).toEqual(upTo(40))
    const second = world.indexer('two', index)
    await second.start()
    await world.write(40)
    await expect.poll(() => ids(index), soon).toEqual(upTo(80))
    await first.close()
    await world.write(20)
    await expect.poll(() => ids(index), soon).toEqual(upTo(100))
    expect(world.log.committed('index').get(0)).toBe(34)
    await expect.poll(() => world.telemetry.text(), soon).toContain('foreshock_index_lag{partition="0"} 0')
    await second.close()
    const text = await world.telemetry.text()
    expect(text).toMatch(/foreshock_index_skipped_total [1-9]/)
    // Whoever holds the partition next shows how far it is.
    expect(text).not.toContain('foreshock_index_lag{')
  })

  it('waits for an index that is away, and skips only the line that an index refuses', async () => {
    const world = new World()
    let failures = 5
    class Picky extends MemoryIndex {
      override async apply(lines: readonly RecordLine[], source?: Parameters<MemoryIndex['apply']>[1]) {
        if (failures-- > 0) throw new ForeshockError('FS_IO', 'away')
        if (lines.some(line => line.id === 'dis_7.1')) throw new ForeshockError('FS_INPUT_INVALID', 'odd')
        await super.apply(lines, source)
      }
    }
    const index = new Picky()
    await world.write(30)
    const indexer = world.indexer('one', index)
    await indexer.start()
    await expect.poll(() => ids(index), soon).toEqual(upTo(30).filter(n => n !== 7))
    await indexer.close()
  })

  it('shows how much an index lacks while it is away', async () => {
    const world = new World()
    let isAway = false
    class Leaving extends MemoryIndex {
      override async apply(lines: readonly RecordLine[], source?: Parameters<MemoryIndex['apply']>[1]) {
        if (isAway) throw new ForeshockError('FS_IO', 'away')
        await super.apply(lines, source)
      }
      override async position() {
        if (isAway) throw new ForeshockError('FS_IO', 'away')
        return super.position()
      }
    }
    const indexer = world.indexer('one', new Leaving())
    const lag = async () =>
      [...(await world.telemetry.text()).matchAll(/^foreshock_index_lag\{.*\} (\d+)/gm)].map(([, n]) =>
        Number(n),
      )
    await indexer.start()
    await world.write(30)
    await expect.poll(lag, soon).toEqual([0, 0, 0])
    await expect.poll(() => world.log.committed('index').size, soon).toBe(PARTITIONS)
    isAway = true
    await world.write(60)
    await expect.poll(lag, soon).toEqual([20, 20, 20])
    isAway = false
    await expect.poll(lag, soon).toEqual([0, 0, 0])
    await indexer.close()
  })

  it('reads again what an index lacks that took the place of another', async () => {
    const world = new World()
    let current = new MemoryIndex()
    const switched = new Proxy({} as MemoryIndex, {
      get: (_, name: keyof MemoryIndex) => {
        const value = current[name]
        return typeof value === 'function' ? value.bind(current) : value
      },
    })
    const indexer = world.indexer('one', switched)
    await indexer.start()
    await world.write(30)
    await expect.poll(() => ids(current), soon).toEqual(upTo(30))
    const built = new MemoryIndex()
    await indexRecord(
      world.streams,
      built,
      () => {},
      () => {},
    )
    await world.write(30)
    await expect.poll(() => ids(current), soon).toEqual(upTo(60))
    current = built
    await world.write(30)
    await expect.poll(() => ids(built), soon).toEqual(upTo(90))
    await indexer.close()
  })
})

describe.skipIf(!peer)('indexer of PostgreSQL', () => {
  const optionsOf = (schema: string): PostgresIndexOptions => ({
    url: peer?.url ?? '',
    schema,
    retentionMs: 4e10,
    clock: () => BASE_MS,
    connections: 2,
  })

  it('loses and doubles nothing while the server goes away and comes back', async () => {
    const world = new World()
    const index = new PostgresIndex(optionsOf('outage'))
    const indexer = world.indexer('one', index)
    await world.write(50)
    await indexer.start()
    await expect.poll(() => ids(index), soon).toEqual(upTo(50))
    await peer?.stop()
    await world.write(50)
    await wait(700)
    await expect(index.position()).rejects.toMatchObject({ code: 'FS_IO' })
    await peer?.start()
    await world.write(50)
    await expect.poll(() => ids(index).catch(() => []), soon).toEqual(upTo(150))
    await peer?.kill()
    await peer?.start()
    await world.write(50)
    await expect.poll(() => ids(index).catch(() => []), soon).toEqual(upTo(200))
    await indexer.close()
    await index.close()
  })

  it('is rebuilt while the service runs, goes on where a rebuild was cut short, and one at a time', async () => {
    const world = new World()
    const options = optionsOf('built')
    const index = new PostgresIndex(options)
    const indexer = world.indexer('one', index)
    await world.write(100)
    await indexer.start()
    await expect.poll(() => ids(index), soon).toEqual(upTo(100))
    await peer?.ask("DELETE FROM built.disruptions WHERE id = 'dis_5'")
    const cut = await beginRebuild(options, false)
    expect(cut.isResumed).toBe(false)
    await expect(beginRebuild(options, false)).rejects.toMatchObject({ code: 'FS_CONFLICT' })
    const progress: number[] = []
    const skip = () => {}
    await indexRecord(world.streams, cut.index, done => progress.push(done), skip)
    expect(progress.at(-1)).toBe(100)
    await cut.close()
    await world.write(50)
    const rebuild = await beginRebuild(options, false)
    expect(rebuild.isResumed).toBe(true)
    expect(await indexRecord(world.streams, rebuild.index, () => {}, skip)).toEqual({
      messages: 50,
      skipped: 0,
    })
    // What the one in use takes now, the other does not have.
    await world.write(30)
    await expect.poll(() => ids(index), soon).toEqual(upTo(180).filter(n => n !== 5))
    await rebuild.finish()
    expect(await ids(index)).toEqual(upTo(150))
    await world.write(20)
    await expect.poll(() => ids(index), soon).toEqual(upTo(200))
    await indexer.close()
    await index.close()
  })
})

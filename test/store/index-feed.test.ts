// The feed hands an index each line of the record once and under its number, though appends overlap, fail half-way, or
// the index fails for a while; then the record is read, and nothing is missing or doubled.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RecordEntry, RecordLine, RecordLog } from '../../src/core/ports.ts'
import { IndexFeed } from '../../src/store/index-feed.ts'
import { MemoryIndex } from '../../src/store/memory-index.ts'
import { MemoryRecord } from '../../src/store/memory-record.ts'
import { changed } from './index-contract.ts'

/** A record whose appends take a while and fail as told, perhaps with some lines durable. */
class UnsteadyRecord implements RecordLog {
  readonly #inner = new MemoryRecord()
  #chain: Promise<unknown> = Promise.resolve()
  failing = new Set<string>()

  append(id: string, timeMs: number, entry: RecordEntry): Promise<boolean> {
    const turn = this.#chain.then(async () => {
      await new Promise(done => setImmediate(done))
      if (this.failing.delete(id)) throw new Error('disk full')
      return this.#inner.append(id, timeMs, entry)
    })
    this.#chain = turn.catch(() => {})
    return turn
  }
  read(from?: number) {
    return this.#inner.read(from)
  }
  async close() {}
}

class UnsteadyIndex extends MemoryIndex {
  failures = 0
  readonly seen: number[] = []

  override async apply(lines: readonly RecordLine[], source?: Parameters<MemoryIndex['apply']>[1]) {
    await new Promise(done => setImmediate(done))
    if (this.failures > 0 && this.failures-- > 0) throw new Error('away')
    await super.apply(lines, source)
    this.seen.push(...lines.map(line => line.seq))
  }
}

const append = async (feed: IndexFeed, ids: readonly string[]) => {
  await feed.append(ids.map(id => ({ id, timeMs: 1, entry: changed(id) }))).catch(() => {})
}

describe('index feed', () => {
  it('hands on every line once under its number', async () => {
    const batches = fc.array(
      fc.record({
        ids: fc.array(
          fc.integer({ min: 0, max: 30 }).map(n => `chg_${n}`),
          { maxLength: 4 },
        ),
        fails: fc.option(fc.nat(3)),
        indexFails: fc.integer({ min: -4, max: 2 }),
        waits: fc.boolean(),
      }),
      { minLength: 1, maxLength: 12 },
    )
    const property = fc.asyncProperty(batches, async all => {
      const record = new UnsteadyRecord()
      const index = new UnsteadyIndex()
      const errors: unknown[] = []
      const feed = new IndexFeed(record, index, error => errors.push(error))
      const running: Promise<void>[] = []
      for (const { ids, fails, indexFails, waits } of all) {
        const unique = [...new Set(ids)]
        if (fails !== null && fails < unique.length) record.failing.add(unique[fails])
        index.failures = Math.max(0, indexFails)
        const done = append(feed, unique)
        running.push(done)
        if (waits) await done
      }
      await Promise.all(running)
      index.failures = 0
      await append(feed, ['chg_last'])
      expect(feed.isBehind).toBe(false)
      const expected: RecordLine[] = []
      for await (const line of record.read()) expected.push(line)
      expect(index.seen).toEqual(expected.map(line => line.seq))
      expect((await index.changes(1000)).map(one => one.id).sort()).toEqual(
        expected.map(line => line.id).sort(),
      )
      expect((await index.position()).get(0)?.seq).toBe(expected.length)
    })
    await fc.assert(property, { numRuns: 150 })
  })

  it('goes on where an index stands, and past lines that the record has no more', async () => {
    const record = new MemoryRecord()
    for (let i = 0; i < 5; i++) await record.append(`chg_${i}`, i, changed(`chg_${i}`))
    const index = new UnsteadyIndex()
    const feed = new IndexFeed(record, index, () => {})
    await feed.catchUp()
    await record.append('chg_5', 5, changed('chg_5'))
    await feed.catchUp()
    expect(index.seen).toEqual([1, 2, 3, 4, 5, 6])
    const shortened: RecordLog = {
      append: async () => true,
      async *read() {
        for await (const line of record.read()) yield { ...line, seq: line.seq + 100 }
      },
      close: async () => {},
    }
    const after = new IndexFeed(shortened, index, () => {})
    await after.catchUp()
    expect((await index.position()).get(0)?.seq).toBe(106)
  })
})

// The contract of the CheckpointStore port: what is loaded equals what was saved, whatever its owner does with its
// arrays afterwards, and the newest counts. Every adapter runs it.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Checkpoint, CheckpointStore } from '../../src/core/ports.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'

export function checkpointOf(rows: number, position = 7): Checkpoint {
  const keys = Array.from({ length: rows }, (_, i) =>
    i % 5 === 4 ? '' : `metric{service="s${i}",q="\\"\n"}`,
  )
  const part = (id: string, more: Partial<Snapshot> = {}): Snapshot => ({
    id,
    version: 1,
    keys,
    columns: {},
    meta: null,
    ...more,
  })
  return {
    position,
    savedMs: 1_700_000_000_000,
    parts: [
      part('floats', {
        columns: {
          level: Float64Array.from({ length: rows * 2 }, (_, i) => (i % 7 === 0 ? Number.NaN : i / 3)),
          weight: Float32Array.from({ length: rows }, (_, i) => -i),
        },
      }),
      part('integers', {
        version: 3,
        columns: {
          a: Uint32Array.from({ length: rows }, (_, i) => 4_294_967_295 - i),
          b: Int32Array.from({ length: rows }, (_, i) => -i),
          c: Uint16Array.from({ length: rows }, (_, i) => i),
          d: Int16Array.from({ length: rows }, (_, i) => -i),
          e: Uint8Array.from({ length: rows }, (_, i) => i),
          f: Int8Array.from({ length: rows }, (_, i) => -i),
        },
        meta: {
          list: Array.from({ length: rows }, (_, i) => ({ i, text: `ü${i}` })),
          deep: { nested: [[1], null] },
        },
      }),
      part('own keys', { keys: ['only'], columns: { x: Float64Array.of(1) }, meta: 'text' }),
      part('empty', { keys: [], meta: [] }),
    ],
  }
}

export function checkpointContract(name: string, make: () => CheckpointStore): void {
  describe(`checkpoint contract: ${name}`, () => {
    it('has nothing at first', async () => {
      expect(await make().load()).toBeUndefined()
    })

    it('loads what was saved', async () => {
      for (const rows of [0, 1, 10, 20_000]) {
        const store = make()
        await store.save(checkpointOf(rows))
        expect(await store.load()).toEqual(checkpointOf(rows))
      }
    })

    it('keeps the keys that parts share shared', async () => {
      const store = make()
      await store.save(checkpointOf(10))
      const parts = (await store.load())?.parts ?? []
      expect(parts[0].keys).toBe(parts[1].keys)
      expect(parts[2].keys).not.toBe(parts[1].keys)
    })

    it('is not touched by what happens to the arrays afterwards', async () => {
      const store = make()
      const checkpoint = checkpointOf(10)
      await store.save(checkpoint)
      ;(checkpoint.parts[0].columns.level as Float64Array).fill(0)
      expect(await store.load()).toEqual(checkpointOf(10))
    })

    it('answers with the newest', async () => {
      const store = make()
      await Promise.all([1, 2, 3, 4, 5].map(position => store.save(checkpointOf(position, position))))
      expect((await store.load())?.position).toBe(5)
    })

    it('keeps any JSON-safe meta and any column', async () => {
      const columns = fc.dictionary(fc.string(), fc.float64Array({ maxLength: 20 }), {
        noNullPrototype: true,
      })
      await fc.assert(
        fc.asyncProperty(fc.jsonValue(), columns, fc.array(fc.string()), async (json, columns, keys) => {
          const meta = JSON.parse(JSON.stringify(json))
          const store = make()
          await store.save({ position: 1, savedMs: 2, parts: [{ id: 'p', version: 1, keys, columns, meta }] })
          expect((await store.load())?.parts[0]).toEqual({ id: 'p', version: 1, keys, columns, meta })
        }),
        { numRuns: 50 },
      )
    })
  })
}

// The contract of the PackageStore port: a package is there for every process whole or not at all, its number never means
// another one, what changed is listed once and in order, and quotas count models in the name of whom they came. Every
// adapter runs it.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ForeshockError } from '../../src/core/errors.ts'
import type { KeptPackage, PackageStore } from '../../src/core/ports.ts'

const digestOf = (text: string | Uint8Array) => `sha256:${createHash('sha256').update(text).digest('hex')}`

export function kept(model: string, version: number, more: Partial<KeptPackage> = {}): KeptPackage {
  return {
    model,
    version,
    digest: digestOf(`${model}${version}`),
    packageDigest: digestOf(`all of ${model}${version}`),
    bytes: 10,
    files: ['card.json'],
    card: { id: model, version, title: 'ünï "code" \\ \n' },
    pushedAt: '2026-11-21T00:00:00.000Z',
    pushedBy: 'ann',
    tenant: 'default',
    ...more,
  }
}

export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export async function fetched(store: PackageStore, model: string, version: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of store.fetch(model, version)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const code = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    error => (error as ForeshockError).code,
  )
const some = Buffer.from('some bytes')

/** `make` gives two processes' views of one empty store. */
export function packagesContract(name: string, make: () => [PackageStore, PackageStore]): void {
  describe(`package store contract: ${name}`, () => {
    it('what one process puts the other fetches, byte for byte', async () => {
      const [a, b] = make()
      await fc.assert(
        fc.asyncProperty(
          fc.uint8Array({ maxLength: 5000 }),
          fc.integer({ min: 1, max: 999 }),
          fc.integer({ min: 1, max: 999_999 }),
          async (bytes, size, version) => {
            const one = kept('any', version, { packageDigest: digestOf(bytes), bytes: bytes.length })
            await a.remove('any', version)
            const outcome = await code(a.put(one, pieces(bytes, size)))
            if (outcome === 'FS_CONFLICT') return // the number was drawn before, with other bytes
            expect(await fetched(b, 'any', version)).toEqual(Buffer.from(bytes))
            await b.remove('any', version)
          },
        ),
        { numRuns: 15 },
      )
      const large = Buffer.alloc(3_300_000, 'x\0y')
      await a.put(kept('large', 1), pieces(large, 65_536))
      expect((await fetched(b, 'large', 1)).equals(large)).toBe(true)
    })

    it('a number means one package for ever', async () => {
      const [a, b] = make()
      expect(await a.put(kept('one', 1), pieces(some, 3))).toBe(true)
      expect(await b.put(kept('one', 1), pieces(some, 3))).toBe(false)
      const other = kept('one', 1, { packageDigest: digestOf('another') })
      expect(await code(b.put(other, pieces(some, 3)))).toBe('FS_CONFLICT')
      await b.remove('one', 1)
      await b.remove('one', 1)
      expect(await code(fetched(a, 'one', 1))).toBe('FS_NOT_FOUND')
      expect(await code(a.put(other, pieces(some, 3)))).toBe('FS_CONFLICT')
      expect(await a.put(kept('one', 1), pieces(some, 3))).toBe(true)
      expect(await fetched(b, 'one', 1)).toEqual(some)
      expect(await code(fetched(a, 'none', 1))).toBe('FS_NOT_FOUND')
    })

    it('of two that push the same number at once one is first, and a push that breaks off leaves nothing', async () => {
      const [a, b] = make()
      const other = kept('two', 1, { packageDigest: digestOf('another') })
      const outcomes = await Promise.all([
        code(a.put(kept('two', 1), pieces(some, 2))),
        code(b.put(other, pieces(some, 2))),
      ])
      expect(outcomes.sort()).toEqual(['FS_CONFLICT', 'done'])
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield some
        throw new Error('gone')
      }
      await expect(a.put(kept('two', 2), broken())).rejects.toThrow()
      expect(await code(fetched(b, 'two', 2))).toBe('FS_NOT_FOUND')
      expect((await b.list(0)).map(one => one.version)).toEqual([1])
    })

    it('lists what changed since, in its order, with all that is known of it', async () => {
      const [a, b] = make()
      await a.put(kept('m', 1), pieces(some, 5))
      await b.put(kept('m', 2), pieces(some, 5))
      const first = await b.list(0)
      expect(first.map(({ isRemoved: _, change: __, ...one }) => one)).toEqual([kept('m', 1), kept('m', 2)])
      const seen = first[1].change
      expect(await a.list(seen)).toEqual([])
      await a.remove('m', 1)
      const [gone, ...more] = await b.list(seen)
      expect([gone.version, gone.isRemoved, more.length]).toEqual([1, true, 0])
      expect(gone.change).toBeGreaterThan(seen)
      expect((await a.list(0)).map(({ version }) => version)).toEqual([2, 1])
    })

    it('a quota counts the models of a tenant, not their versions, nor those that went', async () => {
      const [a, b] = make()
      const mine = (model: string, version = 1) => kept(model, version, { tenant: 'acme' })
      await a.put(mine('x'), pieces(some, 5), 2)
      await b.put(mine('y'), pieces(some, 5), 2)
      await a.put(mine('y', 2), pieces(some, 5), 2)
      expect(await code(b.put(mine('z'), pieces(some, 5), 2))).toBe('FS_QUOTA')
      expect(await b.put(kept('z', 1), pieces(some, 5), 1)).toBe(true)
      await b.remove('x', 1)
      expect(await a.put(mine('w'), pieces(some, 5), 2)).toBe(true)
    })

    it('has an end: so many versions of a model', async () => {
      const [a, b] = make()
      for (let version = 1; version <= 50; version++) await a.put(kept('m', version), pieces(some, 10))
      expect(await code(b.put(kept('m', 51), pieces(some, 10)))).toBe('FS_CONFLICT')
      await a.remove('m', 7)
      expect(await code(b.put(kept('m', 51), pieces(some, 10)))).toBe('done')
      const huge = kept('n', 1, { bytes: 5e9 })
      expect(await code(b.put(huge, pieces(some, 10)))).toBe('FS_CONFLICT')
    })
  })
}

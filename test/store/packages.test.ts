// Model packages of a fleet, in memory and in a real PostgreSQL: the contract; a server that is away and comes back; and
// the cache of a process, which keeps only what is meant, whatever lies in the store.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import type { ForeshockError } from '../../src/core/errors.ts'
import type { PackageStore } from '../../src/core/ports.ts'
import { MemoryPackages } from '../../src/store/memory-packages.ts'
import { PackageCache } from '../../src/store/package-cache.ts'
import { PostgresPackages } from '../../src/store/postgres-packages.ts'
import { removePostgresSchema } from '../../src/store/postgres-removal.ts'
import { type PostgresPeer, postgresOfFile } from '../peers/postgres.ts'
import { inPieces, PACKAGE_FILES, tarOf, writePackage } from './model-packages.ts'
import { fetched, kept, packagesContract, pieces } from './packages-contract.ts'

const peer: PostgresPeer | undefined = await postgresOfFile('packages')
const opened: PackageStore[] = []
afterAll(async () => {
  await Promise.all(opened.map(store => store.close()))
  await peer?.remove()
})

let schemas = 0
function open(schema = `packages_${schemas++}`): PostgresPackages {
  const store = new PostgresPackages({ url: peer?.url ?? '', schema })
  opened.push(store)
  return store
}

packagesContract('memory', () => {
  const one = new MemoryPackages()
  return [one, one]
})

describe.skipIf(!peer)('PostgreSQL', () => {
  packagesContract('PostgreSQL', () => {
    const schema = `packages_${schemas++}`
    return [open(schema), open(schema)]
  })

  it('away: what is asked rejects with FS_IO and is there when the server is back; removed with its fleet', async () => {
    const store = open('fleet')
    const bytes = Buffer.from('bytes')
    await store.put(kept('m', 1), pieces(bytes, 2))
    await peer?.stop()
    await expect(store.list(0)).rejects.toMatchObject({ code: 'FS_IO' })
    await expect(fetched(store, 'm', 1)).rejects.toMatchObject({ code: 'FS_IO' })
    await peer?.start()
    expect(await fetched(store, 'm', 1)).toEqual(bytes)
    await removePostgresSchema(peer?.url ?? '', 'fleet')
    const found = await peer?.ask(`SELECT to_regclass('fleet_models.packages') AS name`)
    expect(found).toEqual([{ name: null }])
  }, 60_000)
})

describe('the packages that a process has fetched', () => {
  const world = async () => {
    const root = mkdtempSync(join(tmpdir(), 'foreshock-cache-'))
    onTestFinished(() => rmSync(root, { recursive: true, force: true }))
    const packages = new MemoryPackages()
    const cache = (name: string) =>
      PackageCache.open({ dir: join(root, name), packages, clock: () => 1_700_000_000_000 })
    const tar = async (version: number, model = `bytes ${version}`) =>
      inPieces(await tarOf(writePackage(root, { version, model }), PACKAGE_FILES, true))
    const push = async (to: PackageCache, version: number) =>
      to.push(
        {
          model: 'echo',
          version,
          archive: await tar(version),
          by: 'ann',
          timeMs: 1_700_000_000_000,
          check: async () => {},
        },
        { tenant: 'acme' },
      )
    return { root, packages, cache, push, tar }
  }
  const code = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      error => (error as ForeshockError).code,
    )

  it('are fetched once, hashed, and found again after a restart', async () => {
    const { packages, cache, push } = await world()
    const { stored, isNew } = await push(await cache('a'), 1)
    expect([isNew, stored.tenant]).toEqual([true, 'acme'])
    const other = await cache('b')
    const folder = await other.folder(stored)
    expect(folder).not.toBe(stored.folder)
    await packages.remove('echo', 1)
    expect(await other.folder(stored)).toBe(folder)
    expect(await (await cache('b')).folder(stored)).toBe(folder)
    await other.forget('echo', 1)
    expect(await code(other.folder(stored))).toBe('FS_NOT_FOUND')
  })

  it('that are not what is meant are refused, and nothing of them stays', async () => {
    const { root, packages, cache, push, tar } = await world()
    const { stored } = await push(await cache('a'), 1)
    const wrong = { ...stored, packageDigest: `sha256:${'0'.repeat(64)}` }
    const other = await cache('b')
    expect(await code(other.folder(wrong))).toBe('FS_MODEL_INVALID')
    expect(await code(other.folder({ ...stored, digest: wrong.packageDigest }))).toBe('FS_MODEL_INVALID')
    // What lies in the store was changed by somebody.
    const changed: PackageStore = {
      list: after => packages.list(after),
      put: (...all) => packages.put(...all),
      remove: (model, version) => packages.remove(model, version),
      close: () => packages.close(),
      fetch: async function* () {
        yield* await tar(1, 'other bytes')
      },
    }
    const third = await PackageCache.open({ dir: join(root, 'c'), packages: changed, clock: () => 0 })
    expect(await code(third.folder(stored))).toBe('FS_MODEL_INVALID')
    const rubbish: PackageStore = { ...changed, fetch: () => pieces(Buffer.from('no tar'), 2) }
    const fourth = await PackageCache.open({ dir: join(root, 'd'), packages: rubbish, clock: () => 0 })
    expect(await code(fourth.folder(stored))).toBe('FS_MODEL_INVALID')
    // And so is what lies in the folder.
    writeFileSync(join(await other.folder(stored), '.placed.json'), '{}')
    const again = await cache('b')
    expect(await code(again.folder(stored))).toBe('done')
  })
})

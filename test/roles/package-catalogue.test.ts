// Shows that a gateway lets go of bytes that whoever removed a version left behind, and of none that were pushed anew before it
// heard of that.
import { expect, it } from 'vitest'
import { type ModelWord, wordWith, wordWithout } from '../../src/core/model-word.ts'
import { PackageCatalogue } from '../../src/roles/package-catalogue.ts'
import { MemoryPackages } from '../../src/store/memory-packages.ts'
import { kept, pieces } from '../store/packages-contract.ts'

it('lets go of what was left behind, and not of what was pushed anew', async () => {
  const packages = new MemoryPackages()
  const one = kept('mine', 1)
  const there = async () => (await packages.list(0)).map(({ isRemoved }) => !isRemoved)
  let said: ModelWord = wordWithout('mine', undefined, 1, one.packageDigest)
  let nowMs = 0
  const book = { models: new Map([['mine', said]]), catchUp: async () => void book.models.set('mine', said) }
  const catalogue = new PackageCatalogue(packages, { shipped: () => [] }, book, () => nowMs)

  // Another gateway was pushed the number that was removed; its word comes behind its bytes.
  said = wordWith(said, 1)
  await packages.put(one, pieces(Buffer.from('bytes'), 9))
  await catalogue.refresh()
  nowMs = 60_000
  await catalogue.refresh()
  expect(await there()).toEqual([true])
  expect(catalogue.versions('mine')).toHaveLength(1)

  // Another one said that it goes and ended.
  said = wordWithout('mine', said, 1, one.packageDigest)
  await book.catchUp()
  await catalogue.refresh()
  expect(catalogue.versions('mine')).toEqual([])
  nowMs = 120_000
  await catalogue.refresh()
  expect(await there()).toEqual([false])
})

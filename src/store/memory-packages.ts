import { ForeshockError } from '../core/errors.ts'
import type { KeptPackage, ListedPackage, PackageStore } from '../core/ports.ts'
import { Turns } from '../core/turns.ts'
import { assertRoom, assertSame } from './package-room.ts'

interface Held {
  listed: ListedPackage
  tar: Buffer
}

/** Packages of fleets in one process. */
export class MemoryPackages implements PackageStore {
  readonly #held = new Map<string, Held>()
  #changes = 0
  readonly #turns = new Turns()

  async list(afterChange: number): Promise<readonly ListedPackage[]> {
    return [...this.#held.values()]
      .map(({ listed }) => listed)
      .filter(({ change }) => change > afterChange)
      .sort((a, b) => a.change - b.change)
  }

  put(one: KeptPackage, tar: AsyncIterable<Uint8Array>, modelsMax?: number): Promise<boolean> {
    return this.#turns.take(() => this.#put(one, tar, modelsMax))
  }

  async #put(one: KeptPackage, tar: AsyncIterable<Uint8Array>, modelsMax?: number): Promise<boolean> {
    const key = keyOf(one.model, one.version)
    const known = this.#held.get(key)
    assertSame(one, known?.listed)
    if (known && !known.listed.isRemoved) return false
    const others = [...this.#held.values()].map(({ listed }) => listed).filter(other => !other.isRemoved)
    const ofTenant = others.filter(({ tenant, model }) => tenant === one.tenant && model !== one.model)
    const room = {
      models: new Set(others.map(({ model }) => model)).size,
      versions: others.filter(({ model }) => model === one.model).length,
      bytes: others.reduce((sum, { bytes }) => sum + bytes, 0),
      ofTenant: new Set(ofTenant.map(({ model }) => model)).size,
    }
    assertRoom(one, room, modelsMax)
    const chunks: Uint8Array[] = []
    for await (const chunk of tar) chunks.push(chunk)
    const listed = { ...one, isRemoved: false, change: ++this.#changes }
    this.#held.set(key, { listed, tar: Buffer.concat(chunks) })
    return true
  }

  async *fetch(model: string, version: number): AsyncGenerator<Uint8Array> {
    const held = this.#held.get(keyOf(model, version))
    if (!held || held.listed.isRemoved)
      throw new ForeshockError('FS_NOT_FOUND', `there is no package of ${model} ${version}`)
    yield held.tar
  }

  async remove(model: string, version: number): Promise<void> {
    const held = this.#held.get(keyOf(model, version))
    if (!held || held.listed.isRemoved) return
    held.listed = { ...held.listed, isRemoved: true, change: ++this.#changes }
    held.tar = Buffer.alloc(0)
  }

  async close(): Promise<void> {}
}

const keyOf = (model: string, version: number) => `${model}/${version}`

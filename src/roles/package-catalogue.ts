import type { StoredVersion } from '../core/model-standing.ts'
import type { ListedPackage, PackageStore } from '../core/ports.ts'
import type { PackageCache } from '../store/package-cache.ts'
import type { ControlBook } from './control.ts'

/** What packages a fleet has, as a gateway shows them: those in the store, and those that come with the program. */
export class PackageCatalogue {
  readonly #packages: PackageStore
  readonly #book: Pick<ControlBook, 'models'>
  readonly #shipped: readonly StoredVersion[]
  readonly #listed = new Map<string, ListedPackage>()
  #change = 0
  #turn: Promise<void> = Promise.resolve()

  constructor(
    packages: PackageStore,
    cache: Pick<PackageCache, 'shipped'>,
    book: Pick<ControlBook, 'models'>,
  ) {
    this.#packages = packages
    this.#book = book
    this.#shipped = cache.shipped()
  }

  /** Names of models that have a version. */
  models(): Set<string> {
    return new Set(this.#all().map(({ model }) => model))
  }

  /** Newest first. */
  versions(model: string): StoredVersion[] {
    return this.#all()
      .filter(one => one.model === model)
      .sort((a, b) => b.version - a.version)
  }

  find(model: string, version: number): StoredVersion | undefined {
    return this.versions(model).find(one => one.version === version)
  }

  /** Reads what has changed, and lets go of what was decided to go by a gateway that died before it had done so. */
  refresh(): Promise<void> {
    const done = this.#turn.then(async () => {
      for (const one of await this.#packages.list(this.#change)) {
        this.#listed.set(keyOf(one.model, one.version), one)
        this.#change = Math.max(this.#change, one.change)
      }
      for (const { model, version, isRemoved } of this.#listed.values())
        if (!isRemoved && this.#isRemoved(model, version)) await this.#packages.remove(model, version)
    })
    this.#turn = done.catch(() => {}) // its own caller hears of it
    return done
  }

  #all(): StoredVersion[] {
    const pushed = [...this.#listed.values()]
      .filter(one => !one.isRemoved && !this.#isRemoved(one.model, one.version))
      .map(
        ({ isRemoved: _, change: __, ...one }): StoredVersion => ({
          ...one,
          source: 'pushed',
          folder: '',
        }),
      )
    const known = new Set(pushed.map(({ model, version }) => keyOf(model, version)))
    return [...pushed, ...this.#shipped.filter(one => !known.has(keyOf(one.model, one.version)))]
  }

  #isRemoved(model: string, version: number): boolean {
    return this.#book.models.get(model)?.removed[version] !== undefined
  }
}

const keyOf = (model: string, version: number) => `${model}/${version}`

import type { Clock } from '../core/clock.ts'
import type { StoredVersion } from '../core/model-standing.ts'
import type { ListedPackage, PackageStore } from '../core/ports.ts'
import type { PackageCache } from '../store/package-cache.ts'
import type { ControlBook } from './control.ts'

/** Whoever removes a version lets its bytes go by itself; after this nobody does, ms. */
const LEFT_MS = 3000

/** What packages a fleet has, as a gateway shows them: those in the store, and those that come with the program. */
export class PackageCatalogue {
  readonly #packages: PackageStore
  readonly #book: Pick<ControlBook, 'models' | 'catchUp'>
  readonly #shipped: readonly StoredVersion[]
  readonly #clock: Clock
  readonly #listed = new Map<string, ListedPackage>()
  /** Packages that are there and were decided to go, with when that was seen first. */
  readonly #left = new Map<ListedPackage, number>()
  #change = 0
  #turn: Promise<void> = Promise.resolve()

  constructor(
    packages: PackageStore,
    cache: Pick<PackageCache, 'shipped'>,
    book: Pick<ControlBook, 'models' | 'catchUp'>,
    clock: Clock,
  ) {
    this.#packages = packages
    this.#book = book
    this.#clock = clock
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
      for (const one of this.#leftOver()) {
        // That it was pushed anew may be known to the store before it is known here.
        await this.#book.catchUp()
        if (this.#isRemoved(one)) await this.#packages.remove(one.model, one.version)
      }
    })
    this.#turn = done.catch(() => {}) // its own caller hears of it
    return done
  }

  /** Those whose bytes should be gone for so long that nobody is at it. */
  #leftOver(): ListedPackage[] {
    const nowMs = this.#clock()
    const there = [...this.#listed.values()].filter(one => !one.isRemoved && this.#isRemoved(one))
    for (const one of this.#left.keys()) if (!there.includes(one)) this.#left.delete(one)
    for (const one of there) if (!this.#left.has(one)) this.#left.set(one, nowMs)
    return there.filter(one => nowMs - (this.#left.get(one) ?? nowMs) >= LEFT_MS)
  }

  #all(): StoredVersion[] {
    const pushed = [...this.#listed.values()]
      .filter(one => !one.isRemoved && !this.#isRemoved(one))
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

  #isRemoved({ model, version }: ListedPackage): boolean {
    return this.#book.models.get(model)?.removed[version] !== undefined
  }
}

const keyOf = (model: string, version: number) => `${model}/${version}`

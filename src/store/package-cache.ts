import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from 'tar'
import type { Clock } from '../core/clock.ts'
import { ForeshockError } from '../core/errors.ts'
import type { StoredVersion } from '../core/model-standing.ts'
import type { KeptPackage, PackageStore } from '../core/ports.ts'
import { Turns } from '../core/turns.ts'
import { ModelRegistry, type Pushed } from './model-registry.ts'

export interface PackageCacheOptions {
  /** This process's own. */
  readonly dir: string
  /** Packages that come with the program. */
  readonly shippedDir?: string
  readonly packages: PackageStore
  readonly clock: Clock
  readonly onWarning?: (text: string) => void
}

/** Which package is meant. */
export interface MeantPackage {
  readonly model: string
  readonly version: number
  /** Of the model's bytes. */
  readonly digest: string
  /** Of every byte; not known of what was ordered long ago. */
  readonly packageDigest?: string | undefined
}

/** On what terms a package is taken in. */
export interface PushTerms {
  /** In whose name. */
  readonly tenant: string
  /** Models that this one may have. */
  readonly modelsMax?: number | undefined
  /** Called once the package is known to be what it says, before the fleet has it. */
  readonly admit?: (stored: StoredVersion) => Promise<void>
}

/**
 * Packages that this process has fetched, in folders as a registry keeps them. What is fetched is hashed file by file, and
 * only what is meant is kept; everything here can be fetched again.
 */
export class PackageCache {
  readonly #registry: ModelRegistry
  readonly #options: PackageCacheOptions
  /** A registry takes one package at a time. */
  readonly #turns = new Turns()

  private constructor(registry: ModelRegistry, options: PackageCacheOptions) {
    this.#registry = registry
    this.#options = options
  }

  static async open(options: PackageCacheOptions): Promise<PackageCache> {
    const { dir, shippedDir, onWarning } = options
    const registry = await ModelRegistry.open({
      dir,
      ...(shippedDir === undefined ? {} : { shippedDir }),
      ...(onWarning === undefined ? {} : { onWarning }),
    })
    return new PackageCache(registry, options)
  }

  /** What comes with the program, as long as nothing else was fetched under its number. */
  shipped(): StoredVersion[] {
    return this.#registry
      .models()
      .flatMap(model => this.#registry.versions(model))
      .filter(({ source }) => source === 'shipped')
  }

  /** The folder of a package, fetched where it is not here. Throws FS_MODEL_INVALID when it is another one than is meant, FS_NOT_FOUND, FS_IO. */
  folder(meant: MeantPackage): Promise<string> {
    return this.#turns.take(async () => {
      const { model, version } = meant
      const held = this.#registry.find(model, version)
      if (held && differs(meant, held) === undefined) return held.folder
      if (held?.source === 'pushed') await this.#registry.remove(model, version)
      const { packages, clock, dir } = this.#options
      // What lies there and was not read is damaged.
      if (!held) await rm(join(dir, model, String(version)), { recursive: true, force: true })
      const { stored } = await this.#registry.push({
        model,
        version,
        archive: packages.fetch(model, version),
        by: 'fleet',
        timeMs: clock(),
        check: async folder => folder,
      })
      const wrong = differs(meant, stored)
      if (wrong === undefined) return stored.folder
      if (stored.source === 'pushed') await this.#registry.remove(model, version)
      throw new ForeshockError('FS_MODEL_INVALID', `${model} ${version}: ${wrong}`)
    })
  }

  /**
   * Takes a package in here, checked, then for the whole fleet. Throws as `ModelRegistry.push` and `PackageStore.put`.
   * `isNew`: the fleet did not have it.
   */
  push(
    pushed: Pushed,
    { tenant, modelsMax, admit }: PushTerms,
  ): Promise<{ readonly stored: StoredVersion; readonly isNew: boolean }> {
    return this.#turns.take(async () => {
      const { model, version, by, timeMs } = pushed
      const { stored, isNew: isNewHere } = await this.#registry.push({ ...pushed, tenant })
      if (stored.source === 'shipped') return { stored, isNew: false }
      const { digest, packageDigest, bytes, files, card } = stored
      const one: KeptPackage = {
        model,
        version,
        digest,
        packageDigest,
        bytes,
        files,
        card,
        pushedAt: new Date(timeMs).toISOString(),
        pushedBy: by,
        tenant,
      }
      await admit?.(stored)
      try {
        const isNew = await this.#options.packages.put(one, tarred(stored), modelsMax)
        return { stored: { ...stored, tenant }, isNew }
      } catch (cause) {
        if (isNewHere) await this.#registry.remove(model, version)
        throw cause
      }
    })
  }

  /** What was removed from the fleet need not lie here. */
  forget(model: string, version: number): Promise<void> {
    return this.#turns.take(async () => {
      if (this.#registry.find(model, version)?.source === 'pushed')
        await this.#registry.remove(model, version)
    })
  }
}

/** Nothing is read before it is asked for. */
async function* tarred({ folder, files }: StoredVersion): AsyncGenerator<Uint8Array> {
  const tar = create({ cwd: folder, gzip: true, portable: true }, [...files])
  // Whoever reads hears of it; who stops reading does not care.
  tar.on('error', () => {})
  yield* tar as AsyncIterable<Uint8Array>
}

function differs({ digest, packageDigest }: MeantPackage, found: StoredVersion): string | undefined {
  if (packageDigest !== undefined && packageDigest !== found.packageDigest)
    return `the package has the digest ${found.packageDigest}, and ${packageDigest} is meant`
  if (digest !== found.digest) return `its card says ${found.digest}, and ${digest} is meant`
  return undefined
}

import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError, replaceFile, syncDirectory } from '../core/durable-file.ts'
import { ForeshockError } from '../core/errors.ts'
import type { StoredVersion } from '../core/model-standing.ts'
import { unpackModel } from './model-archive.ts'
import {
  cardIn,
  filesNamed,
  hashesOf,
  MODEL_NAME,
  PLACED_FILE,
  packageDigest,
  placedText,
  versionIn,
  versionsUnder,
} from './model-folder.ts'

export interface RegistryLimits {
  readonly models: number
  readonly versionsPerModel: number
  /** Of all packages together. */
  readonly bytes: number
  readonly packageBytes: number
  readonly packageFiles: number
}

export const REGISTRY_LIMITS: RegistryLimits = {
  models: 200,
  versionsPerModel: 50,
  bytes: 4 * 1_073_741_824,
  packageBytes: 80 * 1_048_576,
  packageFiles: 64,
}

export interface RegistryOptions {
  readonly dir: string
  /** Packages that come with the program, by `<model>/<version>/`: listed, never changed. */
  readonly shippedDir?: string
  readonly limits?: Partial<RegistryLimits>
  readonly onWarning?: (text: string) => void
}

/** A package on its way in. */
export interface Pushed {
  readonly model: string
  readonly version: number
  readonly archive: AsyncIterable<Uint8Array>
  readonly by: string
  /** In whose name; the default tenant's without. */
  readonly tenant?: string | undefined
  readonly timeMs: number
  /** Digest of the package that once had this number, when it was removed. */
  readonly removedDigest?: string | undefined
  /** Throws FS_MODEL_INVALID when the model must not come near the service. */
  readonly check: (folder: string) => Promise<unknown>
}

const INCOMING = '.incoming-'
const OUTGOING = '.outgoing-'

/**
 * Model packages on disk, `<dir>/<model>/<version>/`, each put there whole by one rename and never changed: what a number
 * means, it means for ever. One push and one removal at a time; the caller queues.
 */
export class ModelRegistry {
  readonly #dir: string
  readonly #limits: RegistryLimits
  readonly #versions = new Map<string, Map<number, StoredVersion>>()

  private constructor(dir: string, limits: RegistryLimits) {
    this.#dir = dir
    this.#limits = limits
  }

  /** Reads what is there, and clears away what a crash left half done. Throws FS_IO. */
  static async open(options: RegistryOptions): Promise<ModelRegistry> {
    const { dir, shippedDir, onWarning = () => {} } = options
    const registry = new ModelRegistry(dir, { ...REGISTRY_LIMITS, ...options.limits })
    try {
      await mkdir(dir, { recursive: true })
      for (const name of await readdir(dir)) {
        const isLeftOver = name.startsWith(INCOMING) || name.startsWith(OUTGOING)
        if (isLeftOver) await rm(join(dir, name), { recursive: true, force: true })
      }
      if (shippedDir !== undefined)
        for (const one of await versionsUnder(shippedDir, 'shipped', onWarning)) registry.#keep(one)
      for (const one of await versionsUnder(dir, 'pushed', onWarning)) {
        const shipped = registry.find(one.model, one.version)
        if (shipped && shipped.packageDigest !== one.packageDigest)
          onWarning(
            `model ${one.model} ${one.version} was pushed; the other one that is shipped is passed over`,
          )
        registry.#keep(one)
      }
    } catch (cause) {
      throw ioError(dir, cause)
    }
    return registry
  }

  /** Names, sorted. */
  models(): string[] {
    return [...this.#versions.keys()].sort()
  }

  /** Newest first. */
  versions(model: string): StoredVersion[] {
    return [...(this.#versions.get(model)?.values() ?? [])].sort((a, b) => b.version - a.version)
  }

  find(model: string, version: number): StoredVersion | undefined {
    return this.#versions.get(model)?.get(version)
  }

  /**
   * Takes a package in. The very same one again is no change. Throws FS_MODEL_INVALID, FS_INPUT_TOO_LARGE, FS_CONFLICT
   * when the number is taken by another package, FS_IO; nothing is left behind then.
   */
  async push(pushed: Pushed): Promise<{ readonly stored: StoredVersion; readonly isNew: boolean }> {
    const { model, version } = pushed
    if (!MODEL_NAME.test(model)) throw invalid(`${JSON.stringify(model.slice(0, 80))} is no name of a model`)
    if (!Number.isInteger(version) || version < 1 || version > 999_999_999)
      throw invalid('a version is a whole number from 1 on')
    const incoming = join(this.#dir, `${INCOMING}${randomUUID()}`)
    try {
      await mkdir(incoming)
      return await this.#place(pushed, incoming)
    } catch (cause) {
      if (cause instanceof ForeshockError)
        // The folder's name is ours and tells nobody anything.
        throw new ForeshockError(cause.code, cause.message.replace(`${incoming}: `, ''), { cause })
      throw ioError(this.#dir, cause)
    } finally {
      await rm(incoming, { recursive: true, force: true }).catch(() => {}) // cleared at the next start
    }
  }

  async #place(pushed: Pushed, incoming: string): Promise<{ stored: StoredVersion; isNew: boolean }> {
    const { model, version, by } = pushed
    const { packageBytes, packageFiles } = this.#limits
    const limits = { bytesMax: packageBytes, filesMax: packageFiles }
    const files = await unpackModel(pushed.archive, incoming, limits)
    const card = await cardIn(incoming)
    if (card.id !== model || card.version !== version)
      throw invalid(
        `card.json says ${String(card.id)} ${String(card.version)}, the address ${model} ${version}`,
      )
    const named = await filesNamed(incoming, card)
    const missing = named.filter(name => !files.includes(name))
    if (missing.length > 0) throw invalid(`${missing.join(', ').slice(0, 300)} is missing`)
    const extra = files.filter(name => !named.includes(name))
    if (extra.length > 0)
      throw invalid(`it holds ${extra.join(', ').slice(0, 300)}, which its card does not name`)
    if (typeof card.digest !== 'string') throw invalid('card.json names no digest')
    const hashes = await hashesOf(incoming, files)
    const digest = packageDigest(hashes)
    const held = this.find(model, version)
    if (held?.packageDigest === digest) return { stored: held, isNew: false }
    const former = held?.packageDigest ?? pushed.removedDigest
    if (former !== undefined && former !== digest)
      throw conflict(`${model} ${version} is another package (${former}); give this one the next number`)
    let bytes = 0
    for (const name of files) bytes += (await stat(join(incoming, name))).size
    this.#assertRoom(model, bytes)
    await pushed.check(incoming)
    const pushedAt = new Date(pushed.timeMs).toISOString()
    await replaceFile(
      join(incoming, PLACED_FILE),
      placedText({ pushedAt, pushedBy: by, tenant: pushed.tenant ?? 'default', files: hashes }),
    )
    const parent = join(this.#dir, model)
    await mkdir(parent, { recursive: true })
    await syncDirectory(this.#dir)
    const folder = join(parent, String(version))
    await rename(incoming, folder)
    await syncDirectory(parent)
    const stored = await versionIn(folder, model, version, 'pushed')
    this.#keep(stored)
    return { stored, isNew: true }
  }

  /** Takes a pushed version away. Throws FS_CONFLICT for what is shipped, FS_IO. */
  async remove(model: string, version: number): Promise<void> {
    const stored = this.find(model, version)
    if (!stored) throw new ForeshockError('FS_NOT_FOUND', `there is no model ${model} ${version}`)
    if (stored.source === 'shipped') throw conflict(`${model} ${version} comes with the program`)
    try {
      const outgoing = join(this.#dir, `${OUTGOING}${randomUUID()}`)
      await rename(stored.folder, outgoing)
      await syncDirectory(join(this.#dir, model))
      const versions = this.#versions.get(model)
      versions?.delete(version)
      if (versions?.size === 0) this.#versions.delete(model)
      await rm(outgoing, { recursive: true, force: true })
    } catch (cause) {
      throw ioError(stored.folder, cause)
    }
  }

  #keep(stored: StoredVersion): void {
    const versions = this.#versions.get(stored.model) ?? new Map<number, StoredVersion>()
    this.#versions.set(stored.model, versions.set(stored.version, stored))
  }

  #assertRoom(model: string, more: number): void {
    const { models, versionsPerModel, bytes } = this.#limits
    const held = this.#versions.get(model)
    if (!held && this.#versions.size >= models) throw full(`${models} models`)
    if ((held?.size ?? 0) >= versionsPerModel) throw full(`${versionsPerModel} versions of a model`)
    let total = more
    for (const versions of this.#versions.values())
      for (const one of versions.values()) if (one.source === 'pushed') total += one.bytes
    if (total > bytes) throw full(`${bytes} bytes of models`)
  }
}

const invalid = (reason: string) => new ForeshockError('FS_MODEL_INVALID', reason)
const conflict = (reason: string) => new ForeshockError('FS_CONFLICT', reason)
const full = (what: string) => conflict(`no more than ${what} are kept; remove what is not needed any more`)

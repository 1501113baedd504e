import type { Clock } from '../core/clock.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { StoredVersion } from '../core/model-standing.ts'
import type { PackageWord } from '../core/model-word.ts'
import type { PackageStore } from '../core/ports.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { cardSchema, type ModelCard } from '../detectors/model-card.ts'
import type { ModelSession } from '../detectors/model-runtime.ts'
import { SharedSessions } from '../detectors/model-sharing.ts'
import type { ModelsPort } from '../scoring-assembly.ts'
import type { ServedModel } from '../serve/deps.ts'
import { PackageCache } from '../store/package-cache.ts'
import { type Models, openModelsIn, SHIPPED_MODELS } from '../wiring.ts'
import type { ControlBook } from './control.ts'

/** Fetching and opening a package is waited for so long, ms; a partition goes on without it after that. */
const OPEN_MS_MAX = 20_000
/** Cards that partitions were told of, remembered at most: by far more than have a part. */
const WORDS_MAX = 1000

export interface FleetModelsOptions {
  /** This process's own, for packages that were fetched. */
  readonly dir: string
  readonly packages: PackageStore
  readonly book: ControlBook
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
}

/**
 * The learned models of one process of a fleet: packages are fetched when they are needed first, tried in a process of
 * their own, and opened once for all partitions.
 */
export class FleetModels {
  readonly cache: PackageCache
  /** For the pipelines of partitions. */
  readonly port: Required<Pick<ModelsPort, 'openModel' | 'cardOf'>>
  readonly #models: Models
  readonly #options: FleetModelsOptions
  /** What orders said of packages, by version and digest. */
  readonly #words = new Map<string, { readonly packageDigest: string; readonly card: ModelCard }>()

  private constructor(cache: PackageCache, options: FleetModelsOptions) {
    this.cache = cache
    this.#options = options
    this.#models = openModelsIn((model, version, digest) => this.#folder(model, version, digest))
    const shared = new SharedSessions((model, version, digest) =>
      this.#models.shelf.take(model, version, digest),
    )
    this.port = {
      openModel: (model, version, digest) => this.#within(shared.take(model, version, digest)),
      cardOf: (model, version, digest) => this.#words.get(keyOf(model, version, digest))?.card,
    }
  }

  static async open(options: FleetModelsOptions): Promise<FleetModels> {
    const { dir, packages, clock, logger, book } = options
    const cache = await PackageCache.open({
      dir,
      shippedDir: SHIPPED_MODELS,
      packages,
      clock,
      onWarning: text => logger.warn(text),
    })
    const models = new FleetModels(cache, options)
    const read = () => {
      for (const { model, command, removed } of book.models.values()) {
        if (command) models.learn(model, command.packages)
        for (const version of Object.keys(removed))
          cache
            .forget(model, Number(version))
            .catch(error => logger.warn({ err: error }, 'a package removed'))
      }
    }
    read()
    book.listen(read)
    return models
  }

  /** Remembers what an order says of packages. */
  learn(model: string, packages: Readonly<Record<string, PackageWord>>): void {
    for (const [version, { packageDigest, card }] of Object.entries(packages)) {
      const read = cardSchema.safeParse(card)
      if (!read.success) continue
      const key = keyOf(model, Number(version), read.data.digest)
      this.#words.delete(key)
      this.#words.set(key, { packageDigest, card: read.data })
      if (this.#words.size > WORDS_MAX) this.#words.delete(this.#words.keys().next().value as string)
    }
  }

  /** Fetches and opens a version beside the windows, so that an order that is about to come finds it ready. */
  async prepare(model: string, version: number, digest: string): Promise<void> {
    await this.#models.shelf.prepare(model, version, digest)
  }

  /** Fetches, tries and opens a package once. Throws FS_MODEL_*, FS_NOT_FOUND, FS_IO. */
  async proveOpens({ model, version, digest, packageDigest, card }: StoredVersion): Promise<ModelCard> {
    this.learn(model, { [version]: { packageDigest, card } })
    const session = await this.#models.shelf.take(model, version, digest)
    const { card: read } = session
    await session.close()
    return read
  }

  /** Tries a package where it can do no harm. */
  check(folder: string): Promise<unknown> {
    return this.#models.host.check(folder)
  }

  /** Opens a version to answer inference requests. */
  async serve(stored: StoredVersion): Promise<ServedModel> {
    return this.#models.serve(await this.cache.folder(stored))
  }

  close(): Promise<void> {
    return this.#models.close()
  }

  async #folder(model: string, version: number, digest: string): Promise<string> {
    const packageDigest = this.#words.get(keyOf(model, version, digest))?.packageDigest
    const { telemetry, logger } = this.#options
    try {
      const folder = await this.cache.folder({ model, version, digest, packageDigest })
      telemetry.count('foreshock_model_packages_total', 1, { result: 'had' })
      return folder
    } catch (error) {
      telemetry.count('foreshock_model_packages_total', 1, { result: 'failed' })
      logger.warn({ err: error, model, version, digest }, 'the package of a model cannot be had')
      throw error
    }
  }

  async #within(opening: Promise<ModelSession>): Promise<ModelSession> {
    let timer: NodeJS.Timeout | undefined
    const limit = new Promise<never>((_, failed) => {
      const error = new ForeshockError('FS_MODEL_RUNTIME', `it was not open after ${OPEN_MS_MAX} ms`)
      timer = setTimeout(() => failed(error), OPEN_MS_MAX)
    })
    try {
      return await Promise.race([opening, limit])
    } catch (error) {
      // Who comes too late is not needed any more.
      opening.then(
        session => session.close(),
        () => {},
      )
      throw error
    } finally {
      clearTimeout(timer)
    }
  }
}

const keyOf = (model: string, version: number, digest: string) => `${model}@${version} ${digest}`

import { ForeshockError } from '../core/errors.ts'
import type { ModelDesk, ModelEntry, StoredVersion } from '../core/model-standing.ts'
import type { ServedModel } from './deps.ts'
import { notFound } from './http.ts'

/** Models open for inference at once; the one that was not asked for longest gives way. */
const OPEN_MAX = 8
/** Requests under way at once, all models together. */
const RUNNING_MAX = 64

/** Longest that a request may wait for its answer, ms. */
const TIMEOUT_MS_MAX = 10_000

export type ServedState = 'READY' | 'UNAVAILABLE'

interface Open {
  readonly stored: StoredVersion
  readonly session: Promise<ServedModel>
  running: number
  /** Counts up with every use. */
  usedAt: number
}

/**
 * Models that answer inference requests, apart from those that score. Champion and challenger are served by themselves,
 * opened when first asked; any other version once it was loaded. What was unloaded is not served until it is loaded again.
 */
export class ServedModels {
  readonly #desk: ModelDesk
  readonly #open: (stored: StoredVersion) => Promise<ServedModel>
  readonly #openMax: number
  readonly #sessions = new Map<string, Open>()
  /** What was asked for by name, against the rule. */
  readonly #chosen = new Map<string, 'loaded' | 'unloaded'>()
  #running = 0
  #uses = 0

  constructor(desk: ModelDesk, open: (stored: StoredVersion) => Promise<ServedModel>, openMax = OPEN_MAX) {
    this.#desk = desk
    this.#open = open
    this.#openMax = openMax
  }

  /** The version that a request without one means: the champion, else the newest served, else the newest. */
  version(model: string, named?: number): StoredVersion {
    const entry = this.#entry(model)
    const { versions, standing } = entry
    const wanted =
      named ??
      standing.champion?.version ??
      versions.find(one => this.isServed(one, entry))?.version ??
      versions[0]?.version
    const stored = versions.find(one => one.version === wanted)
    if (!stored) throw notFound(`version ${wanted ?? ''} of model ${model}`)
    return stored
  }

  /** All that lies in the registry, and whether it is served. */
  index(): { readonly stored: StoredVersion; readonly state: ServedState; readonly reason: string }[] {
    return this.#desk.list().flatMap(entry =>
      entry.versions.map(stored => {
        const state: ServedState = this.isServed(stored, entry) ? 'READY' : 'UNAVAILABLE'
        const chosen = this.#chosen.get(keyOf(stored))
        return { stored, state, reason: state === 'READY' ? '' : (chosen ?? 'not loaded') }
      }),
    )
  }

  isServed(
    stored: StoredVersion,
    { standing: { champion, challenger } } = this.#entry(stored.model),
  ): boolean {
    const chosen = this.#chosen.get(keyOf(stored))
    if (chosen !== undefined) return chosen === 'loaded'
    return champion?.version === stored.version || challenger?.version === stored.version
  }

  /** Opens a version so that it answers at once. Throws FS_MODEL_*. */
  async load(stored: StoredVersion): Promise<void> {
    await this.#opened(stored).session
    this.#chosen.set(keyOf(stored), 'loaded')
  }

  /** Serves no version of a model any more; those that score go on. */
  async unload(model: string): Promise<void> {
    for (const stored of this.#entry(model).versions) {
      this.#chosen.set(keyOf(stored), 'unloaded')
      await this.#close(keyOf(stored))
    }
  }

  /** Whether it answers; opens it when it is served. */
  async isReady(stored: StoredVersion): Promise<boolean> {
    if (!this.isServed(stored)) return false
    return this.#opened(stored).session.then(
      () => true,
      () => false,
    )
  }

  /** Throws FS_CONFLICT when it is not served, FS_OVERLOADED, FS_MODEL_*. */
  async run(
    stored: StoredVersion,
    caller: string,
    input: Float32Array,
    rows: number,
    timeoutMs = TIMEOUT_MS_MAX,
  ): Promise<Float32Array> {
    const { model, version } = stored
    if (!this.isServed(stored))
      throw new ForeshockError(
        'FS_CONFLICT',
        `version ${version} of model ${model} is not ready; POST /v2/repository/models/${model}/load`,
      )
    if (this.#running >= RUNNING_MAX)
      throw new ForeshockError('FS_OVERLOADED', `${RUNNING_MAX} inference requests are under way`)
    this.#running++
    let open: Open | undefined
    try {
      open = this.#opened(stored)
      open.running++
      return await (await open.session).run(caller, input, rows, Math.min(timeoutMs, TIMEOUT_MS_MAX))
    } finally {
      this.#running--
      if (open) open.running--
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.keys()].map(key => this.#close(key)))
  }

  #entry(model: string): ModelEntry {
    const entry = this.#desk.entry(model)
    if (!entry) throw notFound(`model ${model}`)
    return entry
  }

  /** At once, so that whoever is to run it can say so before another finds it idle. Throws FS_OVERLOADED. */
  #opened(stored: StoredVersion): Open {
    const key = keyOf(stored)
    const known = this.#sessions.get(key)
    if (known) {
      known.usedAt = ++this.#uses
      return known
    }
    const idle = [...this.#sessions].filter(([, one]) => one.running === 0)
    if (this.#sessions.size >= this.#openMax) {
      const [oldest] = idle.sort(([, a], [, b]) => a.usedAt - b.usedAt)
      if (!oldest) throw new ForeshockError('FS_OVERLOADED', `${this.#openMax} models are answering already`)
      // Not waited for: the place is free at once, the thread ends when it ends.
      void this.#close(oldest[0])
    }
    const session = this.#open(stored)
    const open: Open = { stored, session, running: 0, usedAt: ++this.#uses }
    this.#sessions.set(key, open)
    session.catch(() => {
      if (this.#sessions.get(key) === open) this.#sessions.delete(key)
    })
    return open
  }

  async #close(key: string): Promise<void> {
    const open = this.#sessions.get(key)
    this.#sessions.delete(key)
    await open?.session.then(
      session => session.close(),
      () => {},
    )
  }
}

/** By content: a version that was removed and one that came in its place are two. */
const keyOf = ({ model, version, packageDigest }: StoredVersion) => `${model}@${version} ${packageDigest}`

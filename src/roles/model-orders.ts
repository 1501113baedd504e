import { ForeshockError } from '../core/errors.ts'
import type { ModelOrder, ModelState } from '../core/model.ts'
import { NO_STANDING, ordersBetween, type Standing } from '../core/model-standing.ts'
import { encodeModelCommand, type ModelCommand } from '../core/model-word.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { CONTENT, HEADERS, type StreamMessage } from '../core/stream.ts'

const ID = 'model-orders'
const VERSION = 1

/** How far a partition is with the orders of one model. */
interface Followed {
  readonly revision: number
  /** Why the last was not followed. */
  readonly refused: string | null
}

/** An order of a model for one partition, of samples or of anomalies. */
export function modelMessage(command: ModelCommand, partition: number, nowMs: number): StreamMessage {
  return {
    key: null,
    value: encodeModelCommand(command),
    headers: { [HEADERS.content]: CONTENT.model },
    timestampMs: nowMs,
    partition,
  }
}

/**
 * Orders of models that one samples partition has carried out. An order comes more than once, or not at all where the log no
 * longer holds it: it is followed by its number, each once, and what is missing between is made up for.
 */
export class ModelOrders {
  readonly #followed = new Map<string, Followed>()

  /** The last order carried out, 0 before the first. */
  revision(model: string): number {
    return this.#followed.get(model)?.revision ?? 0
  }

  refused(model: string): string | null {
    return this.#followed.get(model)?.refused ?? null
  }

  get models(): string[] {
    return [...this.#followed.keys()]
  }

  /** What is to be carried out; undefined when all of it was. `live`: how the model stands in the partition. */
  due(command: ModelCommand, live: ModelState | undefined): readonly ModelOrder[] | undefined {
    const { model, revision, order, standing } = command
    const last = this.#followed.get(model)
    if (revision <= (last?.revision ?? 0)) return undefined
    const isNext = revision === (last?.revision ?? 0) + 1 && (last?.refused ?? null) === null
    return isNext ? [order] : ordersBetween(model, live, standing, order.by, 'orders before it were missed')
  }

  done({ model, revision }: ModelCommand, refused: string | null): void {
    this.#followed.set(model, { revision, refused })
  }

  snapshot(): Snapshot[] {
    return [{ id: ID, version: VERSION, keys: [], columns: {}, meta: [...this.#followed] }]
  }

  restore(parts: readonly Snapshot[]): void {
    const from = parts.find(part => part.id === ID)
    if (!from) return
    if (from.version !== VERSION)
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `${ID} v${from.version} cannot be read`)
    for (const [model, followed] of from.meta as [string, Followed][]) this.#followed.set(model, followed)
  }
}

/** Names of versions that had a part, remembered for the evidence that names them. */
const SPOKE_MAX = 64

interface Told {
  readonly revision: number
  readonly standing: Standing
}

/** Which models speak, as a disruption stage is told: its events name their digests. */
export class StageModels {
  readonly #told = new Map<string, Told>()
  /** Digest by the name that evidence gives a version, the latest last. */
  readonly #spoke = new Map<string, string>()
  readonly #nameOf: (model: string, version: number, format: string) => string

  /** `nameOf`: what evidence names a version by. */
  constructor(nameOf: (model: string, version: number, format: string) => string) {
    this.#nameOf = nameOf
  }

  revision(model: string): number {
    return this.#told.get(model)?.revision ?? 0
  }

  /** False when it is not newer than what is known. */
  take({ model, revision, standing, packages }: ModelCommand): boolean {
    if (revision <= this.revision(model)) return false
    this.#told.set(model, { revision, standing })
    for (const one of [standing.challenger, standing.champion]) {
      if (!one) continue
      const name = this.#nameOf(model, one.version, formatOf(packages[one.version]?.card))
      this.#spoke.delete(name)
      this.#spoke.set(name, one.digest)
    }
    while (this.#spoke.size > SPOKE_MAX) this.#spoke.delete(this.#spoke.keys().next().value as string)
    return true
  }

  /** Digests of the versions that speak now, and of those among `names` that did. */
  digests(names: Iterable<string>): Readonly<Record<string, string>> {
    const found: Record<string, string> = {}
    const speaking = new Set<string>()
    for (const { standing } of this.#told.values()) {
      const { champion, challenger } = standing ?? NO_STANDING
      for (const one of [champion, challenger?.mode === 'canary' ? challenger : null])
        if (one) speaking.add(one.digest)
    }
    const asked = new Set(names)
    for (const [name, digest] of this.#spoke)
      if (asked.has(name) || speaking.has(digest)) found[name] = digest
    return found
  }

  snapshot(): Snapshot[] {
    const meta = { told: [...this.#told], spoke: [...this.#spoke] }
    return [{ id: ID, version: VERSION, keys: [], columns: {}, meta }]
  }

  restore(parts: readonly Snapshot[]): void {
    const from = parts.find(part => part.id === ID)
    if (!from) return
    if (from.version !== VERSION)
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `${ID} v${from.version} cannot be read`)
    const { told, spoke } = from.meta as { told: [string, Told][]; spoke: [string, string][] }
    for (const [model, one] of told) this.#told.set(model, one)
    for (const [name, digest] of spoke) this.#spoke.set(name, digest)
  }
}

const formatOf = (card: Readonly<Record<string, unknown>> | undefined): string =>
  typeof card?.format === 'string' ? card.format : 'onnx'

/** What stands in `control` and not in a partition is waited for so long, ms: it may be on its way. */
const GRACE_MS = 2000

interface Gap {
  readonly word: string
  readonly sinceMs: number
  /** Once this much of the log was read, what was on its way has come. */
  readonly until: number
  isWritten: boolean
}

/**
 * What the topic `control` says and a partition has not heard: written once into the partition by its owner, where it takes
 * effect when it is read. By subject, such as a model.
 */
export class Gaps {
  readonly #gaps = new Map<string, Gap>()

  /**
   * Whether what is missing is to be written now. `word` tells one word on the subject from the next; `position` and `end`:
   * offset of the next message of the partition, and of the one after its last.
   */
  due(subject: string, word: string, position: number, end: number, nowMs: number): boolean {
    let gap = this.#gaps.get(subject)
    if (gap?.word !== word) {
      gap = { word, sinceMs: nowMs, until: end, isWritten: false }
      this.#gaps.set(subject, gap)
    }
    if (gap.isWritten || position < gap.until || nowMs - gap.sinceMs < GRACE_MS) return false
    gap.isWritten = true
    return true
  }

  /** It could not be written. */
  again(subject: string): void {
    this.#gaps.delete(subject)
  }

  /** Nothing is missing of any other subject. */
  keep(subjects: ReadonlySet<string>): void {
    for (const subject of this.#gaps.keys()) if (!subjects.has(subject)) this.#gaps.delete(subject)
  }

  /** Nothing is missing of the subject. */
  closed(subject: string): void {
    this.#gaps.delete(subject)
  }
}

import type { ModelOrder, ModelVersion } from './model.ts'
import { modelOrderOf } from './model-order.ts'
import {
  afterOrder,
  NO_STANDING,
  type OrderLine,
  type Standing,
  type StoredVersion,
} from './model-standing.ts'

/** What of a package an order brings along, so that nobody has to look it up to know what is meant. */
export interface PackageWord {
  /** Of every byte of the package. */
  readonly packageDigest: string
  /** As it was written: what it says was checked when it was pushed. */
  readonly card: Readonly<Record<string, unknown>>
}

/**
 * An order of a model as every partition of a fleet is told it. It says how the model stands from here on, and the order
 * that made it so: who has carried out the one before follows the order, who has not goes to where the model stands.
 */
export interface ModelCommand {
  readonly model: string
  /** Counts the orders of the model from 1 on: what is not newer than what was carried out is a repeat. */
  readonly revision: number
  readonly order: ModelOrder
  readonly standing: Standing
  /** Of the versions that have a part, by number. */
  readonly packages: Readonly<Record<string, PackageWord>>
}

/** The latest word on a model, as the fleet remembers it. */
export interface ModelWord {
  readonly model: string
  /** The last order; null while none was given. */
  readonly command: ModelCommand | null
  /** Oldest first. */
  readonly history: readonly OrderLine[]
  /** Package digest of removed versions by number, so that a number never comes to mean something else. */
  readonly removed: Readonly<Record<string, string>>
}

/** The newest orders that are remembered with a model, and most characters of them; all are in the audit trail. */
const HISTORY_MAX = 100
const HISTORY_CHARACTERS_MAX = 200_000
const REMOVED_MAX = 1000
const DIGEST = /^sha256:[0-9a-f]{64}$/

export const standingOfWord = (word: ModelWord | undefined): Standing =>
  word?.command?.standing ?? NO_STANDING

const noWord = (model: string): ModelWord => ({ model, command: null, history: [], removed: {} })

/** The word after an order, which makes no sense as things stand where this is a text. `find`: versions that there are. */
export function wordAfter(
  model: string,
  before: ModelWord | undefined,
  order: ModelOrder,
  timeMs: number,
  find: (version: number) => StoredVersion | undefined,
): ModelWord | string {
  const word = before ?? noWord(model)
  const standing = afterOrder(standingOfWord(before), order)
  if (typeof standing === 'string') return standing
  const packages: Record<string, PackageWord> = {}
  for (const one of [standing.champion, standing.previous, standing.challenger]) {
    if (!one) continue
    const stored = find(one.version)
    const known = word.command?.packages[one.version]
    if (stored) packages[one.version] = { packageDigest: stored.packageDigest, card: stored.card }
    else if (known) packages[one.version] = known
  }
  const line: OrderLine = { time: new Date(timeMs).toISOString(), order, champion: standing.champion }
  const revision = (word.command?.revision ?? 0) + 1
  const command: ModelCommand = { model, revision, order, standing, packages }
  return { ...word, command, history: shortened([...word.history, line]) }
}

function shortened(lines: readonly OrderLine[]): readonly OrderLine[] {
  const kept = lines.slice(-HISTORY_MAX)
  let characters = kept.reduce((sum, line) => sum + JSON.stringify(line).length, 0)
  while (characters > HISTORY_CHARACTERS_MAX && kept.length > 1)
    characters -= JSON.stringify(kept.shift()).length
  return kept
}

/** The word once a version is gone, or is there again. */
export function wordWithout(
  model: string,
  before: ModelWord | undefined,
  version: number,
  digest: string,
): ModelWord {
  const word = before ?? noWord(model)
  const others = Object.entries(word.removed).filter(([name]) => name !== String(version))
  return { ...word, removed: Object.fromEntries([...others, [String(version), digest]].slice(-REMOVED_MAX)) }
}
export function wordWith(before: ModelWord, version: number): ModelWord {
  const others = Object.entries(before.removed).filter(([name]) => name !== String(version))
  return { ...before, removed: Object.fromEntries(others) }
}

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
export const encodeModelCommand = (command: ModelCommand): Uint8Array => encode(command)
export const encodeModelWord = (word: ModelWord): Uint8Array => encode({ format: 1, ...word })

/** The reason when it is none. */
export function modelCommandOf(bytes: Uint8Array): ModelCommand | string {
  const read = json(bytes)
  return typeof read === 'string' ? `not a model order: ${read}` : commandIn(read)
}

/** The reason when it is none. */
export function modelWordOf(bytes: Uint8Array): ModelWord | string {
  const read = json(bytes)
  if (typeof read === 'string') return read
  const { format, model, command, history, removed } = read
  if (format !== 1) return `a word on a model of format ${String(format)}, and only 1 is read here`
  if (typeof model !== 'string' || !Array.isArray(history) || !isObject(removed)) return 'no word on a model'
  const read_ = command === null ? null : isObject(command) ? commandIn(command) : 'no word on a model'
  if (typeof read_ === 'string') return read_
  if (read_ !== null && read_.model !== model) return 'a word on two models'
  return {
    model,
    command: read_,
    history: history as OrderLine[],
    removed: removed as Record<string, string>,
  }
}

function commandIn(read: Record<string, unknown>): ModelCommand | string {
  const { model, revision, standing, packages } = read
  const order = modelOrderOf(encode(read.order))
  if (typeof order === 'string') return order
  if (order.model !== model) return 'an order of another model than it is for'
  if (typeof revision !== 'number' || !Number.isInteger(revision) || revision < 1)
    return 'an order of a model without a number'
  if (!isObject(standing) || !isObject(packages)) return 'an order that does not say how its model stands'
  const { champion, previous, challenger } = standing
  const all = [champion, previous, challenger]
  if (!all.every(one => one === null || isVersion(one, order.model)))
    return 'an order that does not say how its model stands'
  const { mode, share } = (challenger ?? { mode: 'shadow', share: 0 }) as { mode: unknown; share: unknown }
  if ((mode !== 'shadow' && mode !== 'canary') || typeof share !== 'number' || !(share >= 0 && share <= 1))
    return 'a challenger that is neither in shadow nor a canary'
  for (const one of Object.values(packages))
    if (!isObject(one) || !isObject(one.card) || !DIGEST.test(String(one.packageDigest)))
      return 'a package without its digest or card'
  return read as unknown as ModelCommand
}

function isVersion(value: unknown, model: string): value is ModelVersion {
  return (
    isObject(value) &&
    value.model === model &&
    typeof value.version === 'number' &&
    Number.isInteger(value.version) &&
    typeof value.digest === 'string' &&
    DIGEST.test(value.digest)
  )
}

function json(bytes: Uint8Array): Record<string, unknown> | string {
  try {
    const read: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return isObject(read) ? read : 'no JSON object'
  } catch {
    return 'no JSON'
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

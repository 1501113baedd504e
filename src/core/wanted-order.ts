import { ForeshockError } from './errors.ts'
import type { ModelOrder } from './model.ts'
import type { Standing, StoredVersion, WantedOrder } from './model-standing.ts'
import { Turns } from './turns.ts'

export const conflict = (reason: string) => new ForeshockError('FS_CONFLICT', reason.slice(0, 1000))
export const notFound = (what: string) =>
  new ForeshockError('FS_NOT_FOUND', `there is no ${what.slice(0, 300)}`)

/** Packages that may wait while one is looked at. */
const PUSHES_WAITING_MAX = 4

/** Packages are looked at one after the other. */
export const pushTurns = () => new Turns(PUSHES_WAITING_MAX, 'packages are being taken in')

/**
 * The order that somebody wants, complete: which version, by its digest. `find` gives a version of the registry. Throws
 * FS_INPUT_INVALID where the version is missing, FS_CONFLICT where it is another than was meant.
 */
export function orderWanted(
  wanted: WantedOrder,
  standing: Standing,
  find: (model: string, version: number) => Pick<StoredVersion, 'digest'>,
): ModelOrder {
  const { op, model, by, why } = wanted
  const ordered = { model, by, ...(why === undefined ? {} : { why }) }
  if (op === 'withdraw' || op === 'rollback' || op === 'retire') return { ...ordered, op }
  const version = wanted.version ?? (op === 'promote' ? standing.challenger?.version : undefined)
  if (version === undefined) throw new ForeshockError('FS_INPUT_INVALID', `${op} which version of ${model}?`)
  const { digest } = find(model, version)
  if (wanted.digest !== undefined && wanted.digest !== digest)
    throw conflict(`${model} ${version} is ${digest}, not ${wanted.digest}`)
  if (op === 'promote' || op === 'shadow') return { ...ordered, op, version, digest }
  return { ...ordered, op, version, digest, share: wanted.share ?? 0.1 }
}

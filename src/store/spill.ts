import { ForeshockError } from '../core/errors.ts'

/** A stretch of a long array that is written apart from the JSON that held it. */
export interface Spilled {
  readonly array: readonly unknown[]
  readonly from: number
  readonly to: number
}

/** Longer arrays are taken out; a block holds this many items. */
const ITEMS_PER_BLOCK = 4096
const MARK = '$spilled'

/**
 * A copy of JSON-safe data in which each long array is replaced by `{"$spilled": [first block, blocks]}`, so that
 * the JSON of a million series is never one string. What lies inside a long array is not searched.
 */
export function spill(value: unknown, blocks: Spilled[]): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    if (value.length <= ITEMS_PER_BLOCK) return value.map(item => spill(item, blocks))
    const first = blocks.length
    for (let from = 0; from < value.length; from += ITEMS_PER_BLOCK) {
      blocks.push({ array: value, from, to: Math.min(value.length, from + ITEMS_PER_BLOCK) })
    }
    return { [MARK]: [first, blocks.length - first] }
  }
  if (Object.hasOwn(value, MARK))
    throw new ForeshockError('FS_ASSERTION', `a snapshot's meta uses the key ${MARK}`)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, spill(item, blocks)]))
}

/** Puts the long arrays back. */
export function unspill(value: unknown, blocks: readonly (readonly unknown[])[]): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(item => unspill(item, blocks))
  if (Object.hasOwn(value, MARK)) {
    const [first, count] = (value as Record<string, [number, number]>)[MARK]
    return blocks.slice(first, first + count).flat(1)
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unspill(item, blocks)]))
}

import { ForeshockError } from '../core/errors.ts'

/** A place in the order of an index: latest detected first, then by id, so that it is the same in every engine. */
export interface Place {
  readonly detectedMs: number
  readonly id: string
}

/** Most items of a page. */
export const PAGE_MAX = 1000

/** A whole number of items, 1 to PAGE_MAX. */
export function pageSize(limit: number): number {
  return Math.max(1, Math.min(PAGE_MAX, Math.floor(limit) || 1))
}

export function cursorOf({ detectedMs, id }: Place): string {
  return Buffer.from(`${detectedMs}:${id}`).toString('base64url')
}

/** Throws FS_INPUT_INVALID for one that was not given out. */
export function placeOf(cursor: string): Place {
  const match = /^(-?\d{1,16}):([^\0]{1,512})$/s.exec(Buffer.from(cursor, 'base64url').toString())
  if (!match) throw new ForeshockError('FS_INPUT_INVALID', 'the cursor is not one that was given out')
  return { detectedMs: Number(match[1]), id: match[2] }
}

/** Below 0 when a comes after b in the order of time and id. */
export function comparePlaces(a: Place, b: Place): number {
  return a.detectedMs - b.detectedMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}

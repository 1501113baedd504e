import { invalid } from './http.ts'

/** Cursors of lists that stand in memory: opaque to clients, an offset inside. */
export function offsetOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0
  const match = /^o(\d{1,10})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'))
  if (match === null) throw invalid('querystring cursor: is not one that was given out here')
  return Number(match[1])
}

export function cursorOf(offset: number): string {
  return Buffer.from(`o${offset}`, 'latin1').toString('base64url')
}

/** One page of a list. */
export function page<T>(
  list: readonly T[],
  cursor: string | undefined,
  limit: number,
): { items: T[]; next: string | null } {
  const start = offsetOf(cursor)
  const end = start + limit
  return { items: list.slice(start, end), next: end < list.length ? cursorOf(end) : null }
}

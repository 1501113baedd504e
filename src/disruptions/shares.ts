import { compare } from './graph.ts'
import { TENANTS_FULL } from './options.ts'

/**
 * Appends to a list that keeps the newest `most` of each tenant, and of all together as many as `TENANTS_FULL` tenants may
 * have; then the tenant that holds most loses its oldest. Returns how many were dropped, 0 or 1.
 */
export function keepShare<T>(list: T[], one: T, most: number, tenantOf: (one: T) => string): number {
  list.push(one)
  // Nobody can be over a limit.
  if (list.length <= most) return 0
  const counts = new Map<string, number>()
  for (const held of list) counts.set(tenantOf(held), (counts.get(tenantOf(held)) ?? 0) + 1)
  const own = tenantOf(one)
  const isOver = (counts.get(own) ?? 0) > most
  if (!isOver && list.length <= TENANTS_FULL * most) return 0
  const loser = isOver ? own : [...counts].sort(([a, x], [b, y]) => y - x || compare(a, b))[0][0]
  list.splice(
    list.findIndex(held => tenantOf(held) === loser),
    1,
  )
  return 1
}

import type { Disruption } from './core/disruption.ts'
import { entityKey } from './core/entity-key.ts'
import type { TenantEntity } from './core/stages.ts'

/** An entity that others do not call but that calls others: users meet it first. */
const FRONT_DOOR = 0.5
/** An entity of a disruption on the board, by its rank; the entities of its suspects count half. */
const DISRUPTED = 1
const SUSPECTED = 0.5

/**
 * How much entities matter, 0..1, by `entityKey`: what is in trouble, its suspects, and the front doors of its tenant's call
 * graph.
 */
export function importanceOf(
  board: readonly Disruption[],
  frontDoors: readonly TenantEntity[],
): ReadonlyMap<string, number> {
  const importance = new Map<string, number>()
  const raise = (tenant: string, entity: string, to: number) => {
    const key = entityKey(tenant, entity)
    importance.set(key, Math.max(importance.get(key) ?? 0, to))
  }
  for (const { tenant, entity } of frontDoors) raise(tenant, entity, FRONT_DOOR)
  for (const { tenant, entity, suspects } of board) {
    raise(tenant, entity, DISRUPTED)
    for (const suspect of suspects) raise(tenant, suspect.entity, SUSPECTED)
  }
  return importance
}

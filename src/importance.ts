import type { Disruption } from './core/disruption.ts'
import type { CallEdge } from './core/topology.ts'

/** An entity that others do not call but that calls others: users meet it first. */
const FRONT_DOOR = 0.5
/** An entity of a disruption on the board, by its rank; the entities of its suspects count half. */
const DISRUPTED = 1
const SUSPECTED = 0.5

/** How much entities matter, 0..1: what is in trouble, its suspects, and the front doors of the call graph. */
export function importanceOf(
  board: readonly Disruption[],
  edges: readonly CallEdge[],
): ReadonlyMap<string, number> {
  const importance = new Map<string, number>()
  const raise = (entity: string, to: number) =>
    importance.set(entity, Math.max(importance.get(entity) ?? 0, to))
  const called = new Set(edges.map(edge => edge.target))
  for (const { source } of edges) if (!called.has(source)) raise(source, FRONT_DOOR)
  for (const disruption of board) {
    raise(disruption.entity, DISRUPTED)
    for (const { entity } of disruption.suspects) raise(entity, SUSPECTED)
  }
  return importance
}
